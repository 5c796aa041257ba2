#include "engine/hkdf.h"

#include <algorithm>

#include "engine/error.h"
#include "engine/secret.h"

namespace keystead {
namespace {

constexpr size_t kBlock = 128;
constexpr size_t kHash = 64;

// Fetched once: an implicit fetch at each message would cost more than a short one.
const evp_md_st* sha512(const OpenSsl& ssl) {
  static const evp_md_st* digest = ssl.EVP_MD_fetch(nullptr, "SHA2-512", nullptr);
  if (!digest) throw EngineError("OPENSSL_UNAVAILABLE", "this process's OpenSSL offers no SHA2-512");
  return digest;
}

void copy(evp_md_ctx_st* to, const evp_md_ctx_st* from) {
  static const auto function =
      reinterpret_cast<int (*)(evp_md_ctx_st*, const evp_md_ctx_st*)>(openssl_function("EVP_MD_CTX_copy_ex"));
  if (!function)
    throw EngineError("OPENSSL_UNAVAILABLE", "this process's libcrypto has no EVP_MD_CTX_copy_ex");
  ensure(function(to, from), "EVP_MD_CTX_copy_ex");
}

}  // namespace

Hkdf::Hkdf() : inner_(context()), outer_(context()), inner_copy_(context()), outer_copy_(context()) {}

Hkdf::Context Hkdf::context() const {
  Context made(ssl_.EVP_MD_CTX_new(), ssl_.EVP_MD_CTX_free);
  ensure(made != nullptr, "EVP_MD_CTX_new");
  return made;
}

void Hkdf::absorb(const Context& to, std::span<const uint8_t> bytes) {
  ensure(ssl_.EVP_DigestUpdate(to.get(), bytes.data(), bytes.size()), "EVP_DigestUpdate");
}

// HMAC's two states behind their first block (RFC 2104). No key here is longer than a block.
void Hkdf::key(std::span<const uint8_t> key) {
  Secret<kBlock> block;
  for (const auto& [state, pad] : {std::pair{&inner_, 0x36}, std::pair{&outer_, 0x5c}}) {
    std::fill_n(block.data(), kBlock, static_cast<uint8_t>(pad));
    for (size_t i = 0; i < key.size(); ++i) block.data()[i] ^= key[i];
    ensure(ssl_.EVP_DigestInit_ex2(state->get(), sha512(ssl_), nullptr), "EVP_DigestInit_ex2");
    absorb(*state, {block.data(), kBlock});
  }
}

void Hkdf::finish(const Context& inner, const Context& outer, uint8_t* out) {
  Secret<kHash> digest;
  ensure(ssl_.EVP_DigestFinal_ex(inner.get(), digest.data(), nullptr), "EVP_DigestFinal_ex");
  absorb(outer, {digest.data(), kHash});
  ensure(ssl_.EVP_DigestFinal_ex(outer.get(), out, nullptr), "EVP_DigestFinal_ex");
}

void Hkdf::extract(std::span<const uint8_t> salt, std::span<const uint8_t> secret) {
  if (salt.size() > kBlock) throw EngineError("HKDF_SALT", "a salt has at most 128 bytes here");
  Secret<kHash> pseudorandom;
  key(salt);
  absorb(inner_, secret);
  finish(inner_, outer_, pseudorandom.data());
  key({pseudorandom.data(), kHash});
}

void Hkdf::expand(std::span<const uint8_t> info, std::span<uint8_t> out) {
  Secret<kHash> block;
  const uint8_t first = 1;
  copy(inner_copy_.get(), inner_.get());
  copy(outer_copy_.get(), outer_.get());
  absorb(inner_copy_, info);
  absorb(inner_copy_, {&first, 1});
  finish(inner_copy_, outer_copy_, block.data());
  std::copy_n(block.data(), std::min(out.size(), kHash), out.data());
}

}  // namespace keystead
