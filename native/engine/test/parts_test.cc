// Work in parts on many lanes, on SoftHSM made slow by the faulty module.
#include "engine/parts.h"

#include "engine/test/check.h"
#include "engine/test/softhsm.h"

using namespace keystead;
using namespace keystead::test;

// As a network HSM is: each call takes its time, and many wait side by side.
TEST(the_keys_of_a_batch_are_derived_on_all_lanes) {
  SoftHsm hsm(faulty_module());
  hsm.options.sessions = 4;
  struct Slow {
    Slow() { faults().Sign.wait = 10; }
    ~Slow() { faults().Sign.wait = 0; }
  } slow;
  Opened token(hsm.open());
  CHECK(token->lanes(Kind::kSymmetric) == 4 && token->lanes(Kind::kAsymmetric) == 4);
  token.open_domain();
  constexpr uint8_t kKeys = 12;
  auto job = std::make_shared<BatchJob>();
  for (uint8_t i = 0; i < kKeys; i++) job->keys.push_back(token.new_key(i));
  Bytes plain(kKeys), sealed(kKeys * (1 + kOverhead)), opened(kKeys);
  for (uint8_t i = 0; i < kKeys; i++) plain[i] = i;
  const uint8_t context[4] = {};
  const uint32_t context_size = sizeof context;
  const std::vector<uint32_t> one(kKeys, 1), sealed_size(kKeys, 1 + kOverhead);
  std::vector<uint32_t> number(kKeys);
  for (uint32_t i = 0; i < kKeys; i++) number[i] = i;
  job->contexts = {context, sizeof context};
  job->context_lengths = {&context_size, 1};
  auto passes = [&] {
    auto lend = [&](Bytes& input, const std::vector<uint32_t>& lengths, const std::vector<uint32_t>& groups,
                    Bytes& output) {
      job->input = input.data();
      job->input_size = input.size();
      job->lengths = {lengths.data(), lengths.size()};
      job->groups = {groups.data(), groups.size()};
      job->output = output.data();
      job->output_size = output.size();
    };
    lend(plain, one, one, sealed);
    Opened::await([&](auto waiter) { token->seal(waiter, job); });
    lend(sealed, sealed_size, number, opened);
    auto ok = std::make_shared<Bytes>();
    Opened::await([&](auto waiter) { token->open_batch(waiter, job, ok); });
    return *ok == Bytes(kKeys, 1) && opened == plain;
  };
  CHECK(passes());
  faults().Sign.most_waiting = 0;
  CHECK(passes());
  CHECK(faults().Sign.most_waiting > 1 && faults().Sign.most_waiting <= 4);
  auto& fault = faults().SignInit;
  for (CK_RV rv :
       {CKR_SESSION_HANDLE_INVALID, CKR_KEY_HANDLE_INVALID, CKR_USER_NOT_LOGGED_IN, CKR_DEVICE_ERROR}) {
    fault.spare = 5;
    fault.fail(rv);
    CHECK(passes());
    CHECK(fault.times == 0);
  }
  fault.spare = 5;
  fault.fail(CKR_FUNCTION_NOT_SUPPORTED);
  CHECK_THROWS(passes(), Pkcs11Error, error.code() == "CKR_FUNCTION_NOT_SUPPORTED");
  CHECK(passes());
}

RUN_TESTS()
