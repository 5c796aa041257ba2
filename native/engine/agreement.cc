#include "engine/agreement.h"

#include "engine/ecdsa_signature.h"
#include "engine/error.h"
#include "engine/key_object.h"
#include "engine/public_key.h"
#include "engine/spki.h"

namespace keystead {

void require_agreement(const Capabilities& can) {
  if (can.has(CKM_ECDH1_DERIVE)) return;
  throw EngineError("MECHANISM_MISSING", "token " + can.token.label + " has no CKM_ECDH1_DERIVE");
}

SecretBytes derive_secret(const Session& session, CK_OBJECT_HANDLE key, std::span<const uint8_t> public_key) {
  const PublicKey other(public_key);  // on its curve
  Curve curve = curve_of(session, key);
  if (other.material().type != KeyType::kEc || other.material().curve != curve)
    throw EngineError("PUBLIC_KEY", "the public key is not on the curve of the private key");
  auto view = parse_spki(public_key).key;
  Bytes point(view.begin(), view.end());
  CK_ECDH1_DERIVE_PARAMS parameters{CKD_NULL, 0, nullptr, point.size(), point.data()};
  // The secret is for the caller, and so may be read.
  Temporary derived(session, session.derive({CKM_ECDH1_DERIVE, parameters}, key,
                                            Attributes()
                                                .number(CKA_CLASS, CKO_SECRET_KEY)
                                                .number(CKA_KEY_TYPE, CKK_GENERIC_SECRET)
                                                .flag(CKA_TOKEN, false)
                                                .flag(CKA_PRIVATE, true)
                                                .flag(CKA_SENSITIVE, false)
                                                .flag(CKA_EXTRACTABLE, true)
                                                .number(CKA_VALUE_LEN, curve_bytes(curve))));
  SecretBytes secret = session.secret_value(derived);
  derived.destroy();
  if (secret.size() != curve_bytes(curve))
    throw EngineError("SECRET_SIZE", "the token's CKM_ECDH1_DERIVE gave a secret of a wrong size");
  return secret;
}

}  // namespace keystead
