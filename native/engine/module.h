// A loaded PKCS#11 module: one a real path and process, shared by all tokens and environments that use it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/cryptoki.h"

namespace keystead {

using Environment = std::map<std::string, std::string>;

// Somebody who has sessions in the module, and must make them again when it was initialised again.
class Member {
 public:
  virtual ~Member() = default;
  // Called with the module initialised and everybody else kept out. Throws when the token is not back yet.
  virtual void revive() = 0;
};

class Module {
 public:
  // Loads it when it is new to the process, and initialises it when nobody uses it at the moment, with the
  // environment set before. Throws EngineError MODULE_IN_USE when it is in use with another environment.
  static std::shared_ptr<Module> acquire(const std::string& path, const Environment& environment);

  const std::string& path() const { return path_; }
  const CK_FUNCTION_LIST& functions() const { return *functions_; }
  // Counts up each time the module was initialised again while in use. Handles of older generations mean
  // nothing.
  unsigned generation() const { return generation_; }
  bool available() const { return !fenced_; }

  // Every call of a function of the module lies between enter() and leave(). False while it is fenced.
  bool enter();
  void leave();
  // Returns once the fence may have gone, at the latest after a tenth of a second.
  void wait_at_fence();

  // The module is dead, as seen in `generation`: fences it off, lets everybody out, and in the background
  // finalises and initialises it, with back-off, until all its members are revived.
  void recover(unsigned generation);
  // Held by who looks for an object on a token and makes it where there is none, so that two threads do not
  // make two. (Two processes are the caller's to keep apart.)
  std::mutex& making() { return making_; }
  void join(Member* member);
  void part(Member* member);

  Module(std::string path, const CK_FUNCTION_LIST* functions)
      : path_(std::move(path)), functions_(functions) {}

 private:
  friend struct Registry;
  friend class Share;
  // As enter(), for who works behind the fence; false only when the process is on its way out.
  bool enter_behind_fence();
  void initialize();
  void finalize();
  void share(const Environment& environment);
  void unshare();
  void rebuild();
  static void drain_at_exit();

  const std::string path_;
  const CK_FUNCTION_LIST* const functions_;

  std::mutex life_;  // held through C_Initialize and C_Finalize
  size_t shares_ = 0;
  bool initialized_ = false;
  bool owner_ = false;  // we initialised it; else somebody else in the process did, and it is his to finalise
  Environment environment_;

  std::mutex gate_;
  std::condition_variable moved_;
  size_t inside_ = 0;
  std::atomic<bool> fenced_ = false;
  std::atomic<bool> exiting_ = false;
  std::atomic<unsigned> generation_ = 1;

  std::mutex making_;

  std::mutex roll_;  // held through revival
  std::vector<Member*> members_;
};

// A stay inside the module: `Stay stay(module); if (!stay) …`
class Stay {
 public:
  explicit Stay(Module& module) : module_(module), inside_(module.enter()) {}
  ~Stay() {
    if (inside_) module_.leave();
  }
  Stay(const Stay&) = delete;
  Stay& operator=(const Stay&) = delete;
  explicit operator bool() const { return inside_; }

 private:
  Module& module_;
  bool inside_;
};

}  // namespace keystead
