// DER (X.690), as strictly as it is meant: one encoding for each value, nothing left over.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

namespace keystead {

using Bytes = std::vector<uint8_t>;

constexpr uint8_t kDerInteger = 0x02;
constexpr uint8_t kDerBitString = 0x03;
constexpr uint8_t kDerOctetString = 0x04;
constexpr uint8_t kDerNull = 0x05;
constexpr uint8_t kDerOid = 0x06;
constexpr uint8_t kDerSequence = 0x30;

// Reads one value after the other. What does not fit makes a take() false and leaves the reader where it was.
class DerReader {
 public:
  explicit DerReader(std::span<const uint8_t> der) : rest_(der) {}

  bool empty() const { return rest_.empty(); }
  // The tag of the next value; 0 at the end.
  uint8_t tag() const { return rest_.empty() ? 0 : rest_[0]; }
  // The content of the next value, which must have this tag.
  bool take(uint8_t tag, std::span<const uint8_t>& content);
  // The magnitude of an INTEGER that is not negative, without leading zeros (empty for 0).
  bool take_unsigned(std::span<const uint8_t>& magnitude);

 private:
  std::span<const uint8_t> rest_;
};

// Tag, length and the parts one behind the other.
Bytes der(uint8_t tag, std::initializer_list<std::span<const uint8_t>> parts);
// An INTEGER from a big-endian magnitude, with or without leading zeros.
Bytes der_unsigned(std::span<const uint8_t> magnitude);

}  // namespace keystead
