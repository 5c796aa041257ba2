#include "engine/der.h"

#include <algorithm>

namespace keystead {

bool DerReader::take(uint8_t tag, std::span<const uint8_t>& content) {
  if (rest_.size() < 2 || rest_[0] != tag) return false;
  size_t length = rest_[1];
  size_t header = 2;
  if (length >= 0x80) {
    const size_t bytes = length & 0x7f;  // 0 would be BER's indefinite length
    if (bytes == 0 || bytes > 4 || rest_.size() < 2 + bytes || rest_[2] == 0) return false;
    length = 0;
    for (size_t i = 0; i < bytes; ++i) length = length << 8 | rest_[2 + i];
    if (length < 0x80) return false;
    header += bytes;
  }
  if (length > rest_.size() - header) return false;
  content = rest_.subspan(header, length);
  rest_ = rest_.subspan(header + length);
  return true;
}

bool DerReader::take_unsigned(std::span<const uint8_t>& magnitude) {
  DerReader ahead = *this;
  std::span<const uint8_t> content;
  if (!ahead.take(kDerInteger, content) || content.empty() || content[0] & 0x80) return false;
  if (content[0] == 0) {
    content = content.subspan(1);
    if (!content.empty() && !(content[0] & 0x80)) return false;
  }
  magnitude = content;
  *this = ahead;
  return true;
}

Bytes der(uint8_t tag, std::initializer_list<std::span<const uint8_t>> parts) {
  size_t length = 0;
  for (const auto& part : parts) length += part.size();
  Bytes out{tag};
  if (length < 0x80) {
    out.push_back(static_cast<uint8_t>(length));
  } else {
    size_t bytes = 1;
    while (length >> 8 * bytes) ++bytes;
    out.push_back(static_cast<uint8_t>(0x80 | bytes));
    while (bytes--) out.push_back(static_cast<uint8_t>(length >> 8 * bytes));
  }
  out.reserve(out.size() + length);
  for (const auto& part : parts) out.insert(out.end(), part.begin(), part.end());
  return out;
}

Bytes der_unsigned(std::span<const uint8_t> magnitude) {
  while (!magnitude.empty() && magnitude[0] == 0) magnitude = magnitude.subspan(1);
  const uint8_t zero[1] = {0};
  const bool padded = magnitude.empty() || magnitude[0] & 0x80;
  return der(kDerInteger, {std::span<const uint8_t>(zero, padded ? 1 : 0), magnitude});
}

}  // namespace keystead
