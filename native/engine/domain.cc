#include "engine/domain.h"

#include <optional>

#include "engine/bytes.h"
#include "engine/error.h"

namespace keystead {

namespace {

constexpr uint32_t kFirstGeneration = 1;

struct Kind {
  const char* word;
  CK_KEY_TYPE type;
  CK_MECHANISM_TYPE generator;
};
constexpr Kind kWrapping{"domain", CKK_AES, CKM_AES_KEY_GEN};
constexpr Kind kBinding{"binding", CKK_GENERIC_SECRET, CKM_GENERIC_SECRET_KEY_GEN};

std::string label_of(const Kind& kind, const std::string& name) {
  return std::string("keystead ") + kind.word + " " + name;
}

std::optional<CK_OBJECT_HANDLE> find(const Session& session, const Kind& kind, const std::string& name) {
  auto found = session.find(Attributes()
                                .number(CKA_CLASS, CKO_SECRET_KEY)
                                .number(CKA_KEY_TYPE, kind.type)
                                .flag(CKA_TOKEN, true)
                                .bytes(CKA_LABEL, label_of(kind, name)));
  if (found.size() > 1) {
    throw EngineError("DOMAIN_AMBIGUOUS", "the token has " + std::to_string(found.size()) +
                                              " keys labelled \"" + label_of(kind, name) +
                                              "\", and only one may be");
  }
  if (found.empty()) return std::nullopt;
  return found[0];
}

CK_OBJECT_HANDLE make(const Session& session, const Kind& kind, const std::string& name) {
  bool wraps = &kind == &kWrapping;
  uint8_t id[4];
  put_be32(id, kFirstGeneration);
  return session.generate(kind.generator, Attributes()
                                              .number(CKA_CLASS, CKO_SECRET_KEY)
                                              .number(CKA_KEY_TYPE, kind.type)
                                              .number(CKA_VALUE_LEN, 32)
                                              .bytes(CKA_LABEL, label_of(kind, name))
                                              .bytes(CKA_ID, {reinterpret_cast<char*>(id), sizeof id})
                                              .flag(CKA_TOKEN, true)
                                              .flag(CKA_PRIVATE, true)
                                              .flag(CKA_SENSITIVE, true)
                                              .flag(CKA_EXTRACTABLE, false)
                                              .flag(CKA_MODIFIABLE, false)
                                              .flag(CKA_WRAP, wraps)
                                              .flag(CKA_UNWRAP, wraps)
                                              .flag(CKA_SIGN, !wraps)
                                              .flag(CKA_VERIFY, false)
                                              .flag(CKA_ENCRYPT, false)
                                              .flag(CKA_DECRYPT, false)
                                              .flag(CKA_DERIVE, false));
}

}  // namespace

bool Domains::open(const Session& session, const std::string& name, bool create) {
  std::lock_guard lock(mutex_);
  std::unique_lock making(session.module().making(), std::defer_lock);
  if (create) making.lock();
  bool made = false;
  auto get = [&](const Kind& kind) {
    auto key = find(session, kind, name);
    if (key) return *key;
    if (!create) {
      throw EngineError("DOMAIN_NOT_FOUND", "the token has no key labelled \"" + label_of(kind, name) + "\"");
    }
    made = true;
    return make(session, kind, name);
  };
  Domain domain;
  domain.wrapping = get(kWrapping);
  domain.binding = get(kBinding);
  domain.module_generation = session.generation();
  Bytes id = session.attribute(domain.wrapping, CKA_ID);
  if (id.size() != 4 || session.attribute(domain.binding, CKA_ID) != id) {
    throw EngineError("DOMAIN_AMBIGUOUS",
                      "the two keys of domain " + name + " are not of the same generation (CKA_ID)");
  }
  domain.generation = get_be32(id.data());
  domains_[name] = domain;
  return made;
}

Domain Domains::get(const Session& session, const std::string& name) {
  {
    std::lock_guard lock(mutex_);
    auto known = domains_.find(name);
    if (known != domains_.end() && known->second.module_generation == session.generation())
      return known->second;
  }
  open(session, name, false);
  std::lock_guard lock(mutex_);
  return domains_.at(name);
}

void Domains::drop() {
  std::lock_guard lock(mutex_);
  domains_.clear();
}

}  // namespace keystead
