#include "engine/oaep.h"

#include <algorithm>
#include <random>
#include <string>

#include "engine/bytes.h"
#include "engine/der.h"
#include "engine/hash.h"
#include "engine/test/check.h"
#include "engine/test/foreign_keys.h"

namespace keystead {
namespace {

std::mt19937_64 generator(20260802);

Bytes random_bytes(size_t size) {
  Bytes bytes(size);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(generator());
  return bytes;
}

Bytes hashed(Hash hash, std::initializer_list<std::span<const uint8_t>> parts) {
  Bytes out(hash_size(hash));
  digest(hash, parts, out.data());
  return out;
}

void mask(Hash hash, std::span<const uint8_t> seed, std::span<uint8_t> data) {
  for (size_t i = 0; i < data.size(); ++i) {
    uint8_t counter[4];
    put_be32(counter, static_cast<uint32_t>(i / hash_size(hash)));
    data[i] ^= hashed(hash, {seed, counter})[i % hash_size(hash)];
  }
}

// From a data block, with nothing made right: what is in it may be wrong.
Bytes encode(Hash hash, uint8_t first, Bytes block) {
  Bytes seed = random_bytes(hash_size(hash));
  mask(hash, seed, block);
  mask(hash, block, seed);
  Bytes encoded{first};
  encoded.insert(encoded.end(), seed.begin(), seed.end());
  encoded.insert(encoded.end(), block.begin(), block.end());
  return encoded;
}

Bytes block_of(Hash hash, size_t modulus, const Bytes& message) {
  Bytes block = hashed(hash, {});
  block.resize(modulus - 2 - hash_size(hash) - message.size());
  block.push_back(1);
  block.insert(block.end(), message.begin(), message.end());
  return block;
}

std::optional<Bytes> decode(Hash hash, Bytes encoded) {
  const auto message = oaep_decode(hash, encoded);
  CHECK(std::ranges::all_of(encoded, [](uint8_t byte) { return byte == 0; }));
  if (!message) return std::nullopt;
  return Bytes(message->data(), message->data() + message->size());
}

TEST(opens_what_others_encoded) {
  const std::string text = "a data key of 32 bytes, or so it s";
  const Bytes message(text.begin(), text.end());
  CHECK(decode(Hash::kSha1, test::hex(test::kEncodedSha1)) == message);
  CHECK(decode(Hash::kSha256, test::hex(test::kEncodedSha256)) == message);
  CHECK(!decode(Hash::kSha256, test::hex(test::kEncodedSha1)));
  CHECK(!decode(Hash::kSha1, test::hex(test::kEncodedSha256)));
}

TEST(every_size_of_message) {
  for (const Hash hash : {Hash::kSha1, Hash::kSha256}) {
    for (const size_t modulus : {256, 384, 512}) {
      for (const size_t size : {size_t{0}, size_t{1}, size_t{32}, modulus - 2 * hash_size(hash) - 2}) {
        const Bytes message = random_bytes(size);
        CHECK(decode(hash, encode(hash, 0, block_of(hash, modulus, message))) == message);
      }
    }
  }
}

// A message of ones and zeros does not mislead the search for the separator.
TEST(separator) {
  Bytes message(40, 0);
  message[0] = message[7] = 1;
  CHECK(decode(Hash::kSha256, encode(Hash::kSha256, 0, block_of(Hash::kSha256, 256, message))) == message);
}

TEST(whatever_is_wrong_nothing_comes_out) {
  constexpr Hash kHash = Hash::kSha256;
  const Bytes good = block_of(kHash, 256, random_bytes(32));
  CHECK(decode(kHash, encode(kHash, 0, good)));
  for (const int first : {1, 2, 0x80, 0xff})
    CHECK(!decode(kHash, encode(kHash, static_cast<uint8_t>(first), good)));
  for (size_t at = 0; at < good.size() - 32; ++at) {
    for (const uint8_t flip : {0x01, 0x02, 0x80}) {
      Bytes block = good;
      block[at] ^= flip;
      // A one in the zeros ends them early: that is another message, not a wrong one.
      const bool another = at >= 32 && at < good.size() - 33 && flip == 1;
      CHECK(decode(kHash, encode(kHash, 0, block)).has_value() == another);
    }
  }
  Bytes unseparated = hashed(kHash, {});
  unseparated.resize(256 - 33);
  CHECK(!decode(kHash, encode(kHash, 0, unseparated)));
  CHECK(!decode(kHash, Bytes(65)));
  CHECK(!decode(kHash, {}));
}

}  // namespace
}  // namespace keystead

RUN_TESTS()
