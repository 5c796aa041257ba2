// The addon's bulk cryptography: sealFrames, openFrames, crew, useGcm (lib/hsm/addon.ts).
#pragma once

#include <napi.h>

namespace keystead {

void InitBulk(Napi::Env env, Napi::Object exports);

}  // namespace keystead
