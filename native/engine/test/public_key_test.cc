#include "engine/public_key.h"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "engine/ed25519.h"
#include "engine/error.h"
#include "engine/hash.h"
#include "engine/seeded_key.h"
#include "engine/software.h"
#include "engine/spki.h"
#include "engine/test/check.h"
#include "engine/test/foreign_keys.h"

namespace keystead {
namespace {

using test::hex;

struct Foreign {
  const char* spki;
  Signing signing;
  const char* signature;
};

constexpr Foreign kForeign[] = {
    {test::kRsaSpki, {Scheme::kRsaPss, Hash::kSha256}, test::kRsaPss},
    {test::kRsaSpki, {Scheme::kRsaPkcs1, Hash::kSha256}, test::kRsaPkcs1},
    {test::kP256Spki, {Scheme::kEcdsa, Hash::kSha256}, test::kP256Ecdsa},
    {test::kP384Spki, {Scheme::kEcdsa, Hash::kSha256}, test::kP384Ecdsa},
    {test::kP521Spki, {Scheme::kEcdsa, Hash::kSha256}, test::kP521Ecdsa},
    {test::kSecp256k1Spki, {Scheme::kEcdsa, Hash::kSha256}, test::kSecp256k1Ecdsa},
    {test::kEd25519Spki, {Scheme::kEd25519}, test::kEd25519Signature},
};

Bytes input_of(const Signing& signing) {
  const std::string text = "a message";
  const Bytes message(text.begin(), text.end());
  if (signing.scheme == Scheme::kEd25519) return message;
  Bytes out(hash_size(signing.hash));
  digest(signing.hash, {message}, out.data());
  return out;
}

std::string code(const std::function<void()>& call) {
  try {
    call();
    return "";
  } catch (const EngineError& error) {
    return error.code();
  }
}

TEST(signatures_of_others) {
  for (const Foreign& each : kForeign) {
    const PublicKey key(hex(each.spki));
    const Bytes input = input_of(each.signing);
    CHECK(key.verify(each.signing, input, hex(each.signature)));
    Bytes other = input;
    other[0] ^= 1;
    CHECK(!key.verify(each.signing, other, hex(each.signature)));
  }
}

TEST(every_damaged_byte_and_every_cut_fails) {
  for (const Foreign& each : kForeign) {
    const PublicKey key(hex(each.spki));
    const Bytes input = input_of(each.signing);
    Bytes signature = hex(each.signature);
    for (size_t at = 0; at < signature.size(); ++at) {
      CHECK(!key.verify(each.signing, input, std::span(signature).first(at)));
      for (const uint8_t flip : {0x01, 0x80}) {
        signature[at] ^= flip;
        CHECK(!key.verify(each.signing, input, signature));
        signature[at] ^= flip;
      }
    }
    signature.push_back(0);
    CHECK(!key.verify(each.signing, input, signature));
  }
}

TEST(prehashed) {
  const Bytes seed(kSeedSize, 0x42);
  const Material material{KeyType::kEd25519, 0, {}};
  const Bytes spki = seeded_public_key(material, seed);
  const PublicKey key(spki);
  Bytes hash(64, 7);
  Bytes signature = seeded_sign(material, seed, {Scheme::kEd25519ph}, hash);
  CHECK(key.verify({Scheme::kEd25519ph}, hash, signature));
  CHECK(ed25519_verify(ed25519ph_domain(), parse_spki(spki).key, hash, signature));
  CHECK(!key.verify({Scheme::kEd25519}, hash, signature));
  signature[40] ^= 4;
  CHECK(!key.verify({Scheme::kEd25519ph}, hash, signature));
}

TEST(what_a_caller_gets_wrong) {
  const PublicKey rsa(hex(test::kRsaSpki));
  const PublicKey ec(hex(test::kP256Spki));
  CHECK(code([&] { rsa.verify({Scheme::kEcdsa}, Bytes(32), {}); }) == "SIGNING_SCHEME");
  CHECK(code([&] { ec.verify({Scheme::kMlDsa}, Bytes(32), {}); }) == "SIGNING_SCHEME");
  CHECK(code([&] { ec.verify({Scheme::kEcdsa, Hash::kSha512}, Bytes(32), {}); }) == "DIGEST_SIZE");
  CHECK(code([&] { ec.encrypt(Hash::kSha256, {}); }) == "SIGNING_SCHEME");
  CHECK(code([&] { rsa.encrypt(Hash::kSha256, Bytes(191)); }) == "PLAINTEXT_SIZE");
  CHECK(rsa.encrypt(Hash::kSha256, Bytes(190)).size() == 256);
  CHECK(rsa.encrypt(Hash::kSha1, Bytes(214)).size() == 256);
}

TEST(points_beside_the_curve) {
  for (const char* text : {test::kP256Spki, test::kP384Spki, test::kP521Spki, test::kSecp256k1Spki}) {
    Bytes spki = hex(text);
    spki.back() ^= 1;
    CHECK(code([&] { PublicKey key(spki); }) == "PUBLIC_KEY");
  }
  const Bytes small = raw_spki({KeyType::kEd25519, 0, {}}, Bytes(32));
  CHECK(code([&] { PublicKey key(small); }) == "PUBLIC_KEY");
}

TEST(what_openssl_lacks) {
  const Bytes spki = raw_spki({KeyType::kMlDsa, 65, {}}, Bytes(1952));
  CHECK(code([&] { PublicKey key(spki); }) == (software().ml_dsa ? "" : "MECHANISM_MISSING"));
}

// More keys than are kept, in all threads: each answers for its own.
TEST(cache_under_many_threads) {
  const Material material{KeyType::kEd25519, 0, {}};
  struct Pair {
    Bytes spki, signature;
  };
  std::vector<Pair> pairs;
  for (uint32_t i = 0; i < 1200; ++i) {
    Bytes seed(kSeedSize, static_cast<uint8_t>(i));
    seed[0] = static_cast<uint8_t>(i >> 8);
    pairs.push_back({seeded_public_key(material, seed), seeded_sign(material, seed, {Scheme::kEd25519}, {})});
  }
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (size_t thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (size_t i = 0; i < pairs.size(); ++i) {
        const Pair& pair = pairs[(i * 7 + thread * 300) % pairs.size()];
        const Pair& next = pairs[(i * 7 + thread * 300 + 1) % pairs.size()];
        wrong += !PublicKey::of(pair.spki)->verify({Scheme::kEd25519}, {}, pair.signature);
        wrong += PublicKey::of(pair.spki)->verify({Scheme::kEd25519}, {}, next.signature);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(PublicKey::of(pairs[0].spki) == PublicKey::of(pairs[0].spki));
}

}  // namespace
}  // namespace keystead

RUN_TESTS()
