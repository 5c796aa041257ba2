#include "engine/key_blob.h"

#include <algorithm>
#include <iterator>
#include <string_view>

#include "engine/bytes.h"
#include "engine/error.h"

namespace keystead {

namespace {

constexpr uint8_t kVersion = 1;
constexpr size_t kFixed = 10;  // version, kind, domain generation, size of the wrapped material
constexpr std::string_view kLabel = "Keystead key blob v1";

// The kinds of material, numbered from 0.
constexpr Material kKinds[] = {
    {KeyType::kSecret, 32}, {KeyType::kSecret},    {KeyType::kRsa},       {KeyType::kEc},
    {KeyType::kEd25519},    {KeyType::kMlDsa, 44}, {KeyType::kMlDsa, 65}, {KeyType::kMlDsa, 87},
};

uint8_t kind_of(const Material& material) {
  for (size_t kind = 0; kind < std::size(kKinds); kind++) {
    if (kKinds[kind].type == material.type && (!kKinds[kind].size || kKinds[kind].size == material.size))
      return static_cast<uint8_t>(kind);
  }
  throw EngineError("KEY_BLOB", "no key blob is for this kind of material");
}

}  // namespace

Bytes unbound_blob(const Material& material, uint32_t generation, const Bytes& wrapped) {
  Bytes blob(kFixed + wrapped.size());
  blob[0] = kVersion;
  blob[1] = kind_of(material);
  put_be32(&blob[2], generation);
  put_be32(&blob[6], static_cast<uint32_t>(wrapped.size()));
  std::copy(wrapped.begin(), wrapped.end(), blob.begin() + kFixed);
  return blob;
}

Bytes binding_message(const uint8_t* unbound, size_t size, const Bytes& context) {
  Bytes message(kLabel.begin(), kLabel.end());
  message.push_back(0);
  message.resize(message.size() + 4);
  put_be32(&message[message.size() - 4], static_cast<uint32_t>(context.size()));
  message.insert(message.end(), context.begin(), context.end());
  message.insert(message.end(), unbound, unbound + size);
  return message;
}

Material blob_material(const Bytes& blob) {
  if (blob.size() < kFixed + kBindingSize) throw EngineError("KEY_BLOB", "the key blob is cut short");
  if (blob[0] != kVersion || blob[1] >= std::size(kKinds)) {
    throw EngineError("KEY_BLOB", "the key blob has a version or kind that this release does not know");
  }
  return kKinds[blob[1]];
}

KeyBlob parse_key_blob(const Bytes& blob) {
  Material material = blob_material(blob);
  size_t size = get_be32(&blob[6]);
  if (size != blob.size() - kFixed - kBindingSize)
    throw EngineError("KEY_BLOB", "the key blob's sizes do not agree");
  auto wrapped = blob.begin() + kFixed;
  return {material, get_be32(&blob[2]), Bytes(wrapped, wrapped + size), Bytes(wrapped + size, blob.end())};
}

}  // namespace keystead
