// The way back into one environment: a single threadsafe function for all jobs, since one each aborts when a
// worker is terminated. Called only under the sink's mutex, and never again once the environment's cleanup
// hook has run.
#pragma once

#include <napi.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

namespace keystead {

class Job;

class Sink {
 public:
  static std::shared_ptr<Sink> open(Napi::Env env);
  static std::shared_ptr<Sink> of(Napi::Env env);

  // Main thread: a job was made; the event loop stays alive until all jobs are settled.
  void expect(Napi::Env env);
  // Any thread. Several jobs that come in before the event loop wakes are settled in one go.
  void deliver(std::shared_ptr<Job> job);
  // Any thread: stays inside buffers of this environment. False after its end.
  bool enter();
  void leave();

 private:
  static void wake(napi_env env, napi_value, void* context, void*);
  static void end(void* sink);
  void settle_all(Napi::Env env);

  std::mutex mutex_;
  std::condition_variable empty_;
  napi_threadsafe_function function_ = nullptr;
  std::vector<std::shared_ptr<Job>> delivered_;
  size_t visitors_ = 0;
  bool awake_ = false;
  bool closed_ = false;
  size_t expected_ = 0;  // main thread only
};

}  // namespace keystead
