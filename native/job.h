// A job is one asynchronous call from JavaScript: the promise it returned, the buffers it lent, its outcome.
//
//   auto job = Job::make(env);
//   const uint8_t* in = job->pin(input);                 // main thread
//   start([job] { Visit visit(*job); if (!visit) return; …; job->answer(nullptr); });   // any thread
//   return job->promise(env);
#pragma once

#include <napi.h>

#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "engine/caller.h"

namespace keystead {

class Sink;

class Job : public Caller, public std::enable_shared_from_this<Job> {
 public:
  using Result = std::function<Napi::Value(Napi::Env)>;

  // Main thread. Keeps the event loop alive until the job is answered.
  static std::shared_ptr<Job> make(Napi::Env env);
  // Main thread: the promise to return.
  Napi::Promise promise(Napi::Env env) const;
  // Main thread: keeps the buffer's memory until the answer, and returns its address (typed arrays: with
  // offset).
  uint8_t* pin(const Napi::TypedArray& buffer);

  // Before the work starts: what is wiped, once nobody is inside any more, when the job is rejected.
  void wipe_if_rejected(uint8_t* data, size_t size);

  // Any thread, before answer(nullptr): what the promise resolves to; runs on the main thread. Default:
  // undefined.
  void result(Result result);

  bool enter() override;
  void leave() override;
  // nullptr resolves. Pkcs11Error and EngineError become errors of that name with their members; others plain
  // ones.
  void answer(std::exception_ptr error) override;

  explicit Job(Napi::Env env);

 private:
  friend class Sink;
  // With the mutex held, answered and without visitors.
  void deliver();
  // Main thread, in a live environment: settles the promise and lets go of the buffers.
  void settle(Napi::Env env);

  std::shared_ptr<Sink> sink_;
  napi_deferred deferred_ = nullptr;
  napi_value promise_ = nullptr;  // valid in the handle scope of the call that made the job
  // Plain napi_refs: only settle() may delete them, for a job may die on any thread, or after its
  // environment.
  std::vector<napi_ref> pins_;
  std::mutex mutex_;
  Result result_;
  std::vector<std::pair<uint8_t*, size_t>> wiped_;
  std::exception_ptr error_;
  unsigned visitors_ = 0;
  bool answered_ = false;
};

// The JavaScript error for an exception of the engine.
Napi::Value error_value(Napi::Env env, std::exception_ptr error);

}  // namespace keystead
