// What the faulty module (faulty_module.cc) does to calls on their way to the real one.
#pragma once

#include <atomic>

#include "engine/cryptoki.h"

#define KEYSTEAD_FAULTY_FUNCTIONS(X) \
  X(Initialize)                      \
  X(Finalize)                        \
  X(Login)                           \
  X(OpenSession)                     \
  X(CloseSession)                    \
  X(DestroyObject)                   \
  X(DecryptInit)                     \
  X(DeriveKey)                       \
  X(GenerateKey)                     \
  X(GenerateKeyPair)                 \
  X(GenerateRandom)                  \
  X(SignInit)                        \
  X(Sign)                            \
  X(UnwrapKey)                       \
  X(WrapKey)

namespace keystead::test {

struct CallFault {
  std::atomic<int> calls = 0;
  std::atomic<int> spare = 0;  // that pass before it fails
  std::atomic<int> times = 0;  // that it fails from then on
  std::atomic<CK_RV> rv = CKR_OK;
  std::atomic<int> wait = 0;  // milliseconds before each call
  std::atomic<bool> held = false;
  std::atomic<int> waiting = 0;
  std::atomic<int> most_waiting = 0;  // at the same time

  void fail(CK_RV with, int count = 1) {
    rv = with;
    times = count;
  }
};

// No call of the function goes on before release().
class Hold {
 public:
  explicit Hold(CallFault& fault) : fault_(fault) { fault_.held = true; }
  ~Hold() { release(); }
  void release() { fault_.held = false; }

 private:
  CallFault& fault_;
};

struct Faults {
#define FAULT(name) CallFault name;
  KEYSTEAD_FAULTY_FUNCTIONS(FAULT)
#undef FAULT
  std::atomic<CK_FLAGS> token_flags = 0;   // set in C_GetTokenInfo's answer
  std::atomic<CK_ULONG> max_sessions = 0;  // in its answer, when not 0
};

}  // namespace keystead::test
