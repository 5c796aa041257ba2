// The scribe: one thread that writes to disks, so that neither the crew nor Node's threads wait for them.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>

#include "engine/caller.h"
#include "engine/spin.h"

namespace keystead {

class Scribe {
 public:
  // The process's scribe. Its thread starts with the first run; it is never destroyed, and at exit the
  // process waits at most two seconds for the work under way.
  static Scribe& instance();

  // Runs `work` while visiting the caller, behind all that was handed in before, and answers him. Does not
  // block.
  void run(std::shared_ptr<Caller> caller, std::function<void()> work);

 private:
  struct Entry {
    std::shared_ptr<Caller> caller;
    std::function<void()> work;
  };

  Scribe() = default;
  void loop();
  void stop();

  std::mutex mutex_;
  std::condition_variable ready_;
  std::condition_variable idle_;
  std::deque<Entry> entries_;
  Spin spin_;
  std::atomic<size_t> waiting_{0};  // as many as entries_, to be looked at without the mutex
  bool started_ = false;
  bool busy_ = false;
  bool stopping_ = false;
};

}  // namespace keystead
