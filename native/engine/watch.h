// The watch over deadlines: one thread a process, asleep until the nearest one passes.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <utility>

namespace keystead {

class Watch {
 public:
  using Clock = std::chrono::steady_clock;
  using Ticket = std::pair<Clock::time_point, uint64_t>;

  static Watch& instance();

  // `ring` runs once on the watch's thread, unless cancelled before; it must neither wait nor throw.
  Ticket set(Clock::duration after, std::function<void()> ring);
  void cancel(const Ticket& ticket);

 private:
  Watch();
  void keep();

  std::mutex mutex_;
  std::condition_variable earlier_;
  std::map<Ticket, std::function<void()>> alarms_;
  Clock::time_point wakes_ = Clock::time_point::max();  // when the thread looks again by itself
  uint64_t next_ = 0;
};

}  // namespace keystead
