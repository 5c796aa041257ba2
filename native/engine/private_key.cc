#include "engine/private_key.h"

#include <algorithm>
#include <utility>

#include "engine/ed25519.h"
#include "engine/error.h"
#include "engine/openssl_keys.h"
#include "engine/spki.h"

namespace keystead {
namespace {

using View = std::span<const uint8_t>;
using Info = Freed<pkcs8_priv_key_info_st>;

const OpenSslKeys& ssl() { return OpenSslKeys::instance(); }

[[noreturn]] void refuse(const char* reason) { throw EngineError("IMPORT_MATERIAL", reason); }

Freed<evp_pkey_st> decode(View pkcs8) {
  View content;
  DerReader reader(pkcs8);
  if (!reader.take(kDerSequence, content) || !reader.empty()) refuse("the private key is not PKCS#8 in DER");
  const uint8_t* in = pkcs8.data();
  const Info info(ssl().d2i_PKCS8_PRIV_KEY_INFO(nullptr, &in, static_cast<long>(pkcs8.size())),
                  ssl().PKCS8_PRIV_KEY_INFO_free);
  if (!info || in != pkcs8.data() + pkcs8.size()) refuse("the private key is not PKCS#8 in DER");
  Freed<evp_pkey_st> key(ssl().EVP_PKCS82PKEY_ex(info.get(), nullptr, nullptr), ssl().EVP_PKEY_free);
  if (!key) refuse("the private key is of no kind that is known, or damaged");
  return key;
}

void check(evp_pkey_st* key) {
  const Freed<evp_pkey_ctx_st> context(ssl().EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr),
                                       ssl().EVP_PKEY_CTX_free);
  ensure(context != nullptr, "EVP_PKEY_CTX_new_from_pkey");
  if (ssl().EVP_PKEY_check(context.get()) != 1)
    refuse("the numbers of the private key do not belong together");
}

SecretBytes encode(const evp_pkey_st* key) {
  const Info info(ssl().EVP_PKEY2PKCS8(key), ssl().PKCS8_PRIV_KEY_INFO_free);
  ensure(info != nullptr, "EVP_PKEY2PKCS8");
  const int size = ssl().i2d_PKCS8_PRIV_KEY_INFO(info.get(), nullptr);
  ensure(size > 0, "i2d_PKCS8_PRIV_KEY_INFO");
  SecretBytes pkcs8(static_cast<size_t>(size));
  uint8_t* out = pkcs8.data();
  ensure(ssl().i2d_PKCS8_PRIV_KEY_INFO(info.get(), &out) == size, "i2d_PKCS8_PRIV_KEY_INFO");
  return pkcs8;
}

Bytes public_half(const evp_pkey_st* key) {
  const int size = ssl().i2d_PUBKEY(key, nullptr);
  ensure(size > 0, "i2d_PUBKEY");
  Bytes spki(static_cast<size_t>(size));
  uint8_t* out = spki.data();
  ensure(ssl().i2d_PUBKEY(key, &out) == size, "i2d_PUBKEY");
  return spki;
}

// What parse_spki refuses is refused here as material.
Material material_of(View spki) {
  try {
    return parse_spki(spki).material;
  } catch (const EngineError& error) {
    refuse(error.what());
  }
}

}  // namespace

PrivateKey parse_private_key(View pkcs8) {
  const auto key = decode(pkcs8);
  Bytes spki = public_half(key.get());
  const Material material = material_of(spki);
  if (material.type == KeyType::kMlDsa) refuse("ML-DSA keys cannot be imported");
  if (material.type != KeyType::kEd25519) {
    check(key.get());
    if (material.type == KeyType::kEc) {
      ensure(ssl().EVP_PKEY_set_int_param(key.get(), "include-public", 1), "EVP_PKEY_set_int_param");
    }
    return {material, std::move(spki), encode(key.get()), SecretBytes(size_t{0})};
  }
  SecretBytes seed(kEd25519KeySize);
  size_t size = seed.size();
  ensure(ssl().EVP_PKEY_get_raw_private_key(key.get(), seed.data(), &size), "EVP_PKEY_get_raw_private_key");
  SecretBytes encoded = ed25519_pkcs8(seed.view());
  return {material, std::move(spki), std::move(encoded), std::move(seed)};
}

SecretBytes ed25519_pkcs8(View seed) {
  constexpr uint8_t kHead[] = {0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06,
                               0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20};
  if (seed.size() != kEd25519KeySize) refuse("an Ed25519 seed has 32 bytes");
  SecretBytes pkcs8(sizeof kHead + seed.size());
  std::copy(std::begin(kHead), std::end(kHead), pkcs8.data());
  std::copy(seed.begin(), seed.end(), pkcs8.data() + sizeof kHead);
  return pkcs8;
}

}  // namespace keystead
