// The hash functions of Node's own OpenSSL.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>

#include "engine/material.h"
#include "engine/openssl.h"

namespace keystead {

constexpr size_t kLargestHash = 64;

size_t hash_size(Hash hash);
// As OpenSSL names it: "SHA2-256".
const char* hash_name(Hash hash);
// Throws EngineError DIGEST_SIZE when this should be a digest (or mu) and is not as long as one.
void require_digest_size(const Signing& signing, std::span<const uint8_t> input);
// The digest of the parts one behind the other, written to `out`.
void digest(Hash hash, std::initializer_list<std::span<const uint8_t>> parts, uint8_t* out);

// What is signed of an input, which has to outlive it: the digest of a message, else the input itself. Throws
// EngineError DIGEST_SIZE.
class Digested {
 public:
  Digested(const Signing& signing, std::span<const uint8_t> input);
  Digested(const Digested&) = delete;
  Digested& operator=(const Digested&) = delete;
  std::span<const uint8_t> view() const { return view_; }

 private:
  uint8_t digest_[kLargestHash];
  std::span<const uint8_t> view_;
};

}  // namespace keystead
