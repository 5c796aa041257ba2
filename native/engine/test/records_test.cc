#include "engine/records.h"

#include <string>
#include <vector>

#include "engine/error.h"
#include "engine/gcm.h"
#include "engine/hkdf.h"
#include "engine/test/check.h"

namespace keystead {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr size_t kHeader = 35 + 9 + 32 + 16;

Bytes from_hex(const std::string& hex) {
  Bytes bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes.push_back(static_cast<uint8_t>(std::stoul(hex.substr(i, 2), nullptr, 16)));
  return bytes;
}

Records batch(uint8_t key, const Bytes& in, Bytes& out, Bytes& authentic) {
  Records records{};
  std::fill_n(records.data_key.data(), records.data_key.size(), key);
  records.tail = Bytes(9, 0x77);
  records.frame_length = 20;
  records.in = in.data();
  records.out = out.data();
  records.authentic = authentic.data();
  return records;
}

size_t sealed_size(size_t size) { return kHeader + size + std::max<size_t>(1, (size + 19) / 20) * 32 + 8; }

const std::vector<uint32_t> kSizes = {0, 1, 19, 20, 21, 60, 5};

Bytes plaintexts() {
  Bytes bytes(126);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i);
  return bytes;
}

std::vector<uint32_t> message_sizes() {
  std::vector<uint32_t> sizes;
  for (const uint32_t size : kSizes) sizes.push_back(static_cast<uint32_t>(sealed_size(size)));
  return sizes;
}

Bytes seal() {
  size_t size = 0;
  for (const uint32_t each : message_sizes()) size += each;
  const Bytes in = plaintexts();
  Bytes out(size), authentic(kSizes.size());
  Records records = batch(1, in, out, authentic);
  lay_out_plaintexts(records, kSizes, in.size(), out.size());
  seal_records(records, 0, 3);
  seal_records(records, 3, records.count());
  return out;
}

Bytes open(uint8_t key, const Bytes& sealed, Bytes& out) {
  Bytes authentic(kSizes.size(), 9);
  Records records = batch(key, sealed, out, authentic);
  lay_out_messages(records, message_sizes(), sealed.size(), out.size());
  open_records(records, 0, records.count());
  return authentic;
}

// RFC 5869 has no case for SHA-512: this one is of Python's hmac and hashlib.
TEST(hkdf_gives_a_known_answer) {
  Hkdf hkdf;
  Bytes key(32);
  const std::string info = "COMMITKEY";
  for (int round = 0; round < 2; ++round) {
    hkdf.extract(Bytes(32, 2), Bytes(32, 1));
    hkdf.expand({reinterpret_cast<const uint8_t*>(info.data()), info.size()}, key);
    CHECK(key == from_hex("2404c0ce344731f3f17b2b1837c7c20318a2717576fb6e957b82abf2a2dcd76c"));
    hkdf.expand({}, key);
    CHECK(key == from_hex("9e3f1a943c304f3d99c3162489bd9bbceee654c2c33473789e6d9ccfc00dc26b"));
  }
}

TEST(opens_what_it_sealed) {
  for (const std::string& name : gcm_names()) {
    use_gcm(name);
    Bytes out(126);
    CHECK(open(1, seal(), out) == Bytes(kSizes.size(), 1));
    CHECK(out == plaintexts());
    CHECK(seal() != seal());
  }
}

TEST(another_data_key_opens_nothing) {
  Bytes out(126, 9);
  CHECK(open(2, seal(), out) == Bytes(kSizes.size(), 0));
  CHECK(out == Bytes(126));
}

TEST(every_flipped_bit_fails_one_record_alone) {
  Bytes sealed = seal();
  for (const std::string& name : gcm_names()) {
    use_gcm(name);
    size_t record = 0, end = message_sizes()[0];
    for (size_t byte = 0; byte < sealed.size(); ++byte) {
      if (byte == end) end += message_sizes()[++record];
      sealed[byte] ^= 1 << byte % 8;
      Bytes out(126, 9), expected(kSizes.size(), 1), plain = plaintexts();
      expected[record] = 0;
      size_t at = 0;
      for (size_t i = 0; i < record; ++i) at += kSizes[i];
      std::fill_n(plain.begin() + static_cast<ptrdiff_t>(at), kSizes[record], uint8_t{0});
      CHECK(open(1, sealed, out) == expected);
      CHECK(out == plain);
      sealed[byte] ^= 1 << byte % 8;
    }
  }
}

TEST(sizes_that_do_not_fit_are_refused) {
  const auto refused = [](auto lay_out, std::vector<uint32_t> sizes, size_t in_size, size_t out_size) {
    const Bytes in(in_size);
    Bytes out(out_size), authentic(sizes.size());
    Records records = batch(1, in, out, authentic);
    try {
      lay_out(records, sizes, in_size, out_size);
    } catch (const EngineError& error) {
      return error.code() == "RECORD_LAYOUT";
    }
    return false;
  };
  CHECK(!refused(lay_out_plaintexts, {}, 0, 0));
  CHECK(!refused(lay_out_plaintexts, {5}, 5, sealed_size(5)));
  CHECK(refused(lay_out_plaintexts, {5}, 4, sealed_size(5)));
  CHECK(refused(lay_out_plaintexts, {5}, 5, sealed_size(5) + 1));
  CHECK(!refused(lay_out_messages, {kHeader + 40}, kHeader + 40, 0));
  CHECK(refused(lay_out_messages, {kHeader + 39}, kHeader + 39, 0));
  CHECK(refused(lay_out_messages, {kHeader + 40 + 21}, kHeader + 40 + 21, 21));
  CHECK(refused(lay_out_messages, {0xffffffff}, 5, 5));
}

}  // namespace
}  // namespace keystead

RUN_TESTS()
