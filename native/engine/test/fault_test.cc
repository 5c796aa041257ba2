// What goes wrong between engine and token, done to the real SoftHSM by the faulty module.
#include "engine/public_key.h"
#include "engine/test/check.h"
#include "engine/test/softhsm.h"
#include "engine/unwrapping.h"

using namespace keystead;
using namespace keystead::test;
using namespace std::chrono_literals;

namespace {

template <class Condition>
bool soon(Condition condition) {
  for (int i = 0; i < 500 && !condition(); i++) std::this_thread::sleep_for(10ms);
  return condition();
}

}  // namespace

TEST(a_lost_session_is_opened_again) {
  SoftHsm hsm(faulty_module());
  Opened token(hsm.open());
  unsigned generation = token->generation();
  token.open_domain();
  auto key = token.new_key();
  Bytes sealed = token.seal(key, {1, 2, 3});
  int sessions = faults().OpenSession.calls;
  for (CK_RV rv : {CKR_SESSION_HANDLE_INVALID, CKR_SESSION_CLOSED, CKR_OPERATION_ACTIVE}) {
    faults().SignInit.fail(rv);
    CHECK(token.unseal(key, sealed) == Bytes({1, 2, 3}));
    CHECK(faults().OpenSession.calls == ++sessions);
  }
  CHECK(token->generation() == generation);
}

TEST(what_keeps_failing_is_reported_after_one_more_try) {
  SoftHsm hsm(faulty_module());
  Opened token(hsm.open());
  int calls = faults().GenerateRandom.calls;
  faults().GenerateRandom.fail(CKR_SESSION_CLOSED, 2);
  CHECK_THROWS(token.random(), Pkcs11Error,
               error.code() == "CKR_SESSION_CLOSED" && std::string(error.function()) == "C_GenerateRandom");
  CHECK(faults().GenerateRandom.calls == calls + 2);
  faults().GenerateRandom.fail(CKR_ARGUMENTS_BAD);
  CHECK_THROWS(token.random(), Pkcs11Error, error.code() == "CKR_ARGUMENTS_BAD");
  CHECK(faults().GenerateRandom.calls == calls + 3);
}

TEST(a_logout_by_somebody_else_is_mended) {
  SoftHsm hsm(faulty_module());
  Opened token(hsm.open());
  token.open_domain();
  auto key = token.new_key();
  Bytes sealed = token.seal(key, {1});
  {
    auto module = Module::acquire(hsm.options.module, hsm.options.environment);
    Stay stay(*module);
    Session session(*module, find_slot(*module, hsm.options.name));
    CHECK(module->functions().C_Logout(session.handle()) == CKR_OK);
    session.close();
  }
  CHECK(token.unseal(key, sealed) == Bytes{1});
  CHECK(token.seal(token.new_key(1), {1}).size() == 1 + kOverhead);
}

TEST(a_lost_handle_is_made_again) {
  SoftHsm hsm(faulty_module());
  Opened token(hsm.open());
  token.open_domain();
  auto key = token.new_key();
  Bytes sealed = token.seal(key, {1});
  CHECK(token->handles().misses() == 1);
  faults().SignInit.fail(CKR_KEY_HANDLE_INVALID);
  CHECK(token.unseal(key, sealed) == Bytes{1});
  CHECK(token->handles().misses() == 2);
  CHECK(token->handles().open() == 1);
}

