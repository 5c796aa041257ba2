// A PIN: kept out of swap, wiped when it goes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace keystead {

class Pin {
 public:
  // Copies; wiping the source is the caller's.
  Pin(const uint8_t* data, size_t size);
  ~Pin();
  Pin(const Pin&) = delete;
  Pin& operator=(const Pin&) = delete;

  uint8_t* data() { return bytes_.data(); }
  size_t size() const { return bytes_.size(); }

  // Keyed with randomness of the process: tells PINs apart here, and says nothing to anybody else.
  uint64_t digest() const;

 private:
  std::vector<uint8_t> bytes_;
};

}  // namespace keystead
