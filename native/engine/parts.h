// Work on many things for one caller, done in parts on as many lanes as there are.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "engine/caller.h"
#include "engine/lane.h"

namespace keystead {

// Takes work; `begun` is that of something of which some is done.
using SubmitPart = std::function<void(std::shared_ptr<Caller> part, Work work, bool begun)>;

struct Parts {
  size_t count;  // of the things
  // Does one. When it throws, the lane may try it again.
  std::function<void(const Session&, size_t index)> work;
  // After all of them, once, on the lane that did the last. Whether it is done, else somebody else answers.
  std::function<bool()> finish;
};

// Hands the parts to `submit`, the next when one is done, so that other callers' work comes in between. The
// first part that fails fails all, and no other is begun then.
void do_parts(std::shared_ptr<Caller> caller, Parts parts, size_t lanes, bool begun, SubmitPart submit);

}  // namespace keystead
