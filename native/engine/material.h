// What a backing key is, and how one signs with it: the words that both halves of the engine share, the
// token's and the public one.
#pragma once

#include <cstddef>
#include <cstdint>

namespace keystead {

enum class KeyType : uint8_t { kSecret, kRsa, kEc, kEd25519, kMlDsa };
enum class Curve : uint8_t { kP256, kP384, kP521, kSecp256k1 };

struct Material {
  KeyType type = KeyType::kSecret;
  // Bytes of a secret, bits of an RSA modulus, parameter set of ML-DSA (44, 65, 87); else 0.
  uint16_t size = 0;
  Curve curve = Curve::kP256;  // of kEc only
  bool operator==(const Material&) const = default;
};

enum class Hash : uint8_t { kSha1, kSha224, kSha256, kSha384, kSha512 };

enum class Scheme : uint8_t {
  kRsaPss,     // of a digest; MGF1 with the same hash, the salt as long as the digest
  kRsaPkcs1,   // of a digest
  kEcdsa,      // of a digest; the signature is DER's Ecdsa-Sig-Value
  kEd25519,    // of a message
  kEd25519ph,  // of the SHA-512 of a message (RFC 8032, section 5.1)
  kMlDsa,      // of a message, with an empty context
  kMlDsaMu,    // of mu, 64 bytes (FIPS 204, section 6.2)
};

struct Signing {
  Scheme scheme = Scheme::kEcdsa;
  Hash hash = Hash::kSha256;  // only where a digest is signed
  bool message = false;       // the input is a message, of which `hash` makes that digest
};

}  // namespace keystead
