// A token of the real SoftHSM, from domain key to ciphertext.
#include "engine/token.h"

#include "engine/backing_key.h"
#include "engine/crew.h"
#include "engine/test/check.h"
#include "engine/test/softhsm.h"

using namespace keystead;
using namespace keystead::test;

TEST(learns_what_softhsm_is) {
  SoftHsm hsm;
  Opened token(hsm.open());
  CHECK(token->key_wrap() == CKM_AES_KEY_WRAP_PAD);
  CHECK(token->lanes(Kind::kSymmetric) >= 1);
  CHECK(token->lanes(Kind::kAsymmetric) == Crew::instance().threads());
  CHECK(token->capabilities().has(CKM_SHA256_HMAC));
  CHECK(token->capabilities().token.label == "test");
}

TEST(domains_are_made_once_and_found_again) {
  SoftHsm hsm;
  {
    Opened token(hsm.open());
    CHECK_THROWS(token.open_domain("a", false), EngineError, error.code() == "DOMAIN_NOT_FOUND");
    CHECK(token.open_domain("a"));
    CHECK(!token.open_domain("a"));
    CHECK(token.open_domain("b"));
  }
  Opened token(hsm.open());
  CHECK(!token.open_domain("a", false));
}

TEST(what_was_sealed_opens_also_after_a_restart) {
  SoftHsm hsm;
  std::shared_ptr<const Key> key;
  Bytes sealed;
  {
    Opened token(hsm.open());
    token.open_domain();
    key = token.new_key();
    sealed = token.seal(key, {1, 2, 3});
    CHECK(token.unseal(key, sealed) == Bytes({1, 2, 3}));
  }
  Opened token(hsm.open());
  CHECK(token.unseal(key, sealed) == Bytes({1, 2, 3}));
}

TEST(what_was_cut_or_changed_does_not_open) {
  SoftHsm hsm;
  Opened token(hsm.open());
  token.open_domain();
  auto key = token.new_key();
  Bytes sealed = token.seal(key, {1, 2, 3});
  for (size_t size = 0; size < sealed.size(); size++) {
    CHECK(token.unseal(key, Bytes(sealed.begin(), sealed.begin() + size)).empty());
  }
  for (size_t bit = 0; bit < 8 * sealed.size(); bit++) {
    Bytes changed = sealed;
    changed[bit / 8] ^= 1 << (bit % 8);
    CHECK(token.unseal(key, changed).empty());
  }
  CHECK(token.unseal(token.new_key(1), sealed).empty());
}

TEST(a_key_blob_serves_only_what_it_is_bound_to) {
  SoftHsm hsm;
  Opened token(hsm.open());
  token.open_domain();
  auto key = token.new_key();
  token.seal(key, {1});  // its handle is cached from here on
  auto bind = [](const EngineError& error) { return error.code() == "BINDING_MISMATCH"; };
  auto moved = Key::make("d", key->blob, {'o', 't', 'h', 'e', 'r'}, key->header.data());
  CHECK_THROWS(token.seal(moved, {1}), EngineError, bind(error));
  for (size_t at = 10; at < key->blob.size(); at++) {
    Bytes changed = key->blob;
    changed[at] ^= 1;
    CHECK_THROWS(token.seal(Key::make("d", changed, key->context, key->header.data()), {1}), EngineError,
                 bind(error));
  }
  Bytes cut(key->blob.begin(), key->blob.end() - 1);
  CHECK_THROWS(token.seal(Key::make("d", cut, key->context, key->header.data()), {1}), EngineError,
               error.code() == "KEY_BLOB");
  Bytes rotated = key->blob;
  rotated[5] = 2;
  CHECK_THROWS(token.seal(Key::make("d", rotated, key->context, key->header.data()), {1}), EngineError,
               error.code() == "DOMAIN_GENERATION");
}

