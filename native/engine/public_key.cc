#include "engine/public_key.h"

#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "engine/ecdsa_signature.h"
#include "engine/ed25519.h"
#include "engine/error.h"
#include "engine/hash.h"
#include "engine/software.h"
#include "engine/spki.h"

namespace keystead {
namespace {

using View = std::span<const uint8_t>;

const OpenSslKeys& ssl() { return OpenSslKeys::instance(); }

KeyType type_of(Scheme scheme) {
  switch (scheme) {
    case Scheme::kRsaPss:
    case Scheme::kRsaPkcs1:
      return KeyType::kRsa;
    case Scheme::kEcdsa:
      return KeyType::kEc;
    case Scheme::kEd25519:
    case Scheme::kEd25519ph:
      return KeyType::kEd25519;
    default:
      return KeyType::kMlDsa;
  }
}

// The keys used last. Reading a key costs as much as ten checks of an RSA signature, which is why they are
// kept.
class Cache {
 public:
  std::shared_ptr<const PublicKey> find(std::string_view spki) {
    const std::lock_guard lock(mutex_);
    const auto found = index_.find(spki);
    if (found == index_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, found->second);
    return found->second->second;
  }

  void put(std::string_view spki, std::shared_ptr<const PublicKey> key) {
    const std::lock_guard lock(mutex_);
    if (index_.contains(spki)) return;
    entries_.emplace_front(spki, std::move(key));
    index_.emplace(entries_.front().first, entries_.begin());
    if (entries_.size() <= kLimit) return;
    index_.erase(entries_.back().first);
    entries_.pop_back();
  }

 private:
  static constexpr size_t kLimit = 1024;
  using Entry = std::pair<std::string, std::shared_ptr<const PublicKey>>;

  std::mutex mutex_;
  std::list<Entry> entries_;  // the one used last in front
  std::unordered_map<std::string_view, std::list<Entry>::iterator> index_;
};

[[noreturn]] void another_kind() {
  throw EngineError("SIGNING_SCHEME", "the public key is of another kind than is asked of it");
}

bool verify_message(evp_pkey_st* key, View message, View signature, const ossl_param_st* values) {
  const Freed<evp_md_ctx_st> context(ssl().EVP_MD_CTX_new(), ssl().EVP_MD_CTX_free);
  ensure(context != nullptr, "EVP_MD_CTX_new");
  ensure(ssl().EVP_DigestVerifyInit_ex(context.get(), nullptr, nullptr, nullptr, nullptr, key, values),
         "EVP_DigestVerifyInit_ex");
  return ssl().EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(),
                                message.size()) == 1;
}

}  // namespace

PublicKey::PublicKey(View bytes) : key_(nullptr, ssl().EVP_PKEY_free) {
  const Spki spki = parse_spki(bytes);
  material_ = spki.material;
  if (material_.type == KeyType::kMlDsa) need_ml_dsa();
  if (material_.type == KeyType::kEd25519) {
    if (!is_ed25519_point(spki.key)) {
      throw EngineError("PUBLIC_KEY", "the public key is no point of Ed25519, or one of small order");
    }
    ed25519_.assign(spki.key.begin(), spki.key.end());
  }
  const uint8_t* in = bytes.data();
  key_.reset(ssl().d2i_PUBKEY(nullptr, &in, static_cast<long>(bytes.size())));
  if (!key_) throw EngineError("PUBLIC_KEY", "the public key is not on its curve, or damaged");
}

std::shared_ptr<const PublicKey> PublicKey::of(View spki) {
  static Cache& cache = *new Cache;  // threads of the crew may outlive what is destroyed at exit
  const std::string_view bytes(reinterpret_cast<const char*>(spki.data()), spki.size());
  auto key = cache.find(bytes);
  if (key) return key;
  key = std::make_shared<const PublicKey>(spki);
  cache.put(bytes, key);
  return key;
}

