#include "engine/pin.h"

#include <sys/mman.h>

#include <array>

#include "engine/entropy.h"
#include "engine/secret.h"

namespace keystead {

namespace {

// SipHash-2-4. Source: J.-P. Aumasson, D. J. Bernstein, "SipHash: a fast short-input PRF".
uint64_t siphash(const uint64_t key[2], const uint8_t* data, size_t size) {
  uint64_t v0 = key[0] ^ 0x736f6d6570736575, v1 = key[1] ^ 0x646f72616e646f6d;
  uint64_t v2 = key[0] ^ 0x6c7967656e657261, v3 = key[1] ^ 0x7465646279746573;
  auto turn = [](uint64_t value, int bits) { return value << bits | value >> (64 - bits); };
  auto rounds = [&](int count) {
    while (count--) {
      v0 += v1, v1 = turn(v1, 13) ^ v0, v0 = turn(v0, 32);
      v2 += v3, v3 = turn(v3, 16) ^ v2;
      v0 += v3, v3 = turn(v3, 21) ^ v0;
      v2 += v1, v1 = turn(v1, 17) ^ v2, v2 = turn(v2, 32);
    }
  };
  for (size_t at = 0; at <= size; at += 8) {
    uint64_t word = size - at < 8 ? uint64_t{size} << 56 : 0;
    for (size_t i = 0; i < 8 && at + i < size; i++) word |= uint64_t{data[at + i]} << (8 * i);
    v3 ^= word;
    rounds(2);
    v0 ^= word;
  }
  v2 ^= 0xff;
  rounds(4);
  return v0 ^ v1 ^ v2 ^ v3;
}

}  // namespace

Pin::Pin(const uint8_t* data, size_t size) : bytes_(data, data + size) {
  mlock(bytes_.data(), bytes_.size());
}

Pin::~Pin() {
  wipe(bytes_.data(), bytes_.size());
  munlock(bytes_.data(), bytes_.size());
}

uint64_t Pin::digest() const {
  static const auto key = [] {
    std::array<uint64_t, 2> random;
    host_random(reinterpret_cast<uint8_t*>(random.data()), sizeof random);
    return random;
  }();
  return siphash(key.data(), bytes_.data(), bytes_.size());
}

}  // namespace keystead
