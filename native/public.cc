#include "public.h"

#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "engine/crew.h"
#include "engine/public_key.h"
#include "engine/secret.h"
#include "engine/software.h"
#include "job.h"
#include "values.h"

namespace keystead {
namespace {

// One call's work on the crew, or the rejection of what could not be read.
template <typename Start>
Napi::Value on_crew(const Napi::CallbackInfo& info, const Start& start) {
  const auto job = Job::make(info.Env());
  try {
    start(info[0].As<Napi::Object>(), job);
  } catch (...) {
    job->answer(std::current_exception());
  }
  return job->promise(info.Env());
}

struct Check {
  Bytes public_key;
  Signing signing;
  Bytes input;
  Bytes signature;
  bool authentic = false;
};

Napi::Value verify(const Napi::CallbackInfo& info) {
  return on_crew(info, [](const Napi::Object& options, const std::shared_ptr<Job>& job) {
    const auto check = std::make_shared<Check>();
    check->public_key = bytes_of(options.Get("publicKey"));
    check->signing = signing_of(options.Get("signing"));
    check->input = bytes_of(options.Get("input"));
    check->signature = bytes_of(options.Get("signature"));
    job->result([check](Napi::Env env) { return Napi::Boolean::New(env, check->authentic); });
    Crew::instance().run(
        1, 1,
        [check](size_t, size_t) {
          check->authentic =
              PublicKey::of(check->public_key)->verify(check->signing, check->input, check->signature);
        },
        [job](std::exception_ptr error) { job->answer(error); });
  });
}

// Items one behind the other, as they came.
struct Packed {
  Packed(Bytes packed, const Napi::Uint32Array& lengths) : bytes(std::move(packed)), starts{0} {
    for (size_t i = 0; i < lengths.ElementLength(); ++i) starts.push_back(starts.back() + lengths[i]);
    if (starts.back() != bytes.size()) {
      throw Napi::RangeError::New(lengths.Env(), "the lengths of the items are not those of the bytes");
    }
  }
  size_t count() const { return starts.size() - 1; }
  std::span<const uint8_t> operator[](size_t i) const {
    return std::span(bytes).subspan(starts[i], starts[i + 1] - starts[i]);
  }

  Bytes bytes;
  std::vector<size_t> starts;
};

struct Checks {
  Bytes public_key;
  Signing signing;
  Packed inputs;
  Packed signatures;
};

Napi::Value verify_batch(const Napi::CallbackInfo& info) {
  return on_crew(info, [](const Napi::Object& options, const std::shared_ptr<Job>& job) {
    const auto packed = [&](const char* bytes, const char* lengths) {
      return Packed(bytes_of(options.Get(bytes)), options.Get(lengths).As<Napi::Uint32Array>());
    };
    const auto checks = std::make_shared<Checks>(
        Checks{bytes_of(options.Get("publicKey")), signing_of(options.Get("signing")),
               packed("inputs", "inputLengths"), packed("signatures", "signatureLengths")});
    if (checks->inputs.count() != checks->signatures.count()) {
      throw Napi::RangeError::New(options.Env(), "there are not as many signatures as inputs");
    }
    const auto authentic = job_bytes(*job);
    authentic->resize(checks->inputs.count());
    Crew::instance().run(
        authentic->size(), 1,
        [checks, authentic](size_t from, size_t to) {
          const auto key = PublicKey::of(checks->public_key);
          for (size_t i = from; i < to; ++i) {
            (*authentic)[i] = key->verify(checks->signing, checks->inputs[i], checks->signatures[i]);
          }
        },
        [job](std::exception_ptr error) { job->answer(error); });
  });
}

Napi::Value encrypt(const Napi::CallbackInfo& info) {
  return on_crew(info, [](const Napi::Object& options, const std::shared_ptr<Job>& job) {
    const auto plaintext = options.Get("plaintext").As<Napi::Uint8Array>();
    const auto secret = std::make_shared<const SecretBytes>(
        std::span<const uint8_t>(plaintext.Data(), plaintext.ByteLength()));
    const auto spki = std::make_shared<const Bytes>(bytes_of(options.Get("publicKey")));
    const Hash hash = hash_of(options.Get("hash"));
    const auto ciphertext = job_bytes(*job);
    Crew::instance().run(
        1, 1,
        [spki, hash, secret, ciphertext](size_t, size_t) {
          *ciphertext = PublicKey::of(*spki)->encrypt(hash, secret->view());
        },
        [job](std::exception_ptr error) { job->answer(error); });
  });
}

Napi::Value describe(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  try {
    const Software can = software();
    const auto object = Napi::Object::New(env);
    object.Set("mlDsa", can.ml_dsa);
    object.Set("ed25519ph", can.ed25519ph);
    return object;
  } catch (const std::exception&) {
    throw Napi::Error(env, error_value(env, std::current_exception()));
  }
}

}  // namespace

void InitPublic(Napi::Env env, Napi::Object exports) {
  exports.Set("verify", Napi::Function::New(env, verify, "verify"));
  exports.Set("verifyBatch", Napi::Function::New(env, verify_batch, "verifyBatch"));
  exports.Set("encrypt", Napi::Function::New(env, encrypt, "encrypt"));
  exports.Set("software", Napi::Function::New(env, describe, "software"));
}

}  // namespace keystead
