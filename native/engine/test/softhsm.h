// A fresh SoftHSM token in a directory of its own, for as long as the test runs.
#pragma once

#include <dlfcn.h>
#include <stdlib.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>
#include <string>

#include "engine/error.h"
#include "engine/slot.h"
#include "engine/test/faults.h"
#include "engine/token.h"

namespace keystead::test {

inline std::string softhsm() {
  for (const char* path :
       {"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so",
        "/usr/local/lib/softhsm/libsofthsm2.so", "/opt/homebrew/lib/softhsm/libsofthsm2.so"}) {
    if (std::filesystem::exists(path)) return path;
  }
  throw std::runtime_error("no SoftHSM on this machine");
}

inline std::unique_ptr<Pin> pin(const std::string& digits) {
  return std::make_unique<Pin>(reinterpret_cast<const uint8_t*>(digits.data()), digits.size());
}

// Takes one answer and lends memory until then.
class Waiter : public Caller {
 public:
  bool enter() override { return !answered_; }
  void leave() override {}
  void answer(std::exception_ptr error) override {
    if (answered_.exchange(true)) return;
    error ? promise_.set_exception(error) : promise_.set_value();
  }
  void wait() { future_.get(); }

 private:
  std::atomic<bool> answered_ = false;
  std::promise<void> promise_;
  std::future<void> future_ = promise_.get_future();
};

class SoftHsm {
 public:
  explicit SoftHsm(std::string module = softhsm()) {
    std::string pattern = (std::filesystem::temp_directory_path() / "keystead-XXXXXX").string();
    if (!mkdtemp(pattern.data())) throw std::runtime_error("mkdtemp");
    directory_ = pattern;
    std::filesystem::create_directory(directory_ / "token");
    std::ofstream(directory_ / "softhsm2.conf")
        << "directories.tokendir = " << (directory_ / "token").string()
        << "\nobjectstore.backend = file\nlog.level = ERROR\n";
    options.module = std::move(module);
    options.environment = {{"SOFTHSM2_CONF", (directory_ / "softhsm2.conf").string()}};
    setenv("KEYSTEAD_REAL_MODULE", softhsm().c_str(), 1);
    options.name.label = "test";
    options.handles = 100;
    auto shared = Module::acquire(options.module, options.environment);
    Stay stay(*shared);
    init_token(*shared, "test", *pin("so-1234"), *pin("1234"));
  }
  ~SoftHsm() { std::filesystem::remove_all(directory_); }

  std::shared_ptr<Token> open(const std::string& digits = "1234") {
    return Token::open(options, pin(digits));
  }

  TokenOptions options;

 private:
  std::filesystem::path directory_;
};

// A token that is closed at the end of the test.
class Opened {
 public:
  explicit Opened(std::shared_ptr<Token> token) : token_(std::move(token)) {}
  ~Opened() { token_->close(); }
  Token* operator->() const { return token_.get(); }

