// The trial at start: how many lanes make symmetric operations faster on this token.
#pragma once

#include <vector>

#include "engine/session.h"

namespace keystead {

// How many of these sessions (at least one) are worth using at the same time: twice as many are taken only
// while that is clearly faster. Takes a few milliseconds. To be called inside a Stay, logged in.
size_t try_lanes(const std::vector<Session>& sessions);

}  // namespace keystead
