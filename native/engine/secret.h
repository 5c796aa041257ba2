// Memory that wipes itself: keys and PINs live in these and nowhere else.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

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

// Wipes memory of others when it goes out of scope.
class Wiper {
 public:
  explicit Wiper(std::span<uint8_t> bytes) : bytes_(bytes) {}
  ~Wiper() { wipe(bytes_.data(), bytes_.size()); }
  Wiper(const Wiper&) = delete;
  Wiper& operator=(const Wiper&) = delete;

 private:
  std::span<uint8_t> bytes_;
};

// As many secret bytes as are known at run time: wiped like a Secret, never grown, so that nothing is left
// behind.
class SecretBytes {
 public:
  explicit SecretBytes(size_t size) : bytes_(size) {}
  explicit SecretBytes(std::span<const uint8_t> bytes) : bytes_(bytes.begin(), bytes.end()) {}
  SecretBytes(SecretBytes&&) noexcept = default;
  SecretBytes& operator=(SecretBytes&& other) noexcept {
    if (this != &other) {
      wipe(bytes_.data(), bytes_.size());
      bytes_ = std::move(other.bytes_);
    }
    return *this;
  }
  ~SecretBytes() { wipe(bytes_.data(), bytes_.size()); }
  uint8_t* data() { return bytes_.data(); }
  const uint8_t* data() const { return bytes_.data(); }
  size_t size() const { return bytes_.size(); }
  // Keeps the first bytes, wipes the rest.
  void cut(size_t size) {
    wipe(bytes_.data() + size, bytes_.size() - size);
    bytes_.resize(size);
  }
  std::span<const uint8_t> view() const { return bytes_; }

 private:
  std::vector<uint8_t> bytes_;
};

}  // namespace keystead
