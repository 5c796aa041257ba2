// The trial at start: how many lanes make symmetric operations faster on this token.
#pragma once

#include <functional>
#include <vector>

#include "engine/session.h"

namespace keystead {

// How many sessions are worth using at the same time: twice as many are taken only while that is clearly
// faster. `open_up_to` adds to `sessions`, which begin with one that is logged in, until there are so many,
// or as many as there may be, and says how many there are. Takes a few milliseconds, or some dozen calls on a
// token that takes milliseconds for each. To be called inside a Stay.
size_t try_lanes(const std::vector<Session>& sessions, const std::function<size_t(size_t count)>& open_up_to);

}  // namespace keystead
