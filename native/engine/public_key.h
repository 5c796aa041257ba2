// Public keys at work, by Node's own OpenSSL: no token is needed for what anybody can do.
#pragma once

#include <memory>
#include <span>

#include "engine/der.h"
#include "engine/material.h"
#include "engine/openssl_keys.h"

namespace keystead {

// Used by any number of threads at a time.
class PublicKey {
 public:
  // Reads and checks an SPKI: its form and size (engine/spki.h), and that its point is on its curve and, with
  // Ed25519, not of small order. Throws EngineError PUBLIC_KEY; MECHANISM_MISSING where OpenSSL has no
  // ML-DSA.
  explicit PublicKey(std::span<const uint8_t> spki);
  // The same, from a bounded cache.
  static std::shared_ptr<const PublicKey> of(std::span<const uint8_t> spki);

  const Material& material() const { return material_; }

  // False for whatever is not the signature. Throws EngineError SIGNING_SCHEME when the scheme is not of the
  // key's kind, DIGEST_SIZE.
  bool verify(const Signing& signing, std::span<const uint8_t> input,
              std::span<const uint8_t> signature) const;
  // RSAES-OAEP with an empty label and MGF1 by the same hash. Throws EngineError SIGNING_SCHEME when this is
  // no RSA key, PLAINTEXT_SIZE.
  Bytes encrypt(Hash hash, std::span<const uint8_t> plaintext) const;

 private:
  Freed<evp_pkey_ctx_st> context() const;

  Material material_;
  Bytes ed25519_;  // the point, of an Ed25519 key
  Freed<evp_pkey_st> key_;
};

}  // namespace keystead
