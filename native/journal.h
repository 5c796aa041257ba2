// The audit log's way to the disk: appendJournal (lib/hsm/addon.ts).
#pragma once

#include <napi.h>

namespace keystead {

void InitJournal(Napi::Env env, Napi::Object exports);

}  // namespace keystead
