// Key objects: what each kind of material may do, how it is generated, and its public half.
#pragma once

#include <string>

#include "engine/capabilities.h"
#include "engine/key_blob.h"
#include "engine/material.h"
#include "engine/session.h"

namespace keystead {

// Whether its backing key is a secret that a seed is derived from, since no token could hold it.
constexpr bool is_seeded(KeyType type) { return type == KeyType::kEd25519 || type == KeyType::kMlDsa; }

struct GeneratedKey {
  CK_OBJECT_HANDLE handle;
  Bytes public_key;  // SPKI, DER; empty for secrets
};

// The template of a key that does what its kind of material is for, and nothing else: private, sensitive,
// with neither CKA_TOKEN nor CKA_EXTRACTABLE.
Attributes key_attributes(KeyType type);

// A session object that may be extracted, for as long as it takes to wrap it.
GeneratedKey generate_extractable(const Session& session, const Material& material);
// Token objects, both halves with this id as their label; not extractable, not modifiable.
GeneratedKey generate_on_token(const Session& session, const Material& material, const std::string& id);

// The SPKI of an object that shows its public half: any RSA key, an EC public key.
Bytes public_key_of(const Session& session, CK_OBJECT_HANDLE object);
// The type of an RSA or EC key.
KeyType key_type_of(const Session& session, CK_OBJECT_HANDLE object);
// The curve that its CKA_EC_PARAMS names. Throws EngineError CURVE.
Curve curve_of(const Session& session, CK_OBJECT_HANDLE object);

// Throws EngineError MECHANISM_MISSING when the token cannot generate it.
void require_generator(const Capabilities& can, const Material& material);

}  // namespace keystead
