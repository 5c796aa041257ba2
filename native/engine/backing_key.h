// Backing keys: made in the token, leaving it only wrapped and bound.
#pragma once

#include "engine/domain.h"
#include "engine/key.h"
#include "engine/key_blob.h"
#include "engine/secret.h"
#include "engine/session.h"

namespace keystead {

// What the key is made of, or EngineError KEY_TYPE when it is of another type. The token itself knows what
// its own keys are: of them nothing is said here.
Material require_type(const Key& key, KeyType type);

struct BackingKey {
  Bytes blob;
  Bytes public_key;  // SPKI, DER; empty for secrets
};

// A new key. Its session object is destroyed before this returns.
BackingKey generate_backing_key(const Session& session, const Domain& domain, CK_MECHANISM_TYPE key_wrap,
                                const Bytes& context, const Material& material);

// The blob of a session object that may be extracted; it is destroyed.
Bytes wrap_backing_key(const Session& session, const Domain& domain, CK_MECHANISM_TYPE key_wrap,
                       const Bytes& context, const Material& material, Temporary& key);

// The same material, wrapped by another domain key of the token and bound to another context. Throws what
// unwrapping it throws.
Bytes rewrap_backing_key(const Session& session, const Domain& from, CK_MECHANISM_TYPE key_wrap,
                         const Key& key, const Domain& to, const Bytes& context);

// A session object: sensitive, not extractable, for what its kind is for. Throws EngineError BINDING_MISMATCH
// when the blob is not bound to the key's context, DOMAIN_GENERATION when another generation of the domain
// key wraps it.
CK_OBJECT_HANDLE unwrap_backing_key(const Session& session, const Domain& domain, CK_MECHANISM_TYPE key_wrap,
                                    const Key& key);

// The same of an RSA key, which may unwrap and do nothing else.
CK_OBJECT_HANDLE unwrap_unwrapping_key(const Session& session, const Domain& domain,
                                       CK_MECHANISM_TYPE key_wrap, const Key& key);

// The seed of an Ed25519 or ML-DSA key: HMAC-SHA-256 by its backing key, in the token (docs/key-blob.md).
Secret<32> derive_seed(const Session& session, CK_OBJECT_HANDLE backing_key, const Material& material);

// The key that seals under this nonce (docs/ciphertext.md): one block of SP 800-108's KDF in counter mode.
Secret<32> derive(const Session& session, CK_OBJECT_HANDLE backing_key, const uint8_t nonce[kNonceSize]);

}  // namespace keystead
