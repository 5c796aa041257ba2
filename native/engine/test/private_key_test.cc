#include "engine/private_key.h"

#include <algorithm>

#include "engine/ecdsa_signature.h"
#include "engine/error.h"
#include "engine/padded_wrap.h"
#include "engine/spki.h"
#include "engine/test/check.h"
#include "engine/test/foreign_keys.h"

namespace keystead {
namespace {

using test::hex;

struct Foreign {
  Material material;
  const char* pkcs8;
  const char* spki;
};

constexpr Foreign kForeign[] = {
    {{KeyType::kRsa, 2048, {}}, test::kRsaPkcs8, test::kRsaSpki},
    {{KeyType::kEc, 0, Curve::kP256}, test::kP256Pkcs8, test::kP256Spki},
    {{KeyType::kEc, 0, Curve::kP384}, test::kP384Pkcs8, test::kP384Spki},
    {{KeyType::kEc, 0, Curve::kP521}, test::kP521Pkcs8, test::kP521Spki},
    {{KeyType::kEc, 0, Curve::kSecp256k1}, test::kSecp256k1Pkcs8, test::kSecp256k1Spki},
    {{KeyType::kEd25519, 0, {}}, test::kEd25519Pkcs8, test::kEd25519Spki},
};

Bytes bytes(const SecretBytes& secret) { return {secret.view().begin(), secret.view().end()}; }

bool refused(const Bytes& pkcs8) {
  try {
    parse_private_key(pkcs8);
    return false;
  } catch (const EngineError& error) {
    return error.code() == "IMPORT_MATERIAL";
  }
}

bool is_public_key(const Bytes& spki) {
  try {
    parse_spki(spki);
    return true;
  } catch (const EngineError& error) {
    CHECK(error.code() == "PUBLIC_KEY");
    return false;
  }
}

TEST(private_keys_of_others) {
  for (const Foreign& key : kForeign) {
    const PrivateKey parsed = parse_private_key(hex(key.pkcs8));
    CHECK(parsed.material == key.material);
    CHECK(parsed.public_key == hex(key.spki));
    CHECK(bytes(parsed.pkcs8) == hex(key.pkcs8));
    CHECK(parsed.seed.size() == (key.material.type == KeyType::kEd25519 ? 32 : 0));
  }
}

// PKCS#8 of a token often has no public key in it.
TEST(ec_public_key_from_the_scalar) {
  const Bytes spki = hex(test::kP256Spki);
  const Bytes full = hex(test::kP256Pkcs8);
  DerReader outer(full);
  std::span<const uint8_t> body, version, algorithm, octets, ec, one, scalar;
  CHECK(outer.take(kDerSequence, body));
  DerReader info(body);
  CHECK(info.take(kDerInteger, version) && info.take(kDerSequence, algorithm) &&
        info.take(kDerOctetString, octets));
  DerReader inner(octets);
  CHECK(inner.take(kDerSequence, ec));
  DerReader key(ec);
  CHECK(key.take(kDerInteger, one) && key.take(kDerOctetString, scalar));
  const Bytes bare = der(kDerSequence, {der(kDerInteger, {one}), der(kDerOctetString, {scalar})});
  const Bytes pkcs8 = der(kDerSequence, {der(kDerInteger, {version}), der(kDerSequence, {algorithm}),
                                         der(kDerOctetString, {bare})});
  const PrivateKey parsed = parse_private_key(pkcs8);
  CHECK(parsed.public_key == spki);
  CHECK(bytes(parsed.pkcs8) == full);
}

TEST(private_keys_that_are_none) {
  CHECK(refused({}));
  CHECK(refused(Bytes(40)));
  for (const Foreign& key : kForeign) {
    Bytes other = hex(key.pkcs8);
    other.push_back(0);
    CHECK(refused(other));
    other.pop_back();
    other.pop_back();
    CHECK(refused(other));
  }
  // One number changed: the halves do not fit any more.
  for (const char* text : {test::kRsaPkcs8, test::kP256Pkcs8}) {
    Bytes damaged = hex(text);
    damaged[damaged.size() / 2] ^= 1;
    CHECK(refused(damaged));
  }
}

TEST(public_keys_both_ways) {
  for (const Foreign& key : kForeign) {
    const Bytes der = hex(key.spki);
    const Spki spki = parse_spki(der);
    CHECK(spki.material == key.material);
    if (key.material.type == KeyType::kRsa) {
      CHECK(rsa_spki(spki.modulus, spki.exponent) == der);
    } else if (key.material.type == KeyType::kEc) {
      CHECK(ec_spki(key.material.curve, spki.key) == der);
      CHECK(std::ranges::equal(ec_point(key.material.curve, keystead::der(kDerOctetString, {spki.key})),
                               spki.key));
      CHECK(std::ranges::equal(ec_point(key.material.curve, spki.key), spki.key));
      CHECK_THROWS(ec_point(key.material.curve, spki.key.subspan(1)), EngineError,
                   error.code() == "PUBLIC_KEY");
    } else {
      CHECK(raw_spki(key.material, spki.key) == der);
    }
  }
  for (const auto& [set, size] : {std::pair{44, 1312}, std::pair{65, 1952}, std::pair{87, 2592}}) {
    const Material material{KeyType::kMlDsa, static_cast<uint16_t>(set), {}};
    const Bytes spki = raw_spki(material, Bytes(static_cast<size_t>(size)));
    CHECK(parse_spki(spki).material == material);
    CHECK(!is_public_key(raw_spki(material, Bytes(static_cast<size_t>(size - 1)))));
  }
}

TEST(public_keys_that_are_none) {
  for (const Foreign& key : kForeign) {
    const Bytes good = hex(key.spki);
    for (size_t size = 0; size < good.size(); ++size)
      CHECK(!is_public_key({good.begin(), good.begin() + size}));
    Bytes longer = good;
    longer.push_back(0);
    CHECK(!is_public_key(longer));
    // Each byte in front of the key itself matters.
    const size_t head = key.material.type == KeyType::kRsa ? 33 : good.size() - parse_spki(good).key.size();
    for (size_t at = 0; at < head; ++at) {
      for (int bit = 0; bit < 8; ++bit) {
        Bytes damaged = good;
        damaged[at] ^= static_cast<uint8_t>(1 << bit);
        if (is_public_key(damaged)) CHECK(parse_spki(damaged).material != key.material);
      }
    }
  }
  const Bytes rsa = hex(test::kRsaSpki);
  const Spki spki = parse_spki(rsa);
  Bytes modulus(spki.modulus.begin(), spki.modulus.end());
  for (const Bytes& exponent : {Bytes{1}, Bytes{3}, Bytes{1, 0, 0}, Bytes(9, 1)}) {
    CHECK(!is_public_key(rsa_spki(modulus, exponent)));
  }
  modulus.back() ^= 1;
  CHECK(!is_public_key(rsa_spki(modulus, spki.exponent)));
  modulus.back() ^= 1;
  modulus.pop_back();
  CHECK(!is_public_key(rsa_spki(modulus, spki.exponent)));
}

TEST(ecdsa_signatures_both_ways) {
  for (const Curve curve : {Curve::kP256, Curve::kP384, Curve::kP521, Curve::kSecp256k1}) {
    const size_t size = curve_bytes(curve);
    for (const int first : {0, 1, 0x7f, 0x80, 0xff}) {
      Bytes raw(2 * size, 0x5a);
      raw[0] = raw[size] = static_cast<uint8_t>(first);
      CHECK(ecdsa_raw(curve, ecdsa_der(curve, raw)) == raw);
    }
    Bytes small(2 * size);
    small[size - 1] = small[2 * size - 1] = 1;
    CHECK(ecdsa_der(curve, small) == hex("3006020101020101"));
    CHECK_THROWS(ecdsa_der(curve, Bytes(2 * size - 1)), EngineError, error.code() == "SIGNATURE_SIZE");
  }
}

TEST(ecdsa_signatures_that_are_none) {
  CHECK(ecdsa_raw(Curve::kP256, hex("3006020101020101")));
  for (const char* text : {
           "",
           "30",
           "3000",
           "3003020101",
           "3006020100020101",    // r = 0
           "3006020101020100",    // s = 0
           "3006020101020181",    // s < 0
           "30070201010202007f",  // a zero too many
           "3007020101020200",    // cut short
           "300602010102010100",  // something behind
           "3007020101020101",    // longer than there is
           "300802010102010105",  // likewise
           "3008020101020101"
           "0500",                // a third value
           "308106020101020101",  // BER: a long length
           "3080020101020101"
           "0000",  // BER: an indefinite length
           "30070281010102"
           "0101",              // BER: a long length within
           "3106020101020101",  // a SET
           "3006030101020101",  // a BIT STRING
           "3026"
           "0221"
           "010000000000000000000000000000000000000000000000000000000000000000"
           "020101",  // 33 bytes
       }) {
    CHECK(!ecdsa_raw(Curve::kP256, hex(text)));
  }
}

// RFC 5649, section 6.
TEST(padded_wrap_of_the_rfc) {
  const Bytes wrapping = hex("5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8");
  for (const auto& [key, wrapped] :
       {std::pair{"c37b7e6492584340bed12207808941155068f738",
                  "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a"},
        std::pair{"466f7250617369", "afbeb0f07dfbf5419200f2ccb50bb24f"}}) {
    CHECK(padded_wrap(wrapping, hex(key)) == hex(wrapped));
    CHECK(bytes(padded_unwrap(wrapping, hex(wrapped)).value()) == hex(key));
  }
}

TEST(padded_unwrap_of_what_was_not_wrapped) {
  const Bytes wrapping(32, 7);
  for (size_t size = 1; size < 70; ++size) {
    const Bytes key(size, 9);
    Bytes wrapped = padded_wrap(wrapping, key);
    CHECK(bytes(padded_unwrap(wrapping, wrapped).value()) == key);
    for (size_t at = 0; at < wrapped.size(); ++at) {
      wrapped[at] ^= 0x10;
      CHECK(!padded_unwrap(wrapping, wrapped));
      wrapped[at] ^= 0x10;
    }
    CHECK(!padded_unwrap(Bytes(32, 8), wrapped));
    wrapped.pop_back();
    CHECK(!padded_unwrap(wrapping, wrapped));
  }
  CHECK(!padded_unwrap(wrapping, {}));
  CHECK_THROWS(padded_unwrap(Bytes(31), Bytes(24)), EngineError, error.code() == "WRAPPING_KEY");
}

}  // namespace
}  // namespace keystead

RUN_TESTS()
