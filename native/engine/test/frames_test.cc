#include "engine/frames.h"

#include <algorithm>
#include <string>
#include <vector>

#include "engine/error.h"
#include "engine/gcm.h"
#include "engine/test/check.h"

namespace keystead {
namespace {

using Bytes = std::vector<uint8_t>;

FrameRun frame_run(uint32_t frame_length, uint32_t first, bool final, const Bytes& in, Bytes& out) {
  FrameRun run{};
  std::fill_n(run.key.data(), run.key.size(), uint8_t{0x4b});
  run.message_id.fill(0x4d);
  run.frame_length = frame_length;
  run.first_sequence = first;
  run.final = final;
  run.in = in.data();
  run.in_size = in.size();
  run.out = out.data();
  run.out_size = out.size();
  return run;
}

Bytes plaintext_of(size_t size) {
  Bytes bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<uint8_t>(i * 7 + (i >> 8));
  return bytes;
}

size_t frame_count(size_t size, uint32_t frame_length, bool final) {
  const size_t frames = (size + frame_length - 1) / frame_length;
  return final ? std::max(size_t{1}, frames) : frames;
}

Bytes seal(uint32_t frame_length, uint32_t first, bool final, const Bytes& plaintext) {
  const size_t frames = frame_count(plaintext.size(), frame_length, final);
  Bytes out(plaintext.size() + frames * 32 + (final ? 8 : 0));
  const FrameRun run = frame_run(frame_length, first, final, plaintext, out);
  CHECK(frames_to_seal(run) == frames);
  seal_frames(run, 0, frames);
  return out;
}

bool opens(uint32_t frame_length, uint32_t first, bool final, const Bytes& sealed, Bytes& out) {
  const FrameRun run = frame_run(frame_length, first, final, sealed, out);
  return open_frames(run, 0, frames_to_open(run));
}

void append(Bytes& bytes, uint64_t value, size_t size) {
  while (size--) bytes.push_back(static_cast<uint8_t>(value >> 8 * size));
}

// The frames by hand, from the specification.
Bytes expected(uint32_t frame_length, uint32_t first, bool final, const Bytes& plaintext) {
  Bytes sealed;
  const auto gcm = make_openssl_gcm();
  gcm->set_key(Bytes(32, 0x4b).data());
  const size_t frames = frame_count(plaintext.size(), frame_length, final);
  for (size_t i = 0; i < frames; ++i) {
    const bool last = final && i + 1 == frames;
    const size_t at = i * frame_length;
    const size_t size = std::min<size_t>(frame_length, plaintext.size() - at);
    const uint64_t sequence = first + i;
    Bytes iv, aad(32, 0x4d);
    append(iv, 0, 8);
    append(iv, sequence, 4);
    const std::string content = last ? "AWSKMSEncryptionClient Final Frame" : "AWSKMSEncryptionClient Frame";
    aad.insert(aad.end(), content.begin(), content.end());
    append(aad, sequence, 4);
    append(aad, size, 8);
    if (last) append(sealed, 0xffffffff, 4);
    append(sealed, sequence, 4);
    sealed.insert(sealed.end(), iv.begin(), iv.end());
    if (last) append(sealed, size, 4);
    Bytes ciphertext(size + 16);
    gcm->seal(iv.data(), aad, {plaintext.data() + at, size}, ciphertext.data(), ciphertext.data() + size);
    sealed.insert(sealed.end(), ciphertext.begin(), ciphertext.end());
  }
  return sealed;
}

TEST(frames_are_those_of_the_specification) {
  for (const std::string& name : gcm_names()) {
    use_gcm(name);
    for (const uint32_t frame_length : {1, 16, 100, 4096}) {
      for (const size_t frames : {0, 1, 3}) {
        const Bytes whole = plaintext_of(frames * frame_length);
        CHECK(seal(frame_length, 5, false, whole) == expected(frame_length, 5, false, whole));
        for (const size_t rest : {size_t{0}, size_t{1}, size_t{frame_length} - 1}) {
          const Bytes plaintext = plaintext_of(frames * frame_length + rest);
          CHECK(seal(frame_length, 1, true, plaintext) == expected(frame_length, 1, true, plaintext));
        }
      }
    }
  }
}

TEST(opens_what_it_sealed) {
  for (const uint32_t frame_length : {1, 33, 4096}) {
    for (size_t size = 0; size <= 4 * size_t{frame_length}; size += frame_length > 100 ? 511 : 1) {
      const Bytes plaintext = plaintext_of(size);
      Bytes out(size);
      CHECK(opens(frame_length, 1, true, seal(frame_length, 1, true, plaintext), out));
      CHECK(out == plaintext);
    }
  }
}

// The specification lets a message end with an empty final frame behind full ones.
TEST(opens_an_empty_final_frame_behind_full_ones) {
  const Bytes plaintext = plaintext_of(200);
  Bytes sealed = expected(100, 1, false, plaintext);
  const Bytes end = expected(100, 3, true, {});
  sealed.insert(sealed.end(), end.begin(), end.end());
  Bytes out(200);
  CHECK(opens(100, 1, true, sealed, out));
  CHECK(out == plaintext);
}

TEST(every_flipped_bit_fails_and_wipes) {
  const Bytes plaintext = plaintext_of(50);
  for (const std::string& name : gcm_names()) {
    use_gcm(name);
    Bytes sealed = seal(20, 1, true, plaintext);
    for (size_t bit = 0; bit < sealed.size() * 8; ++bit) {
      sealed[bit / 8] ^= 1 << bit % 8;
      Bytes out(50, 0);
      CHECK(!opens(20, 1, true, sealed, out));
      CHECK(out == Bytes(50));
      sealed[bit / 8] ^= 1 << bit % 8;
    }
    Bytes out(50);
    CHECK(opens(20, 1, true, sealed, out));
  }
}

// Writers before version 1.2 of the Encryption SDKs, and a published vector of version 2, have other IVs.
TEST(opens_frames_of_any_iv) {
  const uint8_t iv[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1};
  const Bytes plaintext = plaintext_of(5);
  Bytes sealed, aad(32, 0x4d);
  append(sealed, 0xffffffff, 4);
  append(sealed, 1, 4);
  sealed.insert(sealed.end(), std::begin(iv), std::end(iv));
  append(sealed, 5, 4);
  const std::string content = "AWSKMSEncryptionClient Final Frame";
  aad.insert(aad.end(), content.begin(), content.end());
  append(aad, 1, 4);
  append(aad, 5, 8);
  const auto gcm = make_openssl_gcm();
  gcm->set_key(Bytes(32, 0x4b).data());
  Bytes ciphertext(5 + 16);
  gcm->seal(iv, aad, plaintext, ciphertext.data(), ciphertext.data() + 5);
  sealed.insert(sealed.end(), ciphertext.begin(), ciphertext.end());
  Bytes out(5);
  CHECK(opens(20, 1, true, sealed, out));
  CHECK(out == plaintext);
}

TEST(frames_out_of_place_fail) {
  const Bytes plaintext = plaintext_of(60);
  const Bytes sealed = seal(20, 1, false, plaintext);
  Bytes out(60);
  CHECK(opens(20, 1, false, sealed, out));
  CHECK(!opens(20, 2, false, sealed, out));
  Bytes swapped = sealed;
  std::swap_ranges(swapped.begin(), swapped.begin() + 52, swapped.begin() + 52);
  CHECK(!opens(20, 1, false, swapped, out));
  Bytes repeated = sealed;
  std::copy_n(repeated.begin(), 52, repeated.begin() + 52);
  CHECK(!opens(20, 1, false, repeated, out));
  // Without its first frame; without its last, the one before being no final frame.
  Bytes two(40);
  CHECK(!opens(20, 1, false, Bytes(sealed.begin() + 52, sealed.end()), two));
  Bytes final = seal(20, 1, true, plaintext);
  Bytes short_of_final(32);
  CHECK(!opens(20, 1, true, Bytes(final.begin(), final.begin() + 104), short_of_final));
}

TEST(every_truncation_is_refused) {
  const Bytes plaintext = plaintext_of(50);
  const Bytes sealed = seal(20, 1, true, plaintext);
  for (size_t size = 0; size < sealed.size(); ++size) {
    const Bytes cut(sealed.begin(), sealed.begin() + static_cast<ptrdiff_t>(size));
    bool opened = false;
    // Whatever size the caller takes the plaintext to be.
    for (size_t out_size = 0; out_size <= plaintext.size(); ++out_size) {
      Bytes out(out_size);
      try {
        opened = opened || opens(20, 1, true, cut, out);
      } catch (const EngineError& error) {
        CHECK(error.code() == "FRAME_LAYOUT");
      }
    }
    CHECK(!opened);
  }
}

TEST(sizes_that_do_not_fit_are_refused) {
  const Bytes in(100);
  Bytes out(100 + 40);
  const auto refused = [](size_t (*count)(const FrameRun&), const FrameRun& run) {
    try {
      count(run);
    } catch (const EngineError& error) {
      return error.code() == "FRAME_LAYOUT";
    }
    return false;
  };
  CHECK(!refused(frames_to_seal, frame_run(100, 1, true, in, out)));
  CHECK(refused(frames_to_seal, frame_run(0, 1, true, in, out)));
  CHECK(refused(frames_to_seal, frame_run(100, 0, true, in, out)));
  CHECK(refused(frames_to_seal, frame_run(99, 1, true, in, out)));
  CHECK(refused(frames_to_seal, frame_run(60, 1, false, in, out)));
  CHECK(refused(frames_to_seal, frame_run(100, 1, false, in, out)));
  // The last number of all belongs to a final frame alone.
  Bytes regular(132), two(172);
  CHECK(!refused(frames_to_seal, frame_run(100, 0xffffffff, true, in, out)));
  CHECK(refused(frames_to_seal, frame_run(50, 0xffffffff, true, in, two)));
  CHECK(!refused(frames_to_seal, frame_run(100, 0xfffffffe, false, in, regular)));
  CHECK(refused(frames_to_seal, frame_run(100, 0xffffffff, false, in, regular)));

  const Bytes sealed(140);
  Bytes opened(100), more(101);
  CHECK(!refused(frames_to_open, frame_run(100, 1, true, sealed, opened)));
  CHECK(refused(frames_to_open, frame_run(0, 1, true, sealed, opened)));
  CHECK(refused(frames_to_open, frame_run(100, 0, true, sealed, opened)));
  CHECK(refused(frames_to_open, frame_run(100, 1, true, sealed, more)));
  CHECK(refused(frames_to_open, frame_run(100, 1, false, sealed, opened)));
  CHECK(refused(frames_to_open, frame_run(99, 1, true, sealed, opened)));
  CHECK(refused(frames_to_open, frame_run(100, 1, true, Bytes(39), opened)));
  // A frame length near the top of its range must not make the sizes wrap round.
  CHECK(refused(frames_to_open, frame_run(0xffffffff, 1, false, sealed, opened)));
  CHECK(!refused(frames_to_open, frame_run(0xffffffff, 1, true, sealed, opened)));
}

}  // namespace
}  // namespace keystead

RUN_TESTS()
