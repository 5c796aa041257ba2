// Import: material that a caller encrypted under a wrapping key becomes a backing key.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "engine/backing_key.h"
#include "engine/decryption.h"
#include "engine/key_cache.h"

namespace keystead {

struct ImportOrder {
  std::shared_ptr<const Key> wrapping;  // an RSA key
  bool key_wrap = false;  // an AES key comes first, encrypted, and wraps the material: RSA_AES_KEY_WRAP of
                          // AWS KMS, else the material itself is encrypted by RSAES-OAEP
  Hash hash = Hash::kSha256;
  Bytes encrypted;
  std::string domain;
  Bytes context;              // bound to the blob, with the id of the material at `material_id_at`
  size_t material_id_at = 0;  // of 64 hexadecimal digits
  Bytes id_context;           // what the id of the material depends on beside the material
  Material material;          // as it has to be
};

struct ImportedKey {
  Bytes blob;
  std::string material_id;
  Bytes public_key;  // SPKI, DER; empty for secrets
};

// Throws EngineError IMPORT_CIPHERTEXT when it does not decrypt, IMPORT_MATERIAL when the material is of
// another type, size or curve, or damaged.
ImportedKey import_key(const Session& session, KeyCache& cache, Domains& domains, const Capabilities& can,
                       CK_MECHANISM_TYPE key_wrap, const ImportOrder& order);

}  // namespace keystead
