#include "engine/backing_key.h"

#include <cstring>

#include "engine/error.h"
#include "engine/key_object.h"
#include "engine/seeded_key.h"

namespace keystead {

namespace {

// A token that gave less would leave the rest of the key zero.
void hmac(const Session& session, CK_OBJECT_HANDLE key, const uint8_t* message, size_t size,
          uint8_t out[32]) {
  if (session.sign(CKM_SHA256_HMAC, key, message, size, out, 32) != 32) {
    throw EngineError("HMAC_SIZE", "the token's CKM_SHA256_HMAC gave fewer than 32 bytes");
  }
}

Bytes binding_of(const Session& session, const Domain& domain, const uint8_t* unbound, size_t size,
                 const Bytes& context) {
  Bytes message = binding_message(unbound, size, context);
  Bytes binding(kBindingSize);
  hmac(session, domain.binding, message.data(), message.size(), binding.data());
  return binding;
}

bool equal_in_constant_time(const Bytes& a, const Bytes& b) {
  uint8_t difference = a.size() != b.size();
  for (size_t i = 0; i < a.size() && i < b.size(); i++) difference |= a[i] ^ b[i];
  return difference == 0;
}

// The wrapped material, once its binding says that it belongs to this key.
KeyBlob bound_blob(const Session& session, const Domain& domain, const Key& key) {
  KeyBlob blob = parse_key_blob(key.blob);
  if (blob.generation != domain.generation) {
    throw EngineError("DOMAIN_GENERATION", "the key blob is wrapped by generation " +
                                               std::to_string(blob.generation) + " of domain key " +
                                               key.domain + ", and the token holds generation " +
                                               std::to_string(domain.generation));
  }
  Bytes binding = binding_of(session, domain, key.blob.data(), key.blob.size() - kBindingSize, key.context);
  if (!equal_in_constant_time(binding, blob.binding)) {
    throw EngineError("BINDING_MISMATCH",
                      "the key blob is not bound to this key: it was changed or belongs to another");
  }
  return blob;
}

}  // namespace

Material require_type(const Key& key, KeyType type) {
  Material material = key.on_token() ? Material{} : blob_material(key.blob);
  if (key.on_token() ? is_seeded(type) : material.type != type)
    throw EngineError("KEY_TYPE", "the key is of another kind than this operation is for");
  return material;
}

Bytes wrap_backing_key(const Session& session, const Domain& domain, CK_MECHANISM_TYPE key_wrap,
                       const Bytes& context, const Material& material, Temporary& key) {
  Bytes blob = unbound_blob(material, domain.generation, session.wrap(key_wrap, domain.wrapping, key));
  key.destroy();
  Bytes binding = binding_of(session, domain, blob.data(), blob.size(), context);
  blob.insert(blob.end(), binding.begin(), binding.end());
  return blob;
}

BackingKey generate_backing_key(const Session& session, const Domain& domain, CK_MECHANISM_TYPE key_wrap,
                                const Bytes& context, const Material& material) {
  GeneratedKey made = generate_extractable(session, material);
  Temporary key(session, made.handle);
  if (is_seeded(material.type)) {
    Secret<32> seed = derive_seed(session, key, material);
    made.public_key = seeded_public_key(material, {seed.data(), seed.size()});
  }
  return {wrap_backing_key(session, domain, key_wrap, context, material, key), std::move(made.public_key)};
}

CK_OBJECT_HANDLE unwrap_backing_key(const Session& session, const Domain& domain, CK_MECHANISM_TYPE key_wrap,
                                    const Key& key) {
  KeyBlob blob = bound_blob(session, domain, key);
  Attributes attributes = key_attributes(blob.material.type);
  // SoftHSM takes attributes in turn, and none after CKA_MODIFIABLE.
  attributes.flag(CKA_TOKEN, false).flag(CKA_EXTRACTABLE, false).flag(CKA_MODIFIABLE, false);
  return session.unwrap(key_wrap, domain.wrapping, blob.wrapped.data(), blob.wrapped.size(), attributes);
}

CK_OBJECT_HANDLE unwrap_unwrapping_key(const Session& session, const Domain& domain,
                                       CK_MECHANISM_TYPE key_wrap, const Key& key) {
  require_type(key, KeyType::kRsa);
  KeyBlob blob = bound_blob(session, domain, key);
  Attributes attributes;
  attributes.number(CKA_CLASS, CKO_PRIVATE_KEY)
      .number(CKA_KEY_TYPE, CKK_RSA)
      .flag(CKA_TOKEN, false)
      .flag(CKA_PRIVATE, true)
      .flag(CKA_SENSITIVE, true)
      .flag(CKA_EXTRACTABLE, false)
      .flag(CKA_SIGN, false)
      .flag(CKA_DECRYPT, false)
      .flag(CKA_UNWRAP, true)
      .flag(CKA_MODIFIABLE, false);
  return session.unwrap(key_wrap, domain.wrapping, blob.wrapped.data(), blob.wrapped.size(), attributes);
}

Bytes rewrap_backing_key(const Session& session, const Domain& from, CK_MECHANISM_TYPE key_wrap,
                         const Key& key, const Domain& to, const Bytes& context) {
  KeyBlob blob = bound_blob(session, from, key);
  Attributes attributes = key_attributes(blob.material.type);
  attributes.flag(CKA_TOKEN, false).flag(CKA_EXTRACTABLE, true);
  Temporary moving(
      session, session.unwrap(key_wrap, from.wrapping, blob.wrapped.data(), blob.wrapped.size(), attributes));
  return wrap_backing_key(session, to, key_wrap, context, blob.material, moving);
}

Secret<32> derive_seed(const Session& session, CK_OBJECT_HANDLE backing_key, const Material& material) {
  std::string label = "Keystead ";
  label += material.type == KeyType::kEd25519 ? "Ed25519" : "ML-DSA-" + std::to_string(material.size);
  label += " seed v1";
  Secret<32> seed;
  hmac(session, backing_key, reinterpret_cast<const uint8_t*>(label.data()), label.size(), seed.data());
  return seed;
}

Secret<32> derive(const Session& session, CK_OBJECT_HANDLE backing_key, const uint8_t nonce[kNonceSize]) {
  constexpr char kLabel[] = "Keystead ciphertext v1";  // its final zero is the format's separator
  uint8_t message[4 + sizeof kLabel + kNonceSize + 4] = {0, 0, 0, 1};
  memcpy(message + 4, kLabel, sizeof kLabel);
  memcpy(message + 4 + sizeof kLabel, nonce, kNonceSize);
  message[sizeof message - 2] = 1;  // 256 bits
  Secret<32> key;
  hmac(session, backing_key, message, sizeof message, key.data());
  return key;
}

}  // namespace keystead
