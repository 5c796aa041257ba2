import { blob, boolean, integer, list, map, string, structure, timestamp } from "./shape.ts";

/**
 * The shapes that operations share, named and bounded as in the AWS model (a test compares). What holds in fewer
 * words than these, such as the 7 to 30 days of a deletion window, is the operation's own rule.
 */

export const PolicyType = string({
  min: 1,
  max: 131072,
  pattern: String.raw`[\u0009\u000A\u000D\u0020-\u00FF]+`,
});
export const DescriptionType = string({ min: 0, max: 8192 });
export const KeyUsageType = string({
  enum: ["SIGN_VERIFY", "ENCRYPT_DECRYPT", "GENERATE_VERIFY_MAC", "KEY_AGREEMENT"],
});
export const CustomerMasterKeySpec = string({
  enum: [
    "RSA_2048",
    "RSA_3072",
    "RSA_4096",
    "ECC_NIST_P256",
    "ECC_NIST_P384",
    "ECC_NIST_P521",
    "ECC_SECG_P256K1",
    "SYMMETRIC_DEFAULT",
    "HMAC_224",
    "HMAC_256",
    "HMAC_384",
    "HMAC_512",
    "SM2",
  ],
});
export const KeySpec = string({
  enum: [
    "RSA_2048",
    "RSA_3072",
    "RSA_4096",
    "ECC_NIST_P256",
    "ECC_NIST_P384",
    "ECC_NIST_P521",
    "ECC_SECG_P256K1",
    "SYMMETRIC_DEFAULT",
    "HMAC_224",
    "HMAC_256",
    "HMAC_384",
    "HMAC_512",
    "SM2",
    "ML_DSA_44",
    "ML_DSA_65",
    "ML_DSA_87",
    "ECC_NIST_EDWARDS25519",
  ],
});
export const OriginType = string({ enum: ["AWS_KMS", "EXTERNAL", "AWS_CLOUDHSM", "EXTERNAL_KEY_STORE"] });
export const CustomKeyStoreIdType = string({ min: 1, max: 64 });
export const BooleanType = boolean;
export const TagKeyType = string({ min: 1, max: 128 });
export const TagValueType = string({ min: 0, max: 256 });
export const Tag = structure({ TagKey: TagKeyType, TagValue: TagValueType }, ["TagKey", "TagValue"]);
export const TagList = list(Tag);
export const NullableBooleanType = boolean;
export const XksKeyIdType = string({ min: 1, max: 128, pattern: "^[a-zA-Z0-9-_.]+$" });
export const AWSAccountIdType = string();
export const KeyIdType = string({ min: 1, max: 2048 });
export const ArnType = string({ min: 20, max: 2048 });
export const DateType = timestamp;
export const KeyState = string({
  enum: [
    "Creating",
    "Enabled",
    "Disabled",
    "PendingDeletion",
    "PendingImport",
    "PendingReplicaDeletion",
    "Unavailable",
    "Updating",
  ],
});
export const CloudHsmClusterIdType = string({
  min: 19,
  max: 24,
  pattern: "cluster-[2-7a-zA-Z]{11,16}",
});
export const ExpirationModelType = string({ enum: ["KEY_MATERIAL_EXPIRES", "KEY_MATERIAL_DOES_NOT_EXPIRE"] });
export const KeyManagerType = string({ enum: ["AWS", "CUSTOMER"] });
export const EncryptionAlgorithmSpec = string({
  enum: ["SYMMETRIC_DEFAULT", "RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "SM2PKE"],
});
export const EncryptionAlgorithmSpecList = list(EncryptionAlgorithmSpec);
export const SigningAlgorithmSpec = string({
  enum: [
    "RSASSA_PSS_SHA_256",
    "RSASSA_PSS_SHA_384",
    "RSASSA_PSS_SHA_512",
    "RSASSA_PKCS1_V1_5_SHA_256",
    "RSASSA_PKCS1_V1_5_SHA_384",
    "RSASSA_PKCS1_V1_5_SHA_512",
    "ECDSA_SHA_256",
    "ECDSA_SHA_384",
    "ECDSA_SHA_512",
    "SM2DSA",
    "ML_DSA_SHAKE_256",
    "ED25519_SHA_512",
    "ED25519_PH_SHA_512",
  ],
});
export const SigningAlgorithmSpecList = list(SigningAlgorithmSpec);
export const KeyAgreementAlgorithmSpec = string({ enum: ["ECDH"] });
export const KeyAgreementAlgorithmSpecList = list(KeyAgreementAlgorithmSpec);
export const MultiRegionKeyType = string({ enum: ["PRIMARY", "REPLICA"] });
export const RegionType = string({ min: 1, max: 32, pattern: String.raw`^([a-z]+-){2,3}\d+$` });
export const MultiRegionKey = structure({ Arn: ArnType, Region: RegionType });
export const MultiRegionKeyList = list(MultiRegionKey);
export const MultiRegionConfiguration = structure({
  MultiRegionKeyType,
  PrimaryKey: MultiRegionKey,
  ReplicaKeys: MultiRegionKeyList,
});
export const PendingWindowInDaysType = integer({ min: 1, max: 365 });
export const MacAlgorithmSpec = string({
  enum: ["HMAC_SHA_224", "HMAC_SHA_256", "HMAC_SHA_384", "HMAC_SHA_512"],
});
export const MacAlgorithmSpecList = list(MacAlgorithmSpec);
export const XksKeyConfigurationType = structure({ Id: XksKeyIdType });
export const BackingKeyIdType = string({ min: 64, max: 64, pattern: "^[a-f0-9]+$" });
export const KeyMetadata = structure(
  {
    AWSAccountId: AWSAccountIdType,
    KeyId: KeyIdType,
    Arn: ArnType,
    CreationDate: DateType,
    Enabled: BooleanType,
    Description: DescriptionType,
    KeyUsage: KeyUsageType,
    KeyState,
    DeletionDate: DateType,
    ValidTo: DateType,
    Origin: OriginType,
    CustomKeyStoreId: CustomKeyStoreIdType,
    CloudHsmClusterId: CloudHsmClusterIdType,
    ExpirationModel: ExpirationModelType,
    KeyManager: KeyManagerType,
    CustomerMasterKeySpec,
    KeySpec,
    EncryptionAlgorithms: EncryptionAlgorithmSpecList,
    SigningAlgorithms: SigningAlgorithmSpecList,
    KeyAgreementAlgorithms: KeyAgreementAlgorithmSpecList,
    MultiRegion: NullableBooleanType,
    MultiRegionConfiguration,
    PendingDeletionWindowInDays: PendingWindowInDaysType,
    MacAlgorithms: MacAlgorithmSpecList,
    XksKeyConfiguration: XksKeyConfigurationType,
    CurrentKeyMaterialId: BackingKeyIdType,
  },
  ["KeyId"],
);
export const GrantTokenType = string({ min: 1, max: 8192 });
export const GrantTokenList = list(GrantTokenType, { min: 0, max: 10 });
export const LimitType = integer({ min: 1, max: 1000 });
export const MarkerType = string({ min: 1, max: 1024, pattern: String.raw`[\u0020-\u00FF]*` });
export const KeyListEntry = structure({ KeyId: KeyIdType, KeyArn: ArnType });
export const KeyList = list(KeyListEntry);
export const AliasNameType = string({ min: 1, max: 256, pattern: "^[a-zA-Z0-9:/_-]+$" });
export const AliasListEntry = structure({
  AliasName: AliasNameType,
  AliasArn: ArnType,
  TargetKeyId: KeyIdType,
  CreationDate: DateType,
  LastUpdatedDate: DateType,
});
export const AliasList = list(AliasListEntry);
export const PolicyNameType = string({ min: 1, max: 128, pattern: String.raw`[\w]+` });
export const PolicyNameList = list(PolicyNameType);
export const PlaintextType = blob({ min: 1, max: 4096, sensitive: true });
export const EncryptionContextKey = string();
export const EncryptionContextValue = string();
export const EncryptionContextType = map(EncryptionContextKey, EncryptionContextValue);
export const CiphertextType = blob({ min: 1, max: 6144 });
export const KeyEncryptionMechanism = string({ enum: ["RSAES_OAEP_SHA_256"] });
export const AttestationDocumentType = blob({ min: 1, max: 262144 });
export const RecipientInfo = structure({
  KeyEncryptionAlgorithm: KeyEncryptionMechanism,
  AttestationDocument: AttestationDocumentType,
});
export const DryRunModifierType = string({ enum: ["IGNORE_CIPHERTEXT"] });
export const DryRunModifierList = list(DryRunModifierType);
export const NumberOfBytesType = integer({ min: 1, max: 1024 });
export const DataKeyPairSpec = string({
  enum: [
    "RSA_2048",
    "RSA_3072",
    "RSA_4096",
    "ECC_NIST_P256",
    "ECC_NIST_P384",
    "ECC_NIST_P521",
    "ECC_SECG_P256K1",
    "SM2",
    "ECC_NIST_EDWARDS25519",
  ],
});
export const MessageType = string({ enum: ["RAW", "DIGEST", "EXTERNAL_MU"] });
export const PublicKeyType = blob({ min: 1, max: 8192 });
export const DataKeySpec = string({ enum: ["AES_256", "AES_128"] });
