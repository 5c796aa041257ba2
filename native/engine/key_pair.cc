#include "engine/key_pair.h"

#include <algorithm>
#include <mutex>

#include "engine/error.h"

namespace keystead {

namespace {

constexpr size_t kScalar = 32;
constexpr size_t kPoint = 1 + 2 * kScalar;
// The OID of P-256 (1.2.840.10045.3.1.7) in DER.
constexpr char kP256[] = "\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
// SubjectPublicKeyInfo of an uncompressed P-256 point, up to the point. Source: RFC 5480.
constexpr uint8_t kSpki[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
                             0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};

Attributes pattern(CK_OBJECT_CLASS object_class, const std::string& label) {
  Attributes attributes;
  attributes.number(CKA_CLASS, object_class)
      .number(CKA_KEY_TYPE, CKK_EC)
      .flag(CKA_TOKEN, true)
      .bytes(CKA_LABEL, label);
  return attributes;
}

void make(const Session& session, const std::string& label) {
  session.generate_pair(CKM_EC_KEY_PAIR_GEN,
                        pattern(CKO_PUBLIC_KEY, label)
                            .bytes(CKA_EC_PARAMS, {kP256, sizeof kP256 - 1})
                            .bytes(CKA_ID, label)
                            .flag(CKA_PRIVATE, false)
                            .flag(CKA_VERIFY, true),
                        pattern(CKO_PRIVATE_KEY, label)
                            .bytes(CKA_ID, label)
                            .flag(CKA_PRIVATE, true)
                            .flag(CKA_SENSITIVE, true)
                            .flag(CKA_EXTRACTABLE, false)
                            .flag(CKA_MODIFIABLE, false)
                            .flag(CKA_SIGN, true)
                            .flag(CKA_DECRYPT, false)
                            .flag(CKA_UNWRAP, false)
                            .flag(CKA_DERIVE, false));
}

CK_OBJECT_HANDLE one(const std::vector<CK_OBJECT_HANDLE>& found, const std::string& label) {
  if (found.size() == 1) return found[0];
  if (found.empty()) {
    throw EngineError("KEY_PAIR_NOT_FOUND",
                      "the token has no complete EC key pair labelled \"" + label + "\"");
  }
  throw EngineError("KEY_PAIR_AMBIGUOUS",
                    "the token has more than one EC key pair labelled \"" + label + "\"");
}

// CKA_EC_POINT is the point as a DER OCTET STRING; some tokens give the bare point.
Bytes spki(Bytes point) {
  if (point.size() == kPoint + 2 && point[0] == 0x04 && point[1] == kPoint)
    point.erase(point.begin(), point.begin() + 2);
  if (point.size() != kPoint || point[0] != 0x04)
    throw EngineError("EC_POINT", "the token gives no P-256 public key");
  point.insert(point.begin(), std::begin(kSpki), std::end(kSpki));
  return point;
}

void append_integer(Bytes& der, const uint8_t* scalar) {
  const uint8_t* end = scalar + kScalar;
  while (scalar < end - 1 && *scalar == 0) scalar++;
  bool padded = *scalar & 0x80;
  der.push_back(0x02);
  der.push_back(static_cast<uint8_t>(end - scalar + padded));
  if (padded) der.push_back(0);
  der.insert(der.end(), scalar, end);
}

}  // namespace

KeyPair open_key_pair(const Session& session, const std::string& label, bool create) {
  std::unique_lock making(session.module().making(), std::defer_lock);
  if (create) making.lock();
  auto found = session.find(pattern(CKO_PRIVATE_KEY, label));
  if (found.empty() && create) {
    make(session, label);
    found = session.find(pattern(CKO_PRIVATE_KEY, label));
  }
  CK_OBJECT_HANDLE private_key = one(found, label);
  CK_OBJECT_HANDLE public_key = one(session.find(pattern(CKO_PUBLIC_KEY, label)), label);
  return {private_key, spki(session.attribute(public_key, CKA_EC_POINT))};
}

Bytes sign_digest(const Session& session, CK_OBJECT_HANDLE private_key, const Bytes& digest) {
  uint8_t signature[2 * kScalar];
  size_t size =
      session.sign(CKM_ECDSA, private_key, digest.data(), digest.size(), signature, sizeof signature);
  if (size != sizeof signature)
    throw EngineError("SIGNATURE_SIZE", "the token's ECDSA signature has a wrong size");
  Bytes der;
  append_integer(der, signature);
  append_integer(der, signature + kScalar);
  der.insert(der.begin(), {0x30, static_cast<uint8_t>(der.size())});
  return der;
}

}  // namespace keystead
