// How a signature is made or checked, named as the standards name it.
#pragma once

#include <cstddef>

namespace keystead {

enum class Hash { kSha1, kSha224, kSha256, kSha384, kSha512 };

constexpr size_t digest_size(Hash hash) {
  switch (hash) {
    case Hash::kSha1:
      return 20;
    case Hash::kSha224:
      return 28;
    case Hash::kSha256:
      return 32;
    case Hash::kSha384:
      return 48;
    case Hash::kSha512:
      return 64;
  }
  return 0;
}

enum class Scheme {
  kRsaPss,     // of a digest; MGF1 with the same hash, the salt as long as the digest
  kRsaPkcs1,   // of a digest
  kEcdsa,      // of a digest; the signature is DER's Ecdsa-Sig-Value
  kEd25519,    // of a message
  kEd25519ph,  // of the SHA-512 of a message (RFC 8032, section 5.1)
  kMlDsa,      // of a message, with an empty context
  kMlDsaMu,    // of mu, 64 bytes (FIPS 204, section 6.2)
};

struct Signing {
  Scheme scheme;
  Hash hash = Hash::kSha256;  // only where a digest is signed
};

}  // namespace keystead
