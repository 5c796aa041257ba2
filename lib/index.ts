/**
 * Keystead: an AWS-compatible key management service on a PKCS#11 HSM. `Kms.open` opens it; every error that a
 * caller can meet is a class of its own below `KmsError`.
 */
export type {
  BatchError,
  DecryptBatchInput,
  DecryptBatchOutput,
  DecryptEntry,
  DecryptedEntry,
  DecryptPackedInput,
  DecryptPackedOutput,
  EncryptBatchInput,
  EncryptBatchOutput,
  EncryptEntry,
  EncryptedEntry,
  EncryptPackedInput,
  EncryptPackedOutput,
} from "./batch.ts";
export type { EncryptionContext } from "./ciphertext.ts";
export {
  type ByteSource,
  type DecryptOptions,
  type EncryptOptions,
  Envelope,
  EnvelopeError,
  type EnvelopeErrorCode,
  type EnvelopeProgress,
  type FileResult,
  type MessageHeader,
} from "./envelope.ts";
export * from "./errors.ts";
export type { HsmOptions, PinSource, TokenInfo } from "./hsm.ts";
export { type AsOptions, Kms, type KmsOptions, type Methods, type ResponseMetadata } from "./kms.ts";
export type { Caller } from "./request.ts";
