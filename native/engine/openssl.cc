#include "engine/openssl.h"

#include <dlfcn.h>

#include <string>

#include "engine/error.h"

namespace keystead {
namespace {

constexpr unsigned long kOpenSsl3 = 0x30000000;

[[noreturn]] void unavailable(const std::string& reason) {
  throw EngineError("OPENSSL_UNAVAILABLE", "OpenSSL 3 is needed for AES-256-GCM and SHA-256, but " + reason);
}

template <typename Function>
void resolve(void* library, const char* name, Function*& function) {
  function = reinterpret_cast<Function*>(dlsym(library, name));
  if (!function) unavailable(std::string("this process's libcrypto has no ") + name);
}

OpenSsl load() {
  void* library = RTLD_DEFAULT;
  if (!dlsym(library, "OpenSSL_version_num")) {
    library = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL);
    if (!library) unavailable("neither this process nor the system has a libcrypto.so.3");
  }
  OpenSsl ssl{};
  resolve(library, "OpenSSL_version_num", ssl.OpenSSL_version_num);
  if (ssl.OpenSSL_version_num() < kOpenSsl3) unavailable("this process has an older one");
  resolve(library, "EVP_CIPHER_fetch", ssl.EVP_CIPHER_fetch);
  resolve(library, "EVP_CIPHER_CTX_new", ssl.EVP_CIPHER_CTX_new);
  resolve(library, "EVP_CIPHER_CTX_free", ssl.EVP_CIPHER_CTX_free);
  resolve(library, "EVP_CIPHER_CTX_reset", ssl.EVP_CIPHER_CTX_reset);
  resolve(library, "EVP_CipherInit_ex2", ssl.EVP_CipherInit_ex2);
  resolve(library, "EVP_CipherUpdate", ssl.EVP_CipherUpdate);
  resolve(library, "EVP_CipherFinal_ex", ssl.EVP_CipherFinal_ex);
  resolve(library, "EVP_CIPHER_CTX_ctrl", ssl.EVP_CIPHER_CTX_ctrl);
  resolve(library, "EVP_MD_fetch", ssl.EVP_MD_fetch);
  resolve(library, "EVP_MD_CTX_new", ssl.EVP_MD_CTX_new);
  resolve(library, "EVP_MD_CTX_free", ssl.EVP_MD_CTX_free);
  resolve(library, "EVP_DigestInit_ex2", ssl.EVP_DigestInit_ex2);
  resolve(library, "EVP_DigestUpdate", ssl.EVP_DigestUpdate);
  resolve(library, "EVP_DigestFinal_ex", ssl.EVP_DigestFinal_ex);
  return ssl;
}

}  // namespace

const OpenSsl& OpenSsl::instance() {
  static const OpenSsl ssl = load();
  return ssl;
}

}  // namespace keystead
