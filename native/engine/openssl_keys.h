// The functions of OpenSSL's libcrypto for keys, numbers and curves, beside those that seal and hash.
#pragma once

#include "engine/openssl.h"

// OpenSSL's own opaque types, named as its headers name them.
struct evp_pkey_st;
struct evp_pkey_ctx_st;
struct evp_signature_st;
struct pkcs8_priv_key_info_st;
struct bignum_st;
struct bignum_ctx;
struct bn_mont_ctx_st;
struct ec_group_st;
struct ec_point_st;

namespace keystead {

struct OpenSslKeys : OpenSsl {
  // Throws EngineError MECHANISM_MISSING, naming the function that this OpenSSL lacks.
  static const OpenSslKeys& instance();

  // Keys.
  evp_pkey_st* (*d2i_PUBKEY)(evp_pkey_st**, const uint8_t** in, long in_size);
  evp_pkey_st* (*EVP_PKEY_new_raw_private_key_ex)(ossl_lib_ctx_st*, const char* type, const char* properties,
                                                  const uint8_t* key, size_t key_size);
  pkcs8_priv_key_info_st* (*d2i_PKCS8_PRIV_KEY_INFO)(pkcs8_priv_key_info_st**, const uint8_t** in,
                                                     long in_size);
  int (*i2d_PKCS8_PRIV_KEY_INFO)(const pkcs8_priv_key_info_st*, uint8_t** out);
  void (*PKCS8_PRIV_KEY_INFO_free)(pkcs8_priv_key_info_st*);
  evp_pkey_st* (*EVP_PKCS82PKEY_ex)(const pkcs8_priv_key_info_st*, ossl_lib_ctx_st*, const char* properties);
  pkcs8_priv_key_info_st* (*EVP_PKEY2PKCS8)(const evp_pkey_st*);
  int (*i2d_PUBKEY)(const evp_pkey_st*, uint8_t** out);
  int (*EVP_PKEY_set_int_param)(evp_pkey_st*, const char* key, int value);
  int (*EVP_PKEY_check)(evp_pkey_ctx_st*);
  int (*EVP_PKEY_get_raw_private_key)(const evp_pkey_st*, uint8_t* out, size_t* out_size);
  int (*EVP_PKEY_get_raw_public_key)(const evp_pkey_st*, uint8_t* out, size_t* out_size);
  void (*EVP_PKEY_free)(evp_pkey_st*);
  evp_pkey_ctx_st* (*EVP_PKEY_CTX_new_from_name)(ossl_lib_ctx_st*, const char* name, const char* properties);
  evp_pkey_ctx_st* (*EVP_PKEY_CTX_new_from_pkey)(ossl_lib_ctx_st*, evp_pkey_st*, const char* properties);
  void (*EVP_PKEY_CTX_free)(evp_pkey_ctx_st*);
  int (*EVP_PKEY_fromdata_init)(evp_pkey_ctx_st*);
  int (*EVP_PKEY_fromdata)(evp_pkey_ctx_st*, evp_pkey_st**, int selection, ossl_param_st*);
  int (*EVP_PKEY_encrypt_init_ex)(evp_pkey_ctx_st*, const ossl_param_st*);
  int (*EVP_PKEY_encrypt)(evp_pkey_ctx_st*, uint8_t* out, size_t* out_size, const uint8_t* in,
                          size_t in_size);
  int (*EVP_PKEY_verify_init_ex)(evp_pkey_ctx_st*, const ossl_param_st*);
  int (*EVP_PKEY_verify)(evp_pkey_ctx_st*, const uint8_t* signature, size_t signature_size, const uint8_t* in,
                         size_t in_size);
  int (*EVP_PKEY_sign)(evp_pkey_ctx_st*, uint8_t* signature, size_t* signature_size, const uint8_t* in,
                       size_t in_size);
  int (*EVP_DigestSignInit_ex)(evp_md_ctx_st*, evp_pkey_ctx_st**, const char* digest, ossl_lib_ctx_st*,
                               const char* properties, evp_pkey_st*, const ossl_param_st*);
  int (*EVP_DigestSign)(evp_md_ctx_st*, uint8_t* signature, size_t* signature_size, const uint8_t* in,
                        size_t in_size);
  int (*EVP_DigestVerifyInit_ex)(evp_md_ctx_st*, evp_pkey_ctx_st**, const char* digest, ossl_lib_ctx_st*,
                                 const char* properties, evp_pkey_st*, const ossl_param_st*);
  int (*EVP_DigestVerify)(evp_md_ctx_st*, const uint8_t* signature, size_t signature_size, const uint8_t* in,
                          size_t in_size);
  evp_signature_st* (*EVP_SIGNATURE_fetch)(ossl_lib_ctx_st*, const char* name, const char* properties);
  // From OpenSSL 3.4; else nullptr.
  int (*EVP_PKEY_sign_init_ex2)(evp_pkey_ctx_st*, evp_signature_st*, const ossl_param_st*);
  int (*EVP_PKEY_verify_init_ex2)(evp_pkey_ctx_st*, evp_signature_st*, const ossl_param_st*);

