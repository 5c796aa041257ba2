#include "engine/hash.h"

#include <array>
#include <memory>
#include <string>

#include "engine/error.h"

namespace keystead {
namespace {

struct Row {
  const char* name;
  size_t size;
};

// In the order of Hash.
constexpr Row kRows[] = {
    {"SHA1", 20}, {"SHA2-224", 28}, {"SHA2-256", 32}, {"SHA2-384", 48}, {"SHA2-512", 64}};

const Row& row(Hash hash) { return kRows[static_cast<size_t>(hash)]; }

// Fetched once: an implicit fetch at each message would cost more than a short one.
const evp_md_st* fetched(const OpenSsl& ssl, Hash hash) {
  static const auto all = [&ssl] {
    std::array<const evp_md_st*, std::size(kRows)> digests;
    for (size_t i = 0; i < digests.size(); ++i)
      digests[i] = ssl.EVP_MD_fetch(nullptr, kRows[i].name, nullptr);
    return digests;
  }();
  const evp_md_st* digest = all[static_cast<size_t>(hash)];
  if (!digest) {
    throw EngineError("OPENSSL_UNAVAILABLE",
                      std::string("this process's OpenSSL offers no ") + row(hash).name);
  }
  return digest;
}

}  // namespace

size_t hash_size(Hash hash) { return row(hash).size; }

const char* hash_name(Hash hash) { return row(hash).name; }

void require_digest_size(const Signing& signing, std::span<const uint8_t> input) {
  if (signing.message) return;
  size_t size = input.size();
  switch (signing.scheme) {
    case Scheme::kRsaPss:
    case Scheme::kRsaPkcs1:
    case Scheme::kEcdsa:
      size = hash_size(signing.hash);
      break;
    case Scheme::kEd25519ph:
    case Scheme::kMlDsaMu:
      size = 64;
      break;
    case Scheme::kEd25519:
    case Scheme::kMlDsa:
      break;
  }
  if (input.size() != size) {
    throw EngineError("DIGEST_SIZE", "the digest has " + std::to_string(input.size()) + " bytes, not " +
                                         std::to_string(size));
  }
}

void digest(Hash hash, std::initializer_list<std::span<const uint8_t>> parts, uint8_t* out) {
  const OpenSsl& ssl = OpenSsl::instance();
  // Freeing wipes what the context had seen.
  const std::unique_ptr<evp_md_ctx_st, void (*)(evp_md_ctx_st*)> context(ssl.EVP_MD_CTX_new(),
                                                                         ssl.EVP_MD_CTX_free);
  ensure(context != nullptr, "EVP_MD_CTX_new");
  ensure(ssl.EVP_DigestInit_ex2(context.get(), fetched(ssl, hash), nullptr), "EVP_DigestInit_ex2");
  for (const auto& part : parts) {
    ensure(ssl.EVP_DigestUpdate(context.get(), part.data(), part.size()), "EVP_DigestUpdate");
  }
  ensure(ssl.EVP_DigestFinal_ex(context.get(), out, nullptr), "EVP_DigestFinal_ex");
}

Digested::Digested(const Signing& signing, std::span<const uint8_t> input) : view_(input) {
  require_digest_size(signing, input);
  if (!signing.message) return;
  digest(signing.hash, {input}, digest_);
  view_ = {digest_, hash_size(signing.hash)};
}

}  // namespace keystead
