#include "engine/quirks.h"

#include <algorithm>

namespace keystead {

namespace {

constexpr Quirk kQuirks[] = {
    {"no-fsync", "SoftHSM",
     "token objects are written without fsync: sync the token's directory after making one"},
    {"keeps-destroyed", "SoftHSM",
     "memory of destroyed session objects (240 bytes each) comes back only at C_Finalize, and a live one "
     "takes 8 KB: "
     "size the handle cache for the keys in use"},
    {"no-oaep-sha256", "SoftHSM", "RSA-OAEP with SHA-1 only"},
    {"vague-refusals", "SoftHSM",
     "a ciphertext or a wrapped key that is wrong is CKR_GENERAL_ERROR, as if the module had failed"},
    {"no-unwrapped-length", "SoftHSM",
     "CKA_VALUE_LEN of an unwrapped secret is 0: its size is known from what wraps it, which grows every 8 "
     "bytes, "
     "and from HMAC, which takes no key shorter than the hash"},
    {"no-eddsa-wrap", "SoftHSM", "Ed25519 private keys are CKR_KEY_NOT_WRAPPABLE"},
    {"serial-symmetric", "SoftHSM",
     "symmetric operations share process-wide locks: more lanes make them slower"},
    {"ec-unwrap-needs-public", "Mozilla Foundation",
     "unwrapping an EC key needs an extra attribute (CKA_NSS_DB)"},
    {"usage-not-enforced", "Mozilla Foundation", "attributes that restrict a key's use are not all enforced"},
};

}  // namespace

std::vector<const Quirk*> quirks_of(const Capabilities& can) {
  std::vector<const Quirk*> apply;
  for (const Quirk& quirk : kQuirks) {
    if (can.maker.starts_with(quirk.maker)) apply.push_back(&quirk);
  }
  return apply;
}

bool has_quirk(const Capabilities& can, std::string_view name) {
  auto apply = quirks_of(can);
  return std::any_of(apply.begin(), apply.end(), [&](const Quirk* quirk) { return quirk->name == name; });
}

}  // namespace keystead
