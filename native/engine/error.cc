#include "engine/error.h"

#include "engine/cryptoki.h"

namespace keystead {

namespace {

std::string hexadecimal(unsigned long value) {
  char text[2 + 2 * sizeof value + 1];
  snprintf(text, sizeof text, "0x%lx", value);
  return text;
}

std::string return_value_name(CK_RV rv) {
  switch (rv) {
#define NAME(name, value) \
  case value:             \
    return #name;
    KEYSTEAD_RETURN_VALUES(NAME)
#undef NAME
  }
  return hexadecimal(rv);
}

}  // namespace

std::string mechanism_name(unsigned long type) {
  switch (type) {
#define NAME(name, value) \
  case value:             \
    return #name;
    KEYSTEAD_MECHANISMS(NAME)
#undef NAME
  }
  return hexadecimal(type);
}

Pkcs11Error::Pkcs11Error(const char* function, unsigned long rv)
    : std::runtime_error(std::string(function) + ": " + return_value_name(rv)),
      function_(function),
      rv_(rv),
      code_(return_value_name(rv)) {}

Fault fault_of(unsigned long rv) {
  switch (rv) {
    case CKR_SESSION_HANDLE_INVALID:
    case CKR_SESSION_CLOSED:
    case CKR_OPERATION_ACTIVE:
    case CKR_OPERATION_NOT_INITIALIZED:
      return Fault::kSession;
    case CKR_USER_NOT_LOGGED_IN:
      return Fault::kLogin;
    case CKR_KEY_HANDLE_INVALID:
    case CKR_OBJECT_HANDLE_INVALID:
    case CKR_WRAPPING_KEY_HANDLE_INVALID:
    case CKR_UNWRAPPING_KEY_HANDLE_INVALID:
      return Fault::kHandle;
    case CKR_GENERAL_ERROR:
    case CKR_FUNCTION_FAILED:
      return Fault::kVague;
    case CKR_DEVICE_ERROR:
    case CKR_DEVICE_REMOVED:
    case CKR_TOKEN_NOT_PRESENT:
    case CKR_TOKEN_NOT_RECOGNIZED:
    case CKR_SLOT_ID_INVALID:
    case CKR_CRYPTOKI_NOT_INITIALIZED:
      return Fault::kModule;
  }
  return Fault::kFinal;
}

}  // namespace keystead
