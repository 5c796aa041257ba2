// A session of a token, with PKCS#11's functions as methods that throw Pkcs11Error. Used by one thread at a
// time, and only inside a Stay.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/attributes.h"
#include "engine/cryptoki.h"
#include "engine/module.h"
#include "engine/secret.h"

namespace keystead {

using Bytes = std::vector<uint8_t>;

// A mechanism with its parameter, which must outlive the call.
struct Mechanism {
  Mechanism(CK_MECHANISM_TYPE type) : raw{type, nullptr, 0} {}  // NOLINT: a type alone is one
  template <class Parameter>
  Mechanism(CK_MECHANISM_TYPE type, Parameter& parameter) : raw{type, &parameter, sizeof parameter} {}
  CK_MECHANISM raw;
};

class Session {
 public:
  Session(Module& module, CK_SLOT_ID slot);

  // Closes it if it still means anything. To be called inside a Stay; a session is never closed by its
  // destructor, since the module may be gone by then.
  void close() noexcept;

  // What its objects belong to: differs between any two sessions of the process, unlike a session's handle.
  uint64_t number() const { return number_; }
  unsigned generation() const { return generation_; }
  CK_SESSION_HANDLE handle() const { return handle_; }
  Module& module() const { return module_; }

  bool logged_in() const;
  // Throws CKR_USER_NOT_LOGGED_IN rather than find nothing without a login.
  std::vector<CK_OBJECT_HANDLE> find(const Attributes& pattern) const;
  Bytes attribute(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type) const;
  // The CKA_VALUE of a secret key that may be read.
  SecretBytes secret_value(CK_OBJECT_HANDLE object) const;
  CK_OBJECT_HANDLE create(const Attributes& object) const;
  CK_OBJECT_HANDLE generate(Mechanism mechanism, const Attributes& key) const;
  struct KeyPair {
    CK_OBJECT_HANDLE public_key;
    CK_OBJECT_HANDLE private_key;
  };
  KeyPair generate_pair(Mechanism mechanism, const Attributes& public_key,
                        const Attributes& private_key) const;
  Bytes wrap(Mechanism mechanism, CK_OBJECT_HANDLE wrapping, CK_OBJECT_HANDLE key) const;
  CK_OBJECT_HANDLE unwrap(Mechanism mechanism, CK_OBJECT_HANDLE unwrapping, const uint8_t* wrapped,
                          size_t size, const Attributes& key) const;
  void destroy(CK_OBJECT_HANDLE object) const;
  // Writes at most `capacity` bytes of signature and returns their number.
  size_t sign(Mechanism mechanism, CK_OBJECT_HANDLE key, const uint8_t* data, size_t size, uint8_t* signature,
              size_t capacity) const;
  // The same of a plaintext.
  size_t decrypt(Mechanism mechanism, CK_OBJECT_HANDLE key, const uint8_t* data, size_t size,
                 uint8_t* plaintext, size_t capacity) const;
  CK_OBJECT_HANDLE derive(Mechanism mechanism, CK_OBJECT_HANDLE base, const Attributes& key) const;
  void random(uint8_t* out, size_t size) const;

 private:
  const CK_FUNCTION_LIST& functions() const { return module_.functions(); }

  Module& module_;
  CK_SESSION_HANDLE handle_ = 0;
  unsigned generation_;
  uint64_t number_;
};

// A session object that is destroyed when it goes out of scope.
class Temporary {
 public:
  Temporary(const Session& session, CK_OBJECT_HANDLE handle) : session_(session), handle_(handle) {}
  ~Temporary() {
    if (!handle_) return;
    session_.module().functions().C_DestroyObject(session_.handle(), handle_);
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  operator CK_OBJECT_HANDLE() const { return handle_; }
  // Leaves it to whoever asked.
  CK_OBJECT_HANDLE keep() { return std::exchange(handle_, 0); }
  // Destroys it now, and throws when the token does not.
  void destroy() { session_.destroy(std::exchange(handle_, 0)); }

 private:
  const Session& session_;
  CK_OBJECT_HANDLE handle_;
};

}  // namespace keystead
