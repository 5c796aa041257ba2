#include "engine/seeded_key.h"

#include <string>

#include "engine/ed25519.h"
#include "engine/error.h"
#include "engine/hash.h"
#include "engine/openssl_keys.h"
#include "engine/software.h"
#include "engine/spki.h"

namespace keystead {
namespace {

using View = std::span<const uint8_t>;
using Pkey = Freed<evp_pkey_st>;

constexpr int kKeyPair = 0x87;  // EVP_PKEY_KEYPAIR
constexpr size_t kLargestPublicKey = 2592;

struct MlDsa {
  uint16_t parameter_set;
  const char* name;
  size_t signature_size;  // FIPS 204, table 2
};
constexpr MlDsa kMlDsa[] = {{44, "ML-DSA-44", 2420}, {65, "ML-DSA-65", 3309}, {87, "ML-DSA-87", 4627}};

const OpenSslKeys& ssl() { return OpenSslKeys::instance(); }

const MlDsa& parameters(const Material& material) {
  need_ml_dsa();
  for (const MlDsa& set : kMlDsa) {
    if (set.parameter_set == material.size) return set;
  }
  throw EngineError("MECHANISM_MISSING", "ML-DSA has no parameter set " + std::to_string(material.size));
}

Pkey ed25519_key(View seed) {
  Pkey key(ssl().EVP_PKEY_new_raw_private_key_ex(nullptr, "ED25519", nullptr, seed.data(), seed.size()),
           ssl().EVP_PKEY_free);
  ensure(key != nullptr, "EVP_PKEY_new_raw_private_key_ex");
  return key;
}

Pkey ml_dsa_key(const Material& material, View seed) {
  const Freed<evp_pkey_ctx_st> context(
      ssl().EVP_PKEY_CTX_new_from_name(nullptr, parameters(material).name, nullptr), ssl().EVP_PKEY_CTX_free);
  ensure(context != nullptr, "EVP_PKEY_CTX_new_from_name");
  ossl_param_st values[] = {ossl_bytes("seed", seed.data(), seed.size()), {}};
  evp_pkey_st* key = nullptr;
  ensure(ssl().EVP_PKEY_fromdata_init(context.get()), "EVP_PKEY_fromdata_init");
  ensure(ssl().EVP_PKEY_fromdata(context.get(), &key, kKeyPair, values), "EVP_PKEY_fromdata");
  return Pkey(key, ssl().EVP_PKEY_free);
}

Pkey key_of(const Material& material, View seed) {
  return material.type == KeyType::kEd25519 ? ed25519_key(seed) : ml_dsa_key(material, seed);
}

Bytes raw_public_key(evp_pkey_st* key) {
  Bytes raw(kLargestPublicKey);
  size_t size = raw.size();
  ensure(ssl().EVP_PKEY_get_raw_public_key(key, raw.data(), &size), "EVP_PKEY_get_raw_public_key");
  raw.resize(size);
  return raw;
}

Bytes sign_message(evp_pkey_st* key, View message, size_t signature_size, const ossl_param_st* values) {
  const Freed<evp_md_ctx_st> context(ssl().EVP_MD_CTX_new(), ssl().EVP_MD_CTX_free);
  ensure(context != nullptr, "EVP_MD_CTX_new");
  ensure(ssl().EVP_DigestSignInit_ex(context.get(), nullptr, nullptr, nullptr, nullptr, key, values),
         "EVP_DigestSignInit_ex");
  Bytes signature(signature_size);
  size_t size = signature_size;
  ensure(ssl().EVP_DigestSign(context.get(), signature.data(), &size, message.data(), message.size()),
         "EVP_DigestSign");
  signature.resize(size);
  return signature;
}

Bytes sign_digest(evp_pkey_st* key, View seed, View digest) {
  Bytes signature(kEd25519SignatureSize);
  size_t size = signature.size();
  if (evp_signature_st* algorithm = openssl_ed25519ph()) {
    const Freed<evp_pkey_ctx_st> context(ssl().EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr),
                                         ssl().EVP_PKEY_CTX_free);
    ensure(context != nullptr, "EVP_PKEY_CTX_new_from_pkey");
    ensure(ssl().EVP_PKEY_sign_init_ex2(context.get(), algorithm, nullptr), "EVP_PKEY_sign_init_ex2");
    ensure(ssl().EVP_PKEY_sign(context.get(), signature.data(), &size, digest.data(), digest.size()),
           "EVP_PKEY_sign");
  } else {
    ed25519_sign(ed25519ph_domain(), seed, raw_public_key(key), digest, signature.data());
  }
  return signature;
}

void require(bool fits) {
  if (!fits) throw EngineError("SIGNING_SCHEME", "the key is of another kind than the scheme signs with");
}

}  // namespace

Bytes seeded_public_key(const Material& material, View seed) {
  return raw_spki(material, raw_public_key(key_of(material, seed).get()));
}

Bytes seeded_sign(const Material& material, View seed, const Signing& signing, View input) {
  const Scheme scheme = signing.scheme;
  require_digest_size(signing, input);
  const Pkey key = key_of(material, seed);
  if (material.type == KeyType::kEd25519) {
    require(scheme == Scheme::kEd25519 || scheme == Scheme::kEd25519ph);
    if (scheme == Scheme::kEd25519ph) return sign_digest(key.get(), seed, input);
    return sign_message(key.get(), input, kEd25519SignatureSize, nullptr);
  }
  require(scheme == Scheme::kMlDsa || scheme == Scheme::kMlDsaMu);
  const int mu = scheme == Scheme::kMlDsaMu;
  const ossl_param_st values[] = {ossl_int("mu", mu), {}};
  return sign_message(key.get(), input, parameters(material).signature_size, values);
}

}  // namespace keystead
