#include "engine/module.h"

#include <stdlib.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "engine/error.h"
#include "engine/library.h"
#include "engine/mutex.h"

namespace keystead {

using namespace std::chrono_literals;

// Lives as long as the process: threads may still use it while the exit handlers run.
struct Registry {
  static Registry& instance() {
    static auto* registry = new Registry;
    return *registry;
  }

  Module& module(const std::string& path) {
    std::lock_guard lock(mutex);
    auto& module = modules[path];
    if (!module) module = new Module(path, load_module(path));
    return *module;
  }

  std::mutex mutex;
  std::map<std::string, Module*> modules;
};

std::shared_ptr<Module> Module::acquire(const std::string& path, const Environment& environment) {
  Module& module = Registry::instance().module(real_path(path));
  module.share(environment);
  return {&module, [](Module* shared) { shared->unshare(); }};
}

void Module::share(const Environment& environment) {
  std::lock_guard lock(life_);
  if (shares_ > 0 && environment != environment_) {
    throw EngineError("MODULE_IN_USE",
                      path_ +
                          " is in use in this process with another environment; close the tokens that "
                          "use it first, or use another process");
  }
  if (shares_ == 0) {
    for (const auto& [name, value] : environment) {
      // Left alone where it is right already: setenv is not safe beside another thread's getenv.
      const char* present = getenv(name.c_str());
      if (!present || value != present) setenv(name.c_str(), value.c_str(), 1);
    }
    environment_ = environment;
  }
  if (!initialized_) initialize();
  shares_++;
}

void Module::unshare() {
  std::lock_guard lock(life_);
  if (--shares_ == 0) finalize();
}

void Module::initialize() {
  if (!enter_behind_fence()) throw EngineError("EXITING", "the process is on its way out");
  CK_C_INITIALIZE_ARGS args = initialize_args_with_mutexes();
  CK_RV rv = functions_->C_Initialize(&args);
  if (rv == CKR_CANT_LOCK || rv == CKR_ARGUMENTS_BAD) {  // takes no mutexes but its own
    args = {nullptr, nullptr, nullptr, nullptr, CKF_OS_LOCKING_OK, nullptr};
    rv = functions_->C_Initialize(&args);
  }
  leave();
  if (rv != CKR_OK && rv != CKR_CRYPTOKI_ALREADY_INITIALIZED) throw Pkcs11Error("C_Initialize", rv);
  owner_ = rv == CKR_OK;
  initialized_ = true;
  // After C_Initialize, so that it runs before the exit handlers which the module has set up by now.
  static const int registered = std::atexit(drain_at_exit);
  (void)registered;
}

void Module::finalize() {
  initialized_ = false;
  if (!owner_ || !enter_behind_fence()) return;
  functions_->C_Finalize(nullptr);
  leave();
  owner_ = false;
}

bool Module::enter() {
  std::lock_guard lock(gate_);
  if (fenced_ || exiting_) return false;
  inside_++;
  return true;
}

bool Module::enter_behind_fence() {
  std::lock_guard lock(gate_);
  if (exiting_) return false;
  inside_++;
  return true;
}

void Module::leave() {
  std::lock_guard lock(gate_);
  if (--inside_ == 0 && (fenced_ || exiting_)) moved_.notify_all();
}

void Module::wait_at_fence() {
  std::unique_lock lock(gate_);
  moved_.wait_for(lock, 100ms, [&] { return !fenced_ && !exiting_; });
}

void Module::join(Member* member) {
  std::lock_guard lock(roll_);
  members_.push_back(member);
}

void Module::part(Member* member) {
  std::lock_guard lock(roll_);
  std::erase(members_, member);
}

void Module::recover(unsigned generation) {
  {
    std::lock_guard lock(gate_);
    if (fenced_ || exiting_ || generation != generation_) return;
    fenced_ = true;
  }
  {
    std::lock_guard lock(life_);
    shares_++;
  }
  std::thread([this] {
    rebuild();
    unshare();
  }).detach();
}

void Module::rebuild() {
  {
    std::unique_lock lock(gate_);
    moved_.wait(lock, [&] { return inside_ == 0; });
  }
  for (auto delay = 50ms;; delay = std::min(2 * delay, std::chrono::milliseconds(5s))) {
    try {
      std::lock_guard roll(roll_);
      if (exiting_) return;
      {
        std::lock_guard lock(life_);
        finalize();
        if (!members_.empty()) initialize();  // else nobody is left to wait for it
      }
      generation_++;
      for (Member* member : members_) member->revive();
      std::lock_guard lock(gate_);
      fenced_ = false;
      moved_.notify_all();
      return;
    } catch (const std::exception&) {
      // Not back yet: callers are answered TOKEN_UNAVAILABLE meanwhile.
    }
    std::this_thread::sleep_for(delay);
  }
}

// A call that is inside the module while its exit handlers take it down would crash: wait for it, but not for
// ever.
void Module::drain_at_exit() {
  auto& registry = Registry::instance();
  auto deadline = std::chrono::steady_clock::now() + 2s;
  std::unique_lock lock(registry.mutex, std::try_to_lock);
  while (!lock && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(10ms);
    (void)lock.try_lock();
  }
  if (!lock) return;  // somebody loads a module that does not return
  for (auto& [path, module] : registry.modules) {
    if (!module) continue;
    std::unique_lock gate(module->gate_);
    module->exiting_ = true;
    module->moved_.wait_until(gate, deadline, [&] { return module->inside_ == 0; });
  }
}

}  // namespace keystead
