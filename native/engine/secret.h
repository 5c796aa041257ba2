// Memory that wipes itself: keys and PINs live in these and nowhere else.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace keystead {

// Overwrites with zeros; the empty assembly, which may read the memory, keeps the compiler from leaving it
// out.
inline void wipe(void* data, size_t size) {
  if (size == 0) return;
  std::memset(data, 0, size);
  __asm__ __volatile__("" : : "r"(data) : "memory");
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
