// A domain: the AES-256 key on the token that wraps backing keys, and the HMAC key that binds them to their
// context.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "engine/session.h"

namespace keystead {

struct Domain {
  CK_OBJECT_HANDLE wrapping = 0;
  CK_OBJECT_HANDLE binding = 0;
  uint32_t generation = 0;         // of the domain key, its CKA_ID
  unsigned module_generation = 0;  // that the handles belong to
};

// The domains of a token by name, found again when the module's generation changed.
class Domains {
 public:
  // Finds both keys, or with `create` makes what is missing; resolves to whether anything was made.
  bool open(const Session& session, const std::string& name, bool create);
  // Throws EngineError DOMAIN_NOT_FOUND or DOMAIN_AMBIGUOUS.
  Domain get(const Session& session, const std::string& name);
  // Handles may be stale: find them again.
  void drop();

 private:
  std::mutex mutex_;
  std::map<std::string, Domain> domains_;
};

}  // namespace keystead
