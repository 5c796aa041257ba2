// A key of the moment that wraps on the token and whose value the engine knows: the way for keys in the clear
// into a token and out of it, which also tokens go that take no key in the clear.
#pragma once

#include <span>

#include "engine/secret.h"
#include "engine/session.h"

namespace keystead {

class TransportKey {
 public:
  TransportKey(const Session& session, CK_MECHANISM_TYPE key_wrap);

  // The value of an extractable object. Throws EngineError NO_KEY_WRAP when the token wraps in another way.
  SecretBytes take(CK_OBJECT_HANDLE key) const;
  // A session object of this value.
  CK_OBJECT_HANDLE put(std::span<const uint8_t> value, const Attributes& key) const;

 private:
  const Session& session_;
  const CK_MECHANISM_TYPE key_wrap_;
  Temporary key_;
  SecretBytes value_;
};

}  // namespace keystead
