// What the engine throws: a token's own answer, or a condition of the engine itself.
#pragma once

#include <stdexcept>
#include <string>

namespace keystead {

// A PKCS#11 function answered something other than CKR_OK.
class Pkcs11Error : public std::runtime_error {
 public:
  Pkcs11Error(const char* function, unsigned long rv);
  const char* function() const { return function_; }
  unsigned long rv() const { return rv_; }
  const std::string& code() const { return code_; }  // "CKR_PIN_INCORRECT", or hexadecimal when unknown

 private:
  const char* function_;
  unsigned long rv_;
  std::string code_;
};

// `code` is stable and in capitals ("TOKEN_NOT_FOUND"); the text says what, which and what instead.
class EngineError : public std::runtime_error {
 public:
  EngineError(std::string code, const std::string& text) : std::runtime_error(text), code_(std::move(code)) {}
  const std::string& code() const { return code_; }

 private:
  std::string code_;
};

// A system call on a file failed: its code is errno's name ("ENOSPC"), its text as Node's of such errors.
EngineError system_error(int number, const char* call, const std::string& path);

// What a failed call says about the state of things, and so what can be done about it.
enum class Fault {
  kFinal,    // report; never tried again
  kSession,  // the session is gone or in disorder: open another
  kLogin,    // log in again
  kHandle,   // the object's handle is stale: resolve its identity again
  kVague,    // CKR_GENERAL_ERROR and the like: the module's fault only when repeated
  kModule,   // the token or its module is gone: initialise the module again
};

Fault fault_of(unsigned long rv);

}  // namespace keystead
