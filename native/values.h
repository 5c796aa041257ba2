// Values of JavaScript as the engine has them, and the other way round.
#pragma once

#include <napi.h>

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "engine/key.h"
#include "engine/key_blob.h"
#include "engine/material.h"
#include "engine/secret.h"
#include "job.h"

namespace keystead {

std::string text(const Napi::Value& value);
Bytes bytes_of(const Napi::Value& value);
Napi::Value to_uint8_array(Napi::Env env, std::span<const uint8_t> bytes);
// What a job resolves to when it gives bytes; these are wiped behind it.
std::shared_ptr<Bytes> job_bytes(Job& job);

// The same of a secret: undefined when there is none.
std::shared_ptr<std::optional<SecretBytes>> job_secret(Job& job);

// A NativeKey.
Napi::Value wrap_key(Napi::Env env, std::shared_ptr<const Key> key);
const std::shared_ptr<const Key>& unwrap_key(const Napi::Value& value);

// Material, Signing and hashes as lib/hsm/addon.ts has them. Throw TypeError.
Material material_of(const Napi::Value& value);
Signing signing_of(const Napi::Value& value);
Hash hash_of(const Napi::Value& value);

}  // namespace keystead