TEST(operations_with_keys_of_every_kind_survive_faults) {
  SoftHsm hsm(faulty_module());
  Opened token(hsm.open());
  token.open_domain();
  const uint8_t header[kHeaderSize] = {1};
  auto make = [&](const Material& material) {
    BackingKey made = token.generate({'k'}, material);
    return std::pair(Key::make("d", made.blob, {'k'}, header), PublicKey(made.public_key));
  };
  const Signing pss{Scheme::kRsaPss, Hash::kSha256}, ecdsa{Scheme::kEcdsa, Hash::kSha256},
      ed25519{Scheme::kEd25519, {}};
  const Material p256{KeyType::kEc, 0, Curve::kP256};
  const Bytes input(32, 7);
  auto [rsa, rsa_public] = make({KeyType::kRsa, 2048, {}});
  auto [ec, ec_public] = make(p256);
  auto [seed, seed_public] = make({KeyType::kEd25519, 0, {}});
  auto secret = token.new_key(9);
  const Bytes mac = token.mac(secret, Hash::kSha256, input);
  const Bytes ciphertext = rsa_public.encrypt(Hash::kSha256, input);
  const Bytes other = token.data_key_pair(p256);
  const Bytes derived = token.derive_secret(ec, other);
  auto order = std::make_shared<ImportOrder>();
  order->wrapping = rsa;
  order->encrypted = ciphertext;
  order->domain = "d";
  order->context = Bytes(64);
  order->material = {KeyType::kSecret, 32, {}};
  const std::string material_id = token.import(order).material_id;
  auto inside = std::make_shared<ImportOrder>(*order);
  inside->hash = Hash::kSha1;
  inside->encrypted = rsa_public.encrypt(Hash::kSha1, input);
  CHECK(can_unwrap(token->capabilities(), *inside) && !can_unwrap(token->capabilities(), *order));
  const PublicKey on_token(token.create_token_key("t", p256));
  auto token_key = Key::of_token("t", header);

  auto batch = std::make_shared<SignBatch>();
  batch->groups = {{rsa, pss, 30}, {ec, ecdsa, 30}};
  batch->input = Bytes(60 * 32, 7);
  batch->lengths.assign(60, 32);
  auto batch_passes = [&] {
    Signatures made = token.sign_batch(batch);
    const uint8_t* at = made.packed.data();
    for (size_t i = 0; i < 60; i++) {
      std::span<const uint8_t> signature(at, made.lengths[i]);
      if (!(i < 30 ? rsa_public.verify(pss, input, signature) : ec_public.verify(ecdsa, input, signature)))
        return false;
      at += signature.size();
    }
    return made.lengths.size() == 60;
  };

  struct Step {
    CallFault& fault;
    CK_RV lost_handle;
    std::function<bool()> passes;
  };
  Faults& f = faults();
  const Step steps[] = {
      {f.SignInit, CKR_KEY_HANDLE_INVALID,
       [&] { return rsa_public.verify(pss, input, token.sign(rsa, pss, input)); }},
      {f.SignInit, CKR_KEY_HANDLE_INVALID,
       [&] { return ec_public.verify(ecdsa, input, token.sign(ec, ecdsa, input)); }},
      {f.SignInit, CKR_KEY_HANDLE_INVALID,
       [&] { return seed_public.verify(ed25519, input, token.sign(seed, ed25519, input)); }},
      {f.SignInit, CKR_KEY_HANDLE_INVALID,
       [&] { return on_token.verify(ecdsa, input, token.sign(token_key, ecdsa, input)); }},
      {f.SignInit, CKR_KEY_HANDLE_INVALID, batch_passes},
      {f.SignInit, CKR_KEY_HANDLE_INVALID, [&] { return token.mac(secret, Hash::kSha256, input) == mac; }},
      {f.DecryptInit, CKR_KEY_HANDLE_INVALID,
       [&] { return token.decrypt(rsa, Hash::kSha256, ciphertext) == input; }},
      {f.DeriveKey, CKR_KEY_HANDLE_INVALID, [&] { return token.derive_secret(ec, other) == derived; }},
      {f.WrapKey, CKR_WRAPPING_KEY_HANDLE_INVALID,
       [&] { return token.rewrap(secret, "d", {'x'}).size() == secret->blob.size(); }},
      {f.WrapKey, CKR_WRAPPING_KEY_HANDLE_INVALID, [&] { return !token.generate({'c'}, p256).blob.empty(); }},
      {f.WrapKey, CKR_WRAPPING_KEY_HANDLE_INVALID, [&] { return !token.data_key_pair(p256).empty(); }},
      {f.UnwrapKey, CKR_UNWRAPPING_KEY_HANDLE_INVALID,
       [&] { return token.import(order).material_id == material_id; }},
      {f.UnwrapKey, CKR_UNWRAPPING_KEY_HANDLE_INVALID,
       [&] { return token.import(inside).material_id == material_id; }},
  };
  for (const Step& step : steps) {
    for (CK_RV rv :
         {CKR_SESSION_HANDLE_INVALID, CKR_OPERATION_ACTIVE, step.lost_handle, CKR_USER_NOT_LOGGED_IN}) {
      step.fault.fail(rv);
      CHECK(step.passes());
      CHECK(step.fault.times == 0);
    }
    unsigned generation = token->generation();
    step.fault.fail(CKR_DEVICE_ERROR);
    CHECK(step.passes());
    CHECK(token->generation() == generation + 1);
    // What the token refuses for good is reported, and stays refused for nobody else.
    step.fault.fail(CKR_FUNCTION_NOT_SUPPORTED);
    CHECK_THROWS(step.passes(), Pkcs11Error, error.code() == "CKR_FUNCTION_NOT_SUPPORTED");
    CHECK(step.passes());
  }
}

