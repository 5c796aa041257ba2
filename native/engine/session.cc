#include "engine/session.h"

#include <atomic>

#include "engine/error.h"

namespace keystead {

namespace {

// Room for most answers, so that a token need not be asked for their size first, which is a call of its own.
constexpr size_t kEnough = 4096;

void check(const char* function, CK_RV rv) {
  if (rv != CKR_OK) throw Pkcs11Error(function, rv);
}

uint64_t next_number() {
  static std::atomic<uint64_t> number = 0;
  return ++number;
}

CK_BYTE* bytes_of(uint8_t* data) { return reinterpret_cast<CK_BYTE*>(data); }

}  // namespace

Session::Session(Module& module, CK_SLOT_ID slot)
    : module_(module), generation_(module.generation()), number_(next_number()) {
  check("C_OpenSession",
        functions().C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, nullptr, nullptr, &handle_));
}

void Session::close() noexcept {
  if (generation_ == module_.generation()) functions().C_CloseSession(handle_);
}

bool Session::logged_in() const {
  CK_SESSION_INFO info;
  check("C_GetSessionInfo", functions().C_GetSessionInfo(handle_, &info));
  return info.state == CKS_RW_USER_FUNCTIONS || info.state == CKS_RO_USER_FUNCTIONS;
}

std::vector<CK_OBJECT_HANDLE> Session::find(const Attributes& pattern) const {
  check("C_FindObjectsInit", functions().C_FindObjectsInit(handle_, pattern.data(), pattern.size()));
  std::vector<CK_OBJECT_HANDLE> found;
  CK_OBJECT_HANDLE some[16];
  CK_ULONG count = 0;
  CK_RV rv;
  do {
    rv = functions().C_FindObjects(handle_, some, 16, &count);
    if (rv == CKR_OK) found.insert(found.end(), some, some + count);
  } while (rv == CKR_OK && count > 0);
  CK_RV final = functions().C_FindObjectsFinal(handle_);
  check("C_FindObjects", rv);
  check("C_FindObjectsFinal", final);
  // Private objects are hidden, not refused, once somebody has logged us out.
  if (found.empty() && !logged_in()) throw Pkcs11Error("C_FindObjectsInit", CKR_USER_NOT_LOGGED_IN);
  return found;
}

Bytes Session::attribute(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type) const {
  Bytes value(kEnough);
  CK_ATTRIBUTE attribute{type, value.data(), value.size()};
  CK_RV rv = functions().C_GetAttributeValue(handle_, object, &attribute, 1);
  if (rv == CKR_BUFFER_TOO_SMALL) {
    attribute = {type, nullptr, 0};
    check("C_GetAttributeValue", functions().C_GetAttributeValue(handle_, object, &attribute, 1));
    value.resize(attribute.ulValueLen == CK_UNAVAILABLE_INFORMATION ? 0 : attribute.ulValueLen);
    attribute.pValue = value.data();
    rv = functions().C_GetAttributeValue(handle_, object, &attribute, 1);
  }
  check("C_GetAttributeValue", rv);
  if (attribute.ulValueLen > value.size()) {  // CK_UNAVAILABLE_INFORMATION
    throw Pkcs11Error("C_GetAttributeValue", CKR_ATTRIBUTE_TYPE_INVALID);
  }
  value.resize(attribute.ulValueLen);
  return value;
}

SecretBytes Session::secret_value(CK_OBJECT_HANDLE object) const {
  Bytes value = attribute(object, CKA_VALUE);
  const Wiper wiper(value);
  return SecretBytes(std::span<const uint8_t>(value));
}

CK_OBJECT_HANDLE Session::create(const Attributes& object) const {
  CK_OBJECT_HANDLE handle;
  check("C_CreateObject", functions().C_CreateObject(handle_, object.data(), object.size(), &handle));
  return handle;
}

CK_OBJECT_HANDLE Session::generate(Mechanism mechanism, const Attributes& key) const {
  CK_OBJECT_HANDLE handle;
  check("C_GenerateKey", functions().C_GenerateKey(handle_, &mechanism.raw, key.data(), key.size(), &handle));
  return handle;
}

Session::KeyPair Session::generate_pair(Mechanism mechanism, const Attributes& public_key,
                                        const Attributes& private_key) const {
  KeyPair pair;
  check("C_GenerateKeyPair",
        functions().C_GenerateKeyPair(handle_, &mechanism.raw, public_key.data(), public_key.size(),
                                      private_key.data(), private_key.size(), &pair.public_key,
                                      &pair.private_key));
  return pair;
}

Bytes Session::wrap(Mechanism mechanism, CK_OBJECT_HANDLE wrapping, CK_OBJECT_HANDLE key) const {
  Bytes wrapped(kEnough);
  CK_ULONG size = wrapped.size();
  auto wrap = [&](uint8_t* out) {
    return functions().C_WrapKey(handle_, &mechanism.raw, wrapping, key, bytes_of(out), &size);
  };
  CK_RV rv = wrap(wrapped.data());
  if (rv == CKR_BUFFER_TOO_SMALL) {
    check("C_WrapKey", wrap(nullptr));
    wrapped.resize(size);
    rv = wrap(wrapped.data());
  }
  check("C_WrapKey", rv);
  wrapped.resize(size);
  return wrapped;
}

CK_OBJECT_HANDLE Session::unwrap(Mechanism mechanism, CK_OBJECT_HANDLE unwrapping, const uint8_t* wrapped,
                                 size_t size, const Attributes& key) const {
  CK_OBJECT_HANDLE handle;
  check("C_UnwrapKey", functions().C_UnwrapKey(handle_, &mechanism.raw, unwrapping, wrapped, size, key.data(),
                                               key.size(), &handle));
  return handle;
}

void Session::destroy(CK_OBJECT_HANDLE object) const {
  check("C_DestroyObject", functions().C_DestroyObject(handle_, object));
}

size_t Session::sign(Mechanism mechanism, CK_OBJECT_HANDLE key, const uint8_t* data, size_t size,
                     uint8_t* signature, size_t capacity) const {
  CK_ULONG written = capacity;
  check("C_SignInit", functions().C_SignInit(handle_, &mechanism.raw, key));
  // SoftHSM takes no null, not even for an empty message.
  static const uint8_t kEmpty[1] = {};
  check("C_Sign", functions().C_Sign(handle_, size ? data : kEmpty, size, bytes_of(signature), &written));
  return written;
}

size_t Session::decrypt(Mechanism mechanism, CK_OBJECT_HANDLE key, const uint8_t* data, size_t size,
                        uint8_t* plaintext, size_t capacity) const {
  CK_ULONG written = capacity;
  check("C_DecryptInit", functions().C_DecryptInit(handle_, &mechanism.raw, key));
  check("C_Decrypt", functions().C_Decrypt(handle_, data, size, bytes_of(plaintext), &written));
  return written;
}

CK_OBJECT_HANDLE Session::derive(Mechanism mechanism, CK_OBJECT_HANDLE base, const Attributes& key) const {
  CK_OBJECT_HANDLE handle;
  check("C_DeriveKey",
        functions().C_DeriveKey(handle_, &mechanism.raw, base, key.data(), key.size(), &handle));
  return handle;
}

void Session::random(uint8_t* out, size_t size) const {
  check("C_GenerateRandom", functions().C_GenerateRandom(handle_, bytes_of(out), size));
}

}  // namespace keystead
