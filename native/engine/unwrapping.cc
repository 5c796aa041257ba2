#include "engine/unwrapping.h"

#include <algorithm>
#include <cstring>

#include "engine/decryption.h"
#include "engine/error.h"
#include "engine/hash.h"
#include "engine/key_object.h"
#include "engine/public_key.h"
#include "engine/quirks.h"
#include "engine/signature.h"
#include "engine/spki.h"
#include "engine/transport_key.h"

namespace keystead {

namespace {

using View = std::span<const uint8_t>;

[[noreturn]] void refuse(const char* code, const char* reason) { throw EngineError(code, reason); }

[[noreturn]] void refuse_ciphertext() {
  refuse("IMPORT_CIPHERTEXT", "the key material does not decrypt under its wrapping key and algorithm");
}

bool unwraps(const Capabilities& can, CK_MECHANISM_TYPE type) {
  return std::ranges::any_of(can.mechanisms, [&](const MechanismCapability& known) {
    return known.type == type && (known.info.flags & CKF_UNWRAP);
  });
}

bool may_mean_input(CK_RV rv) {
  switch (rv) {
    case CKR_WRAPPED_KEY_INVALID:
    case CKR_WRAPPED_KEY_LEN_RANGE:
    case CKR_ENCRYPTED_DATA_INVALID:
    case CKR_ENCRYPTED_DATA_LEN_RANGE:
    case CKR_UNWRAPPING_KEY_SIZE_RANGE:
    case CKR_KEY_SIZE_RANGE:
    case CKR_ATTRIBUTE_VALUE_INVALID:
    case CKR_TEMPLATE_INCONSISTENT:
      return true;
    default:
      return fault_of(rv) == Fault::kVague;
  }
}

// CKR_OK, or why the token does not do `work` with its input. A vague answer may mean the token itself: then
// `control` does the same with an input that is known to be sound, and throws when that fails as well; and
// the work is tried once more.
template <class Work, class Control>
CK_RV attempt(Work work, Control control) {
  for (bool again = false;; again = true) {
    CK_RV rv = CKR_OK;
    try {
      work();
      return rv;
    } catch (const Pkcs11Error& e) {
      rv = e.rv();
      if (!may_mean_input(rv)) throw;
    }
    if (again || fault_of(rv) != Fault::kVague) return rv;
    control();
  }
}

Attributes extractable(const Material& material) {
  Attributes attributes = key_attributes(material.type);
  attributes.flag(CKA_TOKEN, false).flag(CKA_EXTRACTABLE, true);
  return attributes;
}

// Unwraps something sound.
void put_secret(const Session& session, CK_MECHANISM_TYPE key_wrap) {
  const Bytes secret(32);
  Temporary(session, TransportKey(session, key_wrap).put(secret, extractable({KeyType::kSecret, 32})));
}

// What is encrypted to an RSA key by RSAES-OAEP.
class Envelope {
 public:
  Envelope(const Session& session, CK_OBJECT_HANDLE wrapping, Hash hash)
      : session_(session),
        wrapping_(wrapping),
        hash_(hash),
        modulus_(session.attribute(wrapping, CKA_MODULUS)) {}

  size_t size() const { return modulus_.size(); }

  CK_OBJECT_HANDLE unwrap(View encrypted, const Attributes& key) const {
    // What is no number below the modulus says nothing of the key to any token.
    if (encrypted.size() != modulus_.size() || !std::ranges::lexicographical_compare(encrypted, modulus_))
      refuse_ciphertext();
    CK_OBJECT_HANDLE made = 0;
    const CK_RV rv =
        attempt([&] { made = unwrap_sound(encrypted, key); },
                [&] {
                  const PublicKey own(rsa_spki(modulus_, session_.attribute(wrapping_, CKA_PUBLIC_EXPONENT)));
                  Temporary(session_, unwrap_sound(own.encrypt(hash_, Bytes(32)), key));
                });
    if (rv != CKR_OK) refuse_ciphertext();
    return made;
  }

 private:
  CK_OBJECT_HANDLE unwrap_sound(View encrypted, const Attributes& key) const {
    CK_RSA_PKCS_OAEP_PARAMS parameters = oaep_parameters(hash_);
    return session_.unwrap({CKM_RSA_PKCS_OAEP, parameters}, wrapping_, encrypted.data(), encrypted.size(),
                           key);
  }

