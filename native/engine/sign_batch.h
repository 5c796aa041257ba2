// Many signatures for one caller, made on as many lanes as there are.
#pragma once

#include <memory>
#include <vector>

#include "engine/key_cache.h"
#include "engine/material.h"
#include "engine/parts.h"

namespace keystead {

struct SignBatch {
  struct Group {
    std::shared_ptr<const Key> key;
    Signing signing;
    uint32_t count;  // inputs in a row
  };
  std::vector<Group> groups;
  std::vector<uint8_t> input;  // packed
  std::vector<uint32_t> lengths;
};

struct Signatures {
  std::vector<uint8_t> packed;
  std::vector<uint32_t> lengths;
};

// Throws EngineError BATCH_LAYOUT, KEY_TYPE or DIGEST_SIZE before any is signed. The first that fails fails
// the batch.
void sign_batch(std::shared_ptr<Caller> caller, std::shared_ptr<const SignBatch> batch,
                std::shared_ptr<Signatures> signatures, KeyCache& cache, size_t lanes, SubmitPart submit);

}  // namespace keystead
