// What a token and its module can do: read once, when the token is opened.
#pragma once

#include <string>
#include <vector>

#include "engine/slot.h"

namespace keystead {

struct MechanismCapability {
  CK_MECHANISM_TYPE type;
  CK_MECHANISM_INFO info;
};

struct Capabilities {
  TokenDescription token;
  std::string library;    // "Implementation of PKCS11 2.6"
  std::string maker;      // the module's manufacturer
  std::string cryptoki;   // "2.40"
  CK_ULONG max_sessions;  // 0: no limit that the token would name
  std::vector<MechanismCapability> mechanisms;

  bool has(CK_MECHANISM_TYPE type) const;
};

// To be called inside a Stay.
Capabilities read_capabilities(Module& module, CK_SLOT_ID slot);

}  // namespace keystead
