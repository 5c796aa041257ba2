#include "engine/library.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/error.h"

namespace keystead {

namespace {

// Without DEEPBIND a module's references to OpenSSL bind to the copy inside Node's binary. ASan and TSan
// cannot work with it, and outside glibc it does not exist.
int binding() {
#if defined(RTLD_DEEPBIND) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  return RTLD_DEEPBIND;
#else
  return 0;
#endif
}

}  // namespace

std::string real_path(const std::string& path) {
  char resolved[PATH_MAX];
  return realpath(path.c_str(), resolved) ? resolved : path;
}

const CK_FUNCTION_LIST* load_module(const std::string& path) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | binding());
  if (!library) {
    const char* reason = dlerror();
    bool exists = access(path.c_str(), F_OK) == 0;
    throw EngineError(
        exists ? "NOT_A_MODULE" : "MODULE_NOT_FOUND",
        "cannot load the PKCS#11 module " + path + ": " + (reason ? reason : "no reason given"));
  }
  using GetFunctionList = CK_RV (*)(CK_FUNCTION_LIST**);
  auto get = reinterpret_cast<GetFunctionList>(dlsym(library, "C_GetFunctionList"));
  if (!get) throw EngineError("NOT_A_MODULE", path + " is no PKCS#11 module: it has no C_GetFunctionList");
  CK_FUNCTION_LIST* functions = nullptr;
  CK_RV rv = get(&functions);
  if (rv != CKR_OK) throw Pkcs11Error("C_GetFunctionList", rv);
  if (!functions || functions->version.major < 2) {
    throw EngineError("NOT_A_MODULE", path + " gives no function list of PKCS#11 2 or later");
  }
  return functions;
}

}  // namespace keystead
