#include "engine/transport_key.h"

#include "engine/error.h"
#include "engine/padded_wrap.h"

namespace keystead {

TransportKey::TransportKey(const Session& session, CK_MECHANISM_TYPE key_wrap)
    : session_(session),
      key_wrap_(key_wrap),
      key_(session, session.generate(CKM_AES_KEY_GEN, Attributes()
                                                          .number(CKA_CLASS, CKO_SECRET_KEY)
                                                          .number(CKA_KEY_TYPE, CKK_AES)
                                                          .number(CKA_VALUE_LEN, 32)
                                                          .flag(CKA_TOKEN, false)
                                                          .flag(CKA_PRIVATE, true)
                                                          .flag(CKA_SENSITIVE, false)
                                                          .flag(CKA_EXTRACTABLE, true)
                                                          .flag(CKA_WRAP, true)
                                                          .flag(CKA_UNWRAP, true))),
      value_(session.secret_value(key_)) {}

SecretBytes TransportKey::take(CK_OBJECT_HANDLE key) const {
  auto value = padded_unwrap(value_.view(), session_.wrap(key_wrap_, key_, key));
  if (!value) throw EngineError("NO_KEY_WRAP", "the token's key wrap is not that of RFC 5649");
  return std::move(*value);
}

CK_OBJECT_HANDLE TransportKey::put(std::span<const uint8_t> value, const Attributes& key) const {
  Bytes wrapped = padded_wrap(value_.view(), value);
  return session_.unwrap(key_wrap_, key_, wrapped.data(), wrapped.size(), key);
}

}  // namespace keystead