  // Numbers.
  bignum_st* (*BN_new)();
  void (*BN_clear_free)(bignum_st*);
  bignum_ctx* (*BN_CTX_new)();
  void (*BN_CTX_free)(bignum_ctx*);
  bignum_st* (*BN_lebin2bn)(const uint8_t* in, int size, bignum_st* out);
  int (*BN_bn2lebinpad)(const bignum_st*, uint8_t* out, int size);
  int (*BN_set_word)(bignum_st*, unsigned long);
  int (*BN_cmp)(const bignum_st*, const bignum_st*);
  int (*BN_is_zero)(const bignum_st*);
  int (*BN_is_odd)(const bignum_st*);
  int (*BN_mod_add)(bignum_st* out, const bignum_st*, const bignum_st*, const bignum_st* modulus,
                    bignum_ctx*);
  int (*BN_mod_add_quick)(bignum_st* out, const bignum_st*, const bignum_st*, const bignum_st* modulus);
  int (*BN_mod_sub)(bignum_st* out, const bignum_st*, const bignum_st*, const bignum_st* modulus,
                    bignum_ctx*);
  int (*BN_mod_mul)(bignum_st* out, const bignum_st*, const bignum_st*, const bignum_st* modulus,
                    bignum_ctx*);
  bignum_st* (*BN_mod_inverse)(bignum_st* out, const bignum_st*, const bignum_st* modulus, bignum_ctx*);
  bignum_st* (*BN_mod_sqrt)(bignum_st* out, const bignum_st*, const bignum_st* modulus, bignum_ctx*);
  bn_mont_ctx_st* (*BN_MONT_CTX_new)();
  void (*BN_MONT_CTX_free)(bn_mont_ctx_st*);
  int (*BN_MONT_CTX_set)(bn_mont_ctx_st*, const bignum_st* modulus, bignum_ctx*);
  int (*BN_mod_mul_montgomery)(bignum_st* out, const bignum_st*, const bignum_st*, bn_mont_ctx_st*,
                               bignum_ctx*);
  int (*BN_to_montgomery)(bignum_st* out, const bignum_st*, bn_mont_ctx_st*, bignum_ctx*);
  int (*BN_from_montgomery)(bignum_st* out, const bignum_st*, bn_mont_ctx_st*, bignum_ctx*);

  // Curves.
  ec_group_st* (*EC_GROUP_new_curve_GFp)(const bignum_st* p, const bignum_st* a, const bignum_st* b,
                                         bignum_ctx*);
  void (*EC_GROUP_free)(ec_group_st*);
  int (*EC_GROUP_set_generator)(ec_group_st*, const ec_point_st*, const bignum_st* order,
                                const bignum_st* cofactor);
  ec_point_st* (*EC_POINT_new)(const ec_group_st*);
  void (*EC_POINT_clear_free)(ec_point_st*);
  int (*EC_POINT_set_affine_coordinates)(const ec_group_st*, ec_point_st*, const bignum_st* x,
                                         const bignum_st* y, bignum_ctx*);
  int (*EC_POINT_get_affine_coordinates)(const ec_group_st*, const ec_point_st*, bignum_st* x, bignum_st* y,
                                         bignum_ctx*);
  int (*EC_POINT_is_at_infinity)(const ec_group_st*, const ec_point_st*);
  int (*EC_POINT_invert)(const ec_group_st*, ec_point_st*, bignum_ctx*);
  int (*EC_POINT_dbl)(const ec_group_st*, ec_point_st* out, const ec_point_st*, bignum_ctx*);
  int (*EC_POINT_mul)(const ec_group_st*, ec_point_st* out, const bignum_st* generator_times,
                      const ec_point_st*, const bignum_st* point_times, bignum_ctx*);
};

}  // namespace keystead
