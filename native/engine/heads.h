// What packed ciphertexts say they are under (docs/ciphertext.md), before anything of them is authentic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace keystead {

struct Heads {
  struct First {
    size_t at, size;
  };
  std::vector<uint32_t> of;   // for each ciphertext the number of its head
  std::vector<First> firsts;  // for each head the first ciphertext that has it
};

// Those too short to be ciphertexts share one. Throws EngineError BATCH_LAYOUT when the lengths do not come
// to the bytes that there are.
Heads group_by_head(std::span<const uint8_t> ciphertexts, std::span<const uint32_t> lengths);

}  // namespace keystead