TEST(a_token_that_fails_at_import_is_told_from_a_wrong_ciphertext) {
  SoftHsm hsm(faulty_module());
  Opened token(hsm.open());
  token.open_domain();
  BackingKey wrapping = token.generate({'w'}, {KeyType::kRsa, 2048, {}});
  const uint8_t header[kHeaderSize] = {1};
  auto order = std::make_shared<ImportOrder>();
  order->wrapping = Key::make("d", wrapping.blob, {'w'}, header);
  order->hash = Hash::kSha1;
  order->encrypted = PublicKey(wrapping.public_key).encrypt(Hash::kSha1, Bytes(32, 7));
  order->domain = "d";
  order->context = Bytes(64);
  order->material = {KeyType::kSecret, 32, {}};
  const std::string material_id = token.import(order).material_id;
  auto wrong = std::make_shared<ImportOrder>(*order);
  wrong->encrypted[9] ^= 1;
  auto refused = [&] { CHECK_THROWS(token.import(wrong), EngineError, error.code() == "IMPORT_CIPHERTEXT"); };
  for (int i = 0; i < 4; i++) refused();
  CHECK(token.import(order).material_id == material_id);
  auto& unwraps = faults().UnwrapKey;
  // Of the calls of an import the first unwraps the wrapping key, and the second the material.
  unwraps.spare = 1;
  unwraps.fail(CKR_GENERAL_ERROR);
  CHECK(token.import(order).material_id == material_id);
  unwraps.spare = 1;
  unwraps.fail(CKR_GENERAL_ERROR, 2);
  CHECK_THROWS(token.import(order), Pkcs11Error, error.code() == "CKR_GENERAL_ERROR");
  CHECK(unwraps.times == 0);
  unwraps.spare = 1;
  unwraps.fail(CKR_WRAPPED_KEY_INVALID);
  CHECK_THROWS(token.import(order), EngineError, error.code() == "IMPORT_CIPHERTEXT");
  CHECK(token.import(order).material_id == material_id);
}

TEST(a_dead_module_is_initialised_again_and_the_operation_carried_out) {
  SoftHsm hsm(faulty_module());
  Opened token(hsm.open());
  unsigned generation = token->generation();
  token.open_domain();
  auto key = token.new_key();
  Bytes sealed = token.seal(key, {1, 2});
  faults().SignInit.fail(CKR_DEVICE_ERROR);
  CHECK(token.unseal(key, sealed) == Bytes({1, 2}));
  CHECK(token->generation() == generation + 1);
  CHECK(token->available());
  CHECK(token->handles().misses() == 2);  // handles of the first generation mean nothing
  CHECK(!token.open_domain());
}

TEST(while_the_module_is_away_calls_are_refused_at_once) {
  SoftHsm hsm(faulty_module());
  Opened token(hsm.open());
  Hold away(faults().Initialize);
  faults().Initialize.fail(CKR_DEVICE_ERROR, 4);
  faults().GenerateRandom.fail(CKR_DEVICE_REMOVED);
  auto first = std::make_shared<Waiter>();
  token->random(first, 8, std::make_shared<Bytes>());
  CHECK(soon([&] { return !token->available(); }));
  CHECK_THROWS(token.random(), EngineError, error.code() == "TOKEN_UNAVAILABLE");
  away.release();
  first->wait();  // carried out once it was back
  CHECK(token->available());
  CHECK(token.random().size() == 32);
}

TEST(vague_errors_mean_the_module_only_when_repeated) {
  SoftHsm hsm(faulty_module());
  Opened token(hsm.open());
  unsigned generation = token->generation();
  for (int round = 0; round < 3; round++) {
    faults().GenerateRandom.fail(CKR_GENERAL_ERROR);
    CHECK_THROWS(token.random(), Pkcs11Error, error.code() == "CKR_GENERAL_ERROR");
    token.random();
  }
  CHECK(token->generation() == generation);
  faults().GenerateRandom.fail(CKR_FUNCTION_FAILED, 3);
  CHECK_THROWS(token.random(), Pkcs11Error, error.code() == "CKR_FUNCTION_FAILED");
  CHECK_THROWS(token.random(), Pkcs11Error, error.code() == "CKR_FUNCTION_FAILED");
  CHECK(token.random().size() == 32);
  CHECK(token->generation() == generation + 1);
}

