#include "engine/key_import.h"

#include <algorithm>
#include <string_view>

#include "engine/error.h"
#include "engine/hash.h"
#include "engine/key_object.h"
#include "engine/padded_wrap.h"
#include "engine/private_key.h"
#include "engine/signature.h"
#include "engine/transport_key.h"
#include "engine/unwrapping.h"

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

// By way of the engine's memory; the id of a secret is computed there as well.
GeneratedKey put_material(const Session& session, KeyCache& cache, const Capabilities& can,
                          CK_MECHANISM_TYPE key_wrap, const ImportOrder& order, const Bytes& identified,
                          Bytes& id) {
  const Padding padding = oaep_padding(can, order.hash);
  SecretBytes clear = cache.with(session, order.wrapping, [&](CK_OBJECT_HANDLE wrapping) {
    return material_in_the_clear(session, wrapping, padding, order);
  });
  Bytes public_key;
  if (order.material.type != KeyType::kSecret) {
    PrivateKey key = parse_private_key(clear.view());
    if (key.material != order.material)
      throw EngineError("IMPORT_MATERIAL", "the key material is a key of another type, size or curve");
    clear = std::move(key.pkcs8);
    public_key = std::move(key.public_key);
  } else if (clear.size() != order.material.size || clear.size() > kLargestSecret) {
    throw EngineError("IMPORT_MATERIAL", "the key material has " + std::to_string(clear.size()) +
                                             " bytes, not " + std::to_string(order.material.size));
  } else {
    hmac(clear.view(), identified, id.data());
  }
  Attributes attributes = key_attributes(order.material.type);
  attributes.flag(CKA_TOKEN, false).flag(CKA_EXTRACTABLE, true);
  return {TransportKey(session, key_wrap).put(clear.view(), attributes), std::move(public_key)};
}

}  // namespace

ImportedKey import_key(const Session& session, KeyCache& cache, Domains& domains, const Capabilities& can,
                       CK_MECHANISM_TYPE key_wrap, const ImportOrder& order) {
  Bytes identified(kIdLabel.begin(), kIdLabel.end());
  identified.insert(identified.end(), order.id_context.begin(), order.id_context.end());
  Bytes id(kIdSize);
  const bool inside = can_unwrap(can, order);
  GeneratedKey made =
      inside ? unwrap_material(session, domains.get(session, order.wrapping->domain), can, key_wrap, order)
             : put_material(session, cache, can, key_wrap, order, identified, id);
  Temporary key(session, made.handle);
  if (!made.public_key.empty()) {
    digest(Hash::kSha256, {identified, made.public_key}, id.data());
  } else if (inside) {
    id = mac(session, key, Hash::kSha256, identified);
  }
  ImportedKey imported{{}, hexadecimal(id), std::move(made.public_key)};
  Bytes context = order.context;
  std::ranges::copy(imported.material_id, context.begin() + static_cast<ptrdiff_t>(order.material_id_at));
  const Domain domain = domains.get(session, order.domain);
  imported.blob = wrap_backing_key(session, domain, key_wrap, context, order.material, key);
  return imported;
}

}  // namespace keystead
