#include "engine/spki.h"

#include <algorithm>
#include <array>
#include <bit>
#include <string>

#include "engine/ecdsa_signature.h"
#include "engine/error.h"

namespace keystead {
namespace {

using View = std::span<const uint8_t>;

constexpr uint8_t kNoUnusedBits[] = {0};
constexpr uint8_t kNull[] = {kDerNull, 0};
constexpr uint8_t kUncompressed = 0x04;
constexpr size_t kEd25519Size = 32;
constexpr size_t kLargestExponent = 8;  // OpenSSL takes no larger one with a modulus above 3072 bits

constexpr uint8_t kRsaOid[] = {0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01};
constexpr uint8_t kEcOid[] = {0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01};
constexpr uint8_t kEd25519Oid[] = {0x06, 0x03, 0x2b, 0x65, 0x70};

constexpr uint8_t kP256Oid[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
constexpr uint8_t kP384Oid[] = {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22};
constexpr uint8_t kP521Oid[] = {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23};
constexpr uint8_t kSecp256k1Oid[] = {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a};
constexpr Curve kCurves[] = {Curve::kP256, Curve::kP384, Curve::kP521, Curve::kSecp256k1};

struct MlDsa {
  uint16_t parameter_set;
  size_t public_size;  // FIPS 204, table 2
  uint8_t oid[11];     // 2.16.840.1.101.3.4.3.17 and on
};
constexpr MlDsa kMlDsa[] = {
    {44, 1312, {0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x11}},
    {65, 1952, {0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x12}},
    {87, 2592, {0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x13}},
};

[[noreturn]] void refuse(const std::string& reason) { throw EngineError("PUBLIC_KEY", reason); }

Bytes spki(std::initializer_list<View> algorithm, View key) {
  return der(kDerSequence, {der(kDerSequence, algorithm), der(kDerBitString, {kNoUnusedBits, key})});
}

bool is_point(Curve curve, View point) {
  return point.size() == 1 + 2 * curve_bytes(curve) && point[0] == kUncompressed;
}

size_t bits(View magnitude) {
  return magnitude.empty() ? 0 : 8 * magnitude.size() - static_cast<size_t>(std::countl_zero(magnitude[0]));
}

// The content of a value with this tag that is all there is.
View only(uint8_t tag, View bytes) {
  DerReader reader(bytes);
  View content;
  if (!reader.take(tag, content) || !reader.empty()) refuse("the public key is not SPKI in DER");
  return content;
}

Spki rsa(View parameters, View key) {
  Spki spki;
  DerReader reader(only(kDerSequence, key));
  if (!std::ranges::equal(parameters, kNull) || !reader.take_unsigned(spki.modulus) ||
      !reader.take_unsigned(spki.exponent) || !reader.empty()) {
    refuse("the public key is not an RSAPublicKey in DER");
  }
  const size_t size = bits(spki.modulus);
  if ((size != 2048 && size != 3072 && size != 4096) || !(spki.modulus.back() & 1)) {
    refuse("an RSA modulus is an odd number of 2048, 3072 or 4096 bits, not of " + std::to_string(size));
  }
  if (bits(spki.exponent) < 17 || spki.exponent.size() > kLargestExponent || !(spki.exponent.back() & 1)) {
    refuse("an RSA exponent is an odd number from 65537 to 2^64");
  }
  spki.material = {KeyType::kRsa, static_cast<uint16_t>(size), {}};
  return spki;
}

Spki ec(View parameters, View key) {
  for (const Curve curve : kCurves) {
    if (!std::ranges::equal(parameters, curve_oid(curve))) continue;
    if (!is_point(curve, key)) refuse("the public key is not an uncompressed point of its curve's size");
    return {{KeyType::kEc, 0, curve}, {}, {}, key};
  }
  refuse("the public key is on none of the curves P-256, P-384, P-521 and secp256k1");
}

Spki raw(const Material& material, size_t size, View parameters, View key) {
  if (!parameters.empty() || key.size() != size) {
    refuse("the public key has " + std::to_string(key.size()) + " bytes, not the " + std::to_string(size) +
           " of its algorithm");
  }
  return {material, {}, {}, key};
}

}  // namespace

View curve_oid(Curve curve) {
  switch (curve) {
    case Curve::kP384:
      return kP384Oid;
    case Curve::kP521:
      return kP521Oid;
    case Curve::kSecp256k1:
      return kSecp256k1Oid;
    default:
      return kP256Oid;
  }
}

View ec_point(Curve curve, View attribute) {
  if (is_point(curve, attribute)) return attribute;
  DerReader reader(attribute);
  View point;
  if (!reader.take(kDerOctetString, point) || !reader.empty() || !is_point(curve, point)) {
    refuse("the token gives no uncompressed point of the curve");
  }
  return point;
}

Bytes rsa_spki(View modulus, View exponent) {
  return spki({kRsaOid, kNull}, der(kDerSequence, {der_unsigned(modulus), der_unsigned(exponent)}));
}

Bytes ec_spki(Curve curve, View point) { return spki({kEcOid, curve_oid(curve)}, point); }

Bytes raw_spki(const Material& material, View key) {
  if (material.type == KeyType::kEd25519) return spki({kEd25519Oid}, key);
  for (const MlDsa& set : kMlDsa) {
    if (material == Material{KeyType::kMlDsa, set.parameter_set, {}}) return spki({set.oid}, key);
  }
  refuse("there is no SPKI made of such a key's bytes");
}

Spki parse_spki(View bytes) {
  DerReader outer(only(kDerSequence, bytes));
  View algorithm, bit_string, oid_content;
  if (!outer.take(kDerSequence, algorithm) || !outer.take(kDerBitString, bit_string) || !outer.empty() ||
      bit_string.empty() || bit_string[0] != 0) {
    refuse("the public key is not SPKI in DER");
  }
  DerReader reader(algorithm);
  if (!reader.take(kDerOid, oid_content)) refuse("the public key is not SPKI in DER");
  const size_t oid_size = static_cast<size_t>(oid_content.data() - algorithm.data()) + oid_content.size();
  const View oid = algorithm.first(oid_size);
  const View parameters = algorithm.subspan(oid_size);
  const View key = bit_string.subspan(1);
  if (std::ranges::equal(oid, kRsaOid)) return rsa(parameters, key);
  if (std::ranges::equal(oid, kEcOid)) return ec(parameters, key);
  if (std::ranges::equal(oid, kEd25519Oid))
    return raw({KeyType::kEd25519, 0, {}}, kEd25519Size, parameters, key);
  for (const MlDsa& set : kMlDsa) {
    if (std::ranges::equal(oid, set.oid)) {
      return raw({KeyType::kMlDsa, set.parameter_set, {}}, set.public_size, parameters, key);
    }
  }
  refuse("the public key is of none of the kinds RSA, EC, Ed25519 and ML-DSA");
}

}  // namespace keystead
