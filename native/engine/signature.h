// Signatures and MACs that a key of the token makes.
#pragma once

#include <span>

#include "engine/capabilities.h"
#include "engine/key_blob.h"
#include "engine/material.h"
#include "engine/session.h"

namespace keystead {

// Throw EngineError MECHANISM_MISSING, naming what the token or Node's OpenSSL lacks.
void require_signing(const Capabilities& can, const Signing& signing);
void require_mac(const Capabilities& can, Hash hash);

// What kind of key signs so.
KeyType signer_type(Scheme scheme);

// Signs with a key of that kind: what `input` and the signature are, Signing says. `material` matters only
// for the keys whose seed is derived in the token, with which the engine then signs.
Bytes sign_with(const Session& session, CK_OBJECT_HANDLE key, const Material& material,
                const Signing& signing, std::span<const uint8_t> input);

// HMAC, as long as the hash.
Bytes mac(const Session& session, CK_OBJECT_HANDLE key, Hash hash, std::span<const uint8_t> message);

}  // namespace keystead