TEST(sizes_that_do_not_fit_are_refused) {
  SoftHsm hsm;
  Opened token(hsm.open());
  token.open_domain();
  auto key = token.new_key();
  Bytes in(10), out(10 + kOverhead);
  uint8_t context[4] = {};
  auto seal = [&](std::vector<uint32_t> lengths, std::vector<uint32_t> contexts,
                  std::vector<uint32_t> counts) {
    auto job = std::make_shared<BatchJob>();
    job->keys = {key};
    job->input = in.data();
    job->input_size = in.size();
    job->lengths = {lengths.data(), lengths.size()};
    job->contexts = {context, sizeof context};
    job->context_lengths = {contexts.data(), contexts.size()};
    job->groups = {counts.data(), counts.size()};
    job->output = out.data();
    job->output_size = out.size();
    Opened::await([&](auto waiter) { token->seal(waiter, job); });
  };
  seal({10}, {4}, {1});
  auto misfit = [](const EngineError& error) { return error.code() == "BATCH_LAYOUT"; };
  CHECK_THROWS(seal({11}, {4}, {1}), EngineError, misfit(error));
  CHECK_THROWS(seal({9}, {4}, {1}), EngineError, misfit(error));  // would leave a byte as it was
  CHECK_THROWS(seal({10}, {3}, {1}), EngineError, misfit(error));
  CHECK_THROWS(seal({0xffffffff}, {4}, {1}), EngineError, misfit(error));
  CHECK_THROWS(seal({10}, {5}, {1}), EngineError, misfit(error));
  CHECK_THROWS(seal({5, 5}, {4}, {2}), EngineError, misfit(error));  // no room for two tags
  CHECK_THROWS(seal({10}, {4}, {2}), EngineError, misfit(error));
  CHECK_THROWS(seal({10}, {4}, {0}), EngineError, misfit(error));
  CHECK_THROWS(seal({10}, {4}, {1, 1}), EngineError, misfit(error));
  CHECK_THROWS(seal({1, 1, 1}, {2, 2}, {3}), EngineError, misfit(error));
}

TEST(random_input_is_drawn_and_sealed) {
  SoftHsm hsm;
  Opened token(hsm.open());
  token.open_domain();
  auto key = token.new_key();
  uint8_t context[4] = {};
  const uint32_t lengths[] = {32}, contexts[] = {4}, counts[] = {1};
  Bytes last(32);
  for (int i = 0; i < 3; i++) {
    Bytes in(32), out(32 + kOverhead);
    auto job = std::make_shared<BatchJob>();
    job->keys = {key};
    job->input = in.data();
    job->input_size = in.size();
    job->lengths = {lengths, 1};
    job->contexts = {context, sizeof context};
    job->context_lengths = {contexts, 1};
    job->groups = {counts, 1};
    job->output = out.data();
    job->output_size = out.size();
    job->random_input = true;
    Opened::await([&](auto waiter) { token->seal(waiter, job); });
    CHECK(in != last);  // which is zeros at first
    const Bytes nonce(out.begin() + kHeaderSize, out.begin() + kHeaderSize + kNonceSize);
    CHECK(Bytes(in.begin(), in.begin() + kNonceSize) != nonce);  // which is drawn in the same call
    CHECK(token.unseal(key, out) == in);
    last = in;
  }
}

TEST(one_module_has_one_environment_at_a_time) {
  SoftHsm first;
  SoftHsm second;  // made before the first token opens: each made its token in turn
  {
    Opened token(first.open());
    CHECK_THROWS(second.open(), EngineError, error.code() == "MODULE_IN_USE");
    Opened again(first.open());
    CHECK(again.random().size() == 32);
  }
  Opened token(second.open());
  CHECK(token.random().size() == 32);
}

TEST(names_what_is_not_there) {
  SoftHsm hsm;
  TokenOptions options = hsm.options;
  options.name.label = "other";
  CHECK_THROWS(
      Token::open(options, pin("1234")), EngineError,
      error.code() == "TOKEN_NOT_FOUND" && std::string(error.what()).find("\"test\"") != std::string::npos);
  options.module = "/nonexistent/module.so";
  CHECK_THROWS(Token::open(options, pin("1234")), EngineError, error.code() == "MODULE_NOT_FOUND");
  options.module = "/etc/passwd";
  CHECK_THROWS(Token::open(options, pin("1234")), EngineError, error.code() == "NOT_A_MODULE");
}

TEST(a_closed_token_takes_nothing) {
  SoftHsm hsm;
  auto token = hsm.open();
  token->close();
  token->close();
  CHECK_THROWS(Opened::await([&](auto waiter) { token->random(waiter, 1, std::make_shared<Bytes>()); }),
               EngineError, error.code() == "TOKEN_CLOSED");
}

RUN_TESTS()
