// The crew: threads of the engine's own, one a core, that seal and open. Never libuv's threads.
#pragma once

#include <cstddef>
#include <functional>

namespace keystead {

class Crew {
 public:
  // The process's crew, started on first use; never destroyed while its threads run.
  static Crew& instance();

  size_t threads() const;

  // Splits [0, count) into ranges of at least `grain` and runs `work(from, to)` on each, in parallel; then calls
  // `done(error)` once, on a thread of the crew, with the first exception thrown or nullptr. Does not block.
  void run(size_t count, size_t grain, std::function<void(size_t, size_t)> work,
           std::function<void(std::exception_ptr)> done);
};

}  // namespace keystead
