// Signatures and MACs that a key of the token makes.
#pragma once

#include <span>

#include "engine/capabilities.h"
#include "engine/key_blob.h"
#include "engine/material.h"
#include "engine/session.h"

namespace keystead {

// The mechanism that a token signs with. Throws EngineError MECHANISM_MISSING, naming what it lacks.
void require_signing(const Capabilities& can, const Signing& signing);
void require_mac(const Capabilities& can, Hash hash);

// Signs with an RSA or EC private key: what `input` and the signature are, Signing says.
Bytes sign_with(const Session& session, CK_OBJECT_HANDLE key, const Signing& signing,
                std::span<const uint8_t> input);

// HMAC, as long as the hash.
Bytes mac(const Session& session, CK_OBJECT_HANDLE key, Hash hash, std::span<const uint8_t> message);

}  // namespace keystead
