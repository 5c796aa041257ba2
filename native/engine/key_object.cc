#include "engine/key_object.h"

#include <algorithm>

#include "engine/error.h"
#include "engine/software.h"
#include "engine/spki.h"

namespace keystead {

namespace {

constexpr char kExponent[] = {1, 0, 1};  // 65537

CK_KEY_TYPE cryptoki_type(KeyType type) {
  switch (type) {
    case KeyType::kRsa:
      return CKK_RSA;
    case KeyType::kEc:
      return CKK_EC;
    default:
      return CKK_GENERIC_SECRET;
  }
}

CK_MECHANISM_TYPE generator(KeyType type) {
  switch (type) {
    case KeyType::kRsa:
      return CKM_RSA_PKCS_KEY_PAIR_GEN;
    case KeyType::kEc:
      return CKM_EC_KEY_PAIR_GEN;
    default:
      return CKM_GENERIC_SECRET_KEY_GEN;
  }
}

std::string_view view(std::span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Attributes public_attributes(const Material& material) {
  Attributes attributes;
  attributes.number(CKA_CLASS, CKO_PUBLIC_KEY)
      .number(CKA_KEY_TYPE, cryptoki_type(material.type))
      .flag(CKA_PRIVATE, false)
      .flag(CKA_VERIFY, true);
  if (material.type == KeyType::kRsa) {
    attributes.number(CKA_MODULUS_BITS, material.size)
        .bytes(CKA_PUBLIC_EXPONENT, {kExponent, sizeof kExponent});
  } else {
    attributes.bytes(CKA_EC_PARAMS, view(curve_oid(material.curve)));
  }
  return attributes;
}

CK_ULONG number_of(const Session& session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type) {
  CK_ULONG number = 0;
  Bytes value = session.attribute(object, type);
  if (value.size() == sizeof number) memcpy(&number, value.data(), sizeof number);
  return number;
}

}  // namespace

Attributes key_attributes(KeyType type) {
  bool secret = cryptoki_type(type) == CKK_GENERIC_SECRET;
  Attributes attributes;
  attributes.number(CKA_CLASS, secret ? CKO_SECRET_KEY : CKO_PRIVATE_KEY)
      .number(CKA_KEY_TYPE, cryptoki_type(type))
      .flag(CKA_PRIVATE, true)
      .flag(CKA_SENSITIVE, true)
      .flag(CKA_SIGN, true)
      .flag(CKA_DECRYPT, type == KeyType::kRsa)
      .flag(CKA_DERIVE, type == KeyType::kEc)
      .flag(CKA_UNWRAP, false);
  if (secret) attributes.flag(CKA_VERIFY, false).flag(CKA_ENCRYPT, false).flag(CKA_WRAP, false);
  return attributes;
}

GeneratedKey generate_extractable(const Session& session, const Material& material) {
  Attributes key = key_attributes(material.type);
  key.flag(CKA_TOKEN, false).flag(CKA_EXTRACTABLE, true);
  if (material.type != KeyType::kRsa && material.type != KeyType::kEc) {
    key.number(CKA_VALUE_LEN, material.type == KeyType::kSecret ? material.size : 32);
    return {session.generate(CKM_GENERIC_SECRET_KEY_GEN, key), {}};
  }
  Attributes public_key = public_attributes(material);
  public_key.flag(CKA_TOKEN, false);
  auto pair = session.generate_pair(generator(material.type), public_key, key);
  Temporary private_half(session, pair.private_key), public_half(session, pair.public_key);
  Bytes spki = public_key_of(session, public_half);
  return {private_half.keep(), std::move(spki)};
}

GeneratedKey generate_on_token(const Session& session, const Material& material, const std::string& id) {
  Attributes key = key_attributes(material.type);
  key.flag(CKA_TOKEN, true).bytes(CKA_LABEL, id).bytes(CKA_ID, id).flag(CKA_EXTRACTABLE, false);
  if (material.type == KeyType::kSecret) {
    key.number(CKA_VALUE_LEN, material.size).flag(CKA_MODIFIABLE, false);
    return {session.generate(CKM_GENERIC_SECRET_KEY_GEN, key), {}};
  }
  key.flag(CKA_MODIFIABLE, false);
  Attributes public_key = public_attributes(material);
  public_key.flag(CKA_TOKEN, true).bytes(CKA_LABEL, id).bytes(CKA_ID, id);
  auto pair = session.generate_pair(generator(material.type), public_key, key);
  return {pair.private_key, public_key_of(session, pair.public_key)};
}

KeyType key_type_of(const Session& session, CK_OBJECT_HANDLE object) {
  switch (number_of(session, object, CKA_KEY_TYPE)) {
    case CKK_RSA:
      return KeyType::kRsa;
    case CKK_EC:
      return KeyType::kEc;
    case CKK_GENERIC_SECRET:
      return KeyType::kSecret;
  }
  throw EngineError("KEY_TYPE", "the key on the token is neither a generic secret nor an RSA or EC key");
}

Curve curve_of(const Session& session, CK_OBJECT_HANDLE object) {
  Bytes parameters = session.attribute(object, CKA_EC_PARAMS);
  for (Curve curve : {Curve::kP256, Curve::kP384, Curve::kP521, Curve::kSecp256k1}) {
    if (std::ranges::equal(parameters, curve_oid(curve))) return curve;
  }
  throw EngineError("CURVE", "the token's EC key is on a curve other than P-256, P-384, P-521 and secp256k1");
}

Bytes public_key_of(const Session& session, CK_OBJECT_HANDLE object) {
  if (key_type_of(session, object) == KeyType::kRsa)
    return rsa_spki(session.attribute(object, CKA_MODULUS), session.attribute(object, CKA_PUBLIC_EXPONENT));
  Curve curve = curve_of(session, object);
  Bytes point = session.attribute(object, CKA_EC_POINT);
  return ec_spki(curve, ec_point(curve, point));
}

void require_generator(const Capabilities& can, const Material& material) {
  if (material.type == KeyType::kMlDsa) need_ml_dsa();
  CK_MECHANISM_TYPE mechanism = generator(material.type);
  if (can.has(mechanism)) return;
  throw EngineError("MECHANISM_MISSING",
                    "token " + can.token.label + " has no " + mechanism_name(mechanism) + " to make it with");
}

}  // namespace keystead
