// The raw C++ loop that benches compare with: one PKCS#11 operation a record, nothing else, at its best
// setting.
//
//   BENCH_PIN=1234 pkcs11_loop MODULE TOKEN OPERATION SIZE THREADS SECONDS
//
// One session object, private and sensitive, for all threads; a session, buffers and IVs for each. Prints one
// line:
// {"operation":"gcm-encrypt","threads":1,"perSecond":101234.5}
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "engine/attributes.h"
#include "engine/error.h"
#include "engine/library.h"

namespace keystead {
namespace {

using Clock = std::chrono::steady_clock;

struct GcmParameters {  // CK_GCM_PARAMS
  CK_BYTE* iv;
  CK_ULONG iv_size;
  CK_ULONG iv_bits;
  CK_BYTE* aad;
  CK_ULONG aad_size;
  CK_ULONG tag_bits;
};

// The engine itself never encrypts on the token, so its function list has no types for these.
using Init = CK_RV (*)(CK_SESSION_HANDLE, CK_MECHANISM*, CK_OBJECT_HANDLE key);
using Crypt = CK_RV (*)(CK_SESSION_HANDLE, CK_BYTE* in, CK_ULONG in_size, CK_BYTE* out, CK_ULONG* out_size);

void check(const char* function, CK_RV rv) {
  if (rv != CKR_OK) throw Pkcs11Error(function, rv);
}

class Token {
 public:
  Token(const std::string& module, const std::string& label, std::string pin) : p11(load_module(module)) {
    CK_C_INITIALIZE_ARGS arguments{nullptr, nullptr, nullptr, nullptr, CKF_OS_LOCKING_OK, nullptr};
    check("C_Initialize", p11->C_Initialize(&arguments));
    find_slot(label);
    session = open_session();
    auto* bytes = reinterpret_cast<CK_BYTE*>(pin.data());
    check("C_Login", p11->C_Login(session, CKU_USER, bytes, pin.size()));
  }

  CK_SESSION_HANDLE open_session() const {
    CK_SESSION_HANDLE opened;
    const CK_FLAGS flags = CKF_SERIAL_SESSION | CKF_RW_SESSION;
    check("C_OpenSession", p11->C_OpenSession(slot_, flags, nullptr, nullptr, &opened));
    return opened;
  }

  CK_OBJECT_HANDLE secret_key(CK_MECHANISM_TYPE type, CK_ATTRIBUTE_TYPE use,
                              CK_ATTRIBUTE_TYPE other_use) const {
    Attributes key;
    restrict(key).number(CKA_VALUE_LEN, 32).flag(use, true).flag(other_use, true);
    CK_MECHANISM mechanism{type, nullptr, 0};
    CK_OBJECT_HANDLE handle;
    check("C_GenerateKey", p11->C_GenerateKey(session, &mechanism, key.data(), key.size(), &handle));
    return handle;
  }

  CK_OBJECT_HANDLE private_key(CK_MECHANISM_TYPE type, Attributes public_key) const {
    Attributes key;
    restrict(key).flag(CKA_SIGN, true);
    public_key.flag(CKA_TOKEN, false).flag(CKA_VERIFY, true);
    CK_MECHANISM mechanism{type, nullptr, 0};
    CK_OBJECT_HANDLE handle, other;
    check("C_GenerateKeyPair",
          p11->C_GenerateKeyPair(session, &mechanism, public_key.data(), public_key.size(), key.data(),
                                 key.size(), &other, &handle));
    return handle;
  }

  const CK_FUNCTION_LIST* const p11;
  CK_SESSION_HANDLE session;

 private:
  static Attributes& restrict(Attributes& key) {
    return key.flag(CKA_TOKEN, false)
        .flag(CKA_PRIVATE, true)
        .flag(CKA_SENSITIVE, true)
        .flag(CKA_EXTRACTABLE, false);
  }

  void find_slot(const std::string& label) {
    std::string padded = label;
    padded.resize(32, ' ');
    CK_ULONG count = 0;
    check("C_GetSlotList", p11->C_GetSlotList(CK_TRUE, nullptr, &count));
    std::vector<CK_SLOT_ID> slots(count);
    check("C_GetSlotList", p11->C_GetSlotList(CK_TRUE, slots.data(), &count));
    for (const CK_SLOT_ID slot : slots) {
      CK_TOKEN_INFO info;
      check("C_GetTokenInfo", p11->C_GetTokenInfo(slot, &info));
      if (std::memcmp(info.label, padded.data(), 32) != 0) continue;
      slot_ = slot;
      return;
    }
    throw std::runtime_error("no token is labelled " + label);
  }

  CK_SLOT_ID slot_ = 0;
};

// Makes a thread's operation: called with the thread's session, gives what is called again and again.
using Operation = std::function<std::function<void()>(CK_SESSION_HANDLE)>;

constexpr char kAad[] = "tenant=7";

// The IV counts; each thread has its own first bytes.
struct Gcm {
  explicit Gcm(CK_SESSION_HANDLE session) {
    std::memcpy(iv, &session, std::min(sizeof session, size_t{4}));
    std::memcpy(aad, kAad, sizeof aad);
  }
  CK_MECHANISM* next() {
    ++counter;
    std::memcpy(iv + 4, &counter, sizeof counter);
    return &mechanism;
  }

