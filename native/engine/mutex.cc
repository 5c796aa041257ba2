#include "engine/mutex.h"

#include <pthread.h>
#include <stdlib.h>

#include <algorithm>
#include <atomic>
#include <new>

#include "engine/spin.h"

namespace keystead {

namespace {

enum State : uint32_t { kFree, kLocked, kContended };
using Mutex = std::atomic<uint32_t>;

constexpr int kSpins = 200;

// Zeroed memory from malloc with room for a pthread mutex: SoftHSM's exit handlers, where nobody has
// finalised it, take these for mutexes of its own, and do pthread_mutex_destroy() and free() to them.
CK_RV create(void** mutex) {
  *mutex = calloc(1, std::max(sizeof(Mutex), sizeof(pthread_mutex_t)));
  if (!*mutex) return CKR_HOST_MEMORY;
  new (*mutex) Mutex(kFree);
  return CKR_OK;
}

CK_RV destroy(void* mutex) {
  free(mutex);
  return CKR_OK;
}

// Source: U. Drepper, "Futexes Are Tricky", mutex 2, with a spin in front. std::atomic::wait is the futex.
CK_RV lock(void* data) {
  if (!data) return CKR_MUTEX_BAD;
  auto& mutex = *static_cast<Mutex*>(data);
  for (int spin = 0; spin < kSpins; spin++) {
    uint32_t free = kFree;
    if (mutex.load(std::memory_order_relaxed) == kFree &&
        mutex.compare_exchange_weak(free, kLocked, std::memory_order_acquire)) {
      return CKR_OK;
    }
    pause_processor();
  }
  while (mutex.exchange(kContended, std::memory_order_acquire) != kFree) {
    mutex.wait(kContended, std::memory_order_relaxed);
  }
  return CKR_OK;
}

CK_RV unlock(void* data) {
  if (!data) return CKR_MUTEX_BAD;
  auto& mutex = *static_cast<Mutex*>(data);
  if (mutex.exchange(kFree, std::memory_order_release) == kContended) mutex.notify_one();
  return CKR_OK;
}

}  // namespace

CK_C_INITIALIZE_ARGS initialize_args_with_mutexes() {
  return {create, destroy, lock, unlock, CKF_OS_LOCKING_OK, nullptr};
}

}  // namespace keystead
