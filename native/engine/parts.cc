#include "engine/parts.h"

#include <algorithm>
#include <atomic>

namespace keystead {

namespace {

constexpr size_t kMostInAPart = 16;

class Run : public std::enable_shared_from_this<Run> {
 public:
  Run(std::shared_ptr<Caller> caller, Parts parts, bool begun, SubmitPart submit)
      : caller_(std::move(caller)),
        parts_(std::move(parts)),
        begun_(begun),
        submit_(std::move(submit)),
        left_(parts_.count) {}

  void start(size_t lanes) {
    if (parts_.count == 0) return finish();
    grain_ = std::clamp<size_t>(parts_.count / lanes, 1, kMostInAPart);
    for (size_t lane = 0; lane < lanes; lane++) next();
  }

 private:
  // Answered when its things are done, or cannot be.
  struct Part : Caller {
    Part(std::shared_ptr<Run> run, size_t from, size_t to) : run(std::move(run)), from(from), to(to) {}
    bool enter() override { return run->caller_->enter(); }
    void leave() override { run->caller_->leave(); }
    void answer(std::exception_ptr error) override {
      if (!answered.exchange(true)) run->settle(to - from, error);
    }
    std::shared_ptr<Run> run;
    const size_t from, to;
    size_t at = from;  // where the next try begins
    std::atomic<bool> answered = false;
  };

  void next() {
    size_t from = next_.fetch_add(grain_);
    if (from >= parts_.count || failed_) return;
    auto part = std::make_shared<Part>(shared_from_this(), from, std::min(from + grain_, parts_.count));
    submit_(
        part,
        [this, part = part.get()](const Session& session) {  // both live as long as the task
          for (; part->at < part->to && !failed_; part->at++) parts_.work(session, part->at);
          return true;
        },
        begun_ || from > 0);
  }

  void settle(size_t count, std::exception_ptr error) {
    if (error) {
      failed_ = true;
      return caller_->answer(error);
    }
    if ((left_ -= count) > 0) return next();
    finish();
  }

  void finish() {
    std::exception_ptr error;
    try {
      if (!parts_.finish()) return;
    } catch (...) {
      error = std::current_exception();
    }
    caller_->answer(error);
  }

  const std::shared_ptr<Caller> caller_;
  const Parts parts_;
  const bool begun_;
  const SubmitPart submit_;
  size_t grain_ = 1;
  std::atomic<size_t> next_ = 0, left_;
  std::atomic<bool> failed_ = false;
};

}  // namespace

void do_parts(std::shared_ptr<Caller> caller, Parts parts, size_t lanes, bool begun, SubmitPart submit) {
  std::make_shared<Run>(std::move(caller), std::move(parts), begun, std::move(submit))->start(lanes);
}

}  // namespace keystead
