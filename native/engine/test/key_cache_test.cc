// The cache of handles: its bound, its order, and what happens to handles that are in use.
#include "engine/key_cache.h"

#include <thread>

#include "engine/backing_key.h"
#include "engine/test/check.h"
#include "engine/test/softhsm.h"

using namespace keystead;
using namespace keystead::test;

namespace {

std::shared_ptr<const Key> named(uint8_t number, Bytes context = {}) {
  uint8_t header[kHeaderSize] = {1, 0, number};
  return Key::make("d", {number}, std::move(context), header);
}

// A session of a fresh token, and a cache whose handles are real objects.
struct Fixture {
  SoftHsm hsm;
  std::shared_ptr<Module> module = Module::acquire(hsm.options.module, hsm.options.environment);
  Stay stay{*module};
  Session session{*module, find_slot(*module, hsm.options.name)};
  Login login{pin("1234")};
  int made = 0;
  KeyCache cache;

  explicit Fixture(size_t limit) : cache(limit, [this](const Session& s, const Key&) { return make(s); }) {
    login.ensure(session, find_slot(*module, hsm.options.name));
  }
  ~Fixture() { session.close(); }

  CK_OBJECT_HANDLE make(const Session& on) {
    made++;
    return on.generate(CKM_GENERIC_SECRET_KEY_GEN, Attributes()
                                                       .number(CKA_CLASS, CKO_SECRET_KEY)
                                                       .number(CKA_KEY_TYPE, CKK_GENERIC_SECRET)
                                                       .number(CKA_VALUE_LEN, 32)
                                                       .flag(CKA_TOKEN, false)
                                                       .flag(CKA_SIGN, true));
  }
  size_t objects() { return session.find(Attributes().number(CKA_CLASS, CKO_SECRET_KEY)).size(); }
  void touch(const std::shared_ptr<const Key>& key) { cache.use(session, key); }
};

}  // namespace

TEST(holds_no_more_than_its_limit) {
  Fixture f(3);
  for (uint8_t i = 0; i < 20; i++) {
    f.touch(named(i));
    CHECK(f.cache.open() <= 3 && f.objects() == f.cache.open());
  }
  CHECK(f.made == 20 && f.cache.misses() == 20 && f.cache.hits() == 0);
}

TEST(destroys_the_one_used_longest_ago) {
  Fixture f(2);
  f.touch(named(1));
  f.touch(named(2));
  f.touch(named(1));
  f.touch(named(3));  // 2 goes
  f.touch(named(1));
  CHECK(f.made == 3);
  f.touch(named(2));
  CHECK(f.made == 4);
}

TEST(a_key_is_the_same_only_with_the_same_context_and_blob) {
  Fixture f(5);
  f.touch(named(1, {1}));
  f.touch(named(1, {1}));
  CHECK(f.made == 1);
  f.touch(named(1, {2}));
  CHECK(f.made == 2);
}

TEST(a_handle_in_use_is_destroyed_only_when_it_is_let_go) {
  Fixture f(2);
  auto key = named(1);
  {
    auto use = f.cache.use(f.session, key);
    CHECK(!f.cache.forget(*key));
    CHECK(f.objects() == 1);
    derive(f.session, use.handle(), Bytes(kNonceSize).data());
  }
  CHECK(f.objects() == 0 && f.cache.open() == 0);
  f.touch(key);
  CHECK(f.made == 2);
}

TEST(what_nobody_uses_is_forgotten_at_once_and_swept) {
  Fixture f(2);
  auto key = named(1);
  f.touch(key);
  CHECK(f.cache.forget(*key));
  CHECK(!f.cache.forget(*key));
  f.cache.sweep(f.session);
  CHECK(f.objects() == 0 && f.cache.open() == 0);
}

TEST(a_lost_session_takes_its_handles_along) {
  Fixture f(5);
  f.touch(named(1));
  Session other(*f.module, find_slot(*f.module, f.hsm.options.name));
  f.cache.use(other, named(2));
  CHECK(f.objects() == 2);
  f.cache.lose_session(other.number());
  other.close();
  f.touch(named(1));
  CHECK(f.made == 2);
  f.touch(named(2));
  CHECK(f.made == 3 && f.objects() == 2);
}

TEST(a_failure_to_make_one_leaves_nothing_behind) {
  SoftHsm hsm;
  auto module = Module::acquire(hsm.options.module, hsm.options.environment);
  Stay stay(*module);
  Session session(*module, find_slot(*module, hsm.options.name));
  bool fail = true;
  KeyCache cache(1, [&](const Session&, const Key&) -> CK_OBJECT_HANDLE {
    if (fail) throw EngineError("X", "x");
    return 7;
  });
  CHECK_THROWS(cache.use(session, named(1)), EngineError, error.code() == "X");
  CHECK(cache.open() == 0);
  fail = false;
  CHECK(cache.use(session, named(1)).handle() == 7);
  session.close();
}

TEST(many_threads_make_a_handle_once_and_share_a_small_cache) {
  SoftHsm hsm;
  auto module = Module::acquire(hsm.options.module, hsm.options.environment);
  Stay stay(*module);
  std::atomic<int> made = 0, alive = 0, most = 0;
  KeyCache cache(2, [&](const Session&, const Key&) -> CK_OBJECT_HANDLE {
    std::this_thread::yield();
    return 1000 + made++;
  });
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; t++) {
    threads.emplace_back([&, t] {
      Session session(*module, find_slot(*module, hsm.options.name));
      for (int i = 0; i < 500; i++) {
        auto use = cache.use(session, named(static_cast<uint8_t>((i * (t + 1)) % 5)));
        int now = ++alive;
        for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
        }
        CHECK(use.handle() >= 1000);
        alive--;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(cache.hits() + cache.misses() == 2000);
  CHECK(cache.misses() == static_cast<uint64_t>(made) && cache.open() <= 2);

  // Single flight: all want the same one at once.
  KeyCache fresh(2, [&](const Session&, const Key&) -> CK_OBJECT_HANDLE {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return 1000 + made++;
  });
  made = 0;
  threads.clear();
  for (int t = 0; t < 4; t++) {
    threads.emplace_back([&] {
      Session session(*module, find_slot(*module, hsm.options.name));
      fresh.use(session, named(9));
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(made == 1 && fresh.misses() == 1 && fresh.hits() == 3);
}

RUN_TESTS()
