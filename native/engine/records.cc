#include "engine/records.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "engine/bytes.h"
#include "engine/entropy.h"
#include "engine/error.h"
#include "engine/frames.h"
#include "engine/gcm.h"
#include "engine/hkdf.h"

namespace keystead {
namespace {

constexpr uint8_t kVersionAndSuite[] = {2, 0x04, 0x78};
constexpr size_t kIdAt = sizeof kVersionAndSuite;
constexpr size_t kIdSize = 32;
constexpr size_t kTailAt = kIdAt + kIdSize;
constexpr size_t kCommitmentSize = 32;
constexpr size_t kTagSize = 16;
constexpr uint8_t kHeaderIv[12] = {};

std::span<const uint8_t> text(std::string_view from) {
  return {reinterpret_cast<const uint8_t*>(from.data()), from.size()};
}

using namespace std::string_view_literals;
constexpr std::string_view kDeriveKey =
    "\x04\x78"
    "DERIVEKEY"sv;
constexpr std::string_view kCommitKey = "COMMITKEY"sv;

[[noreturn]] void misfit(const std::string& what) { throw EngineError("RECORD_LAYOUT", what); }

// Of the header without its tag.
size_t header_size(const Records& records) { return kTailAt + records.tail.size() + kCommitmentSize; }

FrameRun frames_of(const Records& records, const uint8_t* id, std::span<const uint8_t> in,
                   std::span<uint8_t> out) {
  FrameRun run{};
  std::copy_n(id, kIdSize, run.message_id.begin());
  run.frame_length = records.frame_length;
  run.first_sequence = 1;
  run.final = true;
  run.in = in.data();
  run.in_size = in.size();
  run.out = out.data();
  run.out_size = out.size();
  return run;
}

size_t sealed_size(const Records& records, size_t size) {
  const size_t frames = std::max(size_t{1}, (size + records.frame_length - 1) / records.frame_length);
  return header_size(records) + kTagSize + size + frames * kFrameOverhead + kFinalFrameOverhead -
         kFrameOverhead;
}

size_t opened_size(const Records& records, size_t size) {
  const size_t least = header_size(records) + kTagSize + kFinalFrameOverhead;
  if (size < least) misfit("a message is shorter than its header and one frame");
  const size_t frames = (size - least) / (records.frame_length + kFrameOverhead);
  const size_t rest = (size - least) % (records.frame_length + kFrameOverhead);
  if (rest > records.frame_length) misfit("a message ends within a frame");
  return frames * records.frame_length + rest;
}

void lay_out(Records& records, std::span<const uint32_t> sizes, size_t in_size, size_t out_size,
             size_t (*other)(const Records&, size_t)) {
  if (records.frame_length == 0) misfit("the frame length is 1 or more, not 0");
  records.in_at.assign(1, 0);
  records.out_at.assign(1, 0);
  for (const uint32_t size : sizes) {
    records.in_at.push_back(records.in_at.back() + size);
    records.out_at.push_back(records.out_at.back() + other(records, size));
  }
  if (records.in_at.back() != in_size || records.out_at.back() != out_size) {
    misfit("the records take " + std::to_string(records.in_at.back()) + " and " +
           std::to_string(records.out_at.back()) + " bytes, not " + std::to_string(in_size) + " and " +
           std::to_string(out_size));
  }
}

// In constant time: the empty assembly keeps the compiler from deciding early.
bool same(const uint8_t* a, const uint8_t* b, size_t size) {
  uint8_t difference = 0;
  for (size_t i = 0; i < size; ++i) {
    difference |= a[i] ^ b[i];
    __asm__ __volatile__("" : "+r"(difference));
  }
  return difference == 0;
}

}  // namespace

void lay_out_plaintexts(Records& records, std::span<const uint32_t> sizes, size_t in_size, size_t out_size) {
  lay_out(records, sizes, in_size, out_size, sealed_size);
}

void lay_out_messages(Records& records, std::span<const uint32_t> sizes, size_t in_size, size_t out_size) {
  lay_out(records, sizes, in_size, out_size, opened_size);
}

void seal_records(const Records& records, size_t from, size_t to) {
  GcmRun gcm;
  Hkdf hkdf;
  Secret<32> key;
  std::vector<uint8_t> ids(kIdSize * (to - from));
  host_random(ids.data(), ids.size());
  for (size_t i = from; i < to; ++i) {
    const uint8_t* id = ids.data() + kIdSize * (i - from);
    uint8_t* const header = records.out + records.out_at[i];
    uint8_t* at = std::copy(std::begin(kVersionAndSuite), std::end(kVersionAndSuite), header);
    at = std::copy_n(id, kIdSize, at);
    at = std::copy(records.tail.begin(), records.tail.end(), at);
    hkdf.extract({id, kIdSize}, {records.data_key.data(), records.data_key.size()});
    hkdf.expand(text(kDeriveKey), {key.data(), key.size()});
    hkdf.expand(text(kCommitKey), {at, kCommitmentSize});
    at += kCommitmentSize;
    gcm->set_key(key.data());
    gcm->seal(kHeaderIv, {header, at}, {at, size_t{0}}, at, at);
    at += kTagSize;
    const FrameRun run =
        frames_of(records, id, {records.in + records.in_at[i], records.in_at[i + 1] - records.in_at[i]},
                  {at, records.out + records.out_at[i + 1]});
    seal_frames(*gcm.operator->(), run, 0, frames_to_seal(run));
  }
}

void open_records(const Records& records, size_t from, size_t to) {
  GcmRun gcm;
  Hkdf hkdf;
  Secret<32> key;
  Secret<kCommitmentSize> commitment;
  const size_t size = header_size(records);
  for (size_t i = from; i < to; ++i) {
    const uint8_t* const header = records.in + records.in_at[i];
    const uint8_t* const id = header + kIdAt;
    const std::span<uint8_t> out{records.out + records.out_at[i], records.out + records.out_at[i + 1]};
    records.authentic[i] = 0;
    const bool ours = std::equal(std::begin(kVersionAndSuite), std::end(kVersionAndSuite), header) &&
                      std::equal(records.tail.begin(), records.tail.end(), header + kTailAt);
    if (ours) {
      hkdf.extract({id, kIdSize}, {records.data_key.data(), records.data_key.size()});
      hkdf.expand(text(kDeriveKey), {key.data(), key.size()});
      hkdf.expand(text(kCommitKey), {commitment.data(), commitment.size()});
      const FrameRun run =
          frames_of(records, id, {header + size + kTagSize, records.in + records.in_at[i + 1]}, out);
      uint8_t none = 0;
      if (same(commitment.data(), header + size - kCommitmentSize, kCommitmentSize)) {
        gcm->set_key(key.data());
        records.authentic[i] =
            gcm->open(kHeaderIv, {header, size}, {header, size_t{0}}, header + size, &none) &&
            open_frames(*gcm.operator->(), run, 0, frames_to_open(run));
      }
    }
    if (!records.authentic[i]) wipe(out.data(), out.size());
  }
}

}  // namespace keystead
