#include "engine/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "engine/error.h"
#include "engine/scribe.h"
#include "engine/sha256.h"

namespace keystead {
namespace {

// Of a line beyond its body: two names, a sequence number, a digest, a brace and a newline.
constexpr size_t kTailMost = 128;

struct Lines {
  std::string text;
  std::string digest;  // of the last
};

Lines chain(const Commit& commit) {
  Lines lines{"", commit.digest};
  const auto count = 1 + std::count(commit.bodies.begin(), commit.bodies.end(), '\n');
  lines.text.reserve(commit.bodies.size() + count * kTailMost);
  Sha256 hash;
  std::string_view rest = commit.bodies;
  for (uint64_t sequence = commit.sequence;; sequence++) {
    const size_t end = rest.find('\n');
    const size_t begin = lines.text.size();
    lines.text.append(rest.substr(0, end)).append(",\"sequence\":").append(std::to_string(sequence));
    hash.update(lines.digest);
    hash.update(std::string_view(lines.text).substr(begin));
    lines.digest = hash.hexadecimal();
    lines.text.append(",\"digest\":\"").append(lines.digest).append("\"}\n");
    if (end == rest.npos) return lines;
    rest.remove_prefix(end + 1);
  }
}

// The result of a system call, begun anew for as long as a signal interrupts it.
template <typename Call>
auto checked(const char* name, const std::string& path, const Call& call) {
  auto result = call();
  while (result == -1 && errno == EINTR) result = call();
  if (result == -1) throw system_error(errno, name, path);
  return result;
}

constexpr uint64_t kBusy = 1 << 16;      // a file of this size gets filler
constexpr uint64_t kMostRoom = 1 << 20;  // at a time

void write_all(int descriptor, const std::string& path, std::string_view bytes, uint64_t at) {
  while (!bytes.empty()) {
    const auto written = checked("write", path, [&] {
      return ::pwrite(descriptor, bytes.data(), bytes.size(), static_cast<off_t>(at));
    });
    bytes.remove_prefix(written);
    at += written;
  }
}

// How much filler the file now has behind `size`. None where it cannot be had: the lines may fit all the
// same.
uint64_t make_room(const Commit& commit, uint64_t size) {
  static const std::string filler(kMostRoom, '\0');
  if (size < kBusy) return 0;
  const uint64_t room = std::min(size, kMostRoom);
  try {
    write_all(commit.descriptor, commit.path, std::string_view(filler).substr(0, room), size);
    return room;
  } catch (const EngineError&) {
    checked("ftruncate", commit.path, [&] { return ftruncate(commit.descriptor, static_cast<off_t>(size)); });
    return 0;
  }
}

int sync(int descriptor) {
#ifdef F_FULLFSYNC
  return fcntl(descriptor, F_FULLFSYNC);  // macOS: what its fsync leaves in the drive's cache too
#else
  return fdatasync(descriptor);
#endif
}

// Throws unless the file has the bytes that were written to it, and no more.
struct stat check_size(const Commit& commit, uint64_t size) {
  struct stat own;
  checked("fstat", commit.path, [&] { return fstat(commit.descriptor, &own); });
  const auto found = static_cast<uint64_t>(own.st_size);
  if (found != size) {
    throw EngineError("JOURNAL_SIZE", "audit file " + commit.path + " has " + std::to_string(found) +
                                          " bytes, not the " + std::to_string(size) + " that were written");
  }
  return own;
}

void check_place(const Commit& commit, uint64_t size) {
  const struct stat own = check_size(commit, size);
  struct stat seen;
  checked("stat", commit.path, [&] { return stat(commit.path.c_str(), &seen); });
  if (seen.st_ino != own.st_ino || seen.st_dev != own.st_dev)
    throw EngineError("JOURNAL_REPLACED", "audit file " + commit.path + " was replaced");
}

}  // namespace

Tail append(const Commit& commit) {
  Lines lines = chain(commit);
  const uint64_t size = commit.size + lines.text.size();
  check_size(commit, commit.size + commit.room);
  write_all(commit.descriptor, commit.path, lines.text, commit.size);
  const uint64_t taken = lines.text.size();
  const uint64_t room = taken <= commit.room ? commit.room - taken : make_room(commit, size);
  checked("fdatasync", commit.path, [&] { return sync(commit.descriptor); });
  check_place(commit, size + room);
  return {std::move(lines.digest), size, room};
}

void append_later(std::shared_ptr<Caller> caller, std::shared_ptr<Journal> journal, Commit commit,
                  std::shared_ptr<Tail> tail) {
  auto work = [journal = std::move(journal), commit = std::move(commit), tail = std::move(tail)]() mutable {
    if (journal->failed)
      throw EngineError("JOURNAL_FAILED", "audit file " + commit.path + " ended with an earlier failure");
    commit.digest = journal->tail.digest;
    commit.size = journal->tail.size;
    commit.room = journal->tail.room;
    journal->failed = true;  // unless what follows does not throw
    *tail = journal->tail = append(commit);
    journal->failed = false;
  };
  Scribe::instance().run(std::move(caller), std::move(work));
}

}  // namespace keystead
