// EC P-256 key pairs that stay on the token.
#pragma once

#include <string>

#include "engine/key_blob.h"
#include "engine/session.h"

namespace keystead {

struct KeyPair {
  CK_OBJECT_HANDLE private_key = 0;
  Bytes public_key;  // SPKI, DER
};

// Finds the pair by label, or with `create` makes it. Throws EngineError KEY_PAIR_NOT_FOUND or
// KEY_PAIR_AMBIGUOUS.
KeyPair open_key_pair(const Session& session, const std::string& label, bool create);

// ECDSA over a digest, as a DER signature.
Bytes sign_digest(const Session& session, CK_OBJECT_HANDLE private_key, const Bytes& digest);

}  // namespace keystead
