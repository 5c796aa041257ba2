// The engine's tests: plain programs, one a file. TEST(name) { CHECK(condition); } … and RUN_TESTS() at the
// end.
#pragma once

#include <cstdio>
#include <exception>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace keystead::test {

struct Failure {
  std::string what;
};

inline std::vector<std::pair<const char*, std::function<void()>>>& tests() {
  static std::vector<std::pair<const char*, std::function<void()>>> tests;
  return tests;
}

struct Registration {
  Registration(const char* name, std::function<void()> body) { tests().emplace_back(name, std::move(body)); }
};

inline int run_tests() {
  int failed = 0;
  for (const auto& [name, body] : tests()) {
    std::string reason;
    try {
      body();
    } catch (const Failure& failure) {
      reason = failure.what;
    } catch (const std::exception& error) {
      reason = std::string("threw ") + error.what();
    }
    std::printf("%s %s%s%s\n", reason.empty() ? "ok    " : "FAILED", name, reason.empty() ? "" : ": ",
                reason.c_str());
    failed += !reason.empty();
  }
  if (tests().empty()) std::printf("FAILED: no tests\n");
  return failed || tests().empty() ? 1 : 0;
}

}  // namespace keystead::test

#define KEYSTEAD_TEXT_(x) #x
#define KEYSTEAD_TEXT(x) KEYSTEAD_TEXT_(x)

#define TEST(name)                                                               \
  static void test_##name();                                                     \
  static const keystead::test::Registration register_##name(#name, test_##name); \
  static void test_##name()

#define CHECK(condition)                                                                                  \
  do {                                                                                                    \
    if (!(condition)) throw keystead::test::Failure{__FILE__ ":" KEYSTEAD_TEXT(__LINE__) " " #condition}; \
  } while (0)

// The expression must throw `type`, and `check` (of `error`) must hold of what it threw.
#define CHECK_THROWS(expression, type, check)                                                                \
  do {                                                                                                       \
    bool threw = false;                                                                                      \
    try {                                                                                                    \
      (void)(expression);                                                                                    \
    } catch (const type& error) {                                                                            \
      threw = true;                                                                                          \
      CHECK(check);                                                                                          \
    }                                                                                                        \
    if (!threw)                                                                                              \
      throw keystead::test::Failure{__FILE__ ":" KEYSTEAD_TEXT(__LINE__) " no " #type " from " #expression}; \
  } while (0)

#define RUN_TESTS() \
  int main() { return keystead::test::run_tests(); }
