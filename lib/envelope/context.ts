import type { EncryptionContext } from "../ciphertext.ts";
import { EnvelopeError } from "./error.ts";

/** Keys that begin so belong to the AWS Encryption SDK, for what its suites add to a context. */
const RESERVED = "aws-crypto-";
const MAX_LENGTH = 0xffff;

/**
 * The context as a header holds it: the number of pairs, then the pairs in order of the UTF-8 bytes of their
 * keys, or of the keys by locale; nothing at all when it is empty. Source: the specification's framework/structures.md.
 */
export function encodeContext(context: EncryptionContext, order: "bytes" | "locale" = "bytes"): Uint8Array {
  const pairs = Object.entries(context).map(([key, value]) => {
    if (typeof value !== "string") {
      throw new TypeError(`EncryptionContext: the value of ${JSON.stringify(key)} is not a string`);
    }
    return { text: key, key: utf8(key), value: utf8(value) };
  });
  if (pairs.length === 0) return new Uint8Array(0);
  pairs.sort((a, b) => (order === "bytes" ? a.key.compare(b.key) : a.text.localeCompare(b.text)));
  const length = pairs.reduce((sum, { key, value }) => sum + 4 + key.length + value.length, 2);
  if (length > MAX_LENGTH) {
    throw new TypeError(`EncryptionContext: takes ${length} bytes in a header, which holds ${MAX_LENGTH}`);
  }
  const bytes = Buffer.alloc(length);
  let at = bytes.writeUInt16BE(pairs.length);
  for (const { key, value } of pairs) {
    for (const part of [key, value]) {
      at = bytes.writeUInt16BE(part.length, at);
      at += part.copy(bytes, at);
    }
  }
  return bytes;
}

/** `ours` is the one reserved key that may be there, if any. */
export function decodeContext(bytes: Uint8Array, ours?: string): EncryptionContext {
  if (bytes.length === 0) return {};
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const pairs = new Map<string, string>();
  let at = 2;
  const text = () => {
    const from = at + 2;
    at = from + view.getUint16(at);
    if (at > bytes.length) throw new RangeError();
    return decoder.decode(bytes.subarray(from, at));
  };
  let count = 0;
  try {
    count = view.getUint16(0);
    for (let i = 0; i < count; i++) pairs.set(text(), text());
  } catch {
    throw new EnvelopeError(
      "MALFORMED",
      "the header's encryption context is not laid out as pairs of strings",
    );
  }
  if (count === 0 || at !== bytes.length || pairs.size !== count) {
    throw new EnvelopeError("MALFORMED", "the header's encryption context has a wrong count, or a key twice");
  }
  const reserved = [...pairs.keys()].find((key) => key.startsWith(RESERVED) && key !== ours);
  if (reserved !== undefined) {
    throw new EnvelopeError(
      "MALFORMED",
      `the header's encryption context has the reserved key ${JSON.stringify(reserved)}`,
    );
  }
  return Object.fromEntries(pairs);
}

function utf8(text: string): Buffer {
  const bytes = Buffer.from(text);
  if (bytes.toString() !== text) {
    throw new TypeError(`EncryptionContext: ${JSON.stringify(text)} has half of a surrogate pair`);
  }
  return bytes;
}

/** What users give of a context has none of the keys that suites add. */
export function refuseReserved(context: EncryptionContext): void {
  if (Object.keys(context).some((key) => key.startsWith(RESERVED))) {
    throw new TypeError(`EncryptionContext: keys that begin with "${RESERVED}" are reserved, choose another`);
  }
}

/** Each pair of `required` must be in `context`; more may be there. */
export function requireContext(context: EncryptionContext, required: EncryptionContext): void {
  for (const [key, value] of Object.entries(required)) {
    if (!Object.hasOwn(context, key) || context[key] !== value) {
      throw new EnvelopeError(
        "CONTEXT_MISMATCH",
        `the message's encryption context does not have the required value for ${JSON.stringify(key)}`,
      );
    }
  }
}
