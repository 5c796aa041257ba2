#include "engine/errand.h"

#include <thread>

#include "engine/error.h"
#include "engine/watch.h"

namespace keystead {

void run_errand(std::shared_ptr<Caller> caller, std::function<void()> work,
                std::chrono::steady_clock::duration deadline) {
  auto ticket = Watch::instance().set(deadline, [caller] {
    caller->answer(
        std::make_exception_ptr(EngineError("DEADLINE", "the PKCS#11 module has not answered in time")));
  });
  std::thread([caller = std::move(caller), work = std::move(work), ticket]() mutable {
    std::exception_ptr error;
    try {
      work();
    } catch (...) {
      error = std::current_exception();
    }
    work = nullptr;
    Watch::instance().cancel(ticket);
    caller->answer(error);
  }).detach();
}

}  // namespace keystead
