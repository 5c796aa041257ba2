// Lanes: a queue of tasks, and threads that each serve it with one long-lived session.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>

#include "engine/caller.h"
#include "engine/session.h"
#include "engine/spin.h"
#include "engine/watch.h"

namespace keystead {

// What kind of lane an operation takes: on software tokens the one kind gains nothing from more threads.
enum class Kind { kSymmetric, kAsymmetric };

// Runs on a lane, inside a Stay. True: the caller is to be answered; false: somebody else will.
using Work = std::function<bool(const Session&)>;

struct Task {
  std::shared_ptr<Caller> caller;
  Work work;
  Watch::Ticket deadline;
  std::atomic<bool> expired = false;  // answered DEADLINE
  std::atomic<bool> running = false;
  unsigned faults = 0;  // those met already, a bit each: every kind of fault is worth one more try
};

class Queue {
 public:
  // False when it is closed.
  bool push(std::shared_ptr<Task> task) {
    std::lock_guard lock(mutex_);
    if (closed_) return false;
    tasks_.push_back(std::move(task));
    fill();
    return true;
  }
  // For a task that was taken already.
  void put_back(std::shared_ptr<Task> task) {
    std::lock_guard lock(mutex_);
    tasks_.push_front(std::move(task));
    fill();
  }
  // Waits for a task; nullptr when the queue is closed and empty.
  std::shared_ptr<Task> take() {
    std::unique_lock lock(mutex_, std::defer_lock);
    auto sleep = [&] {
      lock.lock();
      asleep_++;
      filled_.wait(lock, [&] { return closed_ || !tasks_.empty(); });
      asleep_--;
    };
    if (spinning_.exchange(true)) {
      sleep();
    } else {
      spin_.until([&] { return pending_ != 0; }, sleep);
      spinning_ = false;
    }
    if (tasks_.empty()) return nullptr;
    auto task = std::move(tasks_.front());
    tasks_.pop_front();
    pending_ = tasks_.size() + closed_;
    return task;
  }
  void close() {
    std::lock_guard lock(mutex_);
    closed_ = true;
    pending_ = tasks_.size() + closed_;
    filled_.notify_all();
  }

 private:
  void fill() {
    pending_ = tasks_.size() + closed_;
    if (asleep_) filled_.notify_one();
  }

  std::mutex mutex_;
  std::condition_variable filled_;
  std::deque<std::shared_ptr<Task>> tasks_;
  size_t asleep_ = 0;
  bool closed_ = false;
  std::atomic<size_t> pending_ = 0;     // what a thread that has not the mutex knows of the tasks
  std::atomic<bool> spinning_ = false;  // one thread at a time is enough
  Spin spin_;
};

}  // namespace keystead
