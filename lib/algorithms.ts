import { InvalidKeyUsageException, UnsupportedOperationException, ValidationException } from "./errors.ts";
import type { Material, Signing } from "./hsm.ts";
import type { Valid } from "./shape.ts";
import type * as shapes from "./shapes.ts";

export type KeySpec = Valid<typeof shapes.KeySpec>;
export type KeyUsage = Valid<typeof shapes.KeyUsageType>;
export type DataKeySpec = Valid<typeof shapes.DataKeySpec>;
export type DataKeyPairSpec = Valid<typeof shapes.DataKeyPairSpec>;
export type EncryptionAlgorithm = Valid<typeof shapes.EncryptionAlgorithmSpec>;
export type SigningAlgorithm = Valid<typeof shapes.SigningAlgorithmSpec>;
export type MacAlgorithm = Valid<typeof shapes.MacAlgorithmSpec>;
export type KeyAgreementAlgorithm = Valid<typeof shapes.KeyAgreementAlgorithmSpec>;
export type MessageType = Valid<typeof shapes.MessageType>;

/** All that is to be known of a key spec: nothing else in the house compares its name. */
export interface Algorithm {
  readonly keySpec: KeySpec;
  /** What a backing key is to the HSM. The AES-256-GCM keys are derived from theirs (docs/ciphertext.md). */
  readonly material: Material;
  readonly usages: readonly KeyUsage[];
  /** Whether its material may come from outside. */
  readonly importable: boolean;
  /** Present where CreateKey may leave the usage out. */
  readonly defaultUsage?: KeyUsage;
  readonly encryptionAlgorithms: readonly EncryptionAlgorithm[];
  readonly signingAlgorithms: readonly SigningAlgorithm[];
  readonly macAlgorithms: readonly MacAlgorithm[];
  readonly keyAgreementAlgorithms: readonly KeyAgreementAlgorithm[];
  /** The longest plaintext that Encrypt takes, in bytes, under each encryption algorithm. */
  readonly longestPlaintext: Readonly<Partial<Record<EncryptionAlgorithm, number>>>;
}

const none = {
  importable: true,
  encryptionAlgorithms: [],
  signingAlgorithms: [],
  macAlgorithms: [],
  keyAgreementAlgorithms: [],
  longestPlaintext: {},
} as const;

function rsa(bits: 2048 | 3072 | 4096): Algorithm {
  const bytes = bits / 8;
  return {
    ...none,
    keySpec: `RSA_${bits}`,
    material: { type: "rsa", bits },
    usages: ["ENCRYPT_DECRYPT", "SIGN_VERIFY"],
    encryptionAlgorithms: ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"],
    // RFC 8017, section 7.1.1: two digests and two bytes less than the modulus.
    longestPlaintext: { RSAES_OAEP_SHA_1: bytes - 42, RSAES_OAEP_SHA_256: bytes - 66 },
    signingAlgorithms: [
      "RSASSA_PKCS1_V1_5_SHA_256",
      "RSASSA_PKCS1_V1_5_SHA_384",
      "RSASSA_PKCS1_V1_5_SHA_512",
      "RSASSA_PSS_SHA_256",
      "RSASSA_PSS_SHA_384",
      "RSASSA_PSS_SHA_512",
    ],
  };
}

type Curve = Extract<Material, { type: "ec" }>["curve"];

function agreeing(keySpec: KeySpec, curve: Curve, signing: SigningAlgorithm): Algorithm {
  return {
    ...none,
    keySpec,
    material: { type: "ec", curve },
    usages: ["SIGN_VERIFY", "KEY_AGREEMENT"],
    signingAlgorithms: [signing],
    keyAgreementAlgorithms: ["ECDH"],
  };
}

function signing(keySpec: KeySpec, material: Material, names: readonly SigningAlgorithm[]): Algorithm {
  // Keys that grow from a seed have none but the HSM's.
  const importable = material.type === "ec";
  return { ...none, importable, keySpec, material, usages: ["SIGN_VERIFY"], signingAlgorithms: names };
}

