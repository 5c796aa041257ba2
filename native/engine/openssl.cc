#include "engine/openssl.h"

#include <dlfcn.h>

#include <cstring>
#include <string>

#include "engine/error.h"

namespace keystead {
namespace {

constexpr unsigned long kOpenSsl3 = 0x30000000;

[[noreturn]] void unavailable(const std::string& reason) {
  throw EngineError("OPENSSL_UNAVAILABLE", "OpenSSL 3 is needed, but " + reason);
}

// OSSL_PARAM's types.
constexpr unsigned kInteger = 1;
constexpr unsigned kUtf8String = 4;
constexpr unsigned kOctetString = 5;

template <typename Function>
void find(void* library, const char* name, Function*& function) {
  function = reinterpret_cast<Function*>(dlsym(library, name));
}

template <typename Function>
void resolve(void* library, const char* name, Function*& function) {
  find(library, name, function);
  if (!function) unavailable(std::string("this process's libcrypto has no ") + name);
}

#define FIND(function) resolve(library, #function, ssl.function)

OpenSsl load() {
  void* library = RTLD_DEFAULT;
  if (!dlsym(library, "OpenSSL_version_num")) {
    library = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL);
    if (!library) unavailable("neither this process nor the system has a libcrypto.so.3");
  }
  OpenSsl ssl{};
  FIND(OpenSSL_version_num);
  if (ssl.OpenSSL_version_num() < kOpenSsl3) unavailable("this process has an older one");
  FIND(ERR_set_mark);
  FIND(ERR_pop_to_mark);
  FIND(EVP_CIPHER_fetch);
  FIND(EVP_CIPHER_CTX_new);
  FIND(EVP_CIPHER_CTX_free);
  FIND(EVP_CIPHER_CTX_reset);
  FIND(EVP_CipherInit_ex2);
  FIND(EVP_CipherUpdate);
  FIND(EVP_CipherFinal_ex);
  FIND(EVP_CIPHER_CTX_ctrl);
  FIND(EVP_MD_fetch);
  FIND(EVP_MD_CTX_new);
  FIND(EVP_MD_CTX_free);
  FIND(EVP_DigestInit_ex2);
  FIND(EVP_DigestUpdate);
  FIND(EVP_DigestFinal_ex);
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
  FIND(EVP_PKEY_CTX_dup);
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
  find(library, "EVP_PKEY_sign_init_ex2", ssl.EVP_PKEY_sign_init_ex2);
  find(library, "EVP_PKEY_verify_init_ex2", ssl.EVP_PKEY_verify_init_ex2);
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
  FIND(BN_sub);
  FIND(BN_nnmod);
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

ossl_param_st ossl_text(const char* key, const char* value) {
  return {key, kUtf8String, const_cast<char*>(value), std::strlen(value), 0};
}

ossl_param_st ossl_bytes(const char* key, const uint8_t* value, size_t size) {
  return {key, kOctetString, const_cast<uint8_t*>(value), size, 0};
}

ossl_param_st ossl_int(const char* key, const int& value) {
  return {key, kInteger, const_cast<int*>(&value), sizeof value, 0};
}

void ensure(int done, const char* function) {
  if (done != 1) throw EngineError("OPENSSL_FAILED", std::string("OpenSSL's ") + function + " failed");
}

const OpenSsl& OpenSsl::instance() {
  static const OpenSsl ssl = load();
  return ssl;
}

}  // namespace keystead
