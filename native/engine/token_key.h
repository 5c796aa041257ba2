// Keys that live on the token: sensitive, not extractable, never wrapped. Found by an id, which is the
// CKA_LABEL and the CKA_ID of each of their objects.
#pragma once

#include <string>

#include "engine/key_blob.h"
#include "engine/material.h"
#include "engine/session.h"

namespace keystead {

// The secret or private key. Throws EngineError KEY_NOT_FOUND or KEY_AMBIGUOUS.
CK_OBJECT_HANDLE find_token_key(const Session& session, const std::string& id);
// SPKI, DER. Throws the same where there is no public key.
Bytes token_public_key(const Session& session, const std::string& id);
// Makes it, and gives its public key as SPKI, if it has one. Throws EngineError KEY_EXISTS.
Bytes create_token_key(const Session& session, const std::string& id, const Material& material);
// Destroys all its objects; whether there were any.
bool destroy_token_key(const Session& session, const std::string& id);

}  // namespace keystead
