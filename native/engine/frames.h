// Frames of an AWS Encryption SDK message, format version 2: sealed and opened in runs of consecutive frames.
// Source: AWS Encryption SDK specification, data-format/message-body.md ("Framed Data"), message-body-aad.md
// and client-apis/decrypt.md, which makes the IV of a frame its sequence number.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "engine/gcm.h"
#include "engine/secret.h"

namespace keystead {

// A frame is [sequence number (4), IV (12), ciphertext, tag (16)]; the final one has [ffffffff, sequence
// number, IV, length of the ciphertext (4), ciphertext, tag].
constexpr size_t kFrameOverhead = 32;
constexpr size_t kFinalFrameOverhead = 40;

struct FrameRun {
  Secret<32> key;
  std::array<uint8_t, 32> message_id;
  uint32_t frame_length;  // plaintext bytes of each frame, save the final one, which has from 0 up to as many
  uint32_t first_sequence;  // of this run; the first of a message is 1
  bool final;               // whether the run's last frame is the final one of its message
  const uint8_t* in;
  size_t in_size;
  uint8_t* out;
  size_t out_size;
};

// How many frames the run has, given the size of its plaintext / of its sealed frames: that alone decides,
// since only the final frame may be short and it is the last. A final run of no plaintext has one, empty,
// frame. Throw EngineError FRAME_LAYOUT when either size does not fit, or the sequence numbers do not.
size_t frames_to_seal(const FrameRun& run);
size_t frames_to_open(const FrameRun& run);

// Seals frames [from, to) of the run. Thread-safe on disjoint ranges; throws EngineError when the cipher
// fails.
void seal_frames(const FrameRun& run, size_t from, size_t to);

// Opens frames [from, to). False as soon as one is not authentic, or its sequence number or length is another
// than its place demands: what it wrote by then is wiped, and the caller wipes the rest of the run's
// output.
bool open_frames(const FrameRun& run, size_t from, size_t to);

// The same with a cipher that has the run's key already; `key` of the run is not looked at.
void seal_frames(Gcm& gcm, const FrameRun& run, size_t from, size_t to);
bool open_frames(Gcm& gcm, const FrameRun& run, size_t from, size_t to);

}  // namespace keystead
