#include "engine/login.h"

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "engine/error.h"
#include "engine/slot.h"

namespace keystead {

namespace {

bool means_wrong(CK_RV rv) {
  return rv == CKR_PIN_INCORRECT || rv == CKR_PIN_INVALID || rv == CKR_PIN_LEN_RANGE ||
         rv == CKR_PIN_EXPIRED || rv == CKR_PIN_LOCKED;
}

// What the process has learnt of the PINs of a module's tokens. One PIN logs in the whole process, and the
// module then asks it no more: any other would pass unseen.
struct Logins {
  static Logins& of(const std::string& module) {
    static std::mutex mutex;
    static auto* all = new std::map<std::string, Logins>;
    std::lock_guard lock(mutex);
    return (*all)[module];
  }

  std::mutex mutex;  // one thread at a time logs in
  std::map<std::string, uint64_t> accepted;
  std::set<std::pair<std::string, uint64_t>> refused;
};

}  // namespace

void Login::ensure(const Session& session, CK_SLOT_ID slot) {
  Module& module = session.module();
  Logins& logins = Logins::of(module.path());
  std::lock_guard lock(logins.mutex);
  CK_TOKEN_INFO info = token_info(module, slot);
  TokenDescription token = describe(info);
  std::string name = token.label + " (" + token.serial + ")";
  uint64_t pin = pin_->digest();
  auto check_against_login = [&] {
    auto accepted = logins.accepted.find(name);
    if (accepted != logins.accepted.end() && accepted->second != pin) {
      throw EngineError("PIN_REFUSED",
                        "this process is logged in to token " + name +
                            " with another PIN, so that this one is wrong: give the right PIN");
    }
  };
  if (session.logged_in()) return check_against_login();
  if (logins.refused.contains({name, pin})) {
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
  if (rv == CKR_USER_ALREADY_LOGGED_IN) return check_against_login();
  if (means_wrong(rv)) logins.refused.insert({name, pin});
  if (rv != CKR_OK) throw Pkcs11Error("C_Login", rv);
  logins.accepted[name] = pin;
}

}  // namespace keystead
