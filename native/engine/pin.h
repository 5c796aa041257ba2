// A PIN: kept out of swap, wiped when it goes, and never sent again once a token has refused it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
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

  // The process remembers refused PINs by module, token and a digest keyed with randomness of the process.
  bool refused(const std::string& module, const std::string& token) const;
  void refuse(const std::string& module, const std::string& token) const;

 private:
  std::vector<uint8_t> bytes_;
};

}  // namespace keystead
