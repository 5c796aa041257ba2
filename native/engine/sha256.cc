#include "engine/sha256.h"

#include <array>

#include "engine/error.h"

namespace keystead {
namespace {

[[noreturn]] void failed(const char* function) {
  throw EngineError("OPENSSL_FAILED", std::string("OpenSSL's ") + function + " failed");
}

// Fetched once: an implicit fetch at each message would cost more than a short one.
const evp_md_st* sha256(const OpenSsl& ssl) {
  static const evp_md_st* digest = ssl.EVP_MD_fetch(nullptr, "SHA-256", nullptr);
  if (!digest) throw EngineError("OPENSSL_UNAVAILABLE", "this process's OpenSSL offers no SHA-256");
  return digest;
}

}  // namespace

Sha256::Sha256() : context_(ssl_.EVP_MD_CTX_new()) {
  if (!context_) failed("EVP_MD_CTX_new");
  try {
    begin();
  } catch (...) {
    ssl_.EVP_MD_CTX_free(context_);
    throw;
  }
}

Sha256::~Sha256() { ssl_.EVP_MD_CTX_free(context_); }

void Sha256::begin() {
  if (!ssl_.EVP_DigestInit_ex2(context_, sha256(ssl_), nullptr)) failed("EVP_DigestInit_ex2");
}

void Sha256::update(std::string_view bytes) {
  if (!ssl_.EVP_DigestUpdate(context_, bytes.data(), bytes.size())) failed("EVP_DigestUpdate");
}

std::string Sha256::hexadecimal() {
  std::array<uint8_t, 32> digest;
  if (!ssl_.EVP_DigestFinal_ex(context_, digest.data(), nullptr)) failed("EVP_DigestFinal_ex");
  begin();
  std::string text;
  text.reserve(2 * digest.size());
  for (const uint8_t byte : digest) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

}  // namespace keystead
