// What a backing key is made of.
#pragma once

#include <cstddef>

namespace keystead {

enum class Curve { kP256, kP384, kP521, kSecp256k1 };

struct Material {
  enum class Type { kSecret, kRsa, kEc, kEd25519, kMlDsa };
  Type type = Type::kSecret;
  size_t bytes = 32;           // of a secret
  size_t bits = 0;             // of an RSA modulus; e = 65537
  Curve curve = Curve::kP256;  // of an EC key
  unsigned parameter_set = 0;  // of ML-DSA: 44, 65 or 87
};

}  // namespace keystead