Freed<evp_pkey_ctx_st> PublicKey::context() const {
  Freed<evp_pkey_ctx_st> context(ssl().EVP_PKEY_CTX_new_from_pkey(nullptr, key_.get(), nullptr),
                                 ssl().EVP_PKEY_CTX_free);
  ensure(context != nullptr, "EVP_PKEY_CTX_new_from_pkey");
  return context;
}

bool PublicKey::verify(const Signing& signing, View given, View signature) const {
  if (type_of(signing.scheme) != material_.type) another_kind();
  const Digested digested(signing, given);
  const View input = digested.view();
  const char* const hash = hash_name(signing.hash);
  switch (signing.scheme) {
    case Scheme::kRsaPss:
    case Scheme::kRsaPkcs1: {
      const int salt = static_cast<int>(input.size());
      const ossl_param_st pss[] = {ossl_text("pad-mode", "pss"),
                                   ossl_text("digest", hash),
                                   ossl_text("mgf1-digest", hash),
                                   ossl_int("saltlen", salt),
                                   {}};
      const ossl_param_st pkcs1[] = {ossl_text("pad-mode", "pkcs1"), ossl_text("digest", hash), {}};
      const auto context = this->context();
      ensure(ssl().EVP_PKEY_verify_init_ex(context.get(), signing.scheme == Scheme::kRsaPss ? pss : pkcs1),
             "EVP_PKEY_verify_init_ex");
      return ssl().EVP_PKEY_verify(context.get(), signature.data(), signature.size(), input.data(),
                                   input.size()) == 1;
    }
    case Scheme::kEcdsa: {
      if (!ecdsa_raw(material_.curve, signature)) return false;
      const auto context = this->context();
      ensure(ssl().EVP_PKEY_verify_init_ex(context.get(), nullptr), "EVP_PKEY_verify_init_ex");
      return ssl().EVP_PKEY_verify(context.get(), signature.data(), signature.size(), input.data(),
                                   input.size()) == 1;
    }
    case Scheme::kEd25519:
      return verify_message(key_.get(), input, signature, nullptr);
    case Scheme::kEd25519ph: {
      evp_signature_st* const algorithm = openssl_ed25519ph();
      if (!algorithm) return ed25519_verify(ed25519ph_domain(), ed25519_, input, signature);
      const auto context = this->context();
      ensure(ssl().EVP_PKEY_verify_init_ex2(context.get(), algorithm, nullptr), "EVP_PKEY_verify_init_ex2");
      return ssl().EVP_PKEY_verify(context.get(), signature.data(), signature.size(), input.data(),
                                   input.size()) == 1;
    }
    case Scheme::kMlDsa:
    case Scheme::kMlDsaMu: {
      const int mu = signing.scheme == Scheme::kMlDsaMu;
      const ossl_param_st values[] = {ossl_int("mu", mu), {}};
      return verify_message(key_.get(), input, signature, values);
    }
  }
  another_kind();
}

Bytes PublicKey::encrypt(Hash hash, View plaintext) const {
  if (material_.type != KeyType::kRsa) another_kind();
  const size_t size = material_.size / 8;
  const size_t most = size - 2 * hash_size(hash) - 2;
  if (plaintext.size() > most) {
    throw EngineError("PLAINTEXT_SIZE", "this key encrypts at most " + std::to_string(most) + " bytes, not " +
                                            std::to_string(plaintext.size()));
  }
  const ossl_param_st values[] = {ossl_text("pad-mode", "oaep"),
                                  ossl_text("digest", hash_name(hash)),
                                  ossl_text("mgf1-digest", hash_name(hash)),
                                  {}};
  const auto context = this->context();
  ensure(ssl().EVP_PKEY_encrypt_init_ex(context.get(), values), "EVP_PKEY_encrypt_init_ex");
  Bytes ciphertext(size);
  size_t written = size;
  ensure(
      ssl().EVP_PKEY_encrypt(context.get(), ciphertext.data(), &written, plaintext.data(), plaintext.size()),
      "EVP_PKEY_encrypt");
  return ciphertext;
}

}  // namespace keystead
