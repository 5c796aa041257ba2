#include "engine/software.h"

#include "engine/error.h"

namespace keystead {
namespace {

bool has_ml_dsa() {
  static const bool has = OpenSsl::instance().EVP_SIGNATURE_fetch(nullptr, "ML-DSA-65", nullptr) != nullptr;
  return has;
}

}  // namespace

Software software() { return {has_ml_dsa(), true}; }

void need_ml_dsa() {
  if (!has_ml_dsa()) {
    throw EngineError("MECHANISM_MISSING", "ML-DSA needs OpenSSL 3.5, and this Node has an older one");
  }
}

evp_signature_st* openssl_ed25519ph() {
  static evp_signature_st* const algorithm = [] {
    const OpenSsl& ssl = OpenSsl::instance();
    if (!ssl.EVP_PKEY_sign_init_ex2 || !ssl.EVP_PKEY_verify_init_ex2)
      return static_cast<evp_signature_st*>(nullptr);
    return ssl.EVP_SIGNATURE_fetch(nullptr, "ED25519ph", nullptr);
  }();
  return algorithm;
}

}  // namespace keystead
