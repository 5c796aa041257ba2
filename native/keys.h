// The keys of a token for JavaScript: named, made, used, moved.
#pragma once

#include <napi.h>

#include <memory>
#include <span>

#include "engine/token.h"
#include "job.h"

namespace keystead {

using Call = const Napi::CallbackInfo&;

// A method of the token object that answers at once.
struct Namer {
  using Run = Napi::Value (*)(Token&, Call);
  const char* name;
  Run run;
};
// One that answers the job.
struct Operation {
  using Start = void (*)(Token&, Call, const std::shared_ptr<Job>&);
  const char* name;
  Start start;
};

std::span<const Namer> key_namers();
std::span<const Operation> key_operations();

}  // namespace keystead
