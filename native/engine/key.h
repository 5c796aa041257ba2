// A key as its users name it: everything needed to make a handle for it, now or later. Either a backing key,
// or an object that lives on the token.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/batch.h"

namespace keystead {

struct Key {
  std::string id;  // of a token object: its CKA_LABEL and CKA_ID; then there is no domain, blob and context
  std::string domain;
  std::vector<uint8_t> blob;     // docs/key-blob.md
  std::vector<uint8_t> context;  // bound to the blob
  std::array<uint8_t, kHeaderSize> header{};

  // Two keys are one only when all of this agrees: a blob that was bound to something else must never find
  // the handle that an honest one made.
  std::string identity;
  size_t hash = 0;

  bool on_token() const { return !id.empty(); }

  static std::shared_ptr<const Key> make(std::string domain, std::vector<uint8_t> blob,
                                         std::vector<uint8_t> context, const uint8_t* header) {
    return make("", std::move(domain), std::move(blob), std::move(context), header);
  }
  static std::shared_ptr<const Key> of_token(std::string id, const uint8_t* header) {
    return make(std::move(id), "", {}, {}, header);
  }

 private:
  static std::shared_ptr<const Key> make(std::string id, std::string domain, std::vector<uint8_t> blob,
                                         std::vector<uint8_t> context, const uint8_t* header) {
    auto key = std::make_shared<Key>();
    std::copy_n(header, kHeaderSize, key->header.begin());
    auto append = [&](const auto& part) {
      uint32_t size = static_cast<uint32_t>(part.size());
      key->identity.append(reinterpret_cast<const char*>(&size), sizeof size);
      key->identity.append(reinterpret_cast<const char*>(part.data()), part.size());
    };
    append(key->header);
    append(id);
    append(domain);
    append(blob);
    append(context);
    key->hash = std::hash<std::string>()(key->identity);
    key->id = std::move(id);
    key->domain = std::move(domain);
    key->blob = std::move(blob);
    key->context = std::move(context);
    return key;
  }
};

}  // namespace keystead
