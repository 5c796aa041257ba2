#include "engine/data_key_pair.h"

#include "engine/error.h"
#include "engine/key_object.h"
#include "engine/padded_wrap.h"
#include "engine/sealing.h"
#include "engine/seeded_key.h"

namespace keystead {

namespace {

// A key of the moment that wraps on the token and whose value the engine knows.
struct Transport {
  explicit Transport(const Session& session)
      : key(session, session.generate(CKM_AES_KEY_GEN, Attributes()
                                                           .number(CKA_CLASS, CKO_SECRET_KEY)
                                                           .number(CKA_KEY_TYPE, CKK_AES)
                                                           .number(CKA_VALUE_LEN, 32)
                                                           .flag(CKA_TOKEN, false)
                                                           .flag(CKA_PRIVATE, true)
                                                           .flag(CKA_SENSITIVE, false)
                                                           .flag(CKA_EXTRACTABLE, true)
                                                           .flag(CKA_WRAP, true))),
        value(session.secret_value(key)) {}
  Temporary key;
  SecretBytes value;
};

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
  Transport transport(session);
  Bytes wrapped = session.wrap(key_wrap, transport.key, key);
  auto pkcs8 = padded_unwrap(transport.value.view(), wrapped);
  transport.key.destroy();
  key.destroy();
  if (!pkcs8) throw EngineError("NO_KEY_WRAP", "the token's key wrap is not that of RFC 5649");
  PrivateKey pair = parse_private_key(first_value(pkcs8->view()));
  if (pair.public_key != made.public_key)
    throw EngineError("KEY_TYPE", "the token wrapped another private key than that of its public key");
  return pair;
}

}  // namespace keystead
