// Key agreement: ECDH (NIST SP 800-56A, section 5.7.1.2) by a private key of the token.
#pragma once

#include <span>

#include "engine/capabilities.h"
#include "engine/secret.h"
#include "engine/session.h"

namespace keystead {

// Throws EngineError MECHANISM_MISSING.
void require_agreement(const Capabilities& can);

// The x coordinate, as long as the curve's. `public_key` is another's SPKI: throws EngineError PUBLIC_KEY
// unless it is a point of the key's own curve.
SecretBytes derive_secret(const Session& session, CK_OBJECT_HANDLE key, std::span<const uint8_t> public_key);

}  // namespace keystead
