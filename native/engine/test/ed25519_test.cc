#include "engine/ed25519.h"

#include <random>
#include <string>

#include "engine/error.h"
#include "engine/hash.h"
#include "engine/seeded_key.h"
#include "engine/spki.h"
#include "engine/test/check.h"
#include "engine/test/foreign_keys.h"

namespace keystead {
namespace {

using test::hex;

std::mt19937_64 generator(20260801);

Bytes random_bytes(size_t size) {
  Bytes bytes(size);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(generator());
  return bytes;
}

constexpr Material kEd25519{KeyType::kEd25519, 0, {}};

Bytes public_key(const Bytes& seed) {
  const Bytes spki = seeded_public_key(kEd25519, seed);
  const auto key = parse_spki(spki).key;
  return {key.begin(), key.end()};
}

Bytes sign(std::span<const uint8_t> domain, const Bytes& seed, const Bytes& message) {
  Bytes signature(kEd25519SignatureSize);
  ed25519_sign(domain, seed, public_key(seed), message, signature.data());
  return signature;
}

Bytes sha512(const Bytes& message) {
  Bytes out(64);
  digest(Hash::kSha512, {message}, out.data());
  return out;
}

struct Vector {
  const char* seed;
  const char* public_key;
  const char* message;
  const char* signature;
};

// RFC 8032, 7.1, tests 1 to 3.
constexpr Vector kPlain[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f"
     "0595bbe24"
     "655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2ea"
     "eb4302aee"
     "b00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e"
     "9716ed28d"
     "c027beceea1ec40a"},
};
// RFC 8032, 7.3.
constexpr Vector kPh = {"833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
                        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf", "616263",
                        "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae4131f85042463c2a355a20"
                        "03d062adf5aaa10b8c61e636062aaa"
                        "d11c2a26083406"};

TEST(rfc_8032_plain) {
  for (const Vector& v : kPlain) {
    CHECK(public_key(hex(v.seed)) == hex(v.public_key));
    CHECK(sign({}, hex(v.seed), hex(v.message)) == hex(v.signature));
    CHECK(ed25519_verify({}, hex(v.public_key), hex(v.message), hex(v.signature)));
    CHECK(!ed25519_verify(ed25519ph_domain(), hex(v.public_key), hex(v.message), hex(v.signature)));
  }
}

TEST(rfc_8032_prehashed) {
  const Bytes hash = sha512(hex(kPh.message));
  CHECK(public_key(hex(kPh.seed)) == hex(kPh.public_key));
  CHECK(sign(ed25519ph_domain(), hex(kPh.seed), hash) == hex(kPh.signature));
  CHECK(seeded_sign(kEd25519, hex(kPh.seed), {Scheme::kEd25519ph}, hash) == hex(kPh.signature));
  CHECK(ed25519_verify(ed25519ph_domain(), hex(kPh.public_key), hash, hex(kPh.signature)));
  CHECK(!ed25519_verify({}, hex(kPh.public_key), hash, hex(kPh.signature)));
}

// Without a domain it is plain Ed25519, of which OpenSSL has its own: same seed and message, same signature.
TEST(equals_openssl) {
  for (int i = 0; i < 3000; ++i) {
    const Bytes seed = random_bytes(32);
    const Bytes message = random_bytes(generator() % 200);
    const Bytes signature = seeded_sign(kEd25519, seed, {Scheme::kEd25519}, message);
    CHECK(sign({}, seed, message) == signature);
    if (i % 10 == 0) CHECK(ed25519_verify({}, public_key(seed), message, signature));
  }
}

TEST(every_flipped_bit_fails) {
  const Bytes seed = random_bytes(32);
  Bytes key = public_key(seed);
  Bytes hash = sha512(random_bytes(10));
  Bytes signature = sign(ed25519ph_domain(), seed, hash);
  CHECK(ed25519_verify(ed25519ph_domain(), key, hash, signature));
  for (Bytes* part : {&key, &hash, &signature}) {
    for (size_t bit = 0; bit < 8 * part->size(); bit += 3) {
      (*part)[bit / 8] ^= 1 << bit % 8;
      CHECK(!ed25519_verify(ed25519ph_domain(), key, hash, signature));
      (*part)[bit / 8] ^= 1 << bit % 8;
    }
  }
  CHECK(ed25519_verify(ed25519ph_domain(), key, hash, signature));
}

// S + L says the same modulo L, and is refused all the same (RFC 8032, 5.1.7).
TEST(no_second_form_of_a_signature) {
  const Bytes seed = random_bytes(32);
  Bytes signature = sign({}, seed, {});
  const Bytes order = hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
  unsigned carry = 0;
  for (size_t i = 0; i < 32; ++i) {
    carry += signature[32 + i] + order[i];
    signature[32 + i] = static_cast<uint8_t>(carry);
    carry >>= 8;
  }
  CHECK(!ed25519_verify({}, public_key(seed), {}, signature));
}

TEST(points) {
  for (int i = 0; i < 100; ++i) CHECK(is_ed25519_point(public_key(random_bytes(32))));
  for (const char* point : {
           // Of order 1, 2, 4, 4, 8, 8, 8, 8.
           "0100000000000000000000000000000000000000000000000000000000000000",
           "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
           "0000000000000000000000000000000000000000000000000000000000000000",
           "0000000000000000000000000000000000000000000000000000000000000080",
           "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
           "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
           "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
           "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
           // Second encodings: y = p, p + 1, x = 0 with a sign.
           "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
           "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
           "0100000000000000000000000000000000000000000000000000000000000080",
           // On no point of the curve: y = 2.
           "0200000000000000000000000000000000000000000000000000000000000000",
       }) {
    CHECK(!is_ed25519_point(hex(point)));
  }
  // y = 3 is a point's, and y = p + 3 its second encoding.
  CHECK(is_ed25519_point(hex("0300000000000000000000000000000000000000000000000000000000000000")));
  CHECK(!is_ed25519_point(hex("f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")));
  CHECK(!is_ed25519_point(Bytes(31)));
}

TEST(inputs_that_no_scheme_takes) {
  const Bytes seed = random_bytes(32);
  const auto code = [&](const Signing& signing, const Bytes& input) {
    try {
      seeded_sign(kEd25519, seed, signing, input);
      return std::string();
    } catch (const EngineError& error) {
      return error.code();
    }
  };
  CHECK(code({Scheme::kEd25519ph}, Bytes(63)) == "DIGEST_SIZE");
  CHECK(code({Scheme::kMlDsa}, {}) == "SIGNING_SCHEME");
  CHECK(code({Scheme::kEcdsa}, Bytes(32)) == "SIGNING_SCHEME");
}

}  // namespace
}  // namespace keystead

RUN_TESTS()
