#include "engine/oaep.h"

#include <algorithm>
#include <array>

#include "engine/bytes.h"
#include "engine/hash.h"

namespace keystead {
namespace {

// All ones or all zeros, without a branch. The empty assembly keeps the compiler from finding out what they
// are.
size_t opaque(size_t value) {
  __asm__("" : "+r"(value));
  return value;
}
size_t is_zero(size_t value) { return opaque(0 - ((~value & (value - 1)) >> (8 * sizeof(size_t) - 1))); }
size_t choose(size_t mask, size_t yes, size_t no) { return (mask & yes) | (~mask & no); }

// XORs MGF1(seed) onto `data` (RFC 8017 B.2.1).
void unmask(Hash hash, std::span<const uint8_t> seed, std::span<uint8_t> data) {
  const size_t size = hash_size(hash);
  Secret<kLargestHash> block;
  for (size_t at = 0; at < data.size(); at += size) {
    uint8_t counter[4];
    put_be32(counter, static_cast<uint32_t>(at / size));
    digest(hash, {seed, counter}, block.data());
    for (size_t i = 0; i < std::min(size, data.size() - at); ++i) data[at + i] ^= block.data()[i];
  }
}

}  // namespace

std::optional<SecretBytes> oaep_decode(Hash hash, std::span<uint8_t> encoded) {
  const Wiper wiper(encoded);
  const size_t h = hash_size(hash);
  if (encoded.size() < 2 * h + 2) return std::nullopt;
  const auto seed = encoded.subspan(1, h);
  const auto data = encoded.subspan(1 + h);
  unmask(hash, data, seed);
  unmask(hash, seed, data);

  std::array<uint8_t, kLargestHash> label;  // the hash of the empty label
  digest(hash, {}, label.data());
  size_t good = is_zero(encoded[0]);
  for (size_t i = 0; i < h; ++i) good &= is_zero(data[i] ^ label[i]);
  // Zeros, a one, the message.
  size_t looking = ~size_t{0};
  size_t start = 0;
  for (size_t i = h; i < data.size(); ++i) {
    const size_t one = is_zero(data[i] ^ 1U);
    start = choose(looking & one, i + 1, start);
    looking &= ~one;
    good &= is_zero(data[i]) | ~looking;
  }
  good &= ~looking;
  // From here on the outcome shows, as it does in the answer.
  if (!good) return std::nullopt;
  return SecretBytes(data.subspan(start));
}

}  // namespace keystead
