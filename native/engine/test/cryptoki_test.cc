// The engine's own PKCS#11 header against p11-kit's, where that is installed. Compiling it is the test.
#include "engine/cryptoki.h"

#include <cstddef>

#include "engine/test/check.h"

namespace keystead {
// Kept under other names, since the other header's are macros.
#define KEYSTEAD_CONSTANTS(X) \
  X(CKF_TOKEN_INITIALIZED)    \
  X(CKF_USER_PIN_FINAL_TRY)   \
  X(CKF_USER_PIN_LOCKED)      \
  X(CKF_UNWRAP)               \
  X(CKF_RW_SESSION)           \
  X(CKF_SERIAL_SESSION)       \
  X(CKF_OS_LOCKING_OK)        \
  X(CKU_SO)                   \
  X(CKU_USER)                 \
  X(CKS_RO_USER_FUNCTIONS)    \
  X(CKS_RW_USER_FUNCTIONS)    \
  X(CKO_PUBLIC_KEY)           \
  X(CKO_PRIVATE_KEY)          \
  X(CKO_SECRET_KEY)           \
  X(CKK_RSA)                  \
  X(CKK_EC)                   \
  X(CKK_GENERIC_SECRET)       \
  X(CKK_AES)                  \
  X(CKA_CLASS)                \
  X(CKA_TOKEN)                \
  X(CKA_PRIVATE)              \
  X(CKA_LABEL)                \
  X(CKA_VALUE)                \
  X(CKA_KEY_TYPE)             \
  X(CKA_ID)                   \
  X(CKA_SENSITIVE)            \
  X(CKA_ENCRYPT)              \
  X(CKA_DECRYPT)              \
  X(CKA_WRAP)                 \
  X(CKA_UNWRAP)               \
  X(CKA_SIGN)                 \
  X(CKA_VERIFY)               \
  X(CKA_DERIVE)               \
  X(CKA_MODULUS)              \
  X(CKA_MODULUS_BITS)         \
  X(CKA_PUBLIC_EXPONENT)      \
  X(CKA_VALUE_LEN)            \
  X(CKA_EXTRACTABLE)          \
  X(CKA_MODIFIABLE)           \
  X(CKA_EC_PARAMS)            \
  X(CKA_EC_POINT)             \
  X(CKG_MGF1_SHA1)            \
  X(CKG_MGF1_SHA256)          \
  X(CKG_MGF1_SHA384)          \
  X(CKG_MGF1_SHA512)          \
  X(CKZ_DATA_SPECIFIED)       \
  X(CKD_NULL)                 \
  X(CK_TRUE)                  \
  X(CK_FALSE)                 \
  X(CK_UNAVAILABLE_INFORMATION)
#define KEEP(name) constexpr CK_ULONG kept_##name = name;
KEYSTEAD_CONSTANTS(KEEP)
}  // namespace keystead

#if __has_include(<p11-kit-1/p11-kit/pkcs11.h>)
#include <p11-kit-1/p11-kit/pkcs11.h>
constexpr bool kCompared = true;

namespace keystead {
#define COMPARE(name) static_assert(kept_##name == name, #name);
KEYSTEAD_CONSTANTS(COMPARE)
// A name that the other header lacks, being newer than it, is our own constant here.
#define COMPARE_VALUE(name, value) static_assert(name == value, #name);
KEYSTEAD_RETURN_VALUES(COMPARE_VALUE)
KEYSTEAD_MECHANISMS(COMPARE_VALUE)

#define COMPARE_SIZE(type) static_assert(sizeof(keystead::type) == sizeof(::type), #type);
#define COMPARE_PLACE(type, member) \
  static_assert(offsetof(keystead::type, member) == offsetof(::type, member), #type "." #member);
COMPARE_SIZE(CK_INFO)
COMPARE_PLACE(CK_INFO, libraryDescription)
COMPARE_PLACE(CK_INFO, libraryVersion)
COMPARE_SIZE(CK_TOKEN_INFO)
COMPARE_PLACE(CK_TOKEN_INFO, flags)
COMPARE_PLACE(CK_TOKEN_INFO, ulMaxRwSessionCount)
COMPARE_PLACE(CK_TOKEN_INFO, utcTime)
COMPARE_SIZE(CK_SESSION_INFO)
COMPARE_PLACE(CK_SESSION_INFO, state)
COMPARE_SIZE(CK_ATTRIBUTE)
COMPARE_PLACE(CK_ATTRIBUTE, ulValueLen)
COMPARE_SIZE(CK_MECHANISM)
COMPARE_SIZE(CK_RSA_PKCS_PSS_PARAMS)
COMPARE_SIZE(CK_RSA_PKCS_OAEP_PARAMS)
COMPARE_PLACE(CK_RSA_PKCS_OAEP_PARAMS, pSourceData)
COMPARE_SIZE(CK_ECDH1_DERIVE_PARAMS)
COMPARE_PLACE(CK_ECDH1_DERIVE_PARAMS, pPublicData)
COMPARE_SIZE(CK_MECHANISM_INFO)
COMPARE_PLACE(CK_MECHANISM_INFO, flags)
COMPARE_SIZE(CK_C_INITIALIZE_ARGS)
COMPARE_PLACE(CK_C_INITIALIZE_ARGS, flags)
COMPARE_SIZE(CK_FUNCTION_LIST)
COMPARE_PLACE(CK_FUNCTION_LIST, C_GetTokenInfo)
COMPARE_PLACE(CK_FUNCTION_LIST, C_OpenSession)
COMPARE_PLACE(CK_FUNCTION_LIST, C_Login)
COMPARE_PLACE(CK_FUNCTION_LIST, C_DestroyObject)
COMPARE_PLACE(CK_FUNCTION_LIST, C_FindObjectsFinal)
COMPARE_PLACE(CK_FUNCTION_LIST, C_Decrypt)
COMPARE_PLACE(CK_FUNCTION_LIST, C_Sign)
COMPARE_PLACE(CK_FUNCTION_LIST, C_GenerateKey)
COMPARE_PLACE(CK_FUNCTION_LIST, C_UnwrapKey)
COMPARE_PLACE(CK_FUNCTION_LIST, C_DeriveKey)
COMPARE_PLACE(CK_FUNCTION_LIST, C_GenerateRandom)
}  // namespace keystead
#else
constexpr bool kCompared = false;
#endif

TEST(header) {
  if (!kCompared) std::printf("left out: there is no p11-kit header here\n");
}

RUN_TESTS()
