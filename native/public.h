// What needs no token: verify, verifyBatch, encrypt, software (lib/hsm/addon.ts).
#pragma once

#include <napi.h>

namespace keystead {

void InitPublic(Napi::Env env, Napi::Object exports);

}  // namespace keystead
