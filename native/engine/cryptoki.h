// What is used of PKCS #11, written from OASIS PKCS #11 3.1 (types: section 3; functions: section 5; values:
// appendix A). The function list is version 2.40's, which every module has.
#pragma once

#include "engine/mechanisms.h"
#include "engine/return_values.h"

#ifdef _WIN32
#pragma pack(push, cryptoki, 1)
#endif

namespace keystead {

using CK_BYTE = unsigned char;
using CK_BBOOL = unsigned char;
using CK_ULONG = unsigned long;
using CK_FLAGS = CK_ULONG;
using CK_RV = CK_ULONG;
using CK_SLOT_ID = CK_ULONG;
using CK_SESSION_HANDLE = CK_ULONG;
using CK_OBJECT_HANDLE = CK_ULONG;
using CK_OBJECT_CLASS = CK_ULONG;
using CK_KEY_TYPE = CK_ULONG;
using CK_ATTRIBUTE_TYPE = CK_ULONG;
using CK_MECHANISM_TYPE = CK_ULONG;

#define KEYSTEAD_VALUE(name, value) constexpr CK_ULONG name = value;
KEYSTEAD_RETURN_VALUES(KEYSTEAD_VALUE)
KEYSTEAD_MECHANISMS(KEYSTEAD_VALUE)
#undef KEYSTEAD_VALUE

constexpr CK_BBOOL CK_TRUE = 1;
constexpr CK_BBOOL CK_FALSE = 0;
constexpr CK_ULONG CK_UNAVAILABLE_INFORMATION = ~0UL;

constexpr CK_FLAGS CKF_TOKEN_INITIALIZED = 0x400;
constexpr CK_FLAGS CKF_USER_PIN_FINAL_TRY = 0x20000;
constexpr CK_FLAGS CKF_USER_PIN_LOCKED = 0x40000;
constexpr CK_FLAGS CKF_UNWRAP = 0x40000;
constexpr CK_FLAGS CKF_RW_SESSION = 0x2;
constexpr CK_FLAGS CKF_SERIAL_SESSION = 0x4;
constexpr CK_FLAGS CKF_OS_LOCKING_OK = 0x2;

constexpr CK_ULONG CKU_SO = 0;
constexpr CK_ULONG CKU_USER = 1;
constexpr CK_ULONG CKS_RO_USER_FUNCTIONS = 1;
constexpr CK_ULONG CKS_RW_USER_FUNCTIONS = 3;

constexpr CK_OBJECT_CLASS CKO_PUBLIC_KEY = 2;
constexpr CK_OBJECT_CLASS CKO_PRIVATE_KEY = 3;
constexpr CK_OBJECT_CLASS CKO_SECRET_KEY = 4;

constexpr CK_KEY_TYPE CKK_RSA = 0x0;
constexpr CK_KEY_TYPE CKK_EC = 0x3;
constexpr CK_KEY_TYPE CKK_GENERIC_SECRET = 0x10;
constexpr CK_KEY_TYPE CKK_AES = 0x1f;

constexpr CK_ATTRIBUTE_TYPE CKA_CLASS = 0x0;
constexpr CK_ATTRIBUTE_TYPE CKA_TOKEN = 0x1;
constexpr CK_ATTRIBUTE_TYPE CKA_PRIVATE = 0x2;
constexpr CK_ATTRIBUTE_TYPE CKA_LABEL = 0x3;
constexpr CK_ATTRIBUTE_TYPE CKA_VALUE = 0x11;
constexpr CK_ATTRIBUTE_TYPE CKA_KEY_TYPE = 0x100;
constexpr CK_ATTRIBUTE_TYPE CKA_ID = 0x102;
constexpr CK_ATTRIBUTE_TYPE CKA_SENSITIVE = 0x103;
constexpr CK_ATTRIBUTE_TYPE CKA_ENCRYPT = 0x104;
constexpr CK_ATTRIBUTE_TYPE CKA_DECRYPT = 0x105;
constexpr CK_ATTRIBUTE_TYPE CKA_WRAP = 0x106;
constexpr CK_ATTRIBUTE_TYPE CKA_UNWRAP = 0x107;
constexpr CK_ATTRIBUTE_TYPE CKA_SIGN = 0x108;
constexpr CK_ATTRIBUTE_TYPE CKA_VERIFY = 0x10a;
constexpr CK_ATTRIBUTE_TYPE CKA_DERIVE = 0x10c;
constexpr CK_ATTRIBUTE_TYPE CKA_MODULUS = 0x120;
constexpr CK_ATTRIBUTE_TYPE CKA_MODULUS_BITS = 0x121;
constexpr CK_ATTRIBUTE_TYPE CKA_PUBLIC_EXPONENT = 0x122;
constexpr CK_ATTRIBUTE_TYPE CKA_VALUE_LEN = 0x161;
constexpr CK_ATTRIBUTE_TYPE CKA_EXTRACTABLE = 0x162;
constexpr CK_ATTRIBUTE_TYPE CKA_MODIFIABLE = 0x170;
constexpr CK_ATTRIBUTE_TYPE CKA_EC_PARAMS = 0x180;
constexpr CK_ATTRIBUTE_TYPE CKA_EC_POINT = 0x181;

constexpr CK_ULONG CKG_MGF1_SHA1 = 0x1;
constexpr CK_ULONG CKG_MGF1_SHA256 = 0x2;
constexpr CK_ULONG CKG_MGF1_SHA384 = 0x3;
constexpr CK_ULONG CKG_MGF1_SHA512 = 0x4;
constexpr CK_ULONG CKZ_DATA_SPECIFIED = 0x1;
constexpr CK_ULONG CKD_NULL = 0x1;

struct CK_VERSION {
  CK_BYTE major;
  CK_BYTE minor;
};

struct CK_INFO {
  CK_VERSION cryptokiVersion;
  CK_BYTE manufacturerID[32];
  CK_FLAGS flags;
  CK_BYTE libraryDescription[32];
  CK_VERSION libraryVersion;
};

struct CK_TOKEN_INFO {
  CK_BYTE label[32];
  CK_BYTE manufacturerID[32];
  CK_BYTE model[16];
  CK_BYTE serialNumber[16];
  CK_FLAGS flags;
  CK_ULONG ulMaxSessionCount;
  CK_ULONG ulSessionCount;
  CK_ULONG ulMaxRwSessionCount;
  CK_ULONG ulRwSessionCount;
  CK_ULONG ulMaxPinLen;
  CK_ULONG ulMinPinLen;
  CK_ULONG ulTotalPublicMemory;
  CK_ULONG ulFreePublicMemory;
  CK_ULONG ulTotalPrivateMemory;
  CK_ULONG ulFreePrivateMemory;
  CK_VERSION hardwareVersion;
  CK_VERSION firmwareVersion;
  CK_BYTE utcTime[16];
};

struct CK_SESSION_INFO {
  CK_SLOT_ID slotID;
  CK_ULONG state;
  CK_FLAGS flags;
  CK_ULONG ulDeviceError;
};

struct CK_ATTRIBUTE {
  CK_ATTRIBUTE_TYPE type;
  void* pValue;
  CK_ULONG ulValueLen;
};

struct CK_MECHANISM {
  CK_MECHANISM_TYPE mechanism;
  void* pParameter;
  CK_ULONG ulParameterLen;
};

struct CK_RSA_PKCS_PSS_PARAMS {
  CK_MECHANISM_TYPE hashAlg;
  CK_ULONG mgf;
  CK_ULONG sLen;
};

struct CK_RSA_PKCS_OAEP_PARAMS {
  CK_MECHANISM_TYPE hashAlg;
  CK_ULONG mgf;
  CK_ULONG source;
  void* pSourceData;
  CK_ULONG ulSourceDataLen;
};

struct CK_ECDH1_DERIVE_PARAMS {
  CK_ULONG kdf;
  CK_ULONG ulSharedDataLen;
  CK_BYTE* pSharedData;
  CK_ULONG ulPublicDataLen;
  CK_BYTE* pPublicData;
};

struct CK_MECHANISM_INFO {
  CK_ULONG ulMinKeySize;
  CK_ULONG ulMaxKeySize;
  CK_FLAGS flags;
};

struct CK_C_INITIALIZE_ARGS {
  CK_RV (*CreateMutex)(void** mutex);
  CK_RV (*DestroyMutex)(void* mutex);
  CK_RV (*LockMutex)(void* mutex);
  CK_RV (*UnlockMutex)(void* mutex);
  CK_FLAGS flags;
  void* pReserved;
};

// Version 2.40's 68 functions in their order; those that are not used have no type here.
struct CK_FUNCTION_LIST {
  using Unused = void (*)();
  CK_VERSION version;
  CK_RV (*C_Initialize)(void* args);
  CK_RV (*C_Finalize)(void* reserved);
  CK_RV (*C_GetInfo)(CK_INFO* info);
  CK_RV (*C_GetFunctionList)(CK_FUNCTION_LIST** list);
  CK_RV (*C_GetSlotList)(CK_BBOOL token_present, CK_SLOT_ID* slots, CK_ULONG* count);
  Unused C_GetSlotInfo;
  CK_RV (*C_GetTokenInfo)(CK_SLOT_ID slot, CK_TOKEN_INFO* info);
  CK_RV (*C_GetMechanismList)(CK_SLOT_ID slot, CK_MECHANISM_TYPE* types, CK_ULONG* count);
  CK_RV (*C_GetMechanismInfo)(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO* info);
  CK_RV (*C_InitToken)(CK_SLOT_ID slot, CK_BYTE* pin, CK_ULONG size, CK_BYTE* label);
  CK_RV (*C_InitPIN)(CK_SESSION_HANDLE session, CK_BYTE* pin, CK_ULONG size);
  Unused C_SetPIN;
  CK_RV(*C_OpenSession)
  (CK_SLOT_ID slot, CK_FLAGS flags, void* application, void* notify, CK_SESSION_HANDLE* session);
  CK_RV (*C_CloseSession)(CK_SESSION_HANDLE session);
  Unused C_CloseAllSessions;
  CK_RV (*C_GetSessionInfo)(CK_SESSION_HANDLE session, CK_SESSION_INFO* info);
  Unused C_GetOperationState;
  Unused C_SetOperationState;
  CK_RV (*C_Login)(CK_SESSION_HANDLE session, CK_ULONG user, CK_BYTE* pin, CK_ULONG size);
  CK_RV (*C_Logout)(CK_SESSION_HANDLE session);
  CK_RV(*C_CreateObject)
  (CK_SESSION_HANDLE session, CK_ATTRIBUTE* object, CK_ULONG count, CK_OBJECT_HANDLE* handle);
  Unused C_CopyObject;
  CK_RV (*C_DestroyObject)(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object);
  Unused C_GetObjectSize;
  CK_RV(*C_GetAttributeValue)
  (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE* values, CK_ULONG count);
  Unused C_SetAttributeValue;
  CK_RV (*C_FindObjectsInit)(CK_SESSION_HANDLE session, CK_ATTRIBUTE* pattern, CK_ULONG count);
  CK_RV(*C_FindObjects)
  (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE* objects, CK_ULONG limit, CK_ULONG* count);
  CK_RV (*C_FindObjectsFinal)(CK_SESSION_HANDLE session);
  Unused C_EncryptInit, C_Encrypt, C_EncryptUpdate, C_EncryptFinal;
  CK_RV (*C_DecryptInit)(CK_SESSION_HANDLE session, CK_MECHANISM* mechanism, CK_OBJECT_HANDLE key);
  CK_RV(*C_Decrypt)
  (CK_SESSION_HANDLE session, const CK_BYTE* data, CK_ULONG size, CK_BYTE* plaintext,
   CK_ULONG* plaintext_size);
  Unused C_DecryptUpdate, C_DecryptFinal;
  Unused C_DigestInit, C_Digest, C_DigestUpdate, C_DigestKey, C_DigestFinal;
  CK_RV (*C_SignInit)(CK_SESSION_HANDLE session, CK_MECHANISM* mechanism, CK_OBJECT_HANDLE key);
  CK_RV(*C_Sign)
  (CK_SESSION_HANDLE session, const CK_BYTE* data, CK_ULONG size, CK_BYTE* signature,
   CK_ULONG* signature_size);
  Unused C_SignUpdate, C_SignFinal, C_SignRecoverInit, C_SignRecover;
  Unused C_VerifyInit, C_Verify, C_VerifyUpdate, C_VerifyFinal, C_VerifyRecoverInit, C_VerifyRecover;
  Unused C_DigestEncryptUpdate, C_DecryptDigestUpdate, C_SignEncryptUpdate, C_DecryptVerifyUpdate;
  CK_RV(*C_GenerateKey)
  (CK_SESSION_HANDLE session, CK_MECHANISM* mechanism, CK_ATTRIBUTE* key, CK_ULONG count,
   CK_OBJECT_HANDLE* handle);
  CK_RV(*C_GenerateKeyPair)
  (CK_SESSION_HANDLE session, CK_MECHANISM* mechanism, CK_ATTRIBUTE* public_key, CK_ULONG public_count,
   CK_ATTRIBUTE* private_key, CK_ULONG private_count, CK_OBJECT_HANDLE* public_handle,
   CK_OBJECT_HANDLE* private_handle);
  CK_RV(*C_WrapKey)
  (CK_SESSION_HANDLE session, CK_MECHANISM* mechanism, CK_OBJECT_HANDLE wrapping, CK_OBJECT_HANDLE key,
   CK_BYTE* wrapped, CK_ULONG* size);
  CK_RV(*C_UnwrapKey)
  (CK_SESSION_HANDLE session, CK_MECHANISM* mechanism, CK_OBJECT_HANDLE unwrapping, const CK_BYTE* wrapped,
   CK_ULONG size, CK_ATTRIBUTE* key, CK_ULONG count, CK_OBJECT_HANDLE* handle);
  CK_RV(*C_DeriveKey)
  (CK_SESSION_HANDLE session, CK_MECHANISM* mechanism, CK_OBJECT_HANDLE base, CK_ATTRIBUTE* key,
   CK_ULONG count, CK_OBJECT_HANDLE* handle);
  Unused C_SeedRandom;
  CK_RV (*C_GenerateRandom)(CK_SESSION_HANDLE session, CK_BYTE* data, CK_ULONG size);
  Unused C_GetFunctionStatus, C_CancelFunction, C_WaitForSlotEvent;
};

}  // namespace keystead

#ifdef _WIN32
#pragma pack(pop, cryptoki)
#endif
