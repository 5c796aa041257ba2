// The crew: threads of the engine's own, one a core, that seal and open. Never libuv's threads.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>

namespace keystead {

class Crew {
 public:
  // The process's crew. Its threads start with the first run and sleep while there is nothing to do; it is
  // never destroyed, and at exit the process waits at most two seconds for the ranges under way.
  static Crew& instance();

  // As many as processors that this process may use, by affinity and by the quota of its control group.
  size_t threads() const { return threads_; }

  // Splits [0, count) into ranges of at least `grain` and runs `work(from, to)` on each, in parallel; then
  // calls `done(error)` once, on a thread of the crew, with the first exception thrown or nullptr. Ranges not
  // yet begun when one throws are left out. Does not block. Runs take turns range by range, so a small one
  // does not wait for a large one. `done` must not throw.
  void run(size_t count, size_t grain, std::function<void(size_t, size_t)> work,
           std::function<void(std::exception_ptr)> done);

 private:
  struct Run;

  Crew();
  void start();
  void loop();
  void stop();

  const size_t threads_;
  std::mutex mutex_;
  std::condition_variable ready_;
  std::condition_variable idle_;
  std::deque<std::shared_ptr<Run>> runs_;  // those with ranges nobody has begun
  size_t started_ = 0;
  size_t busy_ = 0;
  bool stopping_ = false;
};

}  // namespace keystead
