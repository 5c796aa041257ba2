// Frames of an AWS Encryption SDK message: sealed and opened in parallel by the crew.
// Source: AWS Encryption SDK specification, data-format/message-body.md (framed data) and
// message-body-aad.md.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "engine/secret.h"

namespace keystead {

struct FrameRun {
  Secret<32> key;
  std::array<uint8_t, 32> message_id;  // of a version 2 message
  uint32_t frame_length;
  uint32_t first_sequence;
  bool final;
  const uint8_t* in;
  size_t in_size;
  uint8_t* out;
  size_t out_size;
};

// How many frames the run has, given the size of its plaintext / of its ciphertext. Throws EngineError
// FRAME_LAYOUT when the sizes do not fit.
size_t frames_to_seal(const FrameRun& run);
size_t frames_to_open(const FrameRun& run);
void seal_frames(const FrameRun& run, size_t from, size_t to);
// False when a frame is not authentic or not laid out as the format says; its output is wiped.
bool open_frames(const FrameRun& run, size_t from, size_t to);

}  // namespace keystead
