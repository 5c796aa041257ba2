// Ed25519 and ML-DSA keys that exist only as a 32-byte seed, for tokens that cannot hold them: expanded by
// Node's own OpenSSL for one call. RFC 8032, section 5.1; FIPS 204.
#pragma once

#include <span>

#include "engine/der.h"
#include "engine/material.h"

namespace keystead {

constexpr size_t kSeedSize = 32;

// `seed` has kSeedSize bytes, `material` is of kEd25519 or kMlDsa. All throw EngineError MECHANISM_MISSING
// where Node's OpenSSL lacks what is needed. The public key as SPKI.
Bytes seeded_public_key(const Material& material, std::span<const uint8_t> seed);
// ML-DSA signs hedged (FIPS 204's default).
Bytes seeded_sign(const Material& material, std::span<const uint8_t> seed, const Signing& signing,
                  std::span<const uint8_t> input);

}  // namespace keystead
