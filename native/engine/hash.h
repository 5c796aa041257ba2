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
// Throws EngineError DIGEST_SIZE when a digest (or mu) is signed or checked and this is not as long as one.
void require_digest_size(const Signing& signing, std::span<const uint8_t> input);
// The digest of the parts one behind the other, written to `out`.
void digest(Hash hash, std::initializer_list<std::span<const uint8_t>> parts, uint8_t* out);

}  // namespace keystead
