// The decoding of RSAES-OAEP (RFC 8017 7.1.2, step 3), for tokens that give only the raw RSA operation.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "engine/material.h"
#include "engine/secret.h"

namespace keystead {

// The message in an encoded message of the modulus's size, with an empty label and MGF1 by the same hash;
// nothing when it is not one. What is wrong with it shows in no branch and no address (Manger's attack).
// Leaves `encoded` wiped.
std::optional<SecretBytes> oaep_decode(Hash hash, std::span<uint8_t> encoded);

}  // namespace keystead
