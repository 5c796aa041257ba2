// Seals and opens batches: derives what keys are needed on as many lanes as there are, then does the rest on
// a lane when it is little, or on the crew.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <vector>

#include "engine/batch.h"
#include "engine/batch_job.h"
#include "engine/caller.h"
#include "engine/key_cache.h"
#include "engine/parts.h"

namespace keystead {

// Where keys are derived.
struct Deriving {
  KeyCache& cache;
  size_t lanes;
  SubmitPart submit;  // to the lanes
};

// Both throw EngineError BATCH_LAYOUT when the job's sizes do not fit its memory, and return whether it is
// done, else another lane or the crew will answer the caller.

// One fresh nonce and derived key a group.
bool seal_batch(const Session& session, const Deriving& deriving, const std::shared_ptr<BatchJob>& job,
                const std::shared_ptr<Caller>& caller);

// `ok` gets one byte an item.
bool open_batch(const Session& session, const Deriving& deriving, const std::shared_ptr<BatchJob>& job,
                const std::shared_ptr<std::vector<uint8_t>>& ok, const std::shared_ptr<Caller>& caller);

// Random bytes: the token's XOR the host's.
void mixed_random(const Session& session, uint8_t* out, size_t size);

}  // namespace keystead
