#include "engine/openssl.h"

#include <dlfcn.h>

#include <cstring>
#include <string>

#include "engine/error.h"

namespace keystead {
namespace {

constexpr unsigned long kOpenSsl3 = 0x30000000;

[[noreturn]] void unavailable(const std::string& reason) {
  throw EngineError("OPENSSL_UNAVAILABLE", "OpenSSL 3 is needed, but " + reason);
}

// OSSL_PARAM's types.
constexpr unsigned kInteger = 1;
constexpr unsigned kUtf8String = 4;
constexpr unsigned kOctetString = 5;

void* open_libcrypto() {
  if (dlsym(RTLD_DEFAULT, "OpenSSL_version_num")) return RTLD_DEFAULT;
  void* const library = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL);
  if (!library) unavailable("neither this process nor the system has a libcrypto.so.3");
  return library;
}

template <typename Function>
void resolve(Function*& function, const char* name) {
  function = reinterpret_cast<Function*>(openssl_function(name));
  if (!function) unavailable(std::string("this process's libcrypto has no ") + name);
}

#define FIND(function) resolve(ssl.function, #function)

OpenSsl load() {
  OpenSsl ssl{};
  FIND(OpenSSL_version_num);
  if (ssl.OpenSSL_version_num() < kOpenSsl3) unavailable("this process has an older one");
  FIND(ERR_set_mark);
  FIND(ERR_pop_to_mark);
  FIND(EVP_CIPHER_fetch);
  FIND(EVP_CIPHER_CTX_new);
  FIND(EVP_CIPHER_CTX_free);
  FIND(EVP_CIPHER_CTX_reset);
  FIND(EVP_CipherInit_ex2);
  FIND(EVP_CipherUpdate);
  FIND(EVP_CipherFinal_ex);
  FIND(EVP_CIPHER_CTX_ctrl);
  FIND(EVP_MD_fetch);
  FIND(EVP_MD_CTX_new);
  FIND(EVP_MD_CTX_free);
  FIND(EVP_DigestInit_ex2);
  FIND(EVP_DigestUpdate);
  FIND(EVP_DigestFinal_ex);
  return ssl;
}

#undef FIND

}  // namespace

ossl_param_st ossl_text(const char* key, const char* value) {
  return {key, kUtf8String, const_cast<char*>(value), std::strlen(value), 0};
}

ossl_param_st ossl_bytes(const char* key, const uint8_t* value, size_t size) {
  return {key, kOctetString, const_cast<uint8_t*>(value), size, 0};
}

ossl_param_st ossl_int(const char* key, const int& value) {
  return {key, kInteger, const_cast<int*>(&value), sizeof value, 0};
}

void ensure(int done, const char* function) {
  if (done != 1) throw EngineError("OPENSSL_FAILED", std::string("OpenSSL's ") + function + " failed");
}

void* openssl_function(const char* name) {
  static void* const library = open_libcrypto();
  return dlsym(library, name);
}

const OpenSsl& OpenSsl::instance() {
  static const OpenSsl ssl = load();
  return ssl;
}

}  // namespace keystead
