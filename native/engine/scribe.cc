#include "engine/scribe.h"

#include <chrono>
#include <cstdlib>
#include <exception>
#include <thread>
#include <utility>

namespace keystead {
namespace {

constexpr auto kExitPatience = std::chrono::seconds(2);

}  // namespace

Scribe& Scribe::instance() {
  static Scribe* scribe = new Scribe;
  return *scribe;
}

// Detached: a thread that were joined at exit could hold the process up.
void Scribe::run(std::shared_ptr<Caller> caller, std::function<void()> work) {
  const std::lock_guard lock(mutex_);
  if (!started_) {
    std::thread([this] { loop(); }).detach();
    std::atexit([] { instance().stop(); });
    started_ = true;
  }
  entries_.push_back({std::move(caller), std::move(work)});
  waiting_ = entries_.size();
  ready_.notify_one();
}

void Scribe::loop() {
  std::unique_lock lock(mutex_, std::defer_lock);
  while (true) {
    spin_.until([this] { return waiting_ != 0; },
                [&] {
                  lock.lock();
                  ready_.wait(lock, [this] { return !entries_.empty() && !stopping_; });
                });
    Entry entry = std::move(entries_.front());
    entries_.pop_front();
    waiting_ = entries_.size();
    busy_ = true;
    lock.unlock();

    std::exception_ptr error;
    try {
      if (Visit visit(*entry.caller); visit) entry.work();
    } catch (...) {
      error = std::current_exception();
    }
    entry.work = nullptr;
    entry.caller->answer(error);
    entry.caller = nullptr;

    lock.lock();
    busy_ = false;
    idle_.notify_all();
    lock.unlock();
  }
}

// What the thread uses (OpenSSL's tables, say) is freed after this: let it end its entry, begin no other.
void Scribe::stop() {
  std::unique_lock lock(mutex_);
  stopping_ = true;
  idle_.wait_for(lock, kExitPatience, [this] { return !busy_; });
}

}  // namespace keystead