  bool open_domain(const std::string& name = "d", bool create = true) {
    auto made = std::make_shared<bool>();
    await([&](auto waiter) { token_->open_domain(waiter, name, create, made); });
    return *made;
  }
  Bytes random(size_t size = 32) {
    auto bytes = std::make_shared<Bytes>();
    await([&](auto waiter) { token_->random(waiter, size, bytes); });
    return *bytes;
  }
  BackingKey generate(const Bytes& context, const Material& material) {
    auto made = std::make_shared<BackingKey>();
    await([&](auto waiter) { token_->generate_key(waiter, "d", context, material, made); });
    return *made;
  }
  std::shared_ptr<const Key> new_key(uint8_t number = 0, const Material& material = {KeyType::kSecret, 32}) {
    Bytes context{'k', number};
    uint8_t header[kHeaderSize] = {1, 0, number};
    return Key::make("d", generate(context, material).blob, context, header);
  }
  Bytes sign(const std::shared_ptr<const Key>& key, const Signing& signing, const Bytes& input) {
    auto signature = std::make_shared<Bytes>();
    await([&](auto waiter) { token_->sign(waiter, key, signing, input, signature); });
    return *signature;
  }
  Signatures sign_batch(std::shared_ptr<const SignBatch> batch) {
    auto signatures = std::make_shared<Signatures>();
    await([&](auto waiter) { token_->sign_batch(waiter, batch, signatures); });
    return *signatures;
  }
  Bytes mac(const std::shared_ptr<const Key>& key, Hash hash, const Bytes& message) {
    auto mac = std::make_shared<Bytes>();
    await([&](auto waiter) { token_->mac(waiter, key, hash, message, mac); });
    return *mac;
  }
  // Empty when it does not decrypt.
  Bytes decrypt(const std::shared_ptr<const Key>& key, Hash hash, const Bytes& ciphertext) {
    auto plaintext = std::make_shared<std::optional<SecretBytes>>();
    await([&](auto waiter) { token_->decrypt(waiter, key, hash, ciphertext, plaintext); });
    return *plaintext ? Bytes((*plaintext)->view().begin(), (*plaintext)->view().end()) : Bytes();
  }
  Bytes derive_secret(const std::shared_ptr<const Key>& key, const Bytes& public_key) {
    auto secret = std::make_shared<std::optional<SecretBytes>>();
    await([&](auto waiter) { token_->derive_secret(waiter, key, public_key, secret); });
    return Bytes((*secret)->view().begin(), (*secret)->view().end());
  }
  Bytes rewrap(const std::shared_ptr<const Key>& key, const std::string& domain, const Bytes& context) {
    auto blob = std::make_shared<Bytes>();
    await([&](auto waiter) { token_->rewrap(waiter, key, domain, context, blob); });
    return *blob;
  }
  Bytes data_key_pair(const Material& material) {
    auto pair = std::make_shared<std::optional<PrivateKey>>();
    await([&](auto waiter) { token_->data_key_pair(waiter, material, pair); });
    return (*pair)->public_key;
  }
  ImportedKey import(std::shared_ptr<const ImportOrder> order) {
    auto imported = std::make_shared<ImportedKey>();
    await([&](auto waiter) { token_->import(waiter, order, imported); });
    return *imported;
  }
  Bytes create_token_key(const std::string& id, const Material& material) {
    auto public_key = std::make_shared<Bytes>();
    await([&](auto waiter) { token_->create_token_key(waiter, id, material, public_key); });
    return *public_key;
  }
  // One item without a context.
  Bytes seal(const std::shared_ptr<const Key>& key, Bytes plaintext) {
    Bytes out(plaintext.size() + kOverhead);
    auto job = std::make_shared<BatchJob>();
    uint32_t size = static_cast<uint32_t>(plaintext.size()), one = 1;
    fill(*job, key, plaintext, out, &size, &one);
    await([&](auto waiter) { token_->seal(waiter, job); });
    return out;
  }
  // Empty when it is not authentic.
  Bytes unseal(const std::shared_ptr<const Key>& key, Bytes ciphertext) {
    Bytes out(ciphertext.size() > kOverhead ? ciphertext.size() - kOverhead : 0);
    auto job = std::make_shared<BatchJob>();
    auto ok = std::make_shared<Bytes>();
    uint32_t size = static_cast<uint32_t>(ciphertext.size()), first = 0;
    fill(*job, key, ciphertext, out, &size, &first);
    await([&](auto waiter) { token_->open_batch(waiter, job, ok); });
    return ok->at(0) ? out : Bytes();
  }

  template <class Start>
  static void await(Start start) {
    auto waiter = std::make_shared<Waiter>();
    start(waiter);
    waiter->wait();
  }

 private:
  static void fill(BatchJob& job, const std::shared_ptr<const Key>& key, Bytes& in, Bytes& out,
                   uint32_t* size, uint32_t* group) {
    static const uint8_t context[4] = {};
    static const uint32_t context_size = 4;
    job.keys = {key};
    job.input = in.data();
    job.input_size = in.size();
    job.lengths = {size, 1};
    job.contexts = {context, 4};
    job.context_lengths = {&context_size, 1};
    job.groups = {group, 1};
    job.output = out.data();
    job.output_size = out.size();
  }

  std::shared_ptr<Token> token_;
};

// The faulty module: built beside the tests.
inline std::string faulty_module() { return KEYSTEAD_FAULTY_MODULE; }

inline Faults& faults() {
  static Faults* faults = [] {
    setenv("KEYSTEAD_REAL_MODULE", softhsm().c_str(), 1);
    void* library = dlopen(faulty_module().c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library) throw std::runtime_error(dlerror());
    return static_cast<Faults*>(dlsym(library, "keystead_faults"));
  }();
  return *faults;
}

}  // namespace keystead::test
