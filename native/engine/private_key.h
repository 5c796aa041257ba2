// Private keys in the clear: those that a caller imports, and those of data key pairs, which a caller is
// given.
#pragma once

#include <span>

#include "engine/der.h"
#include "engine/material.h"
#include "engine/secret.h"

namespace keystead {

struct PrivateKey {
  Material material;
  Bytes public_key;   // SPKI
  SecretBytes pkcs8;  // PrivateKeyInfo, DER, as OpenSSL writes it: an EC key's with its public key
  SecretBytes seed;   // of Ed25519: 32 bytes; else empty
};

// RFC 5208, RFC 5958: one RSA, EC or Ed25519 private key, whose numbers are checked to belong together.
// Throws EngineError IMPORT_MATERIAL.
PrivateKey parse_private_key(std::span<const uint8_t> pkcs8);

// RFC 8410.
SecretBytes ed25519_pkcs8(std::span<const uint8_t> seed);

}  // namespace keystead
