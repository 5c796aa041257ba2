// The user's login to a token: made once, remade when it was lost, by one thread at a time.
#pragma once

#include <memory>

#include "engine/pin.h"
#include "engine/session.h"

namespace keystead {

class Login {
 public:
  explicit Login(std::unique_ptr<Pin> pin) : pin_(std::move(pin)) {}

  // Logs in through this session unless its token is logged in already. Throws EngineError PIN_LOCKED or
  // PIN_FINAL_TRY where another wrong PIN would lock the token or has done so, PIN_REFUSED where this PIN was
  // refused before or is another than the one that this process is logged in with; a PIN is sent at most once
  // after that.
  void ensure(const Session& session, CK_SLOT_ID slot);

 private:
  std::unique_ptr<Pin> pin_;
};

}  // namespace keystead
