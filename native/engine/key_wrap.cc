#include "engine/key_wrap.h"

#include <cstring>

#include "engine/error.h"

namespace keystead {

namespace {

// RFC 5649, section 6: 20 octets of key data wrapped with a 192-bit KEK.
constexpr uint8_t kKek[] = {0x58, 0x40, 0xdf, 0x6e, 0x29, 0xb0, 0x2a, 0xf1, 0xab, 0x49, 0x3b, 0x70,
                            0x5b, 0xf1, 0x6e, 0xa1, 0xae, 0x83, 0x38, 0xf4, 0xdc, 0xc1, 0x76, 0xa8};
constexpr uint8_t kKeyData[] = {0xc3, 0x7b, 0x7e, 0x64, 0x92, 0x58, 0x43, 0x40, 0xbe, 0xd1,
                                0x22, 0x07, 0x80, 0x89, 0x41, 0x15, 0x50, 0x68, 0xf7, 0x38};
constexpr uint8_t kWrapped[] = {0x13, 0x8b, 0xde, 0xaa, 0x9b, 0x8f, 0xa7, 0xfc, 0x61, 0xf9, 0x77,
                                0x42, 0xe7, 0x22, 0x48, 0xee, 0x5a, 0xe6, 0xae, 0x53, 0x60, 0xd1,
                                0xae, 0x6a, 0x5f, 0x54, 0xf3, 0x73, 0xfa, 0x54, 0x3b, 0x6a};

template <size_t N>
std::string_view view(const uint8_t (&bytes)[N]) {
  return {reinterpret_cast<const char*>(bytes), N};
}

Attributes session_key(CK_KEY_TYPE type) {
  Attributes attributes;
  attributes.number(CKA_CLASS, CKO_SECRET_KEY)
      .number(CKA_KEY_TYPE, type)
      .flag(CKA_TOKEN, false)
      .flag(CKA_PRIVATE, true);
  return attributes;
}

bool passes(const Session& session, CK_MECHANISM_TYPE mechanism) {
  Temporary kek(session,
                session.create(session_key(CKK_AES).flag(CKA_WRAP, true).bytes(CKA_VALUE, view(kKek))));
  Temporary key(session, session.create(session_key(CKK_GENERIC_SECRET)
                                            .flag(CKA_EXTRACTABLE, true)
                                            .flag(CKA_SIGN, true)
                                            .bytes(CKA_VALUE, view(kKeyData))));
  Bytes wrapped = session.wrap(mechanism, kek, key);
  return wrapped.size() == sizeof kWrapped && memcmp(wrapped.data(), kWrapped, sizeof kWrapped) == 0;
}

// 32 octets are 4 blocks and the integrity block; with PKCS padding or none it would be another number.
bool fits(const Session& session, CK_MECHANISM_TYPE mechanism) {
  Temporary kek(
      session,
      session.generate(CKM_AES_KEY_GEN, session_key(CKK_AES).number(CKA_VALUE_LEN, 32).flag(CKA_WRAP, true)));
  Temporary key(session, session.generate(CKM_GENERIC_SECRET_KEY_GEN, session_key(CKK_GENERIC_SECRET)
                                                                          .flag(CKA_EXTRACTABLE, true)
                                                                          .flag(CKA_SIGN, true)
                                                                          .number(CKA_VALUE_LEN, 20)));
  return session.wrap(mechanism, kek, key).size() == 32;
}

}  // namespace

CK_MECHANISM_TYPE probe_key_wrap(const Session& session, const Capabilities& can) {
  for (bool import : {true, false}) {
    for (CK_MECHANISM_TYPE mechanism : {CKM_AES_KEY_WRAP_KWP, CKM_AES_KEY_WRAP_PAD}) {
      if (!can.has(mechanism)) continue;
      try {
        if (import ? passes(session, mechanism) : fits(session, mechanism)) return mechanism;
      } catch (const Pkcs11Error& e) {
        if (fault_of(e.rv()) != Fault::kFinal) throw;
      }
    }
  }
  throw EngineError("NO_KEY_WRAP",
                    "token " + can.token.label + " has no AES key wrap with padding (RFC 5649)");
}

}  // namespace keystead
