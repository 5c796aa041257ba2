#include "engine/key_import.h"

#include <algorithm>
#include <string_view>

#include "engine/error.h"
#include "engine/hash.h"
#include "engine/key_object.h"
#include "engine/padded_wrap.h"
#include "engine/private_key.h"
#include "engine/transport_key.h"

namespace keystead {

namespace {

constexpr std::string_view kIdLabel{"Keystead material id\0", 21};
constexpr size_t kIdSize = 32;
constexpr size_t kLargestSecret = 64;  // of HMAC with SHA-512

SecretBytes decrypted(std::optional<SecretBytes> clear) {
  if (!clear) {
    throw EngineError("IMPORT_CIPHERTEXT",
                      "the key material does not decrypt under its wrapping key and algorithm");
  }
  return std::move(*clear);
}

SecretBytes material_in_the_clear(const Session& session, CK_OBJECT_HANDLE wrapping, Padding padding,
                                  const ImportOrder& order) {
  std::span<const uint8_t> encrypted = order.encrypted;
  auto decrypt = [&](std::span<const uint8_t> ciphertext) {
    return decrypted(decrypt_oaep(session, wrapping, padding, order.hash, ciphertext));
  };
  if (!order.key_wrap) return decrypt(encrypted);
  size_t first = std::min(session.attribute(wrapping, CKA_MODULUS).size(), encrypted.size());
  SecretBytes key = decrypt(encrypted.first(first));
  if (key.size() != 16 && key.size() != 24 && key.size() != 32) return decrypted(std::nullopt);
  return decrypted(padded_unwrap(key.view(), encrypted.subspan(first)));
}

// HMAC-SHA-256 (RFC 2104). Tokens refuse to compute it with a secret of fewer than 32 bytes.
void hmac(std::span<const uint8_t> key, std::span<const uint8_t> message, uint8_t* out) {
  constexpr size_t kBlock = kLargestSecret;
  Secret<kBlock> inner, outer;
  Secret<kIdSize> hashed;
  std::ranges::copy(key, inner.data());
  std::ranges::copy(key, outer.data());
  for (size_t i = 0; i < kBlock; i++) {
    inner.data()[i] ^= 0x36;
    outer.data()[i] ^= 0x5c;
  }
  digest(Hash::kSha256, {{inner.data(), kBlock}, message}, hashed.data());
  digest(Hash::kSha256, {{outer.data(), kBlock}, {hashed.data(), kIdSize}}, out);
}

std::string hexadecimal(const Bytes& bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (uint8_t byte : bytes) text += {kDigits[byte >> 4], kDigits[byte & 15]};
  return text;
}

}  // namespace

ImportedKey import_key(const Session& session, KeyCache& cache, const Domain& domain,
                       CK_MECHANISM_TYPE key_wrap, Padding padding, const ImportOrder& order) {
  SecretBytes clear = cache.with(session, order.wrapping, [&](CK_OBJECT_HANDLE wrapping) {
    return material_in_the_clear(session, wrapping, padding, order);
  });
  ImportedKey imported;
  Bytes identified(kIdLabel.begin(), kIdLabel.end());
  identified.insert(identified.end(), order.id_context.begin(), order.id_context.end());
  bool secret = order.material.type == KeyType::kSecret;
  if (!secret) {
    PrivateKey key = parse_private_key(clear.view());
    if (key.material != order.material)
      throw EngineError("IMPORT_MATERIAL", "the key material is a key of another type, size or curve");
    clear = std::move(key.pkcs8);
    imported.public_key = std::move(key.public_key);
  } else if (clear.size() != order.material.size || clear.size() > kLargestSecret) {
    throw EngineError("IMPORT_MATERIAL", "the key material has " + std::to_string(clear.size()) +
                                             " bytes, not " + std::to_string(order.material.size));
  }

  Attributes attributes = key_attributes(order.material.type);
  attributes.flag(CKA_TOKEN, false).flag(CKA_EXTRACTABLE, true);
  Temporary key(session, TransportKey(session, key_wrap).put(clear.view(), attributes));
  Bytes id(kIdSize);
  if (secret) {
    hmac(clear.view(), identified, id.data());
  } else {
    digest(Hash::kSha256, {identified, imported.public_key}, id.data());
  }
  imported.material_id = hexadecimal(id);
  Bytes context = order.context;
  std::ranges::copy(imported.material_id, context.begin() + static_cast<ptrdiff_t>(order.material_id_at));
  imported.blob = wrap_backing_key(session, domain, key_wrap, context, order.material, key);
  return imported;
}

}  // namespace keystead
