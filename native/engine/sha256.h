// SHA-256 of Node's own OpenSSL.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/openssl.h"

namespace keystead {

// One object hashes one message after the other; used by one thread at a time.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void update(std::string_view bytes);
  // The digest of what was given since the last one, in lower-case hexadecimal.
  std::string hexadecimal();

 private:
  void begin();

  const OpenSsl& ssl_ = OpenSsl::instance();
  evp_md_ctx_st* context_;
};

}  // namespace keystead
