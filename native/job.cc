#include "job.h"

#include "engine/error.h"
#include "engine/secret.h"
#include "sink.h"

namespace keystead {

Job::Job(Napi::Env env) : sink_(Sink::of(env)) {
  if (napi_create_promise(env, &deferred_, &promise_) != napi_ok) throw Napi::Error::New(env);
}

std::shared_ptr<Job> Job::make(Napi::Env env) {
  auto job = std::make_shared<Job>(env);
  job->sink_->expect(env);
  return job;
}

Napi::Promise Job::promise(Napi::Env env) const { return {env, promise_}; }

uint8_t* Job::pin(const Napi::TypedArray& buffer) {
  napi_ref pin;
  if (napi_create_reference(buffer.Env(), buffer, 1, &pin) != napi_ok) throw Napi::Error::New(buffer.Env());
  pins_.push_back(pin);
  void* data = nullptr;
  napi_get_typedarray_info(buffer.Env(), buffer, nullptr, nullptr, &data, nullptr, nullptr);
  return static_cast<uint8_t*>(data);
}

void Job::wipe_if_rejected(uint8_t* data, size_t size) { wiped_.emplace_back(data, size); }

void Job::result(Result result) {
  std::lock_guard lock(mutex_);
  if (!answered_) result_ = std::move(result);
}

bool Job::enter() {
  std::lock_guard lock(mutex_);
  if (answered_ || !sink_->enter()) return false;
  visitors_++;
  return true;
}

void Job::leave() {
  std::lock_guard lock(mutex_);
  sink_->leave();
  if (--visitors_ == 0 && answered_) deliver();
}

void Job::answer(std::exception_ptr error) {
  std::lock_guard lock(mutex_);
  if (answered_) return;
  answered_ = true;
  error_ = std::move(error);
  if (visitors_ == 0) deliver();
}

void Job::deliver() {
  if (error_ && !wiped_.empty() && sink_->enter()) {
    for (auto [data, size] : wiped_) wipe(data, size);
    sink_->leave();
  }
  sink_->deliver(shared_from_this());
}

void Job::settle(Napi::Env env) {
  for (napi_ref pin : pins_) napi_delete_reference(env, pin);
  pins_.clear();
  std::exception_ptr error = std::move(error_);  // may hold a JavaScript error: goes on this thread
  if (!error) {
    try {
      napi_resolve_deferred(env, deferred_, result_ ? result_(env) : env.Undefined());
      return;
    } catch (...) {
      error = std::current_exception();
    }
  }
  try {
    napi_reject_deferred(env, deferred_, error_value(env, error));
  } catch (const Napi::Error&) {
    // The thread is being terminated: its objects take no members any more, and nobody waits for them.
  }
}

Napi::Value error_value(Napi::Env env, std::exception_ptr error) {
  auto named = [&](const char* name, const std::exception& e, const std::string& code) {
    Napi::Object value = Napi::Error::New(env, e.what()).Value();
    value.Set("name", name);
    value.Set("code", code);
    return value;
  };
  try {
    std::rethrow_exception(error);
  } catch (const Pkcs11Error& e) {
    Napi::Object value = named("Pkcs11Error", e, e.code());
    value.Set("function", e.function());
    return value;
  } catch (const EngineError& e) {
    return named("EngineError", e, e.code());
  } catch (const Napi::Error& e) {
    return e.Value();
  } catch (const std::exception& e) {
    return Napi::Error::New(env, e.what()).Value();
  }
}

}  // namespace keystead
