// Waiting awake. Waking a thread costs its waker some 30 µs and the work another 100 µs (measured under KVM),
// so a thread whose work comes in quick succession stays awake between one piece and the next, where there
// are processors to spare.
#pragma once

#include <atomic>
#include <chrono>

#include "engine/crew.h"

namespace keystead {

inline void pause_processor() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

class Spin {
 public:
  // Calls `wait`, which sleeps until there is work; before that stays awake for a while, until `ready` says
  // that there is, unless the last work took long to come.
  template <class Ready, class Wait>
  void until(Ready ready, Wait wait) {
    using Clock = std::chrono::steady_clock;
    static const bool spare = Crew::instance().threads() > 2;
    auto start = Clock::now();
    if (spare && dense_) {
      while (!ready() && Clock::now() - start < kPatience) {
        for (int i = 0; i < 16; i++) pause_processor();
      }
    }
    wait();
    dense_ = Clock::now() - start < kPatience;
  }

 private:
  static constexpr std::chrono::microseconds kPatience{500};
  std::atomic<bool> dense_ = false;
};

}  // namespace keystead
