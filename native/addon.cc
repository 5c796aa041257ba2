// What JavaScript sees: lib/hsm/addon.ts, exactly.
#include <napi.h>

#include "bulk.h"
#include "journal.h"
#include "public.h"
#include "sink.h"
#include "token.h"

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  keystead::Sink::open(env);
  keystead::InitToken(env, exports);
  keystead::InitBulk(env, exports);
  keystead::InitJournal(env, exports);
  keystead::InitPublic(env, exports);
  return exports;
}

NODE_API_MODULE(keystead, Init)
