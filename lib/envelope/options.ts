import type { EncryptionContext } from "../ciphertext.ts";
import type { MessageHeader } from "./message.ts";
import type { KeyProvider } from "./provider.ts";

export const FRAME_LENGTH = 64 << 10;
const MAX_FRAME_LENGTH = 16 << 20;
const MAX_ENCRYPTED_DATA_KEYS = 16;

export interface PassOptions {
  /** Stops the work and rejects with the signal's reason; a file is then left as it was. */
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: EnvelopeProgress) => void) | undefined;
  /** Told the header before the first byte comes out. What it throws, or rejects with, stops the work. */
  onHeader?: ((header: MessageHeader) => void | Promise<void>) | undefined;
}

/** Which keys, in one of the two ways. */
export interface Under {
  /** Key id, key ARN, alias name or alias ARN. Of several, any one opens the message; the first makes the data key. */
  KeyId?: string | readonly string[] | undefined;
  /** Other keys than those of the KMS at hand. */
  Keys?: KeyProvider | undefined;
}

export interface EncryptOptions extends PassOptions, Under {
  /** Stored readably in the message, and bound to it. */
  EncryptionContext?: EncryptionContext | undefined;
  /** Bytes of plaintext in a frame, 1 to 16 MiB. Default 64 KiB. */
  FrameLength?: number | undefined;
  /**
   * Ends the message with a signature (suite 0x0578): who may decrypt it then cannot change it unnoticed. Default false:
   * key committing alone (suite 0x0478).
   */
  Signed?: boolean | undefined;
  /** Keys that the data key is encrypted under, at most 65535. Default 16: readers take no more, unless told. */
  MaxEncryptedDataKeys?: number | undefined;
}

/** Of the Encryption SDK. What is written is always committed to its data key: the first half changes nothing here. */
export type CommitmentPolicy =
  | "REQUIRE_ENCRYPT_REQUIRE_DECRYPT"
  | "REQUIRE_ENCRYPT_ALLOW_DECRYPT"
  | "FORBID_ENCRYPT_ALLOW_DECRYPT";

export interface DecryptOptions extends PassOptions {
  /** Pairs that the message's encryption context must have; it may have more. */
  EncryptionContext?: EncryptionContext | undefined;
  /** Only data keys under these keys are tried: key ARNs or key ids. Default: any that the caller may use. */
  KeyId?: string | readonly string[] | undefined;
  /** Other keys than those of the KMS at hand, in place of KeyId. */
  Keys?: KeyProvider | undefined;
  /** Whether messages may be opened that are not committed to their data key. Default REQUIRE_ENCRYPT_REQUIRE_DECRYPT. */
  CommitmentPolicy?: CommitmentPolicy | undefined;
  /**
   * What a stream does with a signed message, whose signature is behind its last byte: `release` gives each frame as soon
   * as it is authentic, and ends with an error when the signature is wrong; `hold` gives nothing before, and keeps up to
   * MaxHeldLength in memory; `refuse` takes unsigned messages alone. Bytes and files are always held. Default `release`.
   */
  SignedMessages?: "release" | "hold" | "refuse" | undefined;
  /** Bytes of plaintext that `hold` keeps in memory at most. Default 64 MiB. */
  MaxHeldLength?: number | undefined;
  /** Of one message, 1 to 65535; beyond it is refused before any is decrypted. Default 16. */
  MaxEncryptedDataKeys?: number | undefined;
  /** Bytes of plaintext in a frame, 1 to 2^32 − 1. Default 16 MiB. A stream or a file takes about six times as much memory. A body that is not framed is one frame. */
  MaxFrameLength?: number | undefined;
}

export interface EnvelopeProgress {
  /** Bytes of the source that are done. */
  done: number;
  /** Bytes of the source in all, where that is known. */
  total: number | undefined;
}

export interface FileResult {
  /** Bytes of `from` and of `to`. */
  read: number;
  written: number;
  header: MessageHeader;
}

export interface RewrapOptions extends PassOptions {
  /** The keys that the message opens with, as for decrypt. */
  From?: Omit<DecryptOptions, keyof PassOptions> | undefined;
  /** The keys that it is to open with. */
  To: Under;
  /**
   * `reseal`: a new message, with the same context, frame length and signing or not, under a new data key. `keep`: only the
   * encrypted data keys are replaced, and the body stays as it is, unread; who can still decrypt the old message, or has its
   * data key, can decrypt the new one. Of messages of version 2 (all that are written today) `keep` needs that NOBODY keeps
   * a copy of the old message: with both, frames can be forged (docs/envelope.md). Default `reseal`.
   */
  Body?: "reseal" | "keep" | undefined;
}

/** Of a whole directory, beside what each of its files is told. */
export interface DirectoryOptions {
  /** Files under way at the same time. Default: twice the processors, 8 at most. */
  Concurrency?: number | undefined;
  /** Writes nothing and tells what would be done. */
  DryRun?: boolean | undefined;
  /** Replaces files that no run before this one has written. */
  Force?: boolean | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: EnvelopeProgress) => void) | undefined;
}

/** A line of the manifest. */
export interface DirectoryEntry {
  /** Below the directory that was read, and below the one that was written. */
  Path: string;
  To: string;
  /** Bytes of the one and of the other. */
  Read: number;
  Written: number;
  /** Of the file that was read: milliseconds since 1970. */
  ModifiedAt: number;
  /** Of the file that was written. */
  Sha256: string;
}

export interface DirectoryResult {
  Files: DirectoryEntry[];
  /** How many of them a run before this one had done. */
  Resumed: number;
  /** Symbolic links, special files, and what is not encrypted where that is expected. */
  LeftOut: string[];
}

export function checkFrameLength(length: number): void {
  whole("FrameLength", length, 1, MAX_FRAME_LENGTH);
}

export function headerLimits(options: Pick<DecryptOptions, "MaxEncryptedDataKeys" | "MaxFrameLength">) {
  const { MaxEncryptedDataKeys = MAX_ENCRYPTED_DATA_KEYS, MaxFrameLength = MAX_FRAME_LENGTH } = options;
  return {
    encryptedDataKeys: whole("MaxEncryptedDataKeys", MaxEncryptedDataKeys, 1, 0xffff),
    frameLength: whole("MaxFrameLength", MaxFrameLength, 1, 0xffffffff),
  };
}

/** What is misspelt would quietly release. */
export function checkSignedMessages({ SignedMessages = "release", MaxHeldLength = 0 }: DecryptOptions): void {
  whole("MaxHeldLength", MaxHeldLength, 0, Number.MAX_SAFE_INTEGER);
  if (["release", "hold", "refuse"].includes(SignedMessages)) return;
  throw new TypeError(
    `SignedMessages: must be "release", "hold" or "refuse", not ${JSON.stringify(SignedMessages)}`,
  );
}

/** A limit that is no number would quietly be none. */
function whole(name: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new TypeError(`${name}: must be a whole number from ${least} to ${most}`);
}

export function allowsUncommitted({
  CommitmentPolicy = "REQUIRE_ENCRYPT_REQUIRE_DECRYPT",
}: DecryptOptions): boolean {
  switch (CommitmentPolicy) {
    case "REQUIRE_ENCRYPT_REQUIRE_DECRYPT":
      return false;
    case "REQUIRE_ENCRYPT_ALLOW_DECRYPT":
    case "FORBID_ENCRYPT_ALLOW_DECRYPT":
      return true;
    default:
      throw new TypeError(`CommitmentPolicy: there is none called ${CommitmentPolicy}`);
  }
}