TEST(a_call_that_hangs_is_answered_at_its_deadline) {
  SoftHsm hsm(faulty_module());
  hsm.options.deadline = 1s;
  Opened token(hsm.open());
  unsigned generation = token->generation();
  Hold hanging(faults().GenerateRandom);
  CHECK_THROWS(token.random(), EngineError, error.code() == "DEADLINE");
  CHECK(soon([&] { return !token->available(); }));
  CHECK_THROWS(token.random(), EngineError, error.code() == "TOKEN_UNAVAILABLE");
  hanging.release();
  CHECK(soon([&] { return token->available(); }));
  CHECK(token.random().size() == 32);
  CHECK(token->generation() == generation + 1);
}

TEST(a_pin_that_is_refused_after_a_fault_is_not_sent_again) {
  SoftHsm hsm(faulty_module());
  Opened token(hsm.open());
  int logins = faults().Login.calls;
  faults().Login.fail(CKR_PIN_INCORRECT);
  faults().GenerateRandom.fail(CKR_DEVICE_ERROR);
  CHECK_THROWS(token.random(), EngineError, error.code() == "PIN_REFUSED");
  for (int i = 0; i < 3; i++) {
    CHECK_THROWS(token.random(), Pkcs11Error, error.code() == "CKR_PIN_INCORRECT");
  }
  CHECK(faults().Login.calls == logins + 1);
}

TEST(a_dead_module_that_nobody_waits_for_is_let_go) {
  SoftHsm hsm(faulty_module());
  const auto patience = std::exchange(hsm.options.deadline, 1s);
  {
    Opened token(hsm.open());
    faults().GenerateRandom.fail(CKR_DEVICE_ERROR);
    faults().Initialize.fail(CKR_DEVICE_ERROR, 1000);
    CHECK_THROWS(token.random(), EngineError, error.code() == "DEADLINE");
  }
  hsm.options.deadline = patience;
  faults().Initialize.times = 0;
  CHECK(soon([&] {
    try {
      Opened token(hsm.open());
      return token.random().size() == 32;
    } catch (const EngineError& error) {
      CHECK(error.code() == "TOKEN_UNAVAILABLE");
      return false;
    }
  }));
}

TEST(a_wrong_pin_is_sent_once) {
  SoftHsm hsm(faulty_module());
  int logins = faults().Login.calls;
  CHECK_THROWS(hsm.open("4321"), Pkcs11Error, error.code() == "CKR_PIN_INCORRECT");
  CHECK(faults().Login.calls == logins + 1);
  CHECK_THROWS(hsm.open("4321"), EngineError, error.code() == "PIN_REFUSED");
  CHECK(faults().Login.calls == logins + 1);
  Opened token(hsm.open("1234"));
  CHECK(token.random().size() == 32);
}

TEST(a_token_that_would_lock_is_not_tried) {
  SoftHsm hsm(faulty_module());
  int logins = faults().Login.calls;
  faults().token_flags = CKF_USER_PIN_FINAL_TRY;
  CHECK_THROWS(hsm.open(), EngineError, error.code() == "PIN_FINAL_TRY");
  faults().token_flags = CKF_USER_PIN_LOCKED;
  CHECK_THROWS(hsm.open(), EngineError, error.code() == "PIN_LOCKED");
  faults().token_flags = 0;
  CHECK(faults().Login.calls == logins);
}

TEST(a_full_token_says_so) {
  SoftHsm hsm(faulty_module());
  Opened token(hsm.open());
  faults().GenerateKey.fail(CKR_DEVICE_MEMORY);
  CHECK_THROWS(token.open_domain(), Pkcs11Error, error.code() == "CKR_DEVICE_MEMORY");
  CHECK(token.open_domain());
}

TEST(sessions_are_capped) {
  SoftHsm hsm(faulty_module());
  for (size_t sessions : {1, 2, 3, 4, 10}) {
    hsm.options.sessions = sessions;
    size_t before = faults().OpenSession.calls - faults().CloseSession.calls;
    Opened token(hsm.open());
    CHECK(token->lanes(Kind::kSymmetric) >= 1 && token->lanes(Kind::kAsymmetric) >= 1);
    CHECK(faults().OpenSession.calls - faults().CloseSession.calls - before <= sessions);
    CHECK(token.random().size() == 32);
  }
}

TEST(a_token_with_one_session_is_enough) {
  SoftHsm hsm(faulty_module());
  faults().max_sessions = 1;
  Opened token(hsm.open());
  faults().max_sessions = 0;
  CHECK(token->lanes(Kind::kSymmetric) == 1 && token->lanes(Kind::kAsymmetric) == 1);
  token.open_domain();
  CHECK(token.seal(token.new_key(), {1}).size() == 1 + kOverhead);
}

RUN_TESTS()
