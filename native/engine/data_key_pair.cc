#include "engine/data_key_pair.h"

#include "engine/error.h"
#include "engine/key_object.h"
#include "engine/sealing.h"
#include "engine/seeded_key.h"
#include "engine/transport_key.h"

namespace keystead {

namespace {

// SoftHSM fills a PKCS#8 with zeros to whole blocks before it wraps it.
std::span<const uint8_t> first_value(std::span<const uint8_t> der) {
  std::span<const uint8_t> content;
  if (!DerReader(der).take(kDerSequence, content)) return der;
  return {der.data(), content.data() + content.size()};
}

}  // namespace

PrivateKey generate_data_key_pair(const Session& session, const Material& material,
                                  CK_MECHANISM_TYPE key_wrap) {
  if (material.type == KeyType::kEd25519) {
    SecretBytes seed(kSeedSize);
    mixed_random(session, seed.data(), seed.size());
    SecretBytes pkcs8 = ed25519_pkcs8(seed.view());
    return {material, seeded_public_key(material, seed.view()), std::move(pkcs8), std::move(seed)};
  }
  GeneratedKey made = generate_extractable(session, material);
  Temporary key(session, made.handle);
  SecretBytes pkcs8 = TransportKey(session, key_wrap).take(key);
  key.destroy();
  PrivateKey pair = parse_private_key(first_value(pkcs8.view()));
  if (pair.public_key != made.public_key)
    throw EngineError("KEY_TYPE", "the token wrapped another private key than that of its public key");
  return pair;
}

}  // namespace keystead
