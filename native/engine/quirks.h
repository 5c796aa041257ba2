// Where tokens differ from the standard or from each other, as data.
#pragma once

#include <string_view>
#include <vector>

#include "engine/capabilities.h"

namespace keystead {

struct Quirk {
  std::string_view name;   // as info().quirks shows it
  std::string_view maker;  // the module's manufacturer begins so
  std::string_view what;
};

// The rows that apply to this token.
std::vector<const Quirk*> quirks_of(const Capabilities& can);
// Whether a row of this name is among them.
bool has_quirk(const Capabilities& can, std::string_view name);

}  // namespace keystead