  uint64_t counter = 0;
  CK_BYTE iv[12];
  CK_BYTE aad[sizeof kAad - 1];
  GcmParameters parameters{iv, sizeof iv, sizeof iv * 8, aad, sizeof aad, 128};
  CK_MECHANISM mechanism{CKM_AES_GCM, &parameters, sizeof parameters};
};

Operation gcm(const Token& token, size_t size, bool encrypt) {
  const CK_OBJECT_HANDLE key = token.secret_key(CKM_AES_KEY_GEN, CKA_ENCRYPT, CKA_DECRYPT);
  const auto* p11 = token.p11;
  return [=](CK_SESSION_HANDLE session) -> std::function<void()> {
    const auto encrypt_init = reinterpret_cast<Init>(p11->C_EncryptInit);
    const auto encrypt_once = reinterpret_cast<Crypt>(p11->C_Encrypt);
    const auto decrypt_init = reinterpret_cast<Init>(p11->C_DecryptInit);
    const auto decrypt_once = reinterpret_cast<Crypt>(p11->C_Decrypt);
    auto state = std::make_shared<Gcm>(session);
    std::vector<CK_BYTE> plaintext(size, 7), sealed(size + 16);
    if (encrypt) {
      return [=]() mutable {
        CK_ULONG sealed_size = sealed.size();
        check("C_EncryptInit", encrypt_init(session, state->next(), key));
        check("C_Encrypt", encrypt_once(session, plaintext.data(), size, sealed.data(), &sealed_size));
      };
    }
    CK_ULONG sealed_size = sealed.size();
    check("C_EncryptInit", encrypt_init(session, state->next(), key));
    check("C_Encrypt", encrypt_once(session, plaintext.data(), size, sealed.data(), &sealed_size));
    plaintext.resize(size + 16);  // SoftHSM wants room for the tag, too
    return [=]() mutable {
      CK_ULONG plaintext_size = plaintext.size();
      check("C_DecryptInit", decrypt_init(session, &state->mechanism, key));
      check("C_Decrypt",
            decrypt_once(session, sealed.data(), sealed.size(), plaintext.data(), &plaintext_size));
    };
  };
}

Operation sign(const Token& token, CK_MECHANISM_TYPE type, CK_OBJECT_HANDLE key, size_t size) {
  const auto* p11 = token.p11;
  return [=](CK_SESSION_HANDLE session) {
    std::vector<CK_BYTE> data(size, 7), signature(512);
    return [=]() mutable {
      CK_MECHANISM mechanism{type, nullptr, 0};
      CK_ULONG signature_size = signature.size();
      check("C_SignInit", p11->C_SignInit(session, &mechanism, key));
      check("C_Sign", p11->C_Sign(session, data.data(), size, signature.data(), &signature_size));
    };
  };
}

Operation operation(const Token& token, const std::string& name, size_t size) {
  if (name == "gcm-encrypt") return gcm(token, size, true);
  if (name == "gcm-decrypt") return gcm(token, size, false);
  if (name == "hmac") {
    return sign(token, CKM_SHA256_HMAC, token.secret_key(CKM_GENERIC_SECRET_KEY_GEN, CKA_SIGN, CKA_VERIFY),
                size);
  }
  if (name == "rsa-2048-sign") {
    Attributes key;
    key.number(0x121 /* CKA_MODULUS_BITS */, 2048).bytes(0x122 /* CKA_PUBLIC_EXPONENT */, {"\1\0\1", 3});
    return sign(token, CKM_SHA256_RSA_PKCS, token.private_key(CKM_RSA_PKCS_KEY_PAIR_GEN, key), size);
  }
  if (name == "ecdsa-p256-sign") {
    Attributes key;
    key.bytes(CKA_EC_PARAMS, "\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07");  // prime256v1
    constexpr size_t kDigest = 32;
    return sign(token, CKM_ECDSA, token.private_key(CKM_EC_KEY_PAIR_GEN, key), kDigest);
  }
  throw std::runtime_error("no operation is called " + name +
                           "; there are gcm-encrypt, gcm-decrypt, hmac, rsa-2048-sign and ecdsa-p256-sign");
}

double per_second(const Token& token, const Operation& operation, size_t threads, double seconds) {
  std::vector<std::function<void()>> loops;
  for (size_t i = 0; i < threads; ++i) loops.push_back(operation(token.open_session()));
  std::atomic<uint64_t> total{0};
  const auto time = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  std::barrier start(static_cast<ptrdiff_t>(threads) + 1);
  std::vector<std::thread> workers;
  for (auto& loop : loops) {
    workers.emplace_back([&] {
      try {
        loop();  // warms up
        start.arrive_and_wait();
        uint64_t count = 0;
        for (const auto end = Clock::now() + time; Clock::now() < end; ++count) loop();
        total += count;
      } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        std::_Exit(1);
      }
    });
  }
  start.arrive_and_wait();
  const auto begin = Clock::now();
  for (std::thread& worker : workers) worker.join();
  return static_cast<double>(total) / std::chrono::duration<double>(Clock::now() - begin).count();
}

int run(int count, char** arguments) {
  const char* pin = std::getenv("BENCH_PIN");
  if (count != 7 || !pin) {
    std::fprintf(stderr, "usage: BENCH_PIN=… %s MODULE TOKEN OPERATION SIZE THREADS SECONDS\n", arguments[0]);
    return 2;
  }
  const Token token(arguments[1], arguments[2], pin);
  const std::string name = arguments[3];
  const size_t threads = std::max(1UL, std::stoul(arguments[5]));
  const double rate =
      per_second(token, operation(token, name, std::stoul(arguments[4])), threads, std::stod(arguments[6]));
  std::printf("{\"operation\":\"%s\",\"threads\":%zu,\"perSecond\":%.1f}\n", name.c_str(), threads, rate);
  token.p11->C_Finalize(nullptr);
  return 0;
}

}  // namespace
}  // namespace keystead

int main(int count, char** arguments) {
  try {
    return keystead::run(count, arguments);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
