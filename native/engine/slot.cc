#include "engine/slot.h"

#include <algorithm>

#include "engine/error.h"
#include "engine/session.h"

namespace keystead {

namespace {

void check(const char* function, CK_RV rv) {
  if (rv != CKR_OK) throw Pkcs11Error(function, rv);
}

std::vector<CK_SLOT_ID> slots(Module& module) {
  // Asking for the number first also makes modules look at their slots anew.
  for (;;) {
    CK_ULONG count = 0;
    check("C_GetSlotList", module.functions().C_GetSlotList(CK_TRUE, nullptr, &count));
    std::vector<CK_SLOT_ID> ids(count);
    CK_RV rv = module.functions().C_GetSlotList(CK_TRUE, ids.data(), &count);
    if (rv == CKR_BUFFER_TOO_SMALL) continue;  // one more came between the calls
    check("C_GetSlotList", rv);
    ids.resize(count);
    return ids;
  }
}

struct Found {
  CK_SLOT_ID slot;
  TokenDescription token;
};

std::vector<Found> initialized(Module& module) {
  std::vector<Found> found;
  for (CK_SLOT_ID slot : slots(module)) {
    CK_TOKEN_INFO info;
    CK_RV rv = module.functions().C_GetTokenInfo(slot, &info);
    if (rv == CKR_TOKEN_NOT_PRESENT || rv == CKR_TOKEN_NOT_RECOGNIZED) continue;
    check("C_GetTokenInfo", rv);
    if (info.flags & CKF_TOKEN_INITIALIZED) found.push_back({slot, describe(info)});
  }
  return found;
}

}  // namespace

std::string text_of(const CK_BYTE* field, size_t size) {
  while (size > 0 && (field[size - 1] == ' ' || field[size - 1] == 0)) size--;
  return {reinterpret_cast<const char*>(field), size};
}

CK_TOKEN_INFO token_info(Module& module, CK_SLOT_ID slot) {
  CK_TOKEN_INFO info;
  check("C_GetTokenInfo", module.functions().C_GetTokenInfo(slot, &info));
  return info;
}

TokenDescription describe(const CK_TOKEN_INFO& info) {
  return {text_of(info.label, sizeof info.label), text_of(info.manufacturerID, sizeof info.manufacturerID),
          text_of(info.model, sizeof info.model), text_of(info.serialNumber, sizeof info.serialNumber)};
}

std::vector<TokenDescription> initialized_tokens(Module& module) {
  std::vector<TokenDescription> tokens;
  for (auto& found : initialized(module)) tokens.push_back(std::move(found.token));
  return tokens;
}

CK_SLOT_ID find_slot(Module& module, const TokenName& name) {
  auto all = initialized(module);
  std::vector<CK_SLOT_ID> fitting;
  std::string seen;
  for (const auto& [slot, token] : all) {
    seen += (seen.empty() ? "\"" : ", \"") + token.label + "\"";
    if (name.label && *name.label != token.label) continue;
    if (name.serial && *name.serial != token.serial) continue;
    fitting.push_back(slot);
  }
  if (fitting.size() == 1) return fitting[0];
  std::string wanted = name.label ? "labelled \"" + *name.label + "\"" : "";
  if (name.serial) wanted += (wanted.empty() ? "" : " and ") + ("with serial number " + *name.serial);
  if (wanted.empty()) wanted = "at all";
  std::string shown = all.empty() ? "it shows no initialised token" : "it shows " + seen;
  if (fitting.empty()) {
    throw EngineError("TOKEN_NOT_FOUND", module.path() + " has no token " + wanted + "; " + shown);
  }
  throw EngineError("TOKEN_AMBIGUOUS", module.path() + " has more than one token that fits; " + shown +
                                           "; name one by its serial number");
}

void init_token(Module& module, const std::string& label, Pin& so_pin, Pin& pin) {
  auto all = slots(module);
  auto free = std::find_if(all.begin(), all.end(), [&](CK_SLOT_ID slot) {
    return !(token_info(module, slot).flags & CKF_TOKEN_INITIALIZED);
  });
  if (free == all.end()) {
    throw EngineError("NO_FREE_SLOT",
                      module.path() + " has no slot with a token that is not initialised yet");
  }
  CK_BYTE padded[32];
  std::fill(std::begin(padded), std::end(padded), ' ');
  std::copy_n(label.data(), std::min(label.size(), sizeof padded), padded);
  check("C_InitToken", module.functions().C_InitToken(*free, so_pin.data(), so_pin.size(), padded));
  Session session(module, *free);
  CK_RV rv = module.functions().C_Login(session.handle(), CKU_SO, so_pin.data(), so_pin.size());
  const char* function = "C_Login";
  if (rv == CKR_OK) {
    function = "C_InitPIN";
    rv = module.functions().C_InitPIN(session.handle(), pin.data(), pin.size());
    module.functions().C_Logout(session.handle());
  }
  session.close();
  check(function, rv);
}

}  // namespace keystead
