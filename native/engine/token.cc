#include "engine/token.h"

#include <algorithm>
#include <thread>

#include "engine/crew.h"
#include "engine/error.h"
#include "engine/key_wrap.h"
#include "engine/token_key.h"
#include "engine/trial.h"

namespace keystead {

namespace {

constexpr size_t kMostSessions = 64;
constexpr unsigned kVagueInARow = 3;
constexpr int kGrace = 6;  // this part of the deadline is added before a call counts as hung

EngineError unavailable(const Module& module) {
  return {"TOKEN_UNAVAILABLE", module.path() + " has lost its token; connecting again"};
}

}  // namespace

std::shared_ptr<Token> Token::open(const TokenOptions& options, std::unique_ptr<Pin> pin) {
  auto module = Module::acquire(options.module, options.environment);
  auto token = std::make_shared<Token>(std::move(module), options, std::move(pin));
  token->start(options);
  return token;
}

Token::Token(std::shared_ptr<Module> module, const TokenOptions& options, std::unique_ptr<Pin> pin)
    : module_(*module),
      share_(std::move(module)),
      name_(options.name),
      deadline_(options.deadline),
      login_(std::move(pin)),
      cache_(std::max<size_t>(1, options.handles),
             [this](const Session& session, const Key& key) { return make_handle(session, key); }) {}

Token::~Token() { module_.part(this); }

void Token::start(const TokenOptions& options) {
  Stay stay(module_);
  if (!stay) throw unavailable(module_);
  slot_ = find_slot(module_, name_);
  can_ = read_capabilities(module_, slot_);
  std::vector<Session> sessions{Session(module_, slot_)};
  try {
    login_.ensure(sessions[0], slot_);
    key_wrap_ = probe_key_wrap(sessions[0], can_);

    const size_t cores = Crew::instance().threads();
    size_t limit = options.sessions ? options.sessions : kMostSessions;
    if (can_.max_sessions) limit = std::min<size_t>(limit, can_.max_sessions);
    auto open_up_to = [&](size_t count) {
      while (sessions.size() < std::min(count, limit)) {
        try {
          sessions.emplace_back(module_, slot_);
        } catch (const Pkcs11Error& e) {
          if (e.rv() != CKR_SESSION_COUNT) throw;
          limit = sessions.size();
        }
      }
      return sessions.size();
    };
    symmetric_lanes_ = try_lanes(sessions, open_up_to);
    // Where symmetric work gains from every session, each takes work of both kinds.
    const size_t apart = std::max(cores, symmetric_lanes_);
    asymmetric_lanes_ = open_up_to(symmetric_lanes_ + apart) - symmetric_lanes_;
    // One session to hold the login while lanes reopen theirs, if there is another.
    const size_t lanes = symmetric_lanes_ + asymmetric_lanes_;
    if (open_up_to(lanes + 1) > lanes) {
      login_session_.emplace(sessions.back());
      sessions.pop_back();
    }
  } catch (...) {
    for (Session& session : sessions) session.close();
    throw;
  }
  module_.join(this);
  symmetric_ = std::make_shared<Queue>();
  asymmetric_ = asymmetric_lanes_ ? std::make_shared<Queue>() : symmetric_;
  for (size_t i = 0; i < sessions.size(); i++)
    start_lane(i < symmetric_lanes_ ? symmetric_ : asymmetric_, sessions[i]);
  if (!asymmetric_lanes_) asymmetric_lanes_ = symmetric_lanes_;
}

void Token::start_lane(std::shared_ptr<Queue> queue, Session session) {
  serving_++;
  std::thread([self = shared_from_this(), queue = std::move(queue), session]() mutable {
    self->serve(*queue, session);
  }).detach();
}

void Token::serve(Queue& queue, std::optional<Session> session) {
  while (auto task = queue.take()) {
    if (task->expired) continue;
    Stay stay(module_);
    if (stay) {
      run(queue, session, task);
    } else {
      queue.put_back(std::move(task));
      module_.wait_at_fence();
    }
  }
  {
    Stay stay(module_);
    if (stay && session) part_with(*session);
  }
  std::lock_guard lock(mutex_);
  serving_--;
  ended_.notify_all();
}

void Token::part_with(Session& session) {
  // Should somebody never come back from a call with one of its keys, it stays open.
  if (cache_.lose_session(session.number())) session.close();
}

void Token::submit(Kind kind, std::shared_ptr<Caller> caller, Work work, bool begun) {
  std::exception_ptr refusal;
  if (closed_) {
    refusal = std::make_exception_ptr(EngineError("TOKEN_CLOSED", "the token was closed"));
  } else if (!begun && !module_.available()) {
    refusal = std::make_exception_ptr(unavailable(module_));
  } else if (std::lock_guard lock(mutex_); broken_) {
    refusal = broken_;
  }
  if (refusal) return caller->answer(refusal);
  auto task = std::make_shared<Task>();
  task->caller = std::move(caller);
  task->work = std::move(work);
  task->deadline =
      Watch::instance().set(deadline_, [self = shared_from_this(), task] { self->expire(task); });
  if (!(kind == Kind::kSymmetric ? symmetric_ : asymmetric_)->push(task)) {
    Watch::instance().cancel(task->deadline);
    task->caller->answer(std::make_exception_ptr(EngineError("TOKEN_CLOSED", "the token was closed")));
  }
}

void Token::expire(const std::shared_ptr<Task>& task) {
  task->expired = true;
  task->caller->answer(std::make_exception_ptr(EngineError(
      "DEADLINE", "the token has not answered in time; whether it carried the operation out is unknown")));
  // A job that only came to its turn late, or takes long, now ends with its present call; a call that does
  // not end is a dead module's.
  if (task->running) {
    Watch::instance().set(deadline_ / kGrace, [self = shared_from_this(), task] {
      if (task->running) self->module_.recover(self->module_.generation());
    });
  }
}

void Token::run(Queue& queue, std::optional<Session>& session, const std::shared_ptr<Task>& task) {
  std::exception_ptr error;
  for (;;) {
    try {
      task->running = true;
      if (!session || session->generation() != module_.generation()) {
        session.emplace(module_, slot_);
        login_.ensure(*session, slot_);
      }
      bool done = task->work(*session);
      task->running = false;
      vague_ = 0;
      Watch::instance().cancel(task->deadline);
      if (done) task->caller->answer(nullptr);
      return;
    } catch (const Pkcs11Error& e) {
      task->running = false;
      error = std::current_exception();
      Remedy what = remedy(e, session, *task);
      if (what == Remedy::kTryAgain) continue;
      if (what == Remedy::kWaitForModule) return queue.put_back(task);
    } catch (...) {
      task->running = false;
      error = std::current_exception();
    }
    Watch::instance().cancel(task->deadline);
    return task->caller->answer(error);
  }
}

Token::Remedy Token::remedy(const Pkcs11Error& error, std::optional<Session>& session, Task& task) {
  Fault fault = fault_of(error.rv());
  if (fault == Fault::kVague && ++vague_ >= kVagueInARow) fault = Fault::kModule;
  if (fault == Fault::kFinal || fault == Fault::kVague) return Remedy::kReport;
  unsigned bit = 1u << static_cast<unsigned>(fault);
  bool first = !(task.faults & bit);
  task.faults |= bit;
  switch (fault) {
    case Fault::kSession:
      if (session) {
        part_with(*session);
        session.reset();
      }
      break;
    case Fault::kLogin:
      try {
        if (session) login_.ensure(*session, slot_);
      } catch (const std::exception&) {
        return Remedy::kReport;
      }
      break;
    case Fault::kHandle:
      domains_.drop();
      break;
    default:
      vague_ = 0;
      module_.recover(session ? session->generation() : module_.generation());
      return first ? Remedy::kWaitForModule : Remedy::kReport;
  }
  return first ? Remedy::kTryAgain : Remedy::kReport;
}

// On the module's thread, with all lanes kept out; theirs are made anew when they find the generation
// changed.
void Token::revive() {
  slot_ = find_slot(module_, name_);
  try {
    Session session(module_, slot_);
    login_.ensure(session, slot_);
    if (login_session_) {
      login_session_.emplace(session);
    } else {
      session.close();
    }
  } catch (const Pkcs11Error& e) {
    if (fault_of(e.rv()) != Fault::kFinal) throw;
    std::lock_guard lock(mutex_);
    broken_ = std::current_exception();
  } catch (const EngineError&) {
    std::lock_guard lock(mutex_);
    broken_ = std::current_exception();
  }
}

void Token::close() {
  if (closed_.exchange(true)) return;
  symmetric_->close();
  asymmetric_->close();
  {
    std::unique_lock lock(mutex_);
    if (!ended_.wait_for(lock, deadline_, [&] { return serving_ == 0; })) {
      throw EngineError("DEADLINE", "the token does not come back from a call; its module stays in use");
    }
  }
  module_.part(this);
  {
    Stay stay(module_);
    if (stay && login_session_) login_session_->close();
  }
  share_.reset();
}

CK_OBJECT_HANDLE Token::make_handle(const Session& session, const Key& key) {
  if (key.on_token()) return find_token_key(session, key.id);
  return unwrap_backing_key(session, domains_.get(session, key.domain), key_wrap_, key);
}

}  // namespace keystead
