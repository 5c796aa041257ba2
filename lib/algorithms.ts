import { InvalidKeyUsageException, UnsupportedOperationException, ValidationException } from "./errors.ts";
import type { Valid } from "./shape.ts";
import type * as shapes from "./shapes.ts";

export type KeySpec = Valid<typeof shapes.KeySpec>;
export type KeyUsage = Valid<typeof shapes.KeyUsageType>;
export type DataKeySpec = Valid<typeof shapes.DataKeySpec>;
export type EncryptionAlgorithm = Valid<typeof shapes.EncryptionAlgorithmSpec>;
export type SigningAlgorithm = Valid<typeof shapes.SigningAlgorithmSpec>;
export type MacAlgorithm = Valid<typeof shapes.MacAlgorithmSpec>;
export type KeyAgreementAlgorithm = Valid<typeof shapes.KeyAgreementAlgorithmSpec>;

/** All that is to be known of a key spec: nothing else in the house compares its name. */
export interface Algorithm {
  readonly keySpec: KeySpec;
  /** What a backing key is on the token. */
  readonly keyType: "CKK_GENERIC_SECRET";
  readonly bits: number;
  readonly usages: readonly KeyUsage[];
  /** Present where CreateKey may leave the usage out. */
  readonly defaultUsage?: KeyUsage;
  readonly encryptionAlgorithms: readonly EncryptionAlgorithm[];
  readonly signingAlgorithms: readonly SigningAlgorithm[];
  readonly macAlgorithms: readonly MacAlgorithm[];
  readonly keyAgreementAlgorithms: readonly KeyAgreementAlgorithm[];
  /** What the token must be able to do, besides wrapping and unwrapping. */
  readonly mechanisms: readonly string[];
  /** The longest plaintext that Encrypt takes, in bytes. */
  readonly longestPlaintext?: number;
}

/** The key specs that are served. The AES-256-GCM keys are derived in the token (docs/ciphertext.md). */
export const algorithms: readonly Algorithm[] = [
  {
    keySpec: "SYMMETRIC_DEFAULT",
    keyType: "CKK_GENERIC_SECRET",
    bits: 256,
    usages: ["ENCRYPT_DECRYPT"],
    defaultUsage: "ENCRYPT_DECRYPT",
    encryptionAlgorithms: ["SYMMETRIC_DEFAULT"],
    signingAlgorithms: [],
    macAlgorithms: [],
    keyAgreementAlgorithms: [],
    mechanisms: ["CKM_GENERIC_SECRET_KEY_GEN", "CKM_SHA256_HMAC"],
    longestPlaintext: 4096,
  },
];

const bySpec = new Map<string, Algorithm>(algorithms.map((row) => [row.keySpec, row]));

/** Throws `UnsupportedOperationException` for a spec that the model knows and this service does not serve. */
export function algorithmOf(keySpec: KeySpec): Algorithm {
  const row = bySpec.get(keySpec);
  if (row === undefined)
    throw new UnsupportedOperationException(
      `KeySpec ${keySpec} is not offered here. Offered: ${[...bySpec.keys()].join(", ")}.`,
    );
  return row;
}

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
  if (!algorithm.encryptionAlgorithms.includes(name))
    throw new InvalidKeyUsageException(
      `Algorithm ${name} is incompatible with key spec ${algorithm.keySpec}.`,
    );
  return name;
}

/** Bytes of a data key. */
export const dataKeyBytes: Readonly<Record<DataKeySpec, number>> = { AES_256: 32, AES_128: 16 };
