#include "engine/error.h"

#include <errno.h>

#include <cctype>
#include <system_error>

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

std::string errno_name(int number) {
  switch (number) {
#define NAME(name) \
  case name:       \
    return #name;
    NAME(EACCES)
    NAME(EBADF)
    NAME(EDQUOT)
    NAME(EFBIG)
    NAME(EINVAL)
    NAME(EIO)
    NAME(ELOOP)
    NAME(ENAMETOOLONG)
    NAME(ENODEV)
    NAME(ENOENT)
    NAME(ENOLCK)
    NAME(ENOMEM)
    NAME(ENOSPC)
    NAME(ENOTDIR)
    NAME(ENXIO)
    NAME(EOVERFLOW)
    NAME(EPERM)
    NAME(EROFS)
    NAME(ESTALE)
    NAME(ETIMEDOUT)
#undef NAME
  }
  return "ERRNO_" + std::to_string(number);
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

EngineError system_error(int number, const char* call, const std::string& path) {
  const std::string name = errno_name(number);
  std::string reason = std::generic_category().message(number);
  reason[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(reason[0])));
  return {name, name + ": " + reason + ", " + call + " '" + path + "'"};
}

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
