#include "values.h"

#include <algorithm>

namespace keystead {

namespace {

template <class Value>
struct Named {
  const char* name;
  Value value;
};

constexpr Named<KeyType> kTypes[] = {{"secret", KeyType::kSecret},
                                     {"rsa", KeyType::kRsa},
                                     {"ec", KeyType::kEc},
                                     {"ed25519", KeyType::kEd25519},
                                     {"ml-dsa", KeyType::kMlDsa}};
constexpr Named<Curve> kCurves[] = {{"P-256", Curve::kP256},
                                    {"P-384", Curve::kP384},
                                    {"P-521", Curve::kP521},
                                    {"secp256k1", Curve::kSecp256k1}};
constexpr Named<Hash> kHashes[] = {{"SHA-1", Hash::kSha1},
                                   {"SHA-224", Hash::kSha224},
                                   {"SHA-256", Hash::kSha256},
                                   {"SHA-384", Hash::kSha384},
                                   {"SHA-512", Hash::kSha512}};
constexpr Named<Scheme> kSchemes[] = {{"rsa-pss", Scheme::kRsaPss},      {"rsa-pkcs1", Scheme::kRsaPkcs1},
                                      {"ecdsa", Scheme::kEcdsa},         {"ed25519", Scheme::kEd25519},
                                      {"ed25519ph", Scheme::kEd25519ph}, {"ml-dsa", Scheme::kMlDsa},
                                      {"ml-dsa-mu", Scheme::kMlDsaMu}};

template <class Value, size_t N>
Value named(const Napi::Value& value, const Named<Value> (&names)[N], const char* what) {
  const std::string name = value.IsString() ? text(value) : "";
  for (const auto& known : names) {
    if (name == known.name) return known.value;
  }
  throw Napi::TypeError::New(value.Env(), "no " + std::string(what) + " is called \"" + name + "\"");
}

uint16_t number(const Napi::Object& object, const char* member) {
  return static_cast<uint16_t>(object.Get(member).As<Napi::Number>().Uint32Value());
}

}  // namespace

std::string text(const Napi::Value& value) { return value.As<Napi::String>().Utf8Value(); }

Bytes bytes_of(const Napi::Value& value) {
  auto array = value.As<Napi::Uint8Array>();
  return {array.Data(), array.Data() + array.ElementLength()};
}

Napi::Value to_uint8_array(Napi::Env env, std::span<const uint8_t> bytes) {
  auto array = Napi::Uint8Array::New(env, bytes.size());
  std::copy(bytes.begin(), bytes.end(), array.Data());
  return array;
}

std::shared_ptr<Bytes> job_bytes(Job& job) {
  auto bytes = std::make_shared<Bytes>();
  job.result([bytes](Napi::Env env) {
    Napi::Value value = to_uint8_array(env, *bytes);
    wipe(bytes->data(), bytes->size());
    return value;
  });
  return bytes;
}

std::shared_ptr<std::optional<SecretBytes>> job_secret(Job& job) {
  auto secret = std::make_shared<std::optional<SecretBytes>>();
  job.result([secret](Napi::Env env) {
    Napi::Value value = *secret ? to_uint8_array(env, (*secret)->view()) : env.Undefined();
    secret->reset();
    return value;
  });
  return secret;
}

Napi::Value wrap_key(Napi::Env env, std::shared_ptr<const Key> key) {
  using Held = std::shared_ptr<const Key>;
  return Napi::External<Held>::New(env, new Held(std::move(key)), [](Napi::Env, Held* key) { delete key; });
}

const std::shared_ptr<const Key>& unwrap_key(const Napi::Value& value) {
  return *value.As<Napi::External<std::shared_ptr<const Key>>>().Data();
}

Material material_of(const Napi::Value& value) {
  auto object = value.As<Napi::Object>();
  Material material;
  material.type = named(object.Get("type"), kTypes, "type of material");
  switch (material.type) {
    case KeyType::kSecret:
      material.size = number(object, "bytes");
      break;
    case KeyType::kRsa:
      material.size = number(object, "bits");
      break;
    case KeyType::kEc:
      material.curve = named(object.Get("curve"), kCurves, "curve");
      break;
    case KeyType::kMlDsa:
      material.size = number(object, "parameterSet");
      break;
    case KeyType::kEd25519:
      break;
  }
  return material;
}

Signing signing_of(const Napi::Value& value) {
  auto object = value.As<Napi::Object>();
  Signing signing{named(object.Get("scheme"), kSchemes, "scheme")};
  if (object.Has("hash")) signing.hash = hash_of(object.Get("hash"));
  signing.message = object.Get("message").ToBoolean();
  return signing;
}

Hash hash_of(const Napi::Value& value) { return named(value, kHashes, "hash"); }

}  // namespace keystead
