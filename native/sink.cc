#include "sink.h"

#include "job.h"

namespace keystead {

std::shared_ptr<Sink> Sink::open(Napi::Env env) {
  auto sink = std::make_shared<Sink>();
  // Node may still call wake() while it takes the function down, so the function owns a share of its own.
  auto* share = new std::shared_ptr<Sink>(sink);
  auto let_go = [](napi_env, void* data, void*) { delete static_cast<std::shared_ptr<Sink>*>(data); };
  napi_status status =
      napi_create_threadsafe_function(env, nullptr, nullptr, Napi::String::New(env, "keystead"), 0, 1, share,
                                      let_go, sink.get(), wake, &sink->function_);
  if (status != napi_ok) {
    delete share;
    throw Napi::Error::New(env, "keystead: no threadsafe function");
  }
  napi_unref_threadsafe_function(env, sink->function_);
  // Registered after the function was made: hooks run last in, first out, so this one sees it still alive.
  napi_add_env_cleanup_hook(env, end, sink.get());
  env.SetInstanceData(new std::shared_ptr<Sink>(sink));
  return sink;
}

std::shared_ptr<Sink> Sink::of(Napi::Env env) { return *env.GetInstanceData<std::shared_ptr<Sink>>(); }

void Sink::expect(Napi::Env env) {
  if (expected_++ == 0) napi_ref_threadsafe_function(env, function_);
}

void Sink::deliver(std::shared_ptr<Job> job) {
  std::lock_guard lock(mutex_);
  if (closed_) return;
  delivered_.push_back(std::move(job));
  if (awake_) return;
  awake_ = napi_call_threadsafe_function(function_, nullptr, napi_tsfn_nonblocking) == napi_ok;
}

bool Sink::enter() {
  std::lock_guard lock(mutex_);
  if (closed_) return false;
  visitors_++;
  return true;
}

void Sink::leave() {
  std::lock_guard lock(mutex_);
  if (--visitors_ == 0 && closed_) empty_.notify_all();
}

void Sink::wake(napi_env env, napi_value, void* context, void*) {
  if (env != nullptr) static_cast<Sink*>(context)->settle_all(env);
}

void Sink::settle_all(Napi::Env env) {
  std::vector<std::shared_ptr<Job>> jobs;
  {
    std::lock_guard lock(mutex_);
    jobs.swap(delivered_);
    awake_ = false;
  }
  for (auto& job : jobs) {
    Napi::HandleScope scope(env);
    job->settle(env);
    job.reset();
    if (--expected_ == 0) napi_unref_threadsafe_function(env, function_);
  }
}

// The environment ends: nobody may touch its buffers or call its function from now on. Visitors compute or
// write to a disk, they never wait for the token, so waiting for them is short.
void Sink::end(void* data) {
  auto* sink = static_cast<Sink*>(data);
  std::unique_lock lock(sink->mutex_);
  sink->closed_ = true;
  sink->empty_.wait(lock, [&] { return sink->visitors_ == 0; });
  sink->delivered_.clear();
}

}  // namespace keystead
