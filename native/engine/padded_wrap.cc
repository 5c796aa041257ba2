#include "engine/padded_wrap.h"

#include <string>

#include "engine/error.h"
#include "engine/openssl.h"

namespace keystead {
namespace {

using View = std::span<const uint8_t>;

constexpr size_t kBlock = 8;
constexpr size_t kLargestKey = 64 * 1024;  // far above any key; RFC 5649 itself allows 2^32

const OpenSsl& ssl() { return OpenSsl::instance(); }

Freed<evp_cipher_ctx_st> cipher(View wrapping, int wrap) {
  static evp_cipher_st* const ciphers[] = {ssl().EVP_CIPHER_fetch(nullptr, "AES-128-WRAP-PAD", nullptr),
                                           ssl().EVP_CIPHER_fetch(nullptr, "AES-192-WRAP-PAD", nullptr),
                                           ssl().EVP_CIPHER_fetch(nullptr, "AES-256-WRAP-PAD", nullptr)};
  const size_t size = wrapping.size();
  if (size != 16 && size != 24 && size != 32) {
    throw EngineError("WRAPPING_KEY", "an AES key has 16, 24 or 32 bytes, not " + std::to_string(size));
  }
  Freed<evp_cipher_ctx_st> context(ssl().EVP_CIPHER_CTX_new(), ssl().EVP_CIPHER_CTX_free);
  ensure(context != nullptr, "EVP_CIPHER_CTX_new");
  ensure(ssl().EVP_CipherInit_ex2(context.get(), ciphers[size / kBlock - 2], wrapping.data(), nullptr, wrap,
                                  nullptr),
         "EVP_CipherInit_ex2");
  return context;
}

}  // namespace

Bytes padded_wrap(View wrapping, View key) {
  if (key.empty() || key.size() > kLargestKey)
    throw EngineError("WRAPPED_KEY", "nothing that could be wrapped");
  const auto context = cipher(wrapping, 1);
  Bytes wrapped((key.size() + kBlock - 1) / kBlock * kBlock + kBlock);
  int size = 0;
  ensure(
      ssl().EVP_CipherUpdate(context.get(), wrapped.data(), &size, key.data(), static_cast<int>(key.size())),
      "EVP_CipherUpdate");
  wrapped.resize(static_cast<size_t>(size));
  return wrapped;
}

std::optional<SecretBytes> padded_unwrap(View wrapping, View wrapped) {
  const auto context = cipher(wrapping, 0);
  if (wrapped.size() < 2 * kBlock || wrapped.size() % kBlock || wrapped.size() > kLargestKey)
    return std::nullopt;
  SecretBytes key(wrapped.size());
  int size = 0;
  const int done = ssl().EVP_CipherUpdate(context.get(), key.data(), &size, wrapped.data(),
                                          static_cast<int>(wrapped.size()));
  if (done != 1 || size <= 0) return std::nullopt;
  key.cut(static_cast<size_t>(size));
  return key;
}

}  // namespace keystead
