#include "engine/frames.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "engine/bytes.h"
#include "engine/error.h"
#include "engine/gcm.h"

namespace keystead {
namespace {

constexpr uint32_t kSequenceEnd = 0xffffffff;
constexpr size_t kIvSize = 12;
constexpr size_t kTagSize = 16;

[[noreturn]] void misfit(const std::string& what) { throw EngineError("FRAME_LAYOUT", what); }

// What a run holds, sealed or not.
struct Layout {
  size_t frames;
  size_t plaintext;
  size_t sealed;
};

void check(const FrameRun& run, const Layout& layout, size_t out_size) {
  if (run.first_sequence == 0) misfit("the first sequence number of a run of frames is 1 or more, not 0");
  // Only the final frame may have the last number: in front of a regular one it means "final".
  const uint64_t last = run.first_sequence + uint64_t{layout.frames} - 1;
  if (last > kSequenceEnd || (!run.final && last == kSequenceEnd)) {
    misfit("a message has at most 4294967295 frames; this run would go up to frame " + std::to_string(last));
  }
  if (run.out_size != out_size) {
    misfit("the output of this run of frames takes " + std::to_string(out_size) + " bytes, not " +
           std::to_string(run.out_size));
  }
}

Layout layout_of_plaintext(const FrameRun& run) {
  if (run.frame_length == 0) misfit("the frame length is 1 or more, not 0");
  size_t frames = run.in_size / run.frame_length;
  if (run.in_size % run.frame_length) {
    if (!run.final)
      misfit("the plaintext of a run without the final frame is a multiple of the frame length");
    ++frames;
  }
  if (run.final) frames = std::max(size_t{1}, frames);
  const size_t final_extra = run.final ? kFinalFrameOverhead - kFrameOverhead : 0;
  return {frames, run.in_size, run.in_size + frames * kFrameOverhead + final_extra};
}

Layout layout_of_sealed(const FrameRun& run) {
  if (run.frame_length == 0) misfit("the frame length is 1 or more, not 0");
  const size_t regular = run.frame_length + kFrameOverhead;
  if (!run.final) {
    if (run.in_size % regular) misfit("the sealed frames of a run without the final frame are of one size");
    const size_t frames = run.in_size / regular;
    return {frames, frames * run.frame_length, run.in_size};
  }
  if (run.in_size < kFinalFrameOverhead) misfit("a final frame has at least 40 bytes");
  const size_t frames = (run.in_size - kFinalFrameOverhead) / regular;
  const size_t rest = (run.in_size - kFinalFrameOverhead) % regular;
  if (rest > run.frame_length) misfit("the sealed frames end within a frame");
  return {frames + 1, frames * run.frame_length + rest, run.in_size};
}

// One frame and all that follows from its place: where it is, its number, IV and additional authenticated
// data.
class Frame {
 public:
  Frame(const FrameRun& run, const Layout& layout, size_t index)
      : plaintext_at(index * run.frame_length),
        sealed_at(index * (run.frame_length + kFrameOverhead)),
        size(std::min(layout.plaintext - plaintext_at, size_t{run.frame_length})) {
    const bool final = run.final && index + 1 == layout.frames;
    const auto sequence = static_cast<uint32_t>(run.first_sequence + index);
    uint8_t* head = head_;
    if (final) put(head, kSequenceEnd);
    put(head, sequence);
    iv_ = head;
    std::memset(head, 0, kIvSize - 4);
    head += kIvSize - 4;
    put(head, sequence);
    if (final) put(head, static_cast<uint32_t>(size));
    head_size_ = static_cast<size_t>(head - head_);

    using namespace std::string_view_literals;
    const auto content = final ? "AWSKMSEncryptionClient Final Frame"sv : "AWSKMSEncryptionClient Frame"sv;
    uint8_t* aad = std::copy(run.message_id.begin(), run.message_id.end(), aad_);
    aad = std::copy(content.begin(), content.end(), aad);
    put(aad, sequence);
    put(aad, 0);
    put(aad, static_cast<uint32_t>(size));
    aad_size_ = static_cast<size_t>(aad - aad_);
  }
  Frame(const Frame&) = delete;
  Frame& operator=(const Frame&) = delete;

  const size_t plaintext_at;
  const size_t sealed_at;
  const size_t size;

  // What the frame has in front of its ciphertext.
  std::span<const uint8_t> head() const { return {head_, head_size_}; }
  const uint8_t* iv() const { return iv_; }
  size_t iv_at() const { return static_cast<size_t>(iv_ - head_); }
  std::span<const uint8_t> aad() const { return {aad_, aad_size_}; }

 private:
  static void put(uint8_t*& at, uint32_t value) {
    put_be32(at, value);
    at += 4;
  }

  uint8_t head_[kFinalFrameOverhead - kTagSize];
  uint8_t aad_[32 + 34 + 4 + 8];
  size_t head_size_;
  size_t aad_size_;
  const uint8_t* iv_;
};

}  // namespace

size_t frames_to_seal(const FrameRun& run) {
  const Layout layout = layout_of_plaintext(run);
  check(run, layout, layout.sealed);
  return layout.frames;
}

size_t frames_to_open(const FrameRun& run) {
  const Layout layout = layout_of_sealed(run);
  check(run, layout, layout.plaintext);
  return layout.frames;
}

void seal_frames(const FrameRun& run, size_t from, size_t to) {
  GcmRun gcm;
  gcm->set_key(run.key.data());
  seal_frames(*gcm.operator->(), run, from, to);
}

bool open_frames(const FrameRun& run, size_t from, size_t to) {
  GcmRun gcm;
  gcm->set_key(run.key.data());
  return open_frames(*gcm.operator->(), run, from, to);
}

void seal_frames(Gcm& gcm, const FrameRun& run, size_t from, size_t to) {
  const Layout layout = layout_of_plaintext(run);
  for (size_t i = from; i < to; ++i) {
    const Frame frame(run, layout, i);
    uint8_t* out = std::copy(frame.head().begin(), frame.head().end(), run.out + frame.sealed_at);
    gcm.seal(frame.iv(), frame.aad(), {run.in + frame.plaintext_at, frame.size}, out, out + frame.size);
  }
}

bool open_frames(Gcm& gcm, const FrameRun& run, size_t from, size_t to) {
  const Layout layout = layout_of_sealed(run);
  for (size_t i = from; i < to; ++i) {
    const Frame frame(run, layout, i);
    const uint8_t* in = run.in + frame.sealed_at;
    const auto head = frame.head();
    const auto* iv = in + frame.iv_at();
    const uint8_t* ciphertext = in + head.size();
    uint8_t* out = run.out + frame.plaintext_at;
    // Not the IV: readers take it as it is (a published test vector has another), and the tag covers it.
    const auto behind_iv = head.subspan(frame.iv_at() + kIvSize);
    if (std::equal(head.begin(), head.begin() + static_cast<ptrdiff_t>(frame.iv_at()), in) &&
        std::equal(behind_iv.begin(), behind_iv.end(), iv + kIvSize) &&
        gcm.open(iv, frame.aad(), {ciphertext, frame.size}, ciphertext + frame.size, out)) {
      continue;
    }
    wipe(run.out + from * run.frame_length, frame.plaintext_at - from * run.frame_length);
    return false;
  }
  return true;
}

}  // namespace keystead
