// Work that is not a lane's: opening and closing a token. One thread each, for it may take as long as the
// module does.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "engine/caller.h"

namespace keystead {

// Runs `work` on a thread of its own and answers the caller; with EngineError DEADLINE when it takes too long
// (the thread goes on until the module lets it).
void run_errand(std::shared_ptr<Caller> caller, std::function<void()> work,
                std::chrono::steady_clock::duration deadline = std::chrono::seconds(60));

}  // namespace keystead
