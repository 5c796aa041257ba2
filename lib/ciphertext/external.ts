/**
 * Version 2 of docs/ciphertext.md: what an external key store's proxy has encrypted, around a ciphertext of version 1.
 */
export interface ExternalCiphertext {
  /** Of the proxy's own, at most 20 bytes. */
  readonly metadata: Uint8Array;
  /** 12 or 16 bytes. */
  readonly iv: Uint8Array;
  /** 16 bytes. */
  readonly tag: Uint8Array;
  readonly ciphertext: Uint8Array;
}

export const EXTERNAL_VERSION = 2;
export const LONGEST_METADATA = 20;
export const IV_LENGTHS: readonly number[] = [12, 16];
export const TAG_LENGTH = 16;

/** `head` is that of version 2. */
export function writeExternal(
  head: Uint8Array,
  { metadata, iv, tag, ciphertext }: ExternalCiphertext,
): Buffer {
  return Buffer.concat([head, Uint8Array.of(metadata.length, iv.length), metadata, iv, tag, ciphertext]);
}

/** Undefined when it is not laid out so; `start` is where the head ends. */
export function readExternal(bytes: Uint8Array, start: number): ExternalCiphertext | undefined {
  const [metadataLength = 0, ivLength = 0] = bytes.subarray(start, start + 2);
  const ivAt = start + 2 + metadataLength;
  const tagAt = ivAt + ivLength;
  const end = tagAt + TAG_LENGTH;
  if (bytes[0] !== EXTERNAL_VERSION || metadataLength > LONGEST_METADATA || !IV_LENGTHS.includes(ivLength))
    return undefined;
  if (bytes.length <= end) return undefined;
  return {
    metadata: bytes.subarray(start + 2, ivAt),
    iv: bytes.subarray(ivAt, tagAt),
    tag: bytes.subarray(tagAt, end),
    ciphertext: bytes.subarray(end),
  };
}
