// Ed25519 over OpenSSL's numbers and generic curves: Ed25519ph where OpenSSL offers none (before 3.4), and
// the check of points. The curve is computed on in its short Weierstrass form, Wei25519
// (draft-ietf-lwig-curve-representations, appendix E), where EC_POINT_mul multiplies by a secret with a
// ladder in constant time.
#pragma once

#include <cstdint>
#include <span>

namespace keystead {

constexpr size_t kEd25519KeySize = 32;
constexpr size_t kEd25519SignatureSize = 64;

// dom2(1, "") of RFC 8032, section 2, in front of what Ed25519ph hashes; plain Ed25519 has nothing there.
std::span<const uint8_t> ed25519ph_domain();

// Whether these 32 bytes are the one encoding of a point of the curve, and not of one of the eight of small
// order.
bool is_ed25519_point(std::span<const uint8_t> public_key);

// RFC 8032, 5.1.6. `message` is the SHA-512 with Ed25519ph. `public_key` must be that of the seed, for a
// signature under another gives the key away.
void ed25519_sign(std::span<const uint8_t> domain, std::span<const uint8_t> seed,
                  std::span<const uint8_t> public_key, std::span<const uint8_t> message, uint8_t* signature);
// RFC 8032, 5.1.7, without the cofactor, as OpenSSL checks.
bool ed25519_verify(std::span<const uint8_t> domain, std::span<const uint8_t> public_key,
                    std::span<const uint8_t> message, std::span<const uint8_t> signature);

}  // namespace keystead
