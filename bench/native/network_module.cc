// A network HSM, simulated: a PKCS#11 module that hands every call on to a real one after a wait, as if it
// had to travel. Waiting takes no processor, and calls of several threads wait side by side.
//
//   KEYSTEAD_REAL_MODULE    path of the real module
//   KEYSTEAD_NETWORK_MS     milliseconds a call, 1 unless told; hundredths count
//   KEYSTEAD_NETWORK_TRACE  a file that gets the name of every call, a line each
//
// It is loaded as any module, and has version 2.40's functions.
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <string>
#include <thread>
#include <utility>

#include "engine/cryptoki.h"

namespace keystead {
namespace {

struct Function {
  const char* name;
  int parameters;
};

// In the order of the list. All that the functions take is as wide as a word, or narrower.
constexpr Function kFunctions[] = {
    {"C_Initialize", 1},
    {"C_Finalize", 1},
    {"C_GetInfo", 1},
    {"C_GetFunctionList", 1},
    {"C_GetSlotList", 3},
    {"C_GetSlotInfo", 2},
    {"C_GetTokenInfo", 2},
    {"C_GetMechanismList", 3},
    {"C_GetMechanismInfo", 3},
    {"C_InitToken", 4},
    {"C_InitPIN", 3},
    {"C_SetPIN", 5},
    {"C_OpenSession", 5},
    {"C_CloseSession", 1},
    {"C_CloseAllSessions", 1},
    {"C_GetSessionInfo", 2},
    {"C_GetOperationState", 3},
    {"C_SetOperationState", 5},
    {"C_Login", 4},
    {"C_Logout", 1},
    {"C_CreateObject", 4},
    {"C_CopyObject", 5},
    {"C_DestroyObject", 2},
    {"C_GetObjectSize", 3},
    {"C_GetAttributeValue", 4},
    {"C_SetAttributeValue", 4},
    {"C_FindObjectsInit", 3},
    {"C_FindObjects", 4},
    {"C_FindObjectsFinal", 1},
    {"C_EncryptInit", 3},
    {"C_Encrypt", 5},
    {"C_EncryptUpdate", 5},
    {"C_EncryptFinal", 3},
    {"C_DecryptInit", 3},
    {"C_Decrypt", 5},
    {"C_DecryptUpdate", 5},
    {"C_DecryptFinal", 3},
    {"C_DigestInit", 2},
    {"C_Digest", 5},
    {"C_DigestUpdate", 3},
    {"C_DigestKey", 2},
    {"C_DigestFinal", 3},
    {"C_SignInit", 3},
    {"C_Sign", 5},
    {"C_SignUpdate", 3},
    {"C_SignFinal", 3},
    {"C_SignRecoverInit", 3},
    {"C_SignRecover", 5},
    {"C_VerifyInit", 3},
    {"C_Verify", 5},
    {"C_VerifyUpdate", 3},
    {"C_VerifyFinal", 3},
    {"C_VerifyRecoverInit", 3},
    {"C_VerifyRecover", 5},
    {"C_DigestEncryptUpdate", 5},
    {"C_DecryptDigestUpdate", 5},
    {"C_SignEncryptUpdate", 5},
    {"C_DecryptVerifyUpdate", 5},
    {"C_GenerateKey", 5},
    {"C_GenerateKeyPair", 8},
    {"C_WrapKey", 6},
    {"C_UnwrapKey", 8},
    {"C_DeriveKey", 6},
    {"C_SeedRandom", 3},
    {"C_GenerateRandom", 3},
    {"C_GetFunctionStatus", 1},
    {"C_CancelFunction", 1},
    {"C_WaitForSlotEvent", 3},
};
constexpr size_t kCount = std::size(kFunctions);

using Any = void (*)();
struct List {  // CK_FUNCTION_LIST, its functions counted
  CK_VERSION version;
  Any functions[kCount];
};
static_assert(sizeof(List) == sizeof(CK_FUNCTION_LIST));

// Loaded at the first call, when the environment is as whoever loaded us wants it. Null where there is none.
const List* real() {
  static const List* const list = [] {
    const char* path = std::getenv("KEYSTEAD_REAL_MODULE");
    void* library = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND) : nullptr;
    const List* functions = nullptr;
    if (!library) return functions;
    const auto get = reinterpret_cast<CK_RV (*)(const List**)>(dlsym(library, "C_GetFunctionList"));
    if (!get || get(&functions) != CKR_OK) functions = nullptr;
    return functions;
  }();
  return list;
}

std::chrono::microseconds wait() {
  const char* milliseconds = std::getenv("KEYSTEAD_NETWORK_MS");
  return std::chrono::microseconds(milliseconds ? std::lround(std::strtod(milliseconds, nullptr) * 1000)
                                                : 1000);
}

int trace() {
  const char* file = std::getenv("KEYSTEAD_NETWORK_TRACE");
  return file ? open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
}

void travel(size_t index) {
  static const std::chrono::microseconds kWait = wait();
  static const int kTrace = trace();
  if (kTrace >= 0) {
    const std::string line = std::string(kFunctions[index].name) + "\n";
    if (write(kTrace, line.data(), line.size()) < 0) std::abort();
  }
  if (kWait.count() > 0) std::this_thread::sleep_for(kWait);
}

template <size_t>
using Word = CK_ULONG;

template <size_t Index, class Parameters>
struct Call;
template <size_t Index, size_t... Parameter>
struct Call<Index, std::index_sequence<Parameter...>> {
  using Type = CK_RV (*)(Word<Parameter>...);
  static CK_RV make(Word<Parameter>... parameters) {
    if (!real()) return CKR_GENERAL_ERROR;
    travel(Index);
    return reinterpret_cast<Type>(real()->functions[Index])(parameters...);
  }
};

template <size_t... Index>
List list_of(std::index_sequence<Index...>) {
  return {
      {2, 40},
      {reinterpret_cast<Any>(Call<Index, std::make_index_sequence<kFunctions[Index].parameters>>::make)...}};
}

}  // namespace

extern "C" __attribute__((visibility("default"))) CK_RV C_GetFunctionList(CK_FUNCTION_LIST** list) {
  static List ours = [] {
    List made = list_of(std::make_index_sequence<kCount>());
    made.functions[3] = reinterpret_cast<Any>(C_GetFunctionList);
    return made;
  }();
  *list = reinterpret_cast<CK_FUNCTION_LIST*>(&ours);
  return CKR_OK;
}

}  // namespace keystead
