// What the engine throws. `code` is for programs ("GCM_UNAVAILABLE"), the message for people; neither holds a secret.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace keystead {

class EngineError : public std::runtime_error {
 public:
  EngineError(std::string code, const std::string& message)
      : std::runtime_error(message), code_(std::move(code)) {}
  const std::string& code() const { return code_; }

 private:
  std::string code_;
};

}  // namespace keystead
