#include "engine/software.h"

#include "engine/error.h"

namespace keystead {
namespace {

// nullptr where there is none. Node takes an error that is left behind on its main thread for one of its own.
evp_signature_st* fetch(const char* name) {
  const OpenSslKeys& ssl = OpenSslKeys::instance();
  ssl.ERR_set_mark();
  evp_signature_st* algorithm = ssl.EVP_SIGNATURE_fetch(nullptr, name, nullptr);
  ssl.ERR_pop_to_mark();
  return algorithm;
}

bool has_ml_dsa() {
  static const bool has = fetch("ML-DSA-65") != nullptr;
  return has;
}

}  // namespace

Software software() { return {has_ml_dsa(), true}; }

void need_ml_dsa() {
  if (!has_ml_dsa()) {
    throw EngineError("MECHANISM_MISSING",
                      "ML-DSA needs OpenSSL 3.5: Node 24 has it, this Node an older one");
  }
}

evp_signature_st* openssl_ed25519ph() {
  static evp_signature_st* const algorithm = [] {
    const OpenSslKeys& ssl = OpenSslKeys::instance();
    if (!ssl.EVP_PKEY_sign_init_ex2 || !ssl.EVP_PKEY_verify_init_ex2)
      return static_cast<evp_signature_st*>(nullptr);
    return fetch("ED25519ph");
  }();
  return algorithm;
}

}  // namespace keystead