function hmac(bits: 224 | 256 | 384 | 512): Algorithm {
  return {
    ...none,
    keySpec: `HMAC_${bits}`,
    material: { type: "secret", bytes: bits / 8 },
    usages: ["GENERATE_VERIFY_MAC"],
    macAlgorithms: [`HMAC_SHA_${bits}`],
  };
}

/** The key specs that are served. SM2 is one of China's Regions only. */
export const algorithms: readonly Algorithm[] = [
  {
    ...none,
    keySpec: "SYMMETRIC_DEFAULT",
    material: { type: "secret", bytes: 32 },
    usages: ["ENCRYPT_DECRYPT"],
    defaultUsage: "ENCRYPT_DECRYPT",
    encryptionAlgorithms: ["SYMMETRIC_DEFAULT"],
    longestPlaintext: { SYMMETRIC_DEFAULT: 4096 },
  },
  rsa(2048),
  rsa(3072),
  rsa(4096),
  agreeing("ECC_NIST_P256", "P-256", "ECDSA_SHA_256"),
  agreeing("ECC_NIST_P384", "P-384", "ECDSA_SHA_384"),
  agreeing("ECC_NIST_P521", "P-521", "ECDSA_SHA_512"),
  signing("ECC_SECG_P256K1", { type: "ec", curve: "secp256k1" }, ["ECDSA_SHA_256"]),
  signing("ECC_NIST_EDWARDS25519", { type: "ed25519" }, ["ED25519_SHA_512", "ED25519_PH_SHA_512"]),
  hmac(224),
  hmac(256),
  hmac(384),
  hmac(512),
  signing("ML_DSA_44", { type: "ml-dsa", parameterSet: 44 }, ["ML_DSA_SHAKE_256"]),
  signing("ML_DSA_65", { type: "ml-dsa", parameterSet: 65 }, ["ML_DSA_SHAKE_256"]),
  signing("ML_DSA_87", { type: "ml-dsa", parameterSet: 87 }, ["ML_DSA_SHAKE_256"]),
];

const bySpec = new Map<string, Algorithm>(algorithms.map((row) => [row.keySpec, row]));

/** Throws `UnsupportedOperationException` for a spec that the model knows and this service does not serve. */
export function algorithmOf(keySpec: KeySpec | DataKeyPairSpec): Algorithm {
  const row = bySpec.get(keySpec);
  if (row === undefined)
    throw new UnsupportedOperationException(
      `KeySpec ${keySpec} is not offered here. Offered: ${[...bySpec.keys()].join(", ")}.`,
    );
  return row;
}

/** Whether its ciphertexts name their material and are bound to a context, so that it can be rotated. */
export const isSymmetric = (keySpec: KeySpec): boolean =>
  algorithmOf(keySpec).encryptionAlgorithms.includes("SYMMETRIC_DEFAULT");

/** The usage of a new key. Throws `ValidationException` when it must be given, or does not fit the spec. */
export function usageOf(algorithm: Algorithm, usage: KeyUsage | undefined): KeyUsage {
  const chosen = usage ?? algorithm.defaultUsage;
  if (chosen === undefined)
    throw new ValidationException(
      "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.",
    );
  if (!algorithm.usages.includes(chosen))
    throw new ValidationException(`KeyUsage ${chosen} is not compatible with KeySpec ${algorithm.keySpec}`);
  return chosen;
}

/** The algorithm to encrypt with. Throws `InvalidKeyUsageException` when the spec cannot. */
export function encryptionAlgorithmOf(
  algorithm: Algorithm,
  name: EncryptionAlgorithm = "SYMMETRIC_DEFAULT",
): EncryptionAlgorithm {
  return fitting(algorithm.encryptionAlgorithms, name, algorithm);
}

/** Throws `InvalidKeyUsageException` when keys of the spec know no such algorithm. */
export function fitting<Name extends string>(
  offered: readonly Name[],
  name: Name,
  { keySpec }: Algorithm,
): Name {
  if (!offered.includes(name))
    throw new InvalidKeyUsageException(`Algorithm ${name} is incompatible with key spec ${keySpec}.`);
  return name;
}

