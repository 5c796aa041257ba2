// Many small AWS Encryption SDK messages under one data key: format version 2, suite 0x0478, framed. Each has
// a key of its own, derived from the data key and its message id. Source: AWS Encryption SDK specification,
// data-format/message-header.md and framework/algorithm-suites.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/secret.h"

namespace keystead {

struct Records {
  Secret<32> data_key;
  // What all headers share behind the message id: encryption context, encrypted data keys, content type,
  // frame length.
  std::vector<uint8_t> tail;
  uint32_t frame_length;
  const uint8_t* in;
  uint8_t* out;
  // Of each record: its size as it goes in, and where it begins on either side. One entry more than there are
  // records.
  std::vector<size_t> in_at;
  std::vector<size_t> out_at;
  uint8_t* authentic;  // opening: one byte a record

  size_t count() const { return in_at.size() - 1; }
};

// Sets `in_at` and `out_at` from the sizes of what goes in. Throws EngineError RECORD_LAYOUT when that is not
// what the buffers have, or a message is shorter than its header.
void lay_out_plaintexts(Records& records, std::span<const uint32_t> sizes, size_t in_size, size_t out_size);
void lay_out_messages(Records& records, std::span<const uint32_t> sizes, size_t in_size, size_t out_size);

// Seals records [from, to), each under a fresh message id. Thread-safe on disjoint ranges.
void seal_records(const Records& records, size_t from, size_t to);

// Opens records [from, to): what has another header, another commitment (compared in constant time), or a
// wrong tag gets 0 in `authentic`, and its output is wiped.
void open_records(const Records& records, size_t from, size_t to);

}  // namespace keystead
