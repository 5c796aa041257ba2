#include "engine/crew.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#ifdef __linux__
#include <sched.h>
#endif

namespace keystead {
namespace {

constexpr auto kExitPatience = std::chrono::seconds(2);
constexpr size_t kGrainsAtOnce = 16;

size_t processors() {
  size_t count = std::max(1U, std::thread::hardware_concurrency());
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) count = std::max(1, CPU_COUNT(&set));
  // "QUOTA PERIOD" in microseconds, or "max PERIOD": control groups, version 2.
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  size_t quota = 0;
  size_t period = 0;
  if (file >> quota >> period && period > 0) {
    count = std::min(count, std::max(size_t{1}, (quota + period - 1) / period));
  }
#endif
  return count;
}

}  // namespace

struct Crew::Run {
  size_t count;
  size_t grain;
  std::function<void(size_t, size_t)> work;
  std::function<void(std::exception_ptr)> done;
  size_t next = 0;   // first index that nobody has begun
  size_t begun = 0;  // ranges under way
  std::exception_ptr error;
};

Crew& Crew::instance() {
  static Crew* crew = new Crew;
  return *crew;
}

Crew::Crew() : threads_(processors()) {}

void Crew::run(size_t count, size_t grain, std::function<void(size_t, size_t)> work,
               std::function<void(std::exception_ptr)> done) {
  grain = std::max(size_t{1}, grain);
  auto run = std::make_shared<Run>(Run{count, grain, std::move(work), std::move(done), 0, 0, nullptr});
  const std::lock_guard lock(mutex_);
  start();
  runs_.push_back(std::move(run));
  const size_t hands = std::min(threads_, (count + grain - 1) / grain);
  for (size_t i = 0; i < std::max(size_t{1}, hands); ++i) ready_.notify_one();
}

// Detached: a thread that were joined at exit could hold the process up.
void Crew::start() {
  if (started_ == 0) std::atexit([] { instance().stop(); });
  while (started_ < threads_) {
    try {
      std::thread([this] { loop(); }).detach();
    } catch (const std::system_error&) {
      if (started_ == 0) throw;
      return;  // fewer threads than wished, as the system allows no more now
    }
    ++started_;
  }
}

void Crew::loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    ready_.wait(lock, [this] { return !runs_.empty() && !stopping_; });
    const std::shared_ptr<Run> run = std::move(runs_.front());
    runs_.pop_front();
    const size_t share = (run->count - run->next) / (2 * threads_);
    const size_t from = run->next;
    const size_t to = std::min(run->count, from + std::clamp(share, run->grain, kGrainsAtOnce * run->grain));
    run->next = to;
    ++run->begun;
    if (to < run->count) runs_.push_back(run);
    ++busy_;
    lock.unlock();

    std::exception_ptr error;
    try {
      if (from < to) run->work(from, to);
    } catch (...) {
      error = std::current_exception();
    }

    lock.lock();
    if (error && !run->error) {
      run->error = error;
      run->next = run->count;
      std::erase(runs_, run);
    }
    --run->begun;
    if (run->begun == 0 && run->next == run->count) {
      lock.unlock();
      run->work = nullptr;
      run->done(run->error);
      run->done = nullptr;
      lock.lock();
    }
    if (--busy_ == 0) idle_.notify_all();
  }
}

// What the threads use (OpenSSL's tables, say) is freed after this: let them end their ranges, begin no
// other.
void Crew::stop() {
  std::unique_lock lock(mutex_);
  stopping_ = true;
  idle_.wait_for(lock, kExitPatience, [this] { return busy_ == 0; });
}

}  // namespace keystead
