#include "engine/gcm.h"

#include <atomic>
#include <cstring>

#include "engine/error.h"

namespace keystead {
namespace {

// Test case 16 of McGrew and Viega, "The Galois/Counter Mode of Operation (GCM)".
constexpr uint8_t kKey[32] = {0xfe, 0xff, 0xe9, 0x92, 0x86, 0x65, 0x73, 0x1c, 0x6d, 0x6a, 0x8f,
                              0x94, 0x67, 0x30, 0x83, 0x08, 0xfe, 0xff, 0xe9, 0x92, 0x86, 0x65,
                              0x73, 0x1c, 0x6d, 0x6a, 0x8f, 0x94, 0x67, 0x30, 0x83, 0x08};
constexpr uint8_t kIv[12] = {0xca, 0xfe, 0xba, 0xbe, 0xfa, 0xce, 0xdb, 0xad, 0xde, 0xca, 0xf8, 0x88};
constexpr uint8_t kAad[20] = {0xfe, 0xed, 0xfa, 0xce, 0xde, 0xad, 0xbe, 0xef, 0xfe, 0xed,
                              0xfa, 0xce, 0xde, 0xad, 0xbe, 0xef, 0xab, 0xad, 0xda, 0xd2};
constexpr uint8_t kPlaintext[60] = {0xd9, 0x31, 0x32, 0x25, 0xf8, 0x84, 0x06, 0xe5, 0xa5, 0x59, 0x09, 0xc5,
                                    0xaf, 0xf5, 0x26, 0x9a, 0x86, 0xa7, 0xa9, 0x53, 0x15, 0x34, 0xf7, 0xda,
                                    0x2e, 0x4c, 0x30, 0x3d, 0x8a, 0x31, 0x8a, 0x72, 0x1c, 0x3c, 0x0c, 0x95,
                                    0x95, 0x68, 0x09, 0x53, 0x2f, 0xcf, 0x0e, 0x24, 0x49, 0xa6, 0xb5, 0x25,
                                    0xb1, 0x6a, 0xed, 0xf5, 0xaa, 0x0d, 0xe6, 0x57, 0xba, 0x63, 0x7b, 0x39};
constexpr uint8_t kCiphertext[60] = {0x52, 0x2d, 0xc1, 0xf0, 0x99, 0x56, 0x7d, 0x07, 0xf4, 0x7f, 0x37, 0xa3,
                                     0x2a, 0x84, 0x42, 0x7d, 0x64, 0x3a, 0x8c, 0xdc, 0xbf, 0xe5, 0xc0, 0xc9,
                                     0x75, 0x98, 0xa2, 0xbd, 0x25, 0x55, 0xd1, 0xaa, 0x8c, 0xb0, 0x8e, 0x48,
                                     0x59, 0x0d, 0xbb, 0x3d, 0xa7, 0xb0, 0x8b, 0x10, 0x56, 0x82, 0x88, 0x38,
                                     0xc5, 0xf6, 0x1e, 0x63, 0x93, 0xba, 0x7a, 0x0a, 0xbc, 0xc9, 0xf6, 0x62};
constexpr uint8_t kTag[16] = {0x76, 0xfc, 0x6e, 0xce, 0x0f, 0x4e, 0x17, 0x68,
                              0xcd, 0xdf, 0x88, 0x53, 0xbb, 0x2d, 0x55, 0x1b};
// The tag of 4,113 zero bytes under the same key, IV and AAD, from OpenSSL 3.0: the same answer for the
// code that takes many blocks at once.
constexpr size_t kLongSize = 4113;
constexpr uint8_t kLongTag[16] = {0x05, 0x62, 0x76, 0x06, 0x74, 0xdd, 0x06, 0x56,
                                  0xb9, 0x01, 0x00, 0x1a, 0x11, 0x16, 0xa7, 0x46};

bool passes_known_answers(Gcm& gcm) {
  uint8_t out[sizeof kPlaintext];
  uint8_t tag[16];
  gcm.set_key(kKey);
  gcm.seal(kIv, kAad, kPlaintext, out, tag);
  bool passed = std::memcmp(out, kCiphertext, sizeof out) == 0 && std::memcmp(tag, kTag, sizeof tag) == 0;
  passed =
      passed && gcm.open(kIv, kAad, kCiphertext, kTag, out) && std::memcmp(out, kPlaintext, sizeof out) == 0;
  tag[0] ^= 1;
  passed = passed && !gcm.open(kIv, kAad, kCiphertext, tag, out);
  std::vector<uint8_t> zeros(kLongSize);
  gcm.seal(kIv, kAad, zeros, zeros.data(), tag);
  passed = passed && std::memcmp(tag, kLongTag, sizeof tag) == 0;
  gcm.clear_key();
  return passed;
}

struct Implementation {
  const char* name;
  std::unique_ptr<Gcm> (*make)();
};

constexpr Implementation kImplementations[] = {{"ipsec-mb", make_ipsec_mb_gcm},
                                               {"openssl", make_openssl_gcm}};

// Why an implementation cannot be used here; empty when it can.
std::string refusal(const Implementation& implementation) {
  try {
    return passes_known_answers(*implementation.make()) ? "" : "its known answers came out wrong";
  } catch (const EngineError& error) {
    return error.what();
  }
}

struct Choice {
  std::vector<const Implementation*> usable;
  std::vector<std::string> names;
  std::atomic<const Implementation*> in_use{nullptr};

  Choice() {
    std::string refusals;
    for (const Implementation& implementation : kImplementations) {
      const std::string reason = refusal(implementation);
      if (reason.empty()) {
        usable.push_back(&implementation);
        names.push_back(implementation.name);
      } else {
        refusals += std::string("; ") + implementation.name + ": " + reason;
      }
    }
    if (usable.empty()) throw EngineError("GCM_UNAVAILABLE", "no AES-256-GCM works here" + refusals);
    in_use = usable.front();
  }
};

// Never destroyed: the crew's threads may still run while the process exits.
Choice& choice() {
  static Choice* choice = new Choice;
  return *choice;
}

}  // namespace

const std::vector<std::string>& gcm_names() { return choice().names; }

std::string gcm_in_use() { return choice().in_use.load()->name; }

void use_gcm(const std::string& name) {
  for (const Implementation* implementation : choice().usable) {
    if (name == implementation->name) {
      choice().in_use = implementation;
      return;
    }
  }
  for (const Implementation& implementation : kImplementations) {
    if (name != implementation.name) continue;
    throw EngineError("GCM_UNAVAILABLE", name + " cannot be used here: " + refusal(implementation));
  }
  throw EngineError("GCM_UNAVAILABLE",
                    "no AES-256-GCM implementation is called " + name + "; there are ipsec-mb and openssl");
}

GcmRun::GcmRun() {
  thread_local const Implementation* implementation = nullptr;
  thread_local std::unique_ptr<Gcm> gcm;
  const Implementation* in_use = choice().in_use.load();
  if (implementation != in_use) {
    gcm = in_use->make();
    implementation = in_use;
  }
  gcm_ = gcm.get();
}

GcmRun::~GcmRun() { gcm_->clear_key(); }

}  // namespace keystead
