#include "engine/capabilities.h"

#include <algorithm>

#include "engine/error.h"

namespace keystead {

namespace {

std::string version(const CK_VERSION& v) { return std::to_string(v.major) + "." + std::to_string(v.minor); }

void check(const char* function, CK_RV rv) {
  if (rv != CKR_OK) throw Pkcs11Error(function, rv);
}

}  // namespace

bool Capabilities::has(CK_MECHANISM_TYPE type) const {
  return std::any_of(mechanisms.begin(), mechanisms.end(),
                     [&](const auto& known) { return known.type == type; });
}

Capabilities read_capabilities(Module& module, CK_SLOT_ID slot) {
  const auto& functions = module.functions();
  CK_INFO info;
  check("C_GetInfo", functions.C_GetInfo(&info));
  CK_TOKEN_INFO token = token_info(module, slot);
  CK_ULONG count = 0;
  check("C_GetMechanismList", functions.C_GetMechanismList(slot, nullptr, &count));
  std::vector<CK_MECHANISM_TYPE> types(count);
  check("C_GetMechanismList", functions.C_GetMechanismList(slot, types.data(), &count));
  types.resize(count);

  Capabilities can;
  can.token = describe(token);
  can.library =
      text_of(info.libraryDescription, sizeof info.libraryDescription) + " " + version(info.libraryVersion);
  can.maker = text_of(info.manufacturerID, sizeof info.manufacturerID);
  can.cryptoki = version(info.cryptokiVersion);
  CK_ULONG limit =
      std::min(token.ulMaxSessionCount - 1, token.ulMaxRwSessionCount - 1);  // 0 wraps to the largest
  can.max_sessions = limit >= CK_UNAVAILABLE_INFORMATION - 1 ? 0 : limit + 1;
  for (CK_MECHANISM_TYPE type : types) {
    CK_MECHANISM_INFO about;
    if (functions.C_GetMechanismInfo(slot, type, &about) == CKR_OK) can.mechanisms.push_back({type, about});
  }
  return can;
}

}  // namespace keystead
