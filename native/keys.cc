#include "keys.h"

#include <algorithm>

#include "values.h"

namespace keystead {

namespace {

// A header of docs/ciphertext.md.
const uint8_t* header_of(const Napi::Object& options) {
  auto header = options.Get("header").As<Napi::Uint8Array>();
  if (header.ElementLength() != kHeaderSize)
    throw Napi::RangeError::New(options.Env(), "header is not 50 bytes");
  return header.Data();
}

std::shared_ptr<const Key> backing_key_of(const Napi::Object& options, const uint8_t* header) {
  return Key::make(text(options.Get("domain")), bytes_of(options.Get("blob")),
                   bytes_of(options.Get("context")), header);
}

// One that seals nothing.
std::shared_ptr<const Key> backing_key_of(const Napi::Object& options) {
  constexpr uint8_t kNoHeader[kHeaderSize] = {};
  return backing_key_of(options, kNoHeader);
}

Napi::Value key(Token&, Call call) {
  auto options = call[0].As<Napi::Object>();
  return wrap_key(call.Env(), backing_key_of(options, header_of(options)));
}

Napi::Value token_key(Token&, Call call) {
  auto options = call[0].As<Napi::Object>();
  return wrap_key(call.Env(), Key::of_token(text(options.Get("id")), header_of(options)));
}

Napi::Value forget(Token& token, Call call) {
  token.forget(*unwrap_key(call[0]));
  return call.Env().Undefined();
}

void generate_key(Token& token, Call call, const std::shared_ptr<Job>& job) {
  auto options = call[0].As<Napi::Object>();
  auto made = std::make_shared<BackingKey>();
  job->result([made](Napi::Env env) {
    auto key = Napi::Object::New(env);
    key.Set("blob", to_uint8_array(env, made->blob));
    if (!made->public_key.empty()) key.Set("publicKey", to_uint8_array(env, made->public_key));
    return key;
  });
  token.generate_key(job, text(options.Get("domain")), bytes_of(options.Get("context")),
                     material_of(options.Get("material")), made);
}

void create_token_key(Token& token, Call call, const std::shared_ptr<Job>& job) {
  auto options = call[0].As<Napi::Object>();
  auto public_key = std::make_shared<Bytes>();
  job->result([public_key](Napi::Env env) {
    auto made = Napi::Object::New(env);
    if (!public_key->empty()) made.Set("publicKey", to_uint8_array(env, *public_key));
    return made;
  });
  token.create_token_key(job, text(options.Get("id")), material_of(options.Get("material")), public_key);
}

void token_public_key(Token& token, Call call, const std::shared_ptr<Job>& job) {
  token.token_public_key(job, text(call[0]), job_bytes(*job));
}

void destroy_token_key(Token& token, Call call, const std::shared_ptr<Job>& job) {
  auto any = std::make_shared<bool>(false);
  job->result([any](Napi::Env env) { return Napi::Boolean::New(env, *any); });
  token.destroy_token_key(job, text(call[0]), any);
}

void sign_with(Token& token, Call call, const std::shared_ptr<Job>& job) {
  token.sign(job, unwrap_key(call[0]), signing_of(call[1]), bytes_of(call[2]), job_bytes(*job));
}

void sign_batch(Token& token, Call call, const std::shared_ptr<Job>& job) {
  auto options = call[0].As<Napi::Object>();
  auto keys = options.Get("keys").As<Napi::Array>(), signings = options.Get("signings").As<Napi::Array>();
  auto counts = options.Get("counts").As<Napi::Uint32Array>();
  auto lengths = options.Get("lengths").As<Napi::Uint32Array>();
  if (keys.Length() != counts.ElementLength() || keys.Length() != signings.Length())
    throw Napi::RangeError::New(call.Env(), "keys, signings and counts are not of one length");
  auto batch = std::make_shared<SignBatch>();
  for (uint32_t i = 0; i < keys.Length(); i++)
    batch->groups.push_back({unwrap_key(keys[i]), signing_of(signings[i]), counts[i]});
  batch->input = bytes_of(options.Get("input"));
  batch->lengths.assign(lengths.Data(), lengths.Data() + lengths.ElementLength());
  auto signatures = std::make_shared<Signatures>();
  job->result([signatures](Napi::Env env) {
    auto lengths = Napi::Uint32Array::New(env, signatures->lengths.size());
    std::copy(signatures->lengths.begin(), signatures->lengths.end(), lengths.Data());
    auto result = Napi::Object::New(env);
    result.Set("signatures", to_uint8_array(env, signatures->packed));
    result.Set("lengths", lengths);
    return result;
  });
  token.sign_batch(job, std::move(batch), std::move(signatures));
}

void mac(Token& token, Call call, const std::shared_ptr<Job>& job) {
  auto options = call[1].As<Napi::Object>();
  token.mac(job, unwrap_key(call[0]), hash_of(options.Get("hash")), bytes_of(options.Get("message")),
            job_bytes(*job));
}

void decrypt(Token& token, Call call, const std::shared_ptr<Job>& job) {
  auto options = call[1].As<Napi::Object>();
  token.decrypt(job, unwrap_key(call[0]), hash_of(options.Get("hash")), bytes_of(options.Get("ciphertext")),
                job_secret(*job));
}

void derive_secret(Token& token, Call call, const std::shared_ptr<Job>& job) {
  token.derive_secret(job, unwrap_key(call[0]), bytes_of(call[1]), job_secret(*job));
}

void generate_key_pair(Token& token, Call call, const std::shared_ptr<Job>& job) {
  auto made = std::make_shared<std::optional<PrivateKey>>();
  job->result([made](Napi::Env env) {
    auto pair = Napi::Object::New(env);
    pair.Set("privateKey", to_uint8_array(env, (*made)->pkcs8.view()));
    pair.Set("publicKey", to_uint8_array(env, (*made)->public_key));
    made->reset();
    return pair;
  });
  token.data_key_pair(job, material_of(call[0]), made);
}

void rewrap_key(Token& token, Call call, const std::shared_ptr<Job>& job) {
  auto options = call[0].As<Napi::Object>();
  auto to = options.Get("to").As<Napi::Object>();
  token.rewrap(job, backing_key_of(options), text(to.Get("domain")), bytes_of(to.Get("context")),
               job_bytes(*job));
}

void import_key(Token& token, Call call, const std::shared_ptr<Job>& job) {
  auto options = call[0].As<Napi::Object>();
  auto algorithm = options.Get("algorithm").As<Napi::Object>();
  auto order = std::make_shared<ImportOrder>();
  order->wrapping = backing_key_of(options.Get("wrapping").As<Napi::Object>());
  order->key_wrap = text(algorithm.Get("scheme")) == "rsa-aes-key-wrap";
  order->hash = hash_of(algorithm.Get("hash"));
  order->encrypted = bytes_of(options.Get("encrypted"));
  order->domain = text(options.Get("domain"));
  order->context = bytes_of(options.Get("context"));
  order->material_id_at = options.Get("materialIdAt").As<Napi::Number>().Uint32Value();
  order->id_context = bytes_of(options.Get("idContext"));
  order->material = material_of(options.Get("material"));
  auto imported = std::make_shared<ImportedKey>();
  job->result([imported](Napi::Env env) {
    auto key = Napi::Object::New(env);
    key.Set("blob", to_uint8_array(env, imported->blob));
    key.Set("materialId", imported->material_id);
    if (!imported->public_key.empty()) key.Set("publicKey", to_uint8_array(env, imported->public_key));
    return key;
  });
  token.import(job, std::move(order), std::move(imported));
}

constexpr Namer kNamers[] = {{"key", key}, {"tokenKey", token_key}, {"forget", forget}};

constexpr Operation kOperations[] = {
    {"generateKey", generate_key},
    {"createTokenKey", create_token_key},
    {"tokenPublicKey", token_public_key},
    {"destroyTokenKey", destroy_token_key},
    {"signWith", sign_with},
    {"signBatch", sign_batch},
    {"mac", mac},
    {"decrypt", decrypt},
    {"deriveSecret", derive_secret},
    {"generateKeyPair", generate_key_pair},
    {"rewrapKey", rewrap_key},
    {"importKey", import_key},
};

}  // namespace

std::span<const Namer> key_namers() { return kNamers; }
std::span<const Operation> key_operations() { return kOperations; }

}  // namespace keystead
