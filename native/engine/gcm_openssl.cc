#include <algorithm>

#include "engine/error.h"
#include "engine/gcm.h"
#include "engine/openssl.h"
#include "engine/secret.h"

namespace keystead {
namespace {

constexpr int kGetTag = 0x10;                     // EVP_CTRL_AEAD_GET_TAG
constexpr int kSetTag = 0x11;                     // EVP_CTRL_AEAD_SET_TAG
constexpr size_t kUpdateLimit = size_t{1} << 30;  // EVP counts in int

// Fetched once: an implicit fetch at each key would cost more than a small item.
evp_cipher_st* aes_256_gcm() {
  static evp_cipher_st* cipher = OpenSsl::instance().EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  if (!cipher) throw EngineError("OPENSSL_UNAVAILABLE", "this process's OpenSSL offers no AES-256-GCM");
  return cipher;
}

class OpenSslGcm final : public Gcm {
 public:
  OpenSslGcm() : cipher_(aes_256_gcm()), context_(ssl_.EVP_CIPHER_CTX_new()) {
    if (!context_) failed("EVP_CIPHER_CTX_new");
  }
  ~OpenSslGcm() override { ssl_.EVP_CIPHER_CTX_free(context_); }

  void set_key(const uint8_t* key) override {
    if (!ssl_.EVP_CipherInit_ex2(context_, cipher_, key, nullptr, 1, nullptr)) failed("EVP_CipherInit_ex2");
  }

  void clear_key() override { ssl_.EVP_CIPHER_CTX_reset(context_); }

  void seal(const uint8_t* iv, std::span<const uint8_t> aad, std::span<const uint8_t> in, uint8_t* out,
            uint8_t* tag) override {
    begin(iv, 1);
    update(nullptr, aad);
    update(out, in);
    int rest = 0;
    uint8_t none[16];
    if (!ssl_.EVP_CipherFinal_ex(context_, none, &rest)) failed("EVP_CipherFinal_ex");
    if (!ssl_.EVP_CIPHER_CTX_ctrl(context_, kGetTag, 16, tag)) failed("EVP_CTRL_AEAD_GET_TAG");
  }

  bool open(const uint8_t* iv, std::span<const uint8_t> aad, std::span<const uint8_t> in, const uint8_t* tag,
            uint8_t* out) override {
    begin(iv, 0);
    if (!ssl_.EVP_CIPHER_CTX_ctrl(context_, kSetTag, 16, const_cast<uint8_t*>(tag))) {
      failed("EVP_CTRL_AEAD_SET_TAG");
    }
    update(nullptr, aad);
    update(out, in);
    int rest = 0;
    uint8_t none[16];
    if (ssl_.EVP_CipherFinal_ex(context_, none, &rest) == 1) return true;
    wipe(out, in.size());
    return false;
  }

 private:
  [[noreturn]] static void failed(const char* function) {
    throw EngineError("OPENSSL_FAILED", std::string("OpenSSL's ") + function + " failed");
  }

  void begin(const uint8_t* iv, int encrypt) {
    if (!ssl_.EVP_CipherInit_ex2(context_, nullptr, nullptr, iv, encrypt, nullptr))
      failed("EVP_CipherInit_ex2");
  }

  // Without `out` the bytes are authenticated only.
  void update(uint8_t* out, std::span<const uint8_t> in) {
    while (!in.empty()) {
      const size_t size = std::min(in.size(), kUpdateLimit);
      int done = 0;
      if (!ssl_.EVP_CipherUpdate(context_, out, &done, in.data(), static_cast<int>(size))) {
        failed("EVP_CipherUpdate");
      }
      in = in.subspan(size);
      if (out) out += size;
    }
  }

  const OpenSsl& ssl_ = OpenSsl::instance();
  evp_cipher_st* cipher_;
  evp_cipher_ctx_st* context_;
};

}  // namespace

std::unique_ptr<Gcm> make_openssl_gcm() { return std::make_unique<OpenSslGcm>(); }

}  // namespace keystead
