#include "token.h"

#include <map>
#include <utility>

#include "engine/errand.h"
#include "engine/mechanisms.h"
#include "engine/quirks.h"
#include "engine/secret.h"
#include "engine/token.h"
#include "job.h"
#include "keys.h"
#include "values.h"

namespace keystead {

namespace {

std::optional<std::string> optional_text(const Napi::Value& value) {
  if (!value.IsString()) return std::nullopt;
  return text(value);
}

Environment environment_of(const Napi::Value& value) {
  Environment environment;
  if (!value.IsObject()) return environment;
  auto object = value.As<Napi::Object>();
  Napi::Array names = object.GetPropertyNames();
  for (uint32_t i = 0; i < names.Length(); i++) {
    Napi::Value name = names[i];
    environment[text(name)] = text(object.Get(name));
  }
  return environment;
}

// Takes the PIN over: JavaScript's copy is wiped.
std::unique_ptr<Pin> take_pin(const Napi::Value& value) {
  auto array = value.As<Napi::Uint8Array>();
  auto pin = std::make_unique<Pin>(array.Data(), array.ElementLength());
  wipe(array.Data(), array.ElementLength());
  return pin;
}

Napi::Object token_description(Napi::Env env, const TokenDescription& token) {
  auto object = Napi::Object::New(env);
  object.Set("label", token.label);
  object.Set("manufacturer", token.manufacturer);
  object.Set("model", token.model);
  object.Set("serial", token.serial);
  return object;
}

LentNumbers numbers(Job& job, const Napi::Value& value) {
  auto array = value.As<Napi::Uint32Array>();
  return {reinterpret_cast<const uint32_t*>(job.pin(array)), array.ElementLength()};
}

std::shared_ptr<BatchJob> batch_of(Job& job, const Napi::Object& options, const char* groups) {
  auto batch = std::make_shared<BatchJob>();
  auto keys = options.Get("keys").As<Napi::Array>();
  batch->keys.reserve(keys.Length());
  for (uint32_t i = 0; i < keys.Length(); i++) {
    batch->keys.push_back(unwrap_key(keys[i]));
  }
  auto input = options.Get("input").As<Napi::Uint8Array>();
  batch->input = job.pin(input);
  batch->input_size = input.ElementLength();
  batch->lengths = numbers(job, options.Get("lengths"));
  auto contexts = options.Get("contexts").As<Napi::Uint8Array>();
  batch->contexts = {job.pin(contexts), contexts.ElementLength()};
  batch->context_lengths = numbers(job, options.Get("contextLengths"));
  batch->groups = numbers(job, options.Get(groups));
  auto output = options.Get("output").As<Napi::Uint8Array>();
  batch->output = job.pin(output);
  batch->output_size = output.ElementLength();
  return batch;
}

// The token as JavaScript holds it. One that is let go of without close() is closed in the background.
struct Holder {
  std::shared_ptr<Token> token;
  ~Holder() {
    struct Nobody : Caller {
      bool enter() override { return false; }
      void leave() override {}
      void answer(std::exception_ptr) override {}
    };
    if (!token) return;
    try {
      run_errand(std::make_shared<Nobody>(), [token = std::move(token)] { token->close(); });
    } catch (const std::exception&) {
      // No thread to be had: the token stays open until the process ends.
    }
  }
};

Napi::Value info(Token& token, Call call) {
  Napi::Env env = call.Env();
  const Capabilities& can = token.capabilities();
  Napi::Object info = token_description(env, can.token);
  auto number = [&](auto value) { return Napi::Number::New(env, static_cast<double>(value)); };
  info.Set("library", can.library);
  info.Set("cryptoki", can.cryptoki);
  info.Set("generation", number(token.generation()));
  auto lanes = Napi::Object::New(env);
  lanes.Set("symmetric", number(token.lanes(Kind::kSymmetric)));
  lanes.Set("asymmetric", number(token.lanes(Kind::kAsymmetric)));
  info.Set("lanes", lanes);
  auto mechanisms = Napi::Array::New(env);
  for (const auto& [type, about] : can.mechanisms) {
    auto mechanism = Napi::Object::New(env);
    mechanism.Set("type", number(type));
    mechanism.Set("name", mechanism_name(type));
    mechanism.Set("minKeySize", number(about.ulMinKeySize));
    mechanism.Set("maxKeySize", number(about.ulMaxKeySize));
    mechanism.Set("flags", number(about.flags));
    mechanisms.Set(mechanisms.Length(), mechanism);
  }
  info.Set("mechanisms", mechanisms);
  auto quirks = Napi::Array::New(env);
  for (const Quirk* quirk : quirks_of(can)) quirks.Set(quirks.Length(), std::string(quirk->name));
  info.Set("quirks", quirks);
  info.Set("keyWrap", mechanism_name(token.key_wrap()));
  const KeyCache& cache = token.handles();
  auto handles = Napi::Object::New(env);
  handles.Set("open", number(cache.open()));
  handles.Set("limit", number(cache.limit()));
  handles.Set("hits", number(cache.hits()));
  handles.Set("misses", number(cache.misses()));
  info.Set("handles", handles);
  info.Set("available", token.available());
  return info;
}

void open_domain(Token& token, Call call, const std::shared_ptr<Job>& job) {
  auto made = std::make_shared<bool>(false);
  job->result([made](Napi::Env env) { return Napi::Boolean::New(env, *made); });
  token.open_domain(job, text(call[0]), call[1].As<Napi::Boolean>(), made);
}

void seal(Token& token, Call call, const std::shared_ptr<Job>& job) {
  auto options = call[0].As<Napi::Object>();
  auto batch = batch_of(*job, options, "counts");
  batch->wipe_input = options.Get("wipeInput").ToBoolean();
  if (batch->wipe_input) job->wipe_if_rejected(batch->input, batch->input_size);
  token.seal(job, std::move(batch));
}

void seal_random(Token& token, Call call, const std::shared_ptr<Job>& job) {
  auto batch = batch_of(*job, call[0].As<Napi::Object>(), "counts");
  batch->random_input = true;
  job->wipe_if_rejected(batch->input, batch->input_size);
  token.seal(job, std::move(batch));
}

void open(Token& token, Call call, const std::shared_ptr<Job>& job) {
  auto batch = batch_of(*job, call[0].As<Napi::Object>(), "groups");
  job->wipe_if_rejected(batch->output, batch->output_size);
  token.open_batch(job, std::move(batch), job_bytes(*job));
}

void random(Token& token, Call call, const std::shared_ptr<Job>& job) {
  token.random(job, call[0].As<Napi::Number>().Uint32Value(), job_bytes(*job));
}

// A function that gives a promise: what it throws before it has started rejects that.
template <class Start>
Napi::Function async(Napi::Env env, const char* name, Start start) {
  auto run = [start](Call call) -> Napi::Value {
    auto job = Job::make(call.Env());
    try {
      start(call, job);
    } catch (...) {
      job->answer(std::current_exception());
    }
    return job->promise(call.Env());
  };
  return Napi::Function::New(env, run, name);
}

Napi::Object token_object(Napi::Env env, std::shared_ptr<Holder> holder) {
  auto object = Napi::Object::New(env);
  auto now = [&](const char* name, Namer::Run run) {
    object.Set(name, Napi::Function::New(
                         env, [holder, run](Call call) { return run(*holder->token, call); }, name));
  };
  auto later = [&](const char* name, Operation::Start start) {
    object.Set(name, async(env, name, [holder, start](Call call, const std::shared_ptr<Job>& job) {
                 start(*holder->token, call, job);
               }));
  };
  now("info", info);
  for (const auto& [name, run] : key_namers()) now(name, run);
  later("openDomain", open_domain);
  later("seal", seal);
  later("sealRandom", seal_random);
  later("open", open);
  later("random", random);
  for (const auto& [name, start] : key_operations()) later(name, start);
  object.Set("close", async(env, "close", [holder](Call, const std::shared_ptr<Job>& job) {
               run_errand(job, [token = holder->token] { token->close(); });
             }));
  return object;
}

void open_token(Call call, const std::shared_ptr<Job>& job) {
  auto options = call[0].As<Napi::Object>();
  TokenOptions wanted;
  wanted.module = text(options.Get("module"));
  wanted.environment = environment_of(options.Get("environment"));
  wanted.name = {optional_text(options.Get("label")), optional_text(options.Get("serial"))};
  wanted.handles = options.Get("handles").As<Napi::Number>().Uint32Value();
  wanted.sessions = options.Get("sessions").As<Napi::Number>().Uint32Value();
  auto pin = std::make_shared<std::unique_ptr<Pin>>(take_pin(options.Get("pin")));
  // A holder from the start: should the environment end before it gets the token, that is closed.
  auto holder = std::make_shared<Holder>();
  job->result([holder](Napi::Env env) { return token_object(env, holder); });
  run_errand(job, [=] { holder->token = Token::open(wanted, std::move(*pin)); });
}

void initialize_token(Call call, const std::shared_ptr<Job>& job) {
  auto options = call[0].As<Napi::Object>();
  std::shared_ptr<Pin> so_pin = take_pin(options.Get("soPin")), pin = take_pin(options.Get("pin"));
  run_errand(job, [=, module = text(options.Get("module")), label = text(options.Get("label")),
                   environment = environment_of(options.Get("environment"))] {
    auto shared = Module::acquire(module, environment);
    Stay stay(*shared);
    if (stay) init_token(*shared, label, *so_pin, *pin);
  });
}

void tokens(Call call, const std::shared_ptr<Job>& job) {
  auto options = call[0].As<Napi::Object>();
  auto found = std::make_shared<std::vector<TokenDescription>>();
  job->result([found](Napi::Env env) {
    auto array = Napi::Array::New(env);
    for (const auto& token : *found) array.Set(array.Length(), token_description(env, token));
    return array;
  });
  run_errand(job, [found, module = text(options.Get("module")),
                   environment = environment_of(options.Get("environment"))] {
    auto shared = Module::acquire(module, environment);
    Stay stay(*shared);
    if (stay) *found = initialized_tokens(*shared);
  });
}

}  // namespace

void InitToken(Napi::Env env, Napi::Object exports) {
  exports.Set("openToken", async(env, "openToken", open_token));
  exports.Set("initToken", async(env, "initToken", initialize_token));
  exports.Set("tokens", async(env, "tokens", tokens));
}

}  // namespace keystead
