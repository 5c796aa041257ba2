// Import inside the token: what a caller encrypted is unwrapped there, and never is in the engine's memory.
#pragma once

#include "engine/domain.h"
#include "engine/key_import.h"
#include "engine/key_object.h"

namespace keystead {

// Whether the token unwraps what the order brings, and tells enough of it afterwards for the engine to check
// it: secrets from 32 bytes on, of which it computes the id as well, and RSA keys. Of EC keys no token tells
// the public key.
bool can_unwrap(const Capabilities& can, const ImportOrder& order);

// What the order brings, as a session object that may be extracted: unwrapped by its wrapping key, whose blob
// is of `domain`, and checked. Throws what import_key() throws.
GeneratedKey unwrap_material(const Session& session, const Domain& domain, const Capabilities& can,
                             CK_MECHANISM_TYPE key_wrap, const ImportOrder& order);

}  // namespace keystead
