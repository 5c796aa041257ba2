// AES key wrap with padding (RFC 5649) by Node's own OpenSSL, for keys that the engine itself wraps or
// unwraps.
#pragma once

#include <optional>
#include <span>

#include "engine/der.h"
#include "engine/secret.h"

namespace keystead {

// Both take a wrapping key of 16, 24 or 32 bytes, and throw EngineError WRAPPING_KEY for another size.
Bytes padded_wrap(std::span<const uint8_t> wrapping, std::span<const uint8_t> key);
// Nothing when it was not wrapped by this key.
std::optional<SecretBytes> padded_unwrap(std::span<const uint8_t> wrapping, std::span<const uint8_t> wrapped);

}  // namespace keystead
