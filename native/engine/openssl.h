// The few functions of OpenSSL's libcrypto that seal, open and hash, found at run time: those of the Node
// process, which Node patches and configures (FIPS), else those of the system's libcrypto.so.3.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

// OpenSSL's own opaque types, named as its headers name them.
struct evp_cipher_st;
struct evp_cipher_ctx_st;
struct evp_md_st;
struct evp_md_ctx_st;
struct ossl_lib_ctx_st;
// OSSL_PARAM, whose layout is part of OpenSSL's interface. An array of them ends with an empty one.
struct ossl_param_st {
  const char* key = nullptr;
  unsigned type = 0;
  void* data = nullptr;
  size_t size = 0;
  size_t return_size = 0;
};

namespace keystead {

// Parameters by type. The values must outlive their use.
ossl_param_st ossl_text(const char* key, const char* value);
ossl_param_st ossl_bytes(const char* key, const uint8_t* value, size_t size);
ossl_param_st ossl_int(const char* key, const int& value);

// Something of OpenSSL's and the function that frees it.
template <typename T>
using Freed = std::unique_ptr<T, void (*)(T*)>;

// 1 is OpenSSL's word for done; throws EngineError OPENSSL_FAILED, naming the function, for anything else.
void ensure(int done, const char* function);

// A function by its name, of the libcrypto that all others are of; nullptr where it has none.
void* openssl_function(const char* name);

struct OpenSsl {
  // Throws EngineError OPENSSL_UNAVAILABLE, naming what is missing.
  static const OpenSsl& instance();

  unsigned long (*OpenSSL_version_num)();
  int (*ERR_set_mark)();
  int (*ERR_pop_to_mark)();
  evp_cipher_st* (*EVP_CIPHER_fetch)(ossl_lib_ctx_st*, const char* name, const char* properties);
  evp_cipher_ctx_st* (*EVP_CIPHER_CTX_new)();
  void (*EVP_CIPHER_CTX_free)(evp_cipher_ctx_st*);
  int (*EVP_CIPHER_CTX_reset)(evp_cipher_ctx_st*);
  int (*EVP_CipherInit_ex2)(evp_cipher_ctx_st*, const evp_cipher_st*, const uint8_t* key, const uint8_t* iv,
                            int encrypt, const ossl_param_st*);
  int (*EVP_CipherUpdate)(evp_cipher_ctx_st*, uint8_t* out, int* out_size, const uint8_t* in, int in_size);
  int (*EVP_CipherFinal_ex)(evp_cipher_ctx_st*, uint8_t* out, int* out_size);
  int (*EVP_CIPHER_CTX_ctrl)(evp_cipher_ctx_st*, int type, int size, void* data);
  evp_md_st* (*EVP_MD_fetch)(ossl_lib_ctx_st*, const char* name, const char* properties);
  evp_md_ctx_st* (*EVP_MD_CTX_new)();
  void (*EVP_MD_CTX_free)(evp_md_ctx_st*);
  int (*EVP_DigestInit_ex2)(evp_md_ctx_st*, const evp_md_st*, const ossl_param_st*);
  int (*EVP_DigestUpdate)(evp_md_ctx_st*, const void* in, size_t in_size);
  int (*EVP_DigestFinal_ex)(evp_md_ctx_st*, uint8_t* out, unsigned* out_size);
};

}  // namespace keystead
