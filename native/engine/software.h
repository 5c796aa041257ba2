// What Node's own OpenSSL can beside what every OpenSSL 3 can.
#pragma once

#include "engine/openssl_keys.h"

namespace keystead {

struct Software {
  bool ml_dsa;     // with mu as well; from OpenSSL 3.5
  bool ed25519ph;  // OpenSSL's own from 3.4, before that engine/ed25519.h
};
Software software();

// Throws EngineError MECHANISM_MISSING where OpenSSL has no ML-DSA.
void need_ml_dsa();
// Ed25519ph over a digest, for EVP_PKEY_sign_init_ex2 and EVP_PKEY_verify_init_ex2; nullptr where OpenSSL has
// none.
evp_signature_st* openssl_ed25519ph();

}  // namespace keystead
