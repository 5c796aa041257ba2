// Seals and opens runs of items in the ciphertext format (docs/ciphertext.md) under derived keys.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/secret.h"

namespace keystead {

constexpr size_t kHeaderSize = 50;  // version, kind, key id, material id
constexpr size_t kNonceSize = 16;
constexpr size_t kItemSize = 4;  // big-endian number of the item under its nonce
constexpr size_t kPrefixSize = kHeaderSize + kNonceSize + kItemSize;
constexpr size_t kTagSize = 16;
constexpr size_t kOverhead = kPrefixSize + kTagSize;

// One derived key and what it seals or opens.
struct DerivedKey {
  Secret<32> key;
  std::array<uint8_t, kHeaderSize> header{};  // used by sealing only
  std::array<uint8_t, kNonceSize> nonce{};    // used by sealing only
};

struct BatchItem {
  uint32_t key;     // index in the derived keys
  uint32_t number;  // the item's number under its nonce (sealing only; opening reads it from the ciphertext)
  const uint8_t* in;  // plaintext, or a whole ciphertext of at least kOverhead bytes
  size_t in_size;
  const uint8_t* context;  // canonical encryption context
  size_t context_size;
  uint8_t* out;  // in_size + kOverhead bytes, or in_size - kOverhead
};

// Seals items[from, to). Thread-safe on disjoint ranges; throws EngineError when the cipher fails.
void seal_items(const std::vector<DerivedKey>& keys, const std::vector<BatchItem>& items, size_t from,
                size_t to);

// Opens items[from, to): ok[i] becomes 1, or 0 with the output wiped.
void open_items(const std::vector<DerivedKey>& keys, const std::vector<BatchItem>& items, size_t from,
                size_t to, uint8_t* ok);

}  // namespace keystead
