#include "engine/batch.h"

#include <algorithm>
#include <cstring>
#include <future>
#include <string>

#include "engine/crew.h"
#include "engine/error.h"
#include "engine/gcm.h"
#include "engine/test/check.h"

namespace keystead {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes text(const std::string& text) { return {text.begin(), text.end()}; }

std::vector<DerivedKey> some_keys(size_t count) {
  std::vector<DerivedKey> keys(count);
  for (size_t i = 0; i < count; ++i) {
    std::memset(keys[i].key.data(), static_cast<int>(i + 1), keys[i].key.size());
    keys[i].header.fill(static_cast<uint8_t>(0x40 + i));
    keys[i].nonce.fill(static_cast<uint8_t>(0x80 + i));
  }
  return keys;
}

BatchItem item(uint32_t key, uint32_t number, const Bytes& in, const Bytes& context, Bytes& out) {
  return {key, number, in.data(), in.size(), context.data(), context.size(), out.data()};
}

// The format by hand, from docs/ciphertext.md.
Bytes expected_ciphertext(const DerivedKey& key, uint32_t number, const Bytes& plaintext,
                          const Bytes& context) {
  Bytes out(key.header.begin(), key.header.end());
  out.insert(out.end(), key.nonce.begin(), key.nonce.end());
  const Bytes iv = {0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    static_cast<uint8_t>(number >> 24),
                    static_cast<uint8_t>(number >> 16),
                    static_cast<uint8_t>(number >> 8),
                    static_cast<uint8_t>(number)};
  out.insert(out.end(), iv.begin() + 8, iv.end());
  Bytes aad = out;
  aad.insert(aad.end(), context.begin(), context.end());
  out.resize(70 + plaintext.size() + 16);
  const auto gcm = make_openssl_gcm();
  gcm->set_key(key.key.data());
  gcm->seal(iv.data(), aad, plaintext, &out[70], &out[70 + plaintext.size()]);
  return out;
}

TEST(items_are_laid_out_as_documented) {
  const auto keys = some_keys(2);
  const Bytes context = text("context"), other = text("another, longer context"), none;
  const Bytes hello = text("hello"), empty;
  for (const std::string& name : gcm_names()) {
    use_gcm(name);
    std::vector<Bytes> out;
    for (const size_t size : {5, 5, 0, 5, 5}) out.emplace_back(size + kOverhead);
    const std::vector<BatchItem> items = {
        item(0, 0, hello, context, out[0]), item(0, 1, hello, context, out[1]),
        item(0, 0xfffefdfc, empty, other, out[2]), item(1, 0, hello, context, out[3]),
        item(1, 1, hello, none, out[4])};
    seal_items(keys, items, 0, items.size());
    CHECK(out[0] == expected_ciphertext(keys[0], 0, hello, context));
    CHECK(out[1] == expected_ciphertext(keys[0], 1, hello, context));
    CHECK(out[2] == expected_ciphertext(keys[0], 0xfffefdfc, empty, other));
    CHECK(out[3] == expected_ciphertext(keys[1], 0, hello, context));
    CHECK(out[4] == expected_ciphertext(keys[1], 1, hello, none));
  }
}

TEST(each_item_opens_alone_and_only_whole) {
  const auto keys = some_keys(2);
  const Bytes context = text("context"), wrong = text("contexT");
  const Bytes plaintext = text("attack at dawn");
  for (const std::string& name : gcm_names()) {
    use_gcm(name);
    Bytes sealed(plaintext.size() + kOverhead);
    seal_items(keys, {item(1, 7, plaintext, context, sealed)}, 0, 1);

    const auto opens = [&](uint32_t key, const Bytes& ciphertext, const Bytes& with) {
      Bytes out(plaintext.size(), 0xee);
      uint8_t ok = 9;
      open_items(keys, {item(key, 0, ciphertext, with, out)}, 0, 1, &ok);
      CHECK(out == (ok ? plaintext : Bytes(plaintext.size())));
      return ok;
    };
    CHECK(opens(1, sealed, context) == 1);
    CHECK(opens(0, sealed, context) == 0);
    CHECK(opens(1, sealed, wrong) == 0);
    CHECK(opens(1, sealed, {}) == 0);
    for (size_t bit = 0; bit < sealed.size() * 8; ++bit) {
      sealed[bit / 8] ^= 1 << bit % 8;
      CHECK(opens(1, sealed, context) == 0);
      sealed[bit / 8] ^= 1 << bit % 8;
    }
    CHECK(opens(1, sealed, context) == 1);
  }
}

TEST(a_bad_item_leaves_its_neighbours_alone) {
  const auto keys = some_keys(1);
  const Bytes context = text("c"), plaintext = text("same plaintext");
  std::vector<Bytes> sealed(3, Bytes(plaintext.size() + kOverhead)), opened(3, Bytes(plaintext.size()));
  std::vector<BatchItem> seals, opens;
  for (uint32_t i = 0; i < 3; ++i) {
    seals.push_back(item(0, i, plaintext, context, sealed[i]));
    opens.push_back(item(0, 0, sealed[i], context, opened[i]));
  }
  seal_items(keys, seals, 0, 3);
  sealed[1].back() ^= 1;
  uint8_t ok[3];
  open_items(keys, opens, 0, 3, ok);
  CHECK(ok[0] == 1 && ok[1] == 0 && ok[2] == 1);
  CHECK(opened[0] == plaintext && opened[1] == Bytes(plaintext.size()) && opened[2] == plaintext);
}

TEST(a_hundred_thousand_items_over_the_crew) {
  constexpr uint32_t kItems = 100000, kKeys = 5;
  const auto keys = some_keys(kKeys);
  const std::vector<Bytes> contexts = {text("one"), text("another"), {}};
  std::vector<size_t> at = {0};
  for (uint32_t i = 0; i < kItems; ++i) at.push_back(at.back() + i % 67);
  Bytes plaintext(at.back()), sealed(at.back() + kItems * kOverhead), opened(at.back()), ok(kItems);
  for (size_t i = 0; i < plaintext.size(); ++i) plaintext[i] = static_cast<uint8_t>(i * 31 >> 3);
  std::vector<BatchItem> seals, opens;
  for (uint32_t i = 0; i < kItems; ++i) {
    const Bytes& context = contexts[i / 1000 % 3];
    const size_t size = at[i + 1] - at[i];
    uint8_t* ciphertext = sealed.data() + at[i] + i * kOverhead;
    const uint32_t key = i / (kItems / kKeys);
    seals.push_back({key, i, plaintext.data() + at[i], size, context.data(), context.size(), ciphertext});
    opens.push_back(
        {key, 0, ciphertext, size + kOverhead, context.data(), context.size(), opened.data() + at[i]});
  }
  const auto run = [&](const std::function<void(size_t, size_t)>& work) {
    std::promise<void> promise;
    Crew::instance().run(kItems, 64, work, [&](std::exception_ptr error) {
      error ? promise.set_exception(error) : promise.set_value();
    });
    promise.get_future().get();
  };
  for (const std::string& sealing : gcm_names()) {
    use_gcm(sealing);
    run([&](size_t from, size_t to) { seal_items(keys, seals, from, to); });
    for (const std::string& opening : gcm_names()) {
      use_gcm(opening);
      std::fill(opened.begin(), opened.end(), 0);
      std::fill(ok.begin(), ok.end(), 0);
      run([&](size_t from, size_t to) { open_items(keys, opens, from, to, ok.data()); });
      CHECK(opened == plaintext);
      CHECK(ok == Bytes(kItems, 1));
    }
  }
}

TEST(a_key_that_is_not_there_is_refused) {
  const Bytes plaintext = text("x"), context;
  for (const uint32_t key : {1U, 0xffffffffU}) {
    Bytes out(1 + kOverhead);
    bool threw = false;
    try {
      seal_items(some_keys(1), {item(key, 0, plaintext, context, out)}, 0, 1);
    } catch (const std::out_of_range&) {
      threw = true;
    }
    CHECK(threw);
  }
}

}  // namespace
}  // namespace keystead

RUN_TESTS()
