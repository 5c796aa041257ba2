// Many signatures for one caller, made on as many lanes as there are.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "engine/caller.h"
#include "engine/key_cache.h"
#include "engine/lane.h"
#include "engine/material.h"

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

// Takes work; `begun` is that of a batch of which some is done.
using SubmitPart = std::function<void(std::shared_ptr<Caller> part, Work work, bool begun)>;

// Hands work in small parts to `submit`, the next when one is done, so that other callers' work comes in
// between. The first part that fails fails the batch. Throws EngineError BATCH_LAYOUT, KEY_TYPE or
// DIGEST_SIZE before any is signed.
void sign_batch(std::shared_ptr<Caller> caller, std::shared_ptr<const SignBatch> batch,
                std::shared_ptr<Signatures> signatures, KeyCache& cache, size_t lanes, SubmitPart submit);

}  // namespace keystead
