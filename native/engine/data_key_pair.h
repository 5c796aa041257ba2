// Data key pairs: made in the token for a caller, who is given the private key; nothing of it stays.
#pragma once

#include "engine/private_key.h"
#include "engine/session.h"

namespace keystead {

// RSA, EC or Ed25519.
PrivateKey generate_data_key_pair(const Session& session, const Material& material,
                                  CK_MECHANISM_TYPE key_wrap);

}  // namespace keystead
