#include "engine/openssl_keys.h"

#include <string>

#include "engine/error.h"

namespace keystead {
namespace {

template <typename Function>
bool find(Function*& function, const char* name) {
  function = reinterpret_cast<Function*>(openssl_function(name));
  return function != nullptr;
}

template <typename Function>
void resolve(Function*& function, const char* name) {
  if (!find(function, name)) {
    throw EngineError("MECHANISM_MISSING", std::string("this process's libcrypto has no ") + name);
  }
}

#define FIND(function) resolve(ssl.function, #function)

OpenSslKeys load() {
  OpenSslKeys ssl{};
  static_cast<OpenSsl&>(ssl) = OpenSsl::instance();
  FIND(d2i_PUBKEY);
  FIND(EVP_PKEY_new_raw_private_key_ex);
  FIND(d2i_PKCS8_PRIV_KEY_INFO);
  FIND(i2d_PKCS8_PRIV_KEY_INFO);
  FIND(PKCS8_PRIV_KEY_INFO_free);
  FIND(EVP_PKCS82PKEY_ex);
  FIND(EVP_PKEY2PKCS8);
  FIND(i2d_PUBKEY);
  FIND(EVP_PKEY_set_int_param);
  FIND(EVP_PKEY_check);
  FIND(EVP_PKEY_get_raw_private_key);
  FIND(EVP_PKEY_get_raw_public_key);
  FIND(EVP_PKEY_free);
  FIND(EVP_PKEY_CTX_new_from_name);
  FIND(EVP_PKEY_CTX_new_from_pkey);
  FIND(EVP_PKEY_CTX_free);
  FIND(EVP_PKEY_fromdata_init);
  FIND(EVP_PKEY_fromdata);
  FIND(EVP_PKEY_encrypt_init_ex);
  FIND(EVP_PKEY_encrypt);
  FIND(EVP_PKEY_verify_init_ex);
  FIND(EVP_PKEY_verify);
  FIND(EVP_PKEY_sign);
  FIND(EVP_DigestSignInit_ex);
  FIND(EVP_DigestSign);
  FIND(EVP_DigestVerifyInit_ex);
  FIND(EVP_DigestVerify);
  FIND(EVP_SIGNATURE_fetch);
  find(ssl.EVP_PKEY_sign_init_ex2, "EVP_PKEY_sign_init_ex2");
  find(ssl.EVP_PKEY_verify_init_ex2, "EVP_PKEY_verify_init_ex2");
  FIND(BN_new);
  FIND(BN_clear_free);
  FIND(BN_CTX_new);
  FIND(BN_CTX_free);
  FIND(BN_lebin2bn);
  FIND(BN_bn2lebinpad);
  FIND(BN_set_word);
  FIND(BN_cmp);
  FIND(BN_is_zero);
  FIND(BN_is_odd);
  FIND(BN_mod_add);
  FIND(BN_mod_add_quick);
  FIND(BN_mod_sub);
  FIND(BN_mod_mul);
  FIND(BN_mod_inverse);
  FIND(BN_mod_sqrt);
  FIND(BN_MONT_CTX_new);
  FIND(BN_MONT_CTX_free);
  FIND(BN_MONT_CTX_set);
  FIND(BN_mod_mul_montgomery);
  FIND(BN_to_montgomery);
  FIND(BN_from_montgomery);
  FIND(EC_GROUP_new_curve_GFp);
  FIND(EC_GROUP_free);
  FIND(EC_GROUP_set_generator);
  FIND(EC_POINT_new);
  FIND(EC_POINT_clear_free);
  FIND(EC_POINT_set_affine_coordinates);
  FIND(EC_POINT_get_affine_coordinates);
  FIND(EC_POINT_is_at_infinity);
  FIND(EC_POINT_invert);
  FIND(EC_POINT_dbl);
  FIND(EC_POINT_mul);
  return ssl;
}

#undef FIND

}  // namespace

const OpenSslKeys& OpenSslKeys::instance() {
  static const OpenSslKeys ssl = load();
  return ssl;
}

}  // namespace keystead
