// AES-256-GCM with 12-byte IVs and 16-byte tags: one interface, an implementation chosen at run time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace keystead {

// One key schedule and the contexts to use it: made once a thread, and of that thread only.
class Gcm {
 public:
  virtual ~Gcm() = default;

  // The 32-byte key of what follows.
  virtual void set_key(const uint8_t* key) = 0;
  // Wipes the key schedule.
  virtual void clear_key() = 0;

  // `out` takes as many bytes as `in` has, and may be `in`. Throws EngineError when the cipher fails.
  virtual void seal(const uint8_t* iv, std::span<const uint8_t> aad, std::span<const uint8_t> in,
                    uint8_t* out, uint8_t* tag) = 0;
  // False when the tag is wrong, `out` then being wiped; tags are compared in constant time.
  virtual bool open(const uint8_t* iv, std::span<const uint8_t> aad, std::span<const uint8_t> in,
                    const uint8_t* tag, uint8_t* out) = 0;
};

// Each throws EngineError where this machine cannot have it.
std::unique_ptr<Gcm> make_openssl_gcm();
std::unique_ptr<Gcm> make_ipsec_mb_gcm();

// The implementations that work here and passed their known answers, the fastest first: "ipsec-mb",
// "openssl".
const std::vector<std::string>& gcm_names();
std::string gcm_in_use();
// Changes the implementation for all threads, from their next run on. Throws EngineError GCM_UNAVAILABLE.
void use_gcm(const std::string& name);

// The calling thread's Gcm for the length of one run; the key schedule is wiped at its end.
class GcmRun {
 public:
  GcmRun();
  ~GcmRun();
  GcmRun(const GcmRun&) = delete;
  GcmRun& operator=(const GcmRun&) = delete;
  Gcm* operator->() const { return gcm_; }

 private:
  Gcm* gcm_;
};

}  // namespace keystead
