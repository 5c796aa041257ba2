// RSAES-OAEP decryption (RFC 8017, section 7.1.2) by a private key of the token.
#pragma once

#include <optional>
#include <span>

#include "engine/capabilities.h"
#include "engine/material.h"
#include "engine/secret.h"
#include "engine/session.h"

namespace keystead {

// Who removes the padding: the token; or the engine, in constant time, after a raw RSA operation of the
// token.
enum class Padding { kByToken, kByEngine };

// With MGF1 by the same hash and an empty label.
CK_RSA_PKCS_OAEP_PARAMS oaep_parameters(Hash hash);

// Throws EngineError MECHANISM_MISSING when neither can.
Padding oaep_padding(const Capabilities& can, Hash hash);

// With an empty label and MGF1 by the same hash; nothing when it does not decrypt, whatever the reason is.
std::optional<SecretBytes> decrypt_oaep(const Session& session, CK_OBJECT_HANDLE key, Padding padding,
                                        Hash hash, std::span<const uint8_t> ciphertext);

}  // namespace keystead
