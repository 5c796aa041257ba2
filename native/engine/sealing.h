// Seals and opens batches: derives what keys are needed on a lane, then does the rest on the lane when it is
// little, or on the crew.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <vector>

#include "engine/batch.h"
#include "engine/batch_job.h"
#include "engine/caller.h"
#include "engine/key_cache.h"

namespace keystead {

// All throw EngineError BATCH_LAYOUT when the job's sizes do not fit its memory.

// One fresh nonce and derived key a group. Returns whether it is done, else the crew will answer the caller.
bool seal_batch(const Session& session, KeyCache& cache, const std::shared_ptr<BatchJob>& job,
                const std::shared_ptr<Caller>& caller);

// `ok` gets one byte an item.
bool open_batch(const Session& session, KeyCache& cache, const std::shared_ptr<BatchJob>& job,
                const std::shared_ptr<std::vector<uint8_t>>& ok, const std::shared_ptr<Caller>& caller);

// Random bytes: the token's XOR the host's.
void mixed_random(const Session& session, uint8_t* out, size_t size);

}  // namespace keystead
