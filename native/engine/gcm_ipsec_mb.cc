// Intel's ipsec-mb, loaded at run time where the machine has it. Only functions that the library exports by
// name are called, and none of its structures is looked into: they are given more room than any version uses.
#include <dlfcn.h>

#include <array>
#include <cstring>

#include "engine/error.h"
#include "engine/gcm.h"
#include "engine/secret.h"

namespace keystead {
namespace {

// Signatures of intel-ipsec-mb.h, versions 1 and 2: aes_gcm_pre_t and aes_gcm_enc_dec_t.
using PreFunction = void (*)(const void* key, void* key_data);
using CryptFunction = void (*)(const void* key_data, void* context, uint8_t* out, const uint8_t* in,
                               uint64_t size, const uint8_t* iv, const uint8_t* aad, uint64_t aad_size,
                               uint8_t* tag, uint64_t tag_size);

struct IpsecMb {
  PreFunction pre;
  CryptFunction encrypt;
  CryptFunction decrypt;
};

[[noreturn]] void unavailable(const char* reason) { throw EngineError("IPSEC_MB_UNAVAILABLE", reason); }

// What the functions of the library that this processor can run are called, the fastest first.
const char* suffix() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("vaes") && __builtin_cpu_supports("vpclmulqdq") &&
      __builtin_cpu_supports("gfni") && __builtin_cpu_supports("avx512f") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512cd") &&
      __builtin_cpu_supports("avx512ifma")) {
    return "vaes_avx512";
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul") &&
      __builtin_cpu_supports("bmi2")) {
    return "avx_gen4";
  }
#endif
  unavailable("this processor lacks the instructions of ipsec-mb (AVX2 and AES)");
}

IpsecMb load() {
  const std::string instructions = suffix();
  void* library = nullptr;
  for (const char* name : {"libIPSec_MB.so.2", "libIPSec_MB.so.1"}) {
    if ((library = dlopen(name, RTLD_NOW | RTLD_LOCAL))) break;
  }
  if (!library) unavailable("the library libIPSec_MB.so is not installed");
  const auto version = reinterpret_cast<unsigned (*)()>(dlsym(library, "imb_get_version"));
  if (!version || version() < 0x10000 || version() >= 0x30000) {
    unavailable("the installed libIPSec_MB.so is neither of version 1 nor 2");
  }
  const auto resolve = [&](const char* name) {
    void* function = dlsym(library, (name + instructions).c_str());
    if (!function) unavailable("the installed libIPSec_MB.so does not export its AES-256-GCM functions");
    return function;
  };
  return {reinterpret_cast<PreFunction>(resolve("aes_gcm_pre_256_")),
          reinterpret_cast<CryptFunction>(resolve("aes_gcm_enc_256_")),
          reinterpret_cast<CryptFunction>(resolve("aes_gcm_dec_256_"))};
}

// In constant time: the empty assembly keeps the compiler from deciding after the first half.
bool same_tag(const uint8_t* a, const uint8_t* b) {
  uint64_t x[2], y[2];
  std::memcpy(x, a, sizeof x);
  std::memcpy(y, b, sizeof y);
  uint64_t difference = x[0] ^ y[0];
  __asm__ __volatile__("" : "+r"(difference));
  difference |= x[1] ^ y[1];
  return difference == 0;
}

class IpsecMbGcm final : public Gcm {
 public:
  IpsecMbGcm() {
    static const IpsecMb library = load();
    library_ = library;
    check_room();
  }
  ~IpsecMbGcm() override { clear_key(); }

  void set_key(const uint8_t* key) override { library_.pre(key, key_data_.data()); }

  void clear_key() override {
    wipe(key_data_.data(), key_data_.size() / 2);  // check_room() saw to it that no more is used
    wipe(context_.data(), context_.size() / 2);
  }

  void seal(const uint8_t* iv, std::span<const uint8_t> aad, std::span<const uint8_t> in, uint8_t* out,
            uint8_t* tag) override {
    crypt(library_.encrypt, iv, aad, in, out, tag);
  }

  bool open(const uint8_t* iv, std::span<const uint8_t> aad, std::span<const uint8_t> in, const uint8_t* tag,
            uint8_t* out) override {
    uint8_t expected[16];
    crypt(library_.decrypt, iv, aad, in, out, expected);
    const bool authentic = same_tag(expected, tag);
    wipe(expected, sizeof expected);
    if (!authentic) wipe(out, in.size());
    return authentic;
  }

 private:
  void crypt(CryptFunction function, const uint8_t* iv, std::span<const uint8_t> aad,
             std::span<const uint8_t> in, uint8_t* out, uint8_t* tag) {
    // The library refuses null pointers, also to nothing.
    uint8_t nothing = 0;
    function(key_data_.data(), context_.data(), in.empty() ? &nothing : out,
             in.empty() ? &nothing : in.data(), in.size(), iv, aad.empty() ? &nothing : aad.data(),
             aad.size(), tag, 16);
  }

  // The library must not use the upper halves: else its structures have outgrown what is known of them.
  void check_room() {
    key_data_.fill(0xa5);
    context_.fill(0xa5);
    const std::array<uint8_t, 1024> zeros{};
    std::array<uint8_t, 1024> out;
    uint8_t tag[16];
    set_key(zeros.data());
    crypt(library_.encrypt, zeros.data(), {zeros.data(), 100}, zeros, out.data(), tag);
    const auto untouched = [](const auto& room) {
      for (size_t i = room.size() / 2; i < room.size(); ++i) {
        if (room[i] != 0xa5) return false;
      }
      return true;
    };
    if (!untouched(key_data_) || !untouched(context_)) {
      unavailable("the structures of the installed libIPSec_MB.so are larger than those of versions 1 and 2");
    }
  }

  IpsecMb library_;
  alignas(64) std::array<uint8_t, 4096> key_data_;  // struct gcm_key_data; 1,008 bytes in version 1.3
  alignas(64) std::array<uint8_t, 512> context_;    // struct gcm_context_data; 88 bytes in version 1.3
};

}  // namespace

std::unique_ptr<Gcm> make_ipsec_mb_gcm() { return std::make_unique<IpsecMbGcm>(); }

}  // namespace keystead
