// Lines of the audit log (docs/audit.md): chained, written and synced, many at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "engine/caller.h"

namespace keystead {

// What is appended to a file, and where the file and the chain of its stream stand before.
struct Commit {
  int descriptor = -1;  // opened for writing; the caller's own
  std::string path;     // which must still name the descriptor's file when the lines are in it
  uint64_t size = 0;
  std::string digest;     // of the line before, hexadecimal
  uint64_t sequence = 0;  // of the first of these lines
  std::string bodies;     // JSON objects without their closing braces, a newline between each two
  uint64_t room = 0;      // bytes of filler that the file has behind `size`
};

// Where they stand behind it.
struct Tail {
  std::string digest;
  uint64_t size = 0;
  uint64_t room = 0;
};

// Returns once the lines are on the disk and the file holds nothing behind them but filler. Throws
// EngineError with errno's name, JOURNAL_REPLACED or JOURNAL_SIZE: then any part of the lines may be in the
// file.
//
// Filler is zero bytes that the next lines overwrite: a sync that changes no size takes half as long, for the
// file system's own journal has nothing to say. A file has some once it is large enough to be a busy one.
Tail append(const Commit& commit);

// A file under way: its tail is known to the scribe's thread only, so that a commit can be handed in while
// the one before it is still being written. Once a commit has failed, so do all behind it.
struct Journal {
  Tail tail;
  bool failed = false;
};

// The same on the scribe's thread, behind all that was handed in before it, with size and digest from the
// journal; `tail` is set when the caller is answered without an error, which is JOURNAL_FAILED behind a
// commit that failed. The caller is visited meanwhile: he keeps the descriptor open for as long.
void append_later(std::shared_ptr<Caller> caller, std::shared_ptr<Journal> journal, Commit commit,
                  std::shared_ptr<Tail> tail);

}  // namespace keystead
