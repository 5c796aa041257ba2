#include "engine/decryption.h"

#include <algorithm>

#include "engine/error.h"
#include "engine/oaep.h"
#include "engine/quirks.h"

namespace keystead {

namespace {

std::optional<SecretBytes> by_engine(const Session& session, CK_OBJECT_HANDLE key, Hash hash,
                                     std::span<const uint8_t> ciphertext) {
  Bytes modulus = session.attribute(key, CKA_MODULUS);
  // No number below the modulus. The token would only say that something failed.
  if (ciphertext.size() != modulus.size() || !std::ranges::lexicographical_compare(ciphertext, modulus))
    return std::nullopt;
  SecretBytes encoded(modulus.size());
  size_t size = session.decrypt(CKM_RSA_X_509, key, ciphertext.data(), ciphertext.size(), encoded.data(),
                                encoded.size());
  if (size != encoded.size()) {
    throw EngineError("RSA_SIZE", "the token's CKM_RSA_X_509 gave a number shorter than the modulus");
  }
  return oaep_decode(hash, {encoded.data(), encoded.size()});
}

std::optional<SecretBytes> by_token(const Session& session, CK_OBJECT_HANDLE key, Hash hash,
                                    std::span<const uint8_t> ciphertext) {
  CK_RSA_PKCS_OAEP_PARAMS parameters = oaep_parameters(hash);
  SecretBytes plaintext(ciphertext.size());
  try {
    plaintext.cut(session.decrypt({CKM_RSA_PKCS_OAEP, parameters}, key, ciphertext.data(), ciphertext.size(),
                                  plaintext.data(), plaintext.size()));
    return plaintext;
  } catch (const Pkcs11Error& e) {
    if (e.rv() != CKR_ENCRYPTED_DATA_INVALID && e.rv() != CKR_ENCRYPTED_DATA_LEN_RANGE) throw;
    return std::nullopt;
  }
}

}  // namespace

CK_RSA_PKCS_OAEP_PARAMS oaep_parameters(Hash hash) {
  bool sha1 = hash == Hash::kSha1;
  return {sha1 ? CKM_SHA_1 : CKM_SHA256, sha1 ? CKG_MGF1_SHA1 : CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, nullptr,
          0};
}

Padding oaep_padding(const Capabilities& can, Hash hash) {
  bool token = can.has(CKM_RSA_PKCS_OAEP) && !has_quirk(can, "vague-refusals") &&
               (hash == Hash::kSha1 || !has_quirk(can, "no-oaep-sha256"));
  if (token) return Padding::kByToken;
  if (can.has(CKM_RSA_X_509)) return Padding::kByEngine;
  throw EngineError("MECHANISM_MISSING",
                    "token " + can.token.label +
                        " has no CKM_RSA_PKCS_OAEP of this hash, and no CKM_RSA_X_509 to do without");
}

std::optional<SecretBytes> decrypt_oaep(const Session& session, CK_OBJECT_HANDLE key, Padding padding,
                                        Hash hash, std::span<const uint8_t> ciphertext) {
  return padding == Padding::kByToken ? by_token(session, key, hash, ciphertext)
                                      : by_engine(session, key, hash, ciphertext);
}

}  // namespace keystead
