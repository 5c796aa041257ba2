#include "journal.h"

#include <memory>
#include <utility>

#include "engine/journal.h"
#include "job.h"

namespace keystead {
namespace {

Commit commit_of(const Napi::Object& options) {
  const auto number = [&](const char* name) { return options.Get(name).As<Napi::Number>(); };
  const auto text = [&](const char* name) { return options.Get(name).As<Napi::String>().Utf8Value(); };
  Commit commit;
  commit.descriptor = number("descriptor").Int32Value();
  commit.path = text("path");
  commit.sequence = number("sequence").Int64Value();
  commit.bodies = text("bodies");
  return commit;
}

using Handle = Napi::External<std::shared_ptr<Journal>>;

Napi::Value open_journal(const Napi::CallbackInfo& info) {
  auto journal = std::make_shared<Journal>();
  journal->tail.digest = info[0].As<Napi::String>().Utf8Value();
  return Handle::New(info.Env(), new std::shared_ptr<Journal>(std::move(journal)),
                     [](Napi::Env, std::shared_ptr<Journal>* share) { delete share; });
}

Napi::Value append_journal(const Napi::CallbackInfo& info) {
  const auto options = info[0].As<Napi::Object>();
  Commit commit = commit_of(options);
  const auto journal = *options.Get("journal").As<Handle>().Data();
  const auto job = Job::make(info.Env());
  const auto tail = std::make_shared<Tail>();
  job->result([tail](Napi::Env env) {
    const auto object = Napi::Object::New(env);
    object.Set("digest", tail->digest);
    object.Set("size", static_cast<double>(tail->size));
    return object;
  });
  try {
    append_later(job, journal, std::move(commit), tail);
  } catch (...) {
    job->answer(std::current_exception());
  }
  return job->promise(info.Env());
}

}  // namespace

void InitJournal(Napi::Env env, Napi::Object exports) {
  exports.Set("openJournal", Napi::Function::New(env, open_journal, "openJournal"));
  exports.Set("appendJournal", Napi::Function::New(env, append_journal, "appendJournal"));
}

}  // namespace keystead