/** How a signing algorithm signs each type of message. */
interface SigningRow {
  readonly [type: string]: Signing;
}

function hashed(scheme: "rsa-pss" | "rsa-pkcs1" | "ecdsa", bits: 256 | 384 | 512): SigningRow {
  const hash = `SHA-${bits}` as const;
  return { RAW: { scheme, hash, message: true }, DIGEST: { scheme, hash } };
}

const signings: Readonly<Partial<Record<SigningAlgorithm, SigningRow>>> = {
  RSASSA_PSS_SHA_256: hashed("rsa-pss", 256),
  RSASSA_PSS_SHA_384: hashed("rsa-pss", 384),
  RSASSA_PSS_SHA_512: hashed("rsa-pss", 512),
  RSASSA_PKCS1_V1_5_SHA_256: hashed("rsa-pkcs1", 256),
  RSASSA_PKCS1_V1_5_SHA_384: hashed("rsa-pkcs1", 384),
  RSASSA_PKCS1_V1_5_SHA_512: hashed("rsa-pkcs1", 512),
  ECDSA_SHA_256: hashed("ecdsa", 256),
  ECDSA_SHA_384: hashed("ecdsa", 384),
  ECDSA_SHA_512: hashed("ecdsa", 512),
  ED25519_SHA_512: { RAW: { scheme: "ed25519" } },
  ED25519_PH_SHA_512: { DIGEST: { scheme: "ed25519ph" } },
  ML_DSA_SHAKE_256: { RAW: { scheme: "ml-dsa" }, EXTERNAL_MU: { scheme: "ml-dsa-mu" } },
};

/** How messages of one type are signed and verified. */
export interface SigningTerms {
  readonly name: SigningAlgorithm;
  readonly signing: Signing;
  /** Bytes that such a message must have; undefined where it may have any number. */
  readonly bytes: number | undefined;
}

/**
 * Throws `InvalidKeyUsageException` when keys of the spec know no such algorithm, `ValidationException` when it takes
 * no such message.
 */
export function signingTerms(
  keySpec: KeySpec,
  name: SigningAlgorithm,
  type: MessageType = "RAW",
): SigningTerms {
  const algorithm = algorithmOf(keySpec);
  fitting(algorithm.signingAlgorithms, name, algorithm);
  const row = signings[name];
  const signing = row?.[type];
  if (row === undefined || signing === undefined)
    throw new ValidationException(
      `Algorithm ${name} does not take MessageType ${type}, but ${Object.keys(row ?? {}).join(" or ")}.`,
    );
  if (type === "RAW") return { name, signing, bytes: undefined };
  return { name, signing, bytes: "hash" in signing ? Number(signing.hash.slice(-3)) / 8 : 64 };
}

/** Throws `ValidationException` when a message is not as long as its type must be. */
export function checkMessage({ name, bytes }: SigningTerms, message: Uint8Array): void {
  if (bytes !== undefined && message.length !== bytes)
    throw new ValidationException(`Digest is invalid length for algorithm ${name}.`);
}

/** The digest of a MAC algorithm and of OAEP, as the HSM calls it. */
export const macHash = {
  HMAC_SHA_224: "SHA-224",
  HMAC_SHA_256: "SHA-256",
  HMAC_SHA_384: "SHA-384",
  HMAC_SHA_512: "SHA-512",
} as const satisfies Record<MacAlgorithm, string>;

export const oaepHash: Readonly<Partial<Record<EncryptionAlgorithm, "SHA-1" | "SHA-256">>> = {
  RSAES_OAEP_SHA_1: "SHA-1",
  RSAES_OAEP_SHA_256: "SHA-256",
};

/** Bytes of a data key. */
export const dataKeyBytes: Readonly<Record<DataKeySpec, number>> = { AES_256: 32, AES_128: 16 };
