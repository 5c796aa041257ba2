#include "engine/heads.h"

#include "engine/batch.h"
#include "engine/error.h"
#include "engine/test/check.h"

namespace keystead {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes ciphertext(uint8_t head, size_t size) {
  Bytes bytes(size, 0xcc);
  std::fill_n(bytes.begin(), std::min(size, kHeaderSize), head);
  return bytes;
}

TEST(each_head_is_found_once_where_it_is_first) {
  Bytes all;
  std::vector<uint32_t> lengths;
  for (const Bytes& one : {ciphertext(1, 100), ciphertext(1, 87), ciphertext(2, 90), ciphertext(1, 86),
                           ciphertext(2, 3), ciphertext(1, 88), ciphertext(2, 300)}) {
    all.insert(all.end(), one.begin(), one.end());
    lengths.push_back(static_cast<uint32_t>(one.size()));
  }
  const Heads heads = group_by_head(all, lengths);
  CHECK((heads.of == std::vector<uint32_t>{0, 0, 1, 2, 2, 0, 1}));
  CHECK(heads.firsts.size() == 3);
  CHECK(heads.firsts[0].at == 0 && heads.firsts[0].size == 100);
  CHECK(heads.firsts[1].at == 187 && heads.firsts[1].size == 90);
  CHECK(heads.firsts[2].at == 277 && heads.firsts[2].size == 86);  // too short to have one
}

TEST(one_bit_makes_another_head) {
  for (size_t bit = 0; bit < kHeaderSize * 8; bit++) {
    Bytes both = ciphertext(7, 2 * 90);
    std::copy_n(both.begin(), kHeaderSize, both.begin() + 90);
    CHECK((group_by_head(both, std::vector<uint32_t>{90, 90}).of == std::vector<uint32_t>{0, 0}));
    both[90 + bit / 8] ^= 1 << bit % 8;
    CHECK((group_by_head(both, std::vector<uint32_t>{90, 90}).of == std::vector<uint32_t>{0, 1}));
  }
}

TEST(lengths_that_do_not_fit_are_refused) {
  const Bytes bytes(200);
  for (const std::vector<uint32_t>& lengths : std::vector<std::vector<uint32_t>>{
           {}, {199}, {201}, {100, 101}, {100, 100, 1}, {0xffffffff, 201}, {100, 0xffffffff}}) {
    CHECK_THROWS(group_by_head(bytes, lengths), EngineError, error.code() == "BATCH_LAYOUT");
  }
  CHECK(group_by_head({}, {}).firsts.empty());
}

}  // namespace
}  // namespace keystead

RUN_TESTS()
