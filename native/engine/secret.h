// Memory that wipes itself: keys and PINs live in these and nowhere else.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace keystead {

// Overwrites with zeros; never optimised away.
inline void wipe(void* data, size_t size) {
  volatile auto* p = static_cast<volatile uint8_t*>(data);
  while (size--) *p++ = 0;
}

// N bytes that are wiped when they go out of scope; moves wipe what they leave behind.
template <size_t N>
class Secret {
 public:
  Secret() = default;
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  Secret(Secret&& other) noexcept : bytes_(other.bytes_) { wipe(other.bytes_.data(), N); }
  Secret& operator=(Secret&& other) noexcept {
    if (this != &other) {
      bytes_ = other.bytes_;
      wipe(other.bytes_.data(), N);
    }
    return *this;
  }
  ~Secret() { wipe(bytes_.data(), N); }
  uint8_t* data() { return bytes_.data(); }
  const uint8_t* data() const { return bytes_.data(); }
  static constexpr size_t size() { return N; }

 private:
  std::array<uint8_t, N> bytes_{};
};

}  // namespace keystead
