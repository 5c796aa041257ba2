// HKDF with SHA-512 (RFC 5869) by Node's own OpenSSL, for many keys in a row.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>

#include "engine/openssl.h"

namespace keystead {

// Used by one thread at a time; freeing it wipes what it has seen.
class Hkdf {
 public:
  Hkdf();

  // The pseudorandom key of what follows. What of it HMAC hashes before any message is hashed once, here.
  void extract(std::span<const uint8_t> salt, std::span<const uint8_t> secret);
  // Output keying material of at most 64 bytes, the first block.
  void expand(std::span<const uint8_t> info, std::span<uint8_t> out);

 private:
  using Context = Freed<evp_md_ctx_st>;

  Context context() const;
  void key(std::span<const uint8_t> key);
  void absorb(const Context& to, std::span<const uint8_t> bytes);
  void finish(const Context& inner, const Context& outer, uint8_t* out);

  const OpenSsl& ssl_ = OpenSsl::instance();
  Context inner_;
  Context outer_;
  Context inner_copy_;
  Context outer_copy_;
};

}  // namespace keystead
