// Waiting awake: waking a thread costs its waker a system call and takes tens of microseconds, so a thread
// that was busy a moment ago stays awake for about as long, where there are processors to spare.
#pragma once

#include <chrono>
#include <thread>

namespace keystead {

inline void pause_processor() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Returns once `ready` says so, or after a while.
template <class Ready>
void spin_until(Ready ready) {
  static const bool spare = std::thread::hardware_concurrency() > 2;
  if (!spare) return;
  auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(50);
  while (!ready() && std::chrono::steady_clock::now() < end) {
    for (int i = 0; i < 16; i++) pause_processor();
  }
}

}  // namespace keystead
