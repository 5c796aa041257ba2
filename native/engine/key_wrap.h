// Which mechanism of the token is AES key wrap with padding, as RFC 5649 has it.
#pragma once

#include "engine/capabilities.h"
#include "engine/session.h"

namespace keystead {

// Tokens disagree: 0x210A is the padded wrap in SoftHSM and something else in NSS, where it is 0x210B. So
// each is tried with the known answer of RFC 5649, section 6; where the token imports no key in the clear,
// with what the format says of the result's size. Throws EngineError NO_KEY_WRAP when none passes.
CK_MECHANISM_TYPE probe_key_wrap(const Session& session, const Capabilities& can);

}  // namespace keystead
