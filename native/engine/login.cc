#include "engine/login.h"

#include "engine/error.h"
#include "engine/slot.h"

namespace keystead {

namespace {

bool means_wrong(CK_RV rv) {
  return rv == CKR_PIN_INCORRECT || rv == CKR_PIN_INVALID || rv == CKR_PIN_LEN_RANGE ||
         rv == CKR_PIN_EXPIRED || rv == CKR_PIN_LOCKED;
}

}  // namespace

void Login::ensure(const Session& session, CK_SLOT_ID slot) {
  std::lock_guard lock(mutex_);
  if (session.logged_in()) return;
  Module& module = session.module();
  CK_TOKEN_INFO info = token_info(module, slot);
  TokenDescription token = describe(info);
  std::string name = token.label + " (" + token.serial + ")";
  if (pin_->refused(module.path(), name)) {
    throw EngineError("PIN_REFUSED", "token " + name +
                                         " has refused this PIN before; it is not sent again, lest the token "
                                         "locks: give the right PIN");
  }
  if (info.flags & CKF_USER_PIN_LOCKED) {
    throw EngineError("PIN_LOCKED",
                      "the user PIN of token " + name + " is locked; its security officer can set a new one");
  }
  if (info.flags & CKF_USER_PIN_FINAL_TRY) {
    throw EngineError("PIN_FINAL_TRY",
                      "token " + name +
                          " will lock at the next wrong PIN, so none is sent; log in once with another "
                          "tool to reset the count");
  }
  CK_RV rv = module.functions().C_Login(session.handle(), CKU_USER, pin_->data(),
                                        static_cast<CK_ULONG>(pin_->size()));
  if (rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN) return;
  if (means_wrong(rv)) pin_->refuse(module.path(), name);
  throw Pkcs11Error("C_Login", rv);
}

}  // namespace keystead
