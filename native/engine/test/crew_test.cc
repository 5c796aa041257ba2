#include "engine/crew.h"

#include <atomic>
#include <future>
#include <stdexcept>
#include <thread>
#include <vector>

#include "engine/test/check.h"

namespace keystead {
namespace {

using Work = std::function<void(size_t, size_t)>;

std::future<void> start(size_t count, size_t grain, Work work) {
  auto promise = std::make_shared<std::promise<void>>();
  auto future = promise->get_future();
  Crew::instance().run(count, grain, std::move(work), [promise](std::exception_ptr error) {
    error ? promise->set_exception(error) : promise->set_value();
  });
  return future;
}

TEST(has_a_thread_for_each_processor_at_most) {
  CHECK(Crew::instance().threads() >= 1);
  CHECK(Crew::instance().threads() <= std::max(1U, std::thread::hardware_concurrency()));
}

TEST(each_index_is_worked_on_once) {
  for (const size_t count : {1, 2, 63, 64, 65, 1000, 100003}) {
    for (const size_t grain : {0, 1, 7, 64, 1000000}) {
      std::vector<std::atomic<int>> seen(count);
      std::atomic<bool> small{false};
      start(count, grain, [&](size_t from, size_t to) {
        if (from >= to || to > count || (to - from < grain && to != count)) small = true;
        for (size_t i = from; i < to; ++i) ++seen[i];
      }).get();
      CHECK(!small);
      for (const auto& times : seen) CHECK(times == 1);
    }
  }
}

TEST(nothing_to_do_is_done_too) {
  bool worked = false;
  start(0, 1, [&](size_t, size_t) { worked = true; }).get();
  CHECK(!worked);
}

TEST(threads_work_at_the_same_time) {
  const size_t threads = Crew::instance().threads();
  std::atomic<size_t> inside{0};
  start(threads, 1, [&](size_t, size_t) {
    ++inside;
    while (inside < threads) std::this_thread::yield();
  }).get();
  CHECK(inside == threads);
}

TEST(the_first_exception_ends_the_run) {
  std::atomic<int> begun{0};
  auto future = start(100000, 1, [&](size_t, size_t) {
    ++begun;
    throw std::runtime_error("no");
  });
  CHECK_THROWS(future.get(), std::runtime_error, std::string(error.what()) == "no");
  CHECK(begun <= static_cast<int>(Crew::instance().threads()));
  start(10, 1, [](size_t, size_t) {}).get();
}

TEST(done_is_called_once_and_elsewhere) {
  std::atomic<int> done{0};
  std::promise<std::thread::id> thread;
  Crew::instance().run(
      1000, 1, [](size_t, size_t) {},
      [&](std::exception_ptr) {
        ++done;
        thread.set_value(std::this_thread::get_id());
      });
  CHECK(thread.get_future().get() != std::this_thread::get_id());
  start(1000, 1, [](size_t, size_t) {}).get();
  CHECK(done == 1);
}

TEST(a_small_run_overtakes_a_large_one) {
  std::atomic<bool> release{false};
  std::atomic<size_t> large{0};
  const size_t count = Crew::instance().threads() * 1000;
  auto slow = start(count, 1, [&](size_t from, size_t to) {
    std::this_thread::sleep_for(std::chrono::microseconds(100));
    large += to - from;
    while (large > count / 2 && !release) std::this_thread::yield();
  });
  start(1, 1, [](size_t, size_t) {}).get();
  const size_t at_the_small_ones_end = large;
  release = true;
  slow.get();
  CHECK(at_the_small_ones_end < count);
  CHECK(large == count);
}

TEST(many_callers) {
  std::atomic<size_t> sum{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([&] {
      for (int j = 0; j < 200; ++j) start(100, 3, [&](size_t from, size_t to) { sum += to - from; }).get();
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(sum == 8 * 200 * 100);
}

TEST(a_run_may_start_another) {
  std::promise<void> both;
  Crew::instance().run(
      10, 1, [](size_t, size_t) {},
      [&](std::exception_ptr) {
        Crew::instance().run(
            10, 1, [](size_t, size_t) {}, [&](std::exception_ptr) { both.set_value(); });
      });
  both.get_future().get();
}

// Last: the process must exit although this is still under way.
TEST(leaves_at_exit) {
  static std::atomic<bool> begun{false};
  Crew::instance().run(
      1000000, 1,
      [](size_t, size_t) {
        begun = true;
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      },
      [](std::exception_ptr) {});
  while (!begun) std::this_thread::yield();
}

}  // namespace
}  // namespace keystead

RUN_TESTS()
