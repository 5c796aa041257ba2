#include "engine/token_key.h"

#include <mutex>

#include "engine/error.h"
#include "engine/key_object.h"

namespace keystead {

namespace {

std::vector<CK_OBJECT_HANDLE> find(const Session& session, const std::string& id,
                                   CK_OBJECT_CLASS object_class) {
  return session.find(Attributes()
                          .number(CKA_CLASS, object_class)
                          .flag(CKA_TOKEN, true)
                          .bytes(CKA_LABEL, id)
                          .bytes(CKA_ID, id));
}

std::vector<CK_OBJECT_HANDLE> find_keys(const Session& session, const std::string& id) {
  auto found = find(session, id, CKO_PRIVATE_KEY);
  for (CK_OBJECT_HANDLE secret : find(session, id, CKO_SECRET_KEY)) found.push_back(secret);
  return found;
}

CK_OBJECT_HANDLE one(const std::vector<CK_OBJECT_HANDLE>& found, const std::string& id) {
  if (found.size() == 1) return found[0];
  if (found.empty()) {
    throw EngineError("KEY_NOT_FOUND", "the token has no complete key labelled \"" + id + "\"");
  }
  throw EngineError("KEY_AMBIGUOUS", "the token has more than one key labelled \"" + id + "\"");
}

}  // namespace

CK_OBJECT_HANDLE find_token_key(const Session& session, const std::string& id) {
  return one(find_keys(session, id), id);
}

Bytes token_public_key(const Session& session, const std::string& id) {
  return public_key_of(session, one(find(session, id, CKO_PUBLIC_KEY), id));
}

Bytes create_token_key(const Session& session, const std::string& id, const Material& material) {
  std::lock_guard making(session.module().making());
  if (!find_keys(session, id).empty())
    throw EngineError("KEY_EXISTS", "the token has a key labelled \"" + id + "\" already");
  // Half a pair, left by whoever was ended in the midst of making it or of destroying it.
  for (CK_OBJECT_HANDLE rest : find(session, id, CKO_PUBLIC_KEY)) session.destroy(rest);
  return generate_on_token(session, material, id).public_key;
}

bool destroy_token_key(const Session& session, const std::string& id) {
  bool any = false;
  // The public half last: should this be broken off, the next call finds the rest.
  for (CK_OBJECT_CLASS object_class : {CKO_PRIVATE_KEY, CKO_SECRET_KEY, CKO_PUBLIC_KEY}) {
    for (CK_OBJECT_HANDLE object : find(session, id, object_class)) {
      session.destroy(object);
      any = true;
    }
  }
  return any;
}

}  // namespace keystead
