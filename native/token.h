// The addon's tokens: openToken, initToken, tokens, and the object that openToken gives (lib/hsm/addon.ts).
#pragma once

#include <napi.h>

namespace keystead {

void InitToken(Napi::Env env, Napi::Object exports);

}  // namespace keystead
