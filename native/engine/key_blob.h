// The key blob: all that is stored of a backing key (docs/key-blob.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/material.h"

namespace keystead {

using Bytes = std::vector<uint8_t>;

constexpr size_t kBindingSize = 32;

struct KeyBlob {
  Material material;    // without the size of a secret or a modulus, and without the curve
  uint32_t generation;  // of the domain key that wraps it
  Bytes wrapped;
  Bytes binding;
};

// Everything in front of the binding.
Bytes unbound_blob(const Material& material, uint32_t generation, const Bytes& wrapped);
// What the binding is the HMAC-SHA-256 of.
Bytes binding_message(const uint8_t* unbound, size_t size, const Bytes& context);
// What kind of key it holds. Throws EngineError KEY_BLOB.
Material blob_material(const Bytes& blob);
// Throws EngineError KEY_BLOB when it is not laid out as the format says. Checks no binding.
KeyBlob parse_key_blob(const Bytes& blob);

}  // namespace keystead
