#include "engine/trial.h"

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <thread>

#include "engine/backing_key.h"
#include "engine/error.h"

namespace keystead {

namespace {

using Clock = std::chrono::steady_clock;
// How long a round is: at least some operations of each session, so that they come out of step.
constexpr Clock::duration kShortest = std::chrono::milliseconds(1), kLongest = std::chrono::milliseconds(20);
constexpr int kOperations = 4;
constexpr int kRounds = 3;
constexpr double kClearlyFaster = 0.5;  // of the gain that would be ideal

// HMACs a second with the first `lanes` sessions at once.
double rate(const std::vector<Session>& sessions, size_t lanes, CK_OBJECT_HANDLE key, Clock::duration time) {
  std::atomic<size_t> count = 0;
  std::atomic<bool> failed = false;
  Clock::time_point start;
  // Starting threads takes longer than some tokens do.
  std::barrier ready(static_cast<ptrdiff_t>(lanes), [&]() noexcept { start = Clock::now(); });
  auto run = [&](const Session& session) {
    const uint8_t nonce[kNonceSize] = {};
    ready.arrive_and_wait();
    try {
      do {
        derive(session, key, nonce);
        count++;
      } while (Clock::now() - start < time);
    } catch (const std::exception&) {
      failed = true;
    }
  };
  std::vector<std::thread> others;
  for (size_t i = 1; i < lanes; i++) others.emplace_back(run, std::cref(sessions[i]));
  run(sessions[0]);
  for (auto& other : others) other.join();
  if (failed) return 0;
  return static_cast<double>(count) / std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

size_t try_lanes(const std::vector<Session>& sessions, const std::function<size_t(size_t)>& open_up_to) {
  const Session first = sessions[0];  // which moves when others are opened
  Temporary key(first,
                first.generate(CKM_GENERIC_SECRET_KEY_GEN, Attributes()
                                                               .number(CKA_CLASS, CKO_SECRET_KEY)
                                                               .number(CKA_KEY_TYPE, CKK_GENERIC_SECRET)
                                                               .number(CKA_VALUE_LEN, 32)
                                                               .flag(CKA_TOKEN, false)
                                                               .flag(CKA_PRIVATE, true)
                                                               .flag(CKA_SENSITIVE, true)
                                                               .flag(CKA_EXTRACTABLE, false)
                                                               .flag(CKA_SIGN, true)));
  Clock::duration once = kLongest;
  for (int i = 0; i < kRounds; i++) {
    const uint8_t nonce[kNonceSize] = {};
    const auto start = Clock::now();
    derive(first, key, nonce);
    once = std::min(once, Clock::now() - start);
  }
  const auto time = std::clamp(kOperations * once, kShortest, kLongest);
  const bool slow = once > kShortest;
  size_t lanes = 1;
  for (;;) {
    const size_t next = open_up_to(2 * lanes);
    if (next == lanes) return lanes;
    // A few short rounds each, in turn: another process that takes the processor away spoils some of them. On
    // a slow token, which more lanes cannot hurt, one good pair will do; else the best of each are compared.
    double fewer = 0, more = 0;
    bool faster = false;
    for (int round = 0; round < kRounds && !(slow && faster); round++) {
      if (slow) fewer = more = 0;
      fewer = std::max(fewer, rate(sessions, lanes, key, time));
      more = std::max(more, rate(sessions, next, key, time));
      const double ideal = fewer * static_cast<double>(next) / static_cast<double>(lanes);
      faster = more - fewer > kClearlyFaster * (ideal - fewer);
    }
    if (!faster) return lanes;
    lanes = next;
  }
}

}  // namespace keystead
