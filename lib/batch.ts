import type { EncryptionAlgorithm, MessageType, SigningAlgorithm } from "./algorithms.ts";
import type { EncryptionContext } from "./ciphertext.ts";

export { errorOf, isError, type Material } from "./batch/material.ts";
export { type Messages, packMessages, signed, verified } from "./batch/messages.ts";
export { type Opened, openPacked } from "./batch/open.ts";
export {
  ciphertexts,
  type Packed,
  packEntries,
  plaintextLength,
  plaintexts,
  takePacked,
} from "./batch/pack.ts";
export { sealPacked } from "./batch/seal.ts";

/** A batch takes as many entries, and as many bytes in all. */
export const LIMITS = { entries: 100_000, bytes: 256 << 20 } as const;

/** What concerns one entry alone; `name` is that of the error which the single operation rejects with. */
export interface BatchError {
  name: string;
  message: string;
}

interface ForAll {
  /** The context of every entry that has none of its own. */
  EncryptionContext?: EncryptionContext | undefined;
  EncryptionAlgorithm?: EncryptionAlgorithm | undefined;
  GrantTokens?: readonly string[] | undefined;
}

export interface EncryptEntry {
  /** 1 to 4,096 bytes. */
  Plaintext: Uint8Array | undefined;
  EncryptionContext?: EncryptionContext | undefined;
}

export interface EncryptBatchInput extends ForAll {
  KeyId: string | undefined;
  Entries: readonly EncryptEntry[];
}

export interface EncryptBatchOutput {
  KeyId: string;
  EncryptionAlgorithm: EncryptionAlgorithm;
  Entries: EncryptedEntry[];
}

/** Either the ciphertext or the error. */
export interface EncryptedEntry {
  CiphertextBlob?: Uint8Array;
  Error?: BatchError;
}

export interface DecryptEntry {
  CiphertextBlob?: Uint8Array | undefined;
  EncryptionContext?: EncryptionContext | undefined;
}

export interface DecryptBatchInput extends ForAll {
  /** The only key that the entries may be under; any, when left out. */
  KeyId?: string | undefined;
  Entries: readonly DecryptEntry[];
}

export interface DecryptBatchOutput {
  Entries: DecryptedEntry[];
}

/** Either the plaintext and what it was under, or the error. */
export interface DecryptedEntry {
  Plaintext?: Uint8Array;
  KeyId?: string;
  KeyMaterialId?: string;
  Error?: BatchError;
}

interface PackedContexts {
  /** One an entry, in place of one for all; an entry that is undefined has that for all. */
  EncryptionContexts?: readonly (EncryptionContext | undefined)[] | undefined;
}

export interface EncryptPackedInput extends ForAll, PackedContexts {
  KeyId: string | undefined;
  /** The plaintexts one behind the other. */
  Plaintexts: Uint8Array;
  /** The length of each, 1 to 4,096. */
  Lengths: Uint32Array;
}

export interface EncryptPackedOutput {
  KeyId: string;
  EncryptionAlgorithm: EncryptionAlgorithm;
  CiphertextBlobs: Uint8Array;
  Lengths: Uint32Array;
}

export interface DecryptPackedInput extends ForAll, PackedContexts {
  /** The only key that the entries may be under; any, when left out. */
  KeyId?: string | undefined;
  CiphertextBlobs: Uint8Array;
  Lengths: Uint32Array;
}

export interface DecryptPackedOutput {
  /** The plaintexts one behind the other; entries that failed take no place in it. */
  Plaintexts: Uint8Array;
  /** The length of each, 0 for an entry that failed: no plaintext is empty. */
  Lengths: Uint32Array;
  /** One for each entry that failed, in order. */
  Errors: { Index: number; Error: BatchError }[];
}

interface ForAllMessages {
  KeyId: string | undefined;
  SigningAlgorithm: SigningAlgorithm | undefined;
  /** What all messages are; RAW unless told. */
  MessageType?: MessageType | undefined;
  GrantTokens?: readonly string[] | undefined;
}

interface SignedBy {
  KeyId: string;
  SigningAlgorithm: SigningAlgorithm;
}

export interface SignEntry {
  /** 1 to 4,096 bytes; a digest or mu, as long as that is. */
  Message: Uint8Array | undefined;
}

export interface SignBatchInput extends ForAllMessages {
  Entries: readonly SignEntry[];
}

export interface SignBatchOutput extends SignedBy {
  Entries: SignedEntry[];
}

/** Either the signature or the error. */
export interface SignedEntry {
  Signature?: Uint8Array;
  Error?: BatchError;
}

export interface SignPackedInput extends ForAllMessages {
  /** The messages one behind the other. */
  Messages: Uint8Array;
  /** The length of each. */
  Lengths: Uint32Array;
}

export interface SignPackedOutput extends SignedBy {
  Signatures: Uint8Array;
  Lengths: Uint32Array;
}

export interface VerifyEntry extends SignEntry {
  Signature?: Uint8Array | undefined;
}

export interface VerifyBatchInput extends ForAllMessages {
  Entries: readonly VerifyEntry[];
}

export interface VerifyBatchOutput extends SignedBy {
  Entries: VerifiedEntry[];
}

/** Either true or the error: of a signature that is wrong, `KMSInvalidSignatureException`. */
export interface VerifiedEntry {
  SignatureValid?: true;
  Error?: BatchError;
}

export interface VerifyPackedInput extends SignPackedInput {
  Signatures: Uint8Array;
  /** The length of each signature. */
  SignatureLengths: Uint32Array;
}

export interface VerifyPackedOutput extends SignedBy {
  /** One byte for each message: 1 where its signature is right, else 0. */
  SignaturesValid: Uint8Array;
}
