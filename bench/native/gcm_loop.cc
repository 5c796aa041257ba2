// The ceiling of bulk encryption: the engine's own AES-GCM over frames on every core, and nothing else.
//
//   gcm_loop OPERATION OUTPUT BYTES FRAME SECONDS
//
// OPERATION is seal or open. OUTPUT is "kept" when each pass writes over what the one before has written,
// "fresh" when each writes to memory of its own, as whoever gives a new result has to. The first pass warms
// up. Prints one line: {"implementation":"ipsec-mb","perSecond":12345678901.2}
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "engine/gcm.h"
#include "engine/pages.h"

namespace keystead {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint8_t kKey[32] = {7};
constexpr uint8_t kAad[63] = {7};  // as long as a frame's
constexpr size_t kTag = 16;
constexpr size_t kAtOnce = 1 << 20;

class Memory {
 public:
  explicit Memory(size_t size) : size_(size) {
    void* const mapped = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) throw std::runtime_error("there is no memory for " + std::to_string(size));
    bytes = static_cast<uint8_t*>(mapped);
    advise_huge_pages(bytes, size);
  }
  ~Memory() { munmap(bytes, size_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  uint8_t* bytes;

 private:
  const size_t size_;
};

struct Loop {
  void pass(bool seal, const uint8_t* in, uint8_t* out) {
    std::atomic<size_t> next{0};
    std::atomic<bool> authentic{true};
    const size_t step = std::max(size_t{1}, kAtOnce / frame);
    const auto work = [&] {
      GcmRun gcm;
      gcm->set_key(kKey);
      for (size_t from; (from = next.fetch_add(step)) < frames();) {
        for (size_t i = from; i < std::min(frames(), from + step); ++i) {
          uint8_t iv[12] = {};
          std::memcpy(iv, &i, sizeof i);
          const std::span<const uint8_t> part(in + i * frame, std::min(frame, size - i * frame));
          uint8_t* const tag = tags.data() + i * kTag;
          if (seal) {
            gcm->seal(iv, kAad, part, out + i * frame, tag);
          } else if (!gcm->open(iv, kAad, part, tag, out + i * frame)) {
            authentic = false;
          }
        }
      }
    };
    std::vector<std::thread> threads;
    for (size_t i = 1; i < std::thread::hardware_concurrency(); ++i) threads.emplace_back(work);
    work();
    for (std::thread& thread : threads) thread.join();
    if (!authentic) throw std::runtime_error("a frame is not authentic");
  }

  size_t frames() const { return (size + frame - 1) / frame; }

  const size_t size;
  const size_t frame;
  std::vector<uint8_t> tags = std::vector<uint8_t>(frames() * kTag);
};

double per_second(bool seal, bool fresh, size_t size, size_t frame, double seconds) {
  Loop loop{size, frame};
  Memory in(size);
  std::memset(in.bytes, 7, size);
  auto out = std::make_unique<Memory>(size);
  if (!seal) {
    loop.pass(true, in.bytes, out->bytes);
    std::memcpy(in.bytes, out->bytes, size);
  }
  std::chrono::duration<double> total{0};
  size_t passes = 0;
  for (bool warm = false; total.count() < seconds || passes < 3; warm = true) {
    if (fresh) {
      out.reset();
      out = std::make_unique<Memory>(size);
    }
    const auto begin = Clock::now();
    loop.pass(seal, in.bytes, out->bytes);
    if (!warm) continue;
    total += Clock::now() - begin;
    ++passes;
  }
  return static_cast<double>(size) * static_cast<double>(passes) / total.count();
}

int run(int count, char** arguments) {
  if (count != 6) {
    std::fprintf(stderr, "usage: %s seal|open kept|fresh BYTES FRAME SECONDS\n", arguments[0]);
    return 2;
  }
  const bool seal = std::string(arguments[1]) == "seal";
  const bool fresh = std::string(arguments[2]) == "fresh";
  const double rate =
      per_second(seal, fresh, std::stoul(arguments[3]), std::stoul(arguments[4]), std::stod(arguments[5]));
  std::printf("{\"implementation\":\"%s\",\"perSecond\":%.1f}\n", gcm_in_use().c_str(), rate);
  return 0;
}

}  // namespace
}  // namespace keystead

int main(int count, char** arguments) {
  try {
    return keystead::run(count, arguments);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