  const Session& session_;
  const CK_OBJECT_HANDLE wrapping_;
  const Hash hash_;
  const Bytes modulus_;
};

CK_OBJECT_HANDLE unwrap_by_aes(const Session& session, CK_MECHANISM_TYPE key_wrap, CK_OBJECT_HANDLE aes,
                               View wrapped, const Material& material) {
  CK_OBJECT_HANDLE made = 0;
  const CK_RV rv = attempt(
      [&] { made = session.unwrap(key_wrap, aes, wrapped.data(), wrapped.size(), extractable(material)); },
      [&] { put_secret(session, key_wrap); });
  // SoftHSM's answer where the bytes were unwrapped and are no such key.
  if (rv == CKR_FUNCTION_FAILED) refuse("IMPORT_MATERIAL", "the key material is no key of its kind");
  if (rv != CKR_OK) refuse_ciphertext();
  return made;
}

bool has_length(const Session& session, const Domain& domain, const Capabilities& can,
                CK_MECHANISM_TYPE key_wrap, CK_OBJECT_HANDLE key, size_t size) {
  if (!has_quirk(can, "no-unwrapped-length")) {
    CK_ULONG told = 0;
    const Bytes value = session.attribute(key, CKA_VALUE_LEN);
    if (value.size() == sizeof told) memcpy(&told, value.data(), sizeof told);
    return told == size;
  }
  const Hash hash = size == 32 ? Hash::kSha256 : size == 48 ? Hash::kSha384 : Hash::kSha512;
  const CK_RV rv = attempt([&] { mac(session, key, hash, {}); },
                           [&] {
                             const Material same{KeyType::kSecret, static_cast<uint16_t>(size)};
                             const Temporary own(session, generate_extractable(session, same).handle);
                             mac(session, own, hash, {});
                           });
  return rv == CKR_OK && session.wrap(key_wrap, domain.wrapping, key).size() == size + 8;
}

// Whether it is the public key of this private key, which is of this material.
bool is_pair(const Session& session, CK_MECHANISM_TYPE key_wrap, CK_OBJECT_HANDLE key, const Bytes& spki,
             const Material& material) {
  const Signing signing{Scheme::kRsaPkcs1, Hash::kSha256};
  const Bytes digest(hash_size(signing.hash));
  try {
    if (parse_spki(spki).material != material) return false;
    const PublicKey public_key(spki);
    Bytes signature;
    const CK_RV rv = attempt([&] { signature = sign_with(session, key, material, signing, digest); },
                             [&] { put_secret(session, key_wrap); });
    return rv == CKR_OK && public_key.verify(signing, digest, signature);
  } catch (const EngineError&) {  // no public key of any kind that is known
    return false;
  }
}

}  // namespace

bool can_unwrap(const Capabilities& can, const ImportOrder& order) {
  if (!unwraps(can, CKM_RSA_PKCS_OAEP)) return false;
  if (order.hash != Hash::kSha1 && has_quirk(can, "no-oaep-sha256")) return false;
  switch (order.material.type) {
    case KeyType::kSecret:
      return order.material.size == 32 || order.material.size == 48 || order.material.size == 64;
    case KeyType::kRsa:
      return order.key_wrap && can.has(CKM_RSA_PKCS);
    default:
      return false;
  }
}

GeneratedKey unwrap_material(const Session& session, const Domain& domain, const Capabilities& can,
                             CK_MECHANISM_TYPE key_wrap, const ImportOrder& order) {
  const Temporary wrapping(session, unwrap_unwrapping_key(session, domain, key_wrap, *order.wrapping));
  const Envelope envelope(session, wrapping, order.hash);
  const View encrypted = order.encrypted;
  const View head = encrypted.first(std::min(envelope.size(), encrypted.size()));
  auto material = [&] {
    if (!order.key_wrap) return envelope.unwrap(encrypted, extractable(order.material));
    Attributes aes;
    aes.number(CKA_CLASS, CKO_SECRET_KEY)
        .number(CKA_KEY_TYPE, CKK_AES)
        .flag(CKA_TOKEN, false)
        .flag(CKA_PRIVATE, true)
        .flag(CKA_SENSITIVE, true)
        .flag(CKA_EXTRACTABLE, false)
        .flag(CKA_UNWRAP, true);
    const Temporary key(session, envelope.unwrap(head, aes));
    return unwrap_by_aes(session, key_wrap, key, encrypted.subspan(head.size()), order.material);
  };
  Temporary made(session, material());
  if (order.material.type == KeyType::kSecret) {
    if (has_length(session, domain, can, key_wrap, made, order.material.size)) return {made.keep(), {}};
    throw EngineError("IMPORT_MATERIAL",
                      "the key material has not " + std::to_string(order.material.size) + " bytes");
  }
  Bytes spki = public_key_of(session, made);
  if (is_pair(session, key_wrap, made, spki, order.material)) return {made.keep(), std::move(spki)};
  refuse("IMPORT_MATERIAL", "the key material is of another size, or its numbers do not belong together");
}

}  // namespace keystead
