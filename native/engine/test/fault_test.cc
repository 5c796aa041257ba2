// What goes wrong between engine and token, done to the real SoftHSM by the faulty module.
#include "engine/test/check.h"
#include "engine/test/softhsm.h"

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
  faults().Initialize.fail(CKR_DEVICE_ERROR, 4);
  faults().GenerateRandom.fail(CKR_DEVICE_REMOVED);
  auto first = std::make_shared<Waiter>();
  token->random(first, 8, std::make_shared<Bytes>());
  CHECK(soon([&] { return !token->available(); }));
  auto start = std::chrono::steady_clock::now();
  CHECK_THROWS(token.random(), EngineError, error.code() == "TOKEN_UNAVAILABLE");
  CHECK(std::chrono::steady_clock::now() - start < 20ms);
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
  hsm.options.deadline = 200ms;
  Opened token(hsm.open());
  unsigned generation = token->generation();
  faults().GenerateRandom.wait = 1000;
  auto start = std::chrono::steady_clock::now();
  CHECK_THROWS(token.random(), EngineError, error.code() == "DEADLINE");
  CHECK(std::chrono::steady_clock::now() - start < 600ms);
  faults().GenerateRandom.wait = 0;
  CHECK(soon([&] { return !token->available(); }));
  CHECK_THROWS(token.random(), EngineError, error.code() == "TOKEN_UNAVAILABLE");
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
  {
    hsm.options.deadline = 300ms;
    Opened token(hsm.open());
    faults().GenerateRandom.fail(CKR_DEVICE_ERROR);
    faults().Initialize.fail(CKR_DEVICE_ERROR, 1000);
    CHECK_THROWS(token.random(), EngineError, error.code() == "DEADLINE");
  }
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
