// A PKCS#11 module that hands every call on to the real one, and makes some of them fail, wait or lie as a
// test says (faults.h).
#include <dlfcn.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "engine/test/faults.h"

namespace keystead::test {

extern "C" __attribute__((visibility("default"))) Faults keystead_faults;
Faults keystead_faults;

namespace {

const CK_FUNCTION_LIST* real = nullptr;
CK_FUNCTION_LIST faulty;

// One less is left, unless none is: several lanes call at the same time.
bool take(std::atomic<int>& left) {
  for (int now = left; now > 0;) {
    if (left.compare_exchange_weak(now, now - 1)) return true;
  }
  return false;
}

template <class Call>
CK_RV meddle(CallFault& fault, Call call) {
  fault.calls++;
  if (int wait = fault.wait) {
    int now = ++fault.waiting;
    for (int most = fault.most_waiting; most < now;) fault.most_waiting.compare_exchange_weak(most, now);
    std::this_thread::sleep_for(std::chrono::milliseconds(wait));
    fault.waiting--;
  }
  while (fault.held) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  if (take(fault.spare)) return call();
  if (take(fault.times)) return fault.rv;
  return call();
}

CK_RV get_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO* info) {
  CK_RV rv = real->C_GetTokenInfo(slot, info);
  info->flags |= keystead_faults.token_flags;
  if (keystead_faults.max_sessions) info->ulMaxSessionCount = keystead_faults.max_sessions;
  return rv;
}

// One wrapper for each function, whatever its parameters.
template <auto Member, auto FaultOf, class Function>
struct Wrapper;
template <auto Member, auto FaultOf, class... Parameters>
struct Wrapper<Member, FaultOf, CK_RV (*)(Parameters...)> {
  static CK_RV call(Parameters... parameters) {
    return meddle(keystead_faults.*FaultOf, [&] { return (real->*Member)(parameters...); });
  }
};

}  // namespace

extern "C" __attribute__((visibility("default"))) CK_RV C_GetFunctionList(CK_FUNCTION_LIST** list) {
  if (!real) {
    void* library = dlopen(getenv("KEYSTEAD_REAL_MODULE"), RTLD_NOW | RTLD_LOCAL);
    if (!library) return CKR_GENERAL_ERROR;
    auto get = reinterpret_cast<CK_RV (*)(CK_FUNCTION_LIST**)>(dlsym(library, "C_GetFunctionList"));
    CK_FUNCTION_LIST* functions = nullptr;
    if (CK_RV rv = get(&functions); rv != CKR_OK) return rv;
    real = functions;
    faulty = *real;
#define WRAP(name) \
  faulty.C_##name = Wrapper<&CK_FUNCTION_LIST::C_##name, &Faults::name, decltype(faulty.C_##name)>::call;
    KEYSTEAD_FAULTY_FUNCTIONS(WRAP)
#undef WRAP
    faulty.C_GetTokenInfo = get_token_info;
  }
  *list = &faulty;
  return CKR_OK;
}

}  // namespace keystead::test
