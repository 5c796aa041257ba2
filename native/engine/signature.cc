#include "engine/signature.h"

#include "engine/backing_key.h"
#include "engine/ecdsa_signature.h"
#include "engine/error.h"
#include "engine/hash.h"
#include "engine/key_object.h"
#include "engine/seeded_key.h"
#include "engine/software.h"

namespace keystead {

namespace {

constexpr size_t kLargestSignature = 512;  // of RSA with 4096 bits

struct HashNames {
  CK_MECHANISM_TYPE hash, hmac;
  CK_ULONG mgf;
  // DigestInfo up to the digest. Source: RFC 8017, section 9.2.
  uint8_t digest_info[19];
};

constexpr HashNames digest_info(CK_MECHANISM_TYPE hash, CK_MECHANISM_TYPE hmac, CK_ULONG mgf, uint8_t oid,
                                uint8_t size) {
  return {hash,
          hmac,
          mgf,
          {0x30, static_cast<uint8_t>(17 + size), 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03,
           0x04, 0x02, oid, 0x05, 0x00, 0x04, size}};
}

const HashNames& names(Hash hash) {
  static constexpr HashNames k224 = digest_info(CKM_SHA224, CKM_SHA224_HMAC, 0, 4, 28);
  static constexpr HashNames k256 = digest_info(CKM_SHA256, CKM_SHA256_HMAC, CKG_MGF1_SHA256, 1, 32);
  static constexpr HashNames k384 = digest_info(CKM_SHA384, CKM_SHA384_HMAC, CKG_MGF1_SHA384, 2, 48);
  static constexpr HashNames k512 = digest_info(CKM_SHA512, CKM_SHA512_HMAC, CKG_MGF1_SHA512, 3, 64);
  switch (hash) {
    case Hash::kSha224:
      return k224;
    case Hash::kSha256:
      return k256;
    case Hash::kSha384:
      return k384;
    case Hash::kSha512:
      return k512;
    case Hash::kSha1:
      break;
  }
  throw EngineError("MECHANISM_MISSING", "nothing is signed with SHA-1");
}

void require(const Capabilities& can, CK_MECHANISM_TYPE mechanism) {
  if (can.has(mechanism)) return;
  throw EngineError("MECHANISM_MISSING", "token " + can.token.label + " has no " + mechanism_name(mechanism));
}

Curve curve_with(size_t raw_size) {
  for (Curve curve : {Curve::kP256, Curve::kP384, Curve::kP521}) {
    if (raw_size == 2 * curve_bytes(curve)) return curve;
  }
  throw EngineError("SIGNATURE_SIZE", "the token's ECDSA signature has a wrong size");
}

}  // namespace

KeyType signer_type(Scheme scheme) {
  switch (scheme) {
    case Scheme::kRsaPss:
    case Scheme::kRsaPkcs1:
      return KeyType::kRsa;
    case Scheme::kEcdsa:
      return KeyType::kEc;
    case Scheme::kEd25519:
    case Scheme::kEd25519ph:
      return KeyType::kEd25519;
    case Scheme::kMlDsa:
    case Scheme::kMlDsaMu:
      break;
  }
  return KeyType::kMlDsa;
}

void require_signing(const Capabilities& can, const Signing& signing) {
  KeyType type = signer_type(signing.scheme);
  if (type == KeyType::kMlDsa) return need_ml_dsa();
  if (type == KeyType::kEd25519) return require_mac(can, Hash::kSha256);
  require(can, type == KeyType::kEc                ? CKM_ECDSA
               : signing.scheme == Scheme::kRsaPss ? CKM_RSA_PKCS_PSS
                                                   : CKM_RSA_PKCS);
}

void require_mac(const Capabilities& can, Hash hash) { require(can, names(hash).hmac); }

Bytes sign_with(const Session& session, CK_OBJECT_HANDLE key, const Material& material,
                const Signing& signing, std::span<const uint8_t> given) {
  if (is_seeded(signer_type(signing.scheme))) {
    Secret<32> seed = derive_seed(session, key, material);
    return seeded_sign(material, {seed.data(), seed.size()}, signing, given);
  }
  const Digested digested(signing, given);
  const std::span<const uint8_t> input = digested.view();
  const HashNames& hash = names(signing.hash);
  Bytes signature(kLargestSignature);
  auto sign = [&](Mechanism mechanism, std::span<const uint8_t> data) {
    signature.resize(
        session.sign(mechanism, key, data.data(), data.size(), signature.data(), signature.size()));
    return std::move(signature);
  };
  switch (signing.scheme) {
    case Scheme::kRsaPss: {
      CK_RSA_PKCS_PSS_PARAMS parameters{hash.hash, hash.mgf, static_cast<CK_ULONG>(input.size())};
      return sign({CKM_RSA_PKCS_PSS, parameters}, input);
    }
    case Scheme::kRsaPkcs1: {
      Bytes info(std::begin(hash.digest_info), std::end(hash.digest_info));
      info.insert(info.end(), input.begin(), input.end());
      return sign(CKM_RSA_PKCS, info);
    }
    default: {
      Bytes raw = sign(CKM_ECDSA, input);
      return ecdsa_der(curve_with(raw.size()), raw);
    }
  }
}

Bytes mac(const Session& session, CK_OBJECT_HANDLE key, Hash hash, std::span<const uint8_t> message) {
  Bytes mac(hash_size(hash));
  size_t size = session.sign(names(hash).hmac, key, message.data(), message.size(), mac.data(), mac.size());
  // A token that gave less would leave the rest zero.
  if (size != mac.size()) throw EngineError("HMAC_SIZE", "the token's HMAC has a wrong size");
  return mac;
}

}  // namespace keystead
