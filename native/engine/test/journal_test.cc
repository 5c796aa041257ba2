#include "engine/journal.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "engine/error.h"
#include "engine/scribe.h"
#include "engine/sha256.h"
#include "engine/test/check.h"

namespace keystead {
namespace {

const std::string kOrigin(64, '0');

// An empty file in a directory of its own.
class File {
 public:
  File() {
    char name[] = "/tmp/keystead-journal-XXXXXX";
    if (!mkdtemp(name)) throw std::runtime_error("no temporary directory");
    directory_ = name;
    path_ = directory_ + "/audit.jsonl";
    descriptor_ = open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0600);
  }
  ~File() {
    close(descriptor_);
    std::filesystem::remove_all(directory_);
  }

  const std::string& path() const { return path_; }
  std::string content() const {
    std::ifstream in(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  Commit commit(std::string bodies, Tail tail = {kOrigin, 0}, uint64_t sequence = 1) const {
    return {descriptor_, path_, tail.size, tail.digest, sequence, std::move(bodies), tail.room};
  }

 private:
  std::string directory_;
  std::string path_;
  int descriptor_;
};

class Caller final : public keystead::Caller {
 public:
  explicit Caller(bool gone = false) : gone_(gone) {}
  bool enter() override { return !gone_; }
  void leave() override {}
  void answer(std::exception_ptr error) override { answer_.set_value(error); }
  // Throws what the answer was.
  void wait() {
    if (const std::exception_ptr error = answer_.get_future().get()) std::rethrow_exception(error);
  }

 private:
  const bool gone_;
  std::promise<std::exception_ptr> answer_;
};

TEST(hashes_one_message_after_the_other) {
  Sha256 hash;
  CHECK(hash.hexadecimal() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  hash.update("a");
  hash.update("bc");
  CHECK(hash.hexadecimal() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

// Computed with Python's hashlib.
constexpr const char* kFirst =
    R"({"a":1,"sequence":41,"digest":"209ab82a2e91eed2e2b6b215239d756ef661f22e5e007925e1478a43a69f883a"})"
    "\n";
constexpr const char* kSecond =
    R"({"b":"schlüssel","sequence":42,"digest":"9c49885338eaf936d01986c4975417d1db2b370021a7c87c7af8109a22edc53a"})"
    "\n";
constexpr const char* kThird =
    R"({"c":{},"sequence":43,"digest":"c3998e2d81cee057b78081df29f0306492c604a960f1f5e9e1c6de9fc0cba9d8"})"
    "\n";

TEST(chains_lines_within_a_commit_and_behind_it) {
  const File file;
  const Tail two = append(file.commit("{\"a\":1\n{\"b\":\"schlüssel\"", {kOrigin, 0}, 41));
  CHECK(file.content() == std::string(kFirst) + kSecond);
  CHECK(two.size == file.content().size());
  CHECK(two.digest == "9c49885338eaf936d01986c4975417d1db2b370021a7c87c7af8109a22edc53a");
  const Tail three = append(file.commit("{\"c\":{}", two, 43));
  CHECK(file.content() == std::string(kFirst) + kSecond + kThird);
  CHECK(three.size == file.content().size());
}

TEST(a_full_disk_is_told_by_its_name) {
  Commit commit = File().commit("{\"a\":1");
  commit.path = "/dev/full";
  commit.descriptor = open("/dev/full", O_WRONLY);
  CHECK_THROWS(append(commit), EngineError,
               error.code() == "ENOSPC" &&
                   std::string(error.what()) == "ENOSPC: no space left on device, write '/dev/full'");
  close(commit.descriptor);
}

TEST(a_line_that_fits_in_part_is_an_error) {
  const File file;
  const Tail tail = append(file.commit("{\"a\":1"));
  rlimit before;
  CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto previous = signal(SIGXFSZ, SIG_IGN);
  const rlimit tight{tail.size + 20, before.rlim_max};
  CHECK(setrlimit(RLIMIT_FSIZE, &tight) == 0);
  std::string code;
  try {
    append(file.commit("{\"b\":2", tail, 2));
  } catch (const EngineError& error) {
    code = error.code();
  }
  CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
  signal(SIGXFSZ, previous);
  CHECK(code == "EFBIG");
  CHECK(file.content().size() == tail.size + 20);
  // Whoever goes on all the same is told of what is left of the line.
  CHECK_THROWS(append(file.commit("{\"b\":2", tail, 2)), EngineError, error.code() == "JOURNAL_SIZE");
}

TEST(a_file_that_was_replaced_removed_or_written_to_is_noticed) {
  const File replaced;
  Tail tail = append(replaced.commit("{\"a\":1"));
  std::filesystem::copy_file(replaced.path(), replaced.path() + ".copy");
  std::filesystem::rename(replaced.path() + ".copy", replaced.path());
  CHECK_THROWS(append(replaced.commit("{\"b\":2", tail, 2)), EngineError,
               error.code() == "JOURNAL_REPLACED" &&
                   std::string(error.what()) == "audit file " + replaced.path() + " was replaced");

  const File removed;
  tail = append(removed.commit("{\"a\":1"));
  std::filesystem::remove(removed.path());
  CHECK_THROWS(append(removed.commit("{\"b\":2", tail, 2)), EngineError, error.code() == "ENOENT");

  const File written;
  tail = append(written.commit("{\"a\":1"));
  std::ofstream(written.path(), std::ios::app) << "{}\n";
  CHECK_THROWS(append(written.commit("{\"b\":2", tail, 2)), EngineError,
               error.code() == "JOURNAL_SIZE" &&
                   std::string(error.what())
                       .ends_with("bytes, not the " + std::to_string(tail.size) + " that were written"));
}

TEST(the_scribe_keeps_the_order_and_answers_errors) {
  std::vector<std::shared_ptr<Caller>> callers;
  std::vector<int> done;
  for (int i = 0; i < 1000; i++) {
    callers.push_back(std::make_shared<Caller>());
    Scribe::instance().run(callers.back(), [&done, i] {
      done.push_back(i);
      if (i % 2) throw EngineError("ODD", "odd");
    });
  }
  for (size_t i = 0; i < callers.size(); i++) {
    if (i % 2) {
      CHECK_THROWS(callers[i]->wait(), EngineError, error.code() == "ODD");
    } else {
      callers[i]->wait();
    }
  }
  CHECK(done.size() == callers.size() && std::is_sorted(done.begin(), done.end()));
}

TEST(commits_are_appended_later_until_their_caller_is_gone) {
  const File file;
  Tail tail{kOrigin, 0};
  const auto journal = std::make_shared<Journal>(Journal{{kOrigin, 0}});
  for (uint64_t sequence = 1; sequence <= 20; sequence++) {
    const auto caller = std::make_shared<Caller>();
    const auto later = std::make_shared<Tail>();
    append_later(caller, journal, file.commit("{\"a\":1", {}, sequence), later);
    caller->wait();
    tail = *later;
    CHECK(tail.size == file.content().size());
  }
  const auto gone = std::make_shared<Caller>(true);
  append_later(gone, journal, file.commit("{\"a\":1", {}, 21), std::make_shared<Tail>());
  gone->wait();
  CHECK(tail.size == file.content().size());
}

TEST(a_busy_file_has_filler_that_lines_overwrite) {
  const File file;
  const std::string body = "{\"a\":\"" + std::string(20000, 'x') + "\"";
  Tail tail{kOrigin, 0};
  std::string lines;
  size_t filled = 0;
  for (uint64_t sequence = 1; sequence <= 200; sequence++) {
    tail = append(file.commit(body, tail, sequence));
    const std::string content = file.content();
    CHECK(content.size() == tail.size + tail.room);
    CHECK(content.compare(0, lines.size(), lines) == 0);
    CHECK(content[tail.size - 1] == '\n');
    CHECK(content.find_first_not_of('\0', tail.size) == std::string::npos);
    CHECK(sequence > 3 || tail.room == 0);
    lines = content.substr(0, tail.size);
    filled += tail.room > 0;
  }
  CHECK(filled > 150);
  CHECK(lines.find('\0') == std::string::npos);
}

TEST(where_there_is_no_room_for_filler_the_lines_go_on) {
  const File file;
  const std::string body = "{\"a\":\"" + std::string(20000, 'x') + "\"";
  signal(SIGXFSZ, SIG_IGN);
  rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{120000, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  Tail tail{kOrigin, 0};
  std::string code;
  for (uint64_t sequence = 1; sequence <= 6 && code.empty(); sequence++) {
    try {
      tail = append(file.commit(body, tail, sequence));
    } catch (const EngineError& e) {
      code = e.code();
    }
  }
  setrlimit(RLIMIT_FSIZE, &before);
  CHECK(code == "EFBIG");
  CHECK(tail.size > 100000);
  CHECK(tail.room == 0);
}

TEST(commits_behind_one_that_failed_fail) {
  const File file;
  const auto journal = std::make_shared<Journal>(Journal{{kOrigin, 0}});
  const std::string path = file.path() + ".moved";
  std::filesystem::rename(file.path(), path);
  std::vector<std::shared_ptr<Caller>> callers;
  for (uint64_t sequence = 1; sequence <= 3; sequence++) {
    callers.push_back(std::make_shared<Caller>());
    append_later(callers.back(), journal, file.commit("{\"a\":1", {}, sequence), std::make_shared<Tail>());
  }
  std::string codes;
  for (const auto& caller : callers) {
    try {
      caller->wait();
    } catch (const EngineError& e) {
      codes += e.code() + " ";
    }
  }
  CHECK(codes == "ENOENT JOURNAL_FAILED JOURNAL_FAILED ");
  CHECK(std::filesystem::file_size(path) < 200);  // the first line, and nothing behind it
}

// Last: the process must exit although this is still under way.
TEST(leaves_at_exit) {
  static std::atomic<bool> begun{false};
  for (int i = 0; i < 1000; i++) {
    Scribe::instance().run(std::make_shared<Caller>(), [] {
      begun = true;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    });
  }
  while (!begun) std::this_thread::yield();
}

}  // namespace
}  // namespace keystead

RUN_TESTS()
