// The host's random generator: mixed into the token's, so that neither alone has to be trusted.
#pragma once

#include <cstddef>
#include <cstdint>

namespace keystead {

// Throws EngineError ENTROPY when the system gives none.
void host_random(uint8_t* out, size_t size);

}  // namespace keystead
