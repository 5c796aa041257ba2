// The slots of a module and the tokens in them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/module.h"
#include "engine/pin.h"

namespace keystead {

struct TokenDescription {
  std::string label, manufacturer, model, serial;
};

// Which token: by label, by serial number, by both, or the only one there is.
struct TokenName {
  std::optional<std::string> label, serial;
};

// PKCS#11's text: padded with blanks.
std::string text_of(const CK_BYTE* field, size_t size);
CK_TOKEN_INFO token_info(Module& module, CK_SLOT_ID slot);
TokenDescription describe(const CK_TOKEN_INFO& info);

// All of these: to be called inside a Stay.
std::vector<TokenDescription> initialized_tokens(Module& module);
// Throws EngineError TOKEN_NOT_FOUND or TOKEN_AMBIGUOUS, naming the labels that were seen.
CK_SLOT_ID find_slot(Module& module, const TokenName& name);
// Initialises the first token that is not yet, and its user PIN. Throws EngineError NO_FREE_SLOT.
void init_token(Module& module, const std::string& label, Pin& so_pin, Pin& pin);

}  // namespace keystead
