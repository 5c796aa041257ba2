// Who asked for an operation: lends memory for its time and takes one answer.
#pragma once

#include <exception>

namespace keystead {

class Caller {
 public:
  virtual ~Caller() = default;

  // Between a successful enter() and its leave() the memory that the caller lent stays valid. False once the
  // caller was answered or has gone away: the memory must not be touched any more. Any thread; several may be
  // inside.
  virtual bool enter() = 0;
  virtual void leave() = 0;

  // Answers once; later answers are dropped. An answer given while somebody is inside waits for him to leave.
  virtual void answer(std::exception_ptr error) = 0;
};

// A stay inside a caller's memory: `Visit visit(*caller); if (!visit) return;`
class Visit {
 public:
  explicit Visit(Caller& caller) : caller_(caller), inside_(caller.enter()) {}
  ~Visit() {
    if (inside_) caller_.leave();
  }
  Visit(const Visit&) = delete;
  Visit& operator=(const Visit&) = delete;
  explicit operator bool() const { return inside_; }

 private:
  Caller& caller_;
  bool inside_;
};

}  // namespace keystead
