// SubjectPublicKeyInfo: public keys as DER, made from what a token gives and read back. RFC 8017 A.1 (RSA),
// RFC 5480 (EC), RFC 8410 (Ed25519), RFC 9881 (ML-DSA).
#pragma once

#include <span>

#include "engine/der.h"
#include "engine/material.h"

namespace keystead {

// The curve's OBJECT IDENTIFIER as DER, which is its CKA_EC_PARAMS.
std::span<const uint8_t> curve_oid(Curve curve);
// The uncompressed point (04, X, Y) of a CKA_EC_POINT, which is an OCTET STRING of it, or bare with some
// tokens. Throws EngineError PUBLIC_KEY. Says nothing of whether it is on the curve.
std::span<const uint8_t> ec_point(Curve curve, std::span<const uint8_t> attribute);

Bytes rsa_spki(std::span<const uint8_t> modulus, std::span<const uint8_t> exponent);
Bytes ec_spki(Curve curve, std::span<const uint8_t> point);
// Of an Ed25519 or ML-DSA key, from its encoding in its own standard.
Bytes raw_spki(const Material& material, std::span<const uint8_t> key);

// Views of an SPKI.
struct Spki {
  Material material;
  std::span<const uint8_t> modulus, exponent;  // of RSA, without leading zeros
  std::span<const uint8_t> key;                // the uncompressed point of EC; the key of Ed25519 and ML-DSA
};

// Throws EngineError PUBLIC_KEY unless it is exactly the SPKI of a key of a kind and size that a Material
// names. Checks no point.
Spki parse_spki(std::span<const uint8_t> spki);

}  // namespace keystead
