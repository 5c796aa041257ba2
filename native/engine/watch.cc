#include "engine/watch.h"

#include <thread>

namespace keystead {

Watch& Watch::instance() {
  static auto* watch = new Watch;  // its thread outlives the exit handlers
  return *watch;
}

Watch::Watch() {
  std::thread([this] { keep(); }).detach();
}

Watch::Ticket Watch::set(Clock::duration after, std::function<void()> ring) {
  std::lock_guard lock(mutex_);
  Ticket ticket{Clock::now() + after, next_++};
  alarms_.emplace(ticket, std::move(ring));
  if (ticket.first < wakes_) earlier_.notify_one();
  return ticket;
}

void Watch::cancel(const Ticket& ticket) {
  std::function<void()> ring;  // destroyed outside the lock, with whatever it holds
  std::lock_guard lock(mutex_);
  auto place = alarms_.find(ticket);
  if (place == alarms_.end()) return;
  ring = std::move(place->second);
  alarms_.erase(place);
}

void Watch::keep() {
  std::unique_lock lock(mutex_);
  for (;;) {
    // An alarm that is set later than the thread wakes anyway need not wake it: most are cancelled long
    // before.
    if (alarms_.empty()) {
      wakes_ = Clock::time_point::max();
      earlier_.wait(lock);
    } else if (auto first = alarms_.begin(); first->first.first > Clock::now()) {
      Clock::time_point when = wakes_ = first->first.first;  // the alarm may be cancelled meanwhile
      earlier_.wait_until(lock, when);
    } else {
      auto ring = std::move(first->second);
      alarms_.erase(first);
      lock.unlock();
      ring();
      ring = nullptr;
      lock.lock();
    }
  }
}

}  // namespace keystead
