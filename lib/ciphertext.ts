import { isKeyId } from "./arn.ts";
import { EXTERNAL_VERSION } from "./ciphertext/external.ts";
import { ValidationException } from "./errors.ts";

export {
  EXTERNAL_VERSION,
  type ExternalCiphertext,
  IV_LENGTHS,
  LONGEST_METADATA,
  readExternal,
  TAG_LENGTH,
  writeExternal,
} from "./ciphertext/external.ts";

/**
 * The ciphertext format of docs/ciphertext.md, as far as JavaScript has to know it: the head that names key and
 * material, and the canonical bytes of encryption contexts. The engine writes and reads the rest.
 */
const VERSION = 1;
const UUID = 0;
const MULTI_REGION = 1;

/** Version, kind of the key id, key id, key material id. */
export const HEAD_BYTES = 50;
/** What a ciphertext has besides its plaintext: head, nonce, item number and tag. */
export const OVERHEAD_BYTES = 86;

export interface Head {
  readonly keyId: string;
  /** 64 hex digits. */
  readonly materialId: string;
}

/** The first 50 bytes of every ciphertext under this material of this key. */
export function writeHead({ keyId, materialId }: Head, version = VERSION): Uint8Array {
  if (!isKeyId(keyId) || !/^[0-9a-f]{64}$/.test(materialId))
    throw new TypeError(`not a key id and a material id: ${keyId}, ${materialId}`);
  const multiRegion = keyId.startsWith("mrk-");
  const id = multiRegion ? keyId.slice(4) : keyId.replaceAll("-", "");
  const head = Buffer.alloc(HEAD_BYTES);
  head[0] = version;
  head[1] = multiRegion ? MULTI_REGION : UUID;
  head.write(id + materialId, 2, "hex");
  return head;
}

/** What the ciphertext says it is under (not yet authenticated); undefined when it is none of ours. */
export function readHead(ciphertext: Uint8Array): Head | undefined {
  // No plaintext is empty, so there is at least one byte besides the overhead.
  if (ciphertext.length <= OVERHEAD_BYTES) return undefined;
  if (ciphertext[0] !== VERSION && ciphertext[0] !== EXTERNAL_VERSION) return undefined;
  const kind = ciphertext[1];
  if (kind !== UUID && kind !== MULTI_REGION) return undefined;
  const hex = Buffer.from(ciphertext.buffer, ciphertext.byteOffset + 2, HEAD_BYTES - 2).toString("hex");
  const keyId =
    kind === MULTI_REGION
      ? `mrk-${hex.slice(0, 32)}`
      : `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`;
  return { keyId, materialId: hex.slice(32) };
}

export type EncryptionContext = Readonly<Record<string, string>>;

const emptyContext = new Uint8Array(4);

/**
 * The canonical bytes of an encryption context: equal for contexts with the same pairs, in whatever order, and
 * for no others. Callers must not write to them. Throws `ValidationException` on text that has no UTF-8.
 */
export function encodeContext(context: EncryptionContext | undefined): Uint8Array {
  if (context === undefined) return emptyContext;
  const keys = Object.keys(context);
  if (keys.length === 0) return emptyContext;
  if (keys.length > 1) keys.sort(compareUtf8);
  let bound = 4;
  for (const key of keys) bound += bytesBound(key) + bytesBound(context[key] as string);
  const bytes = bound <= scratch.length ? scratch : Buffer.allocUnsafe(bound);
  let at = writeNumber(bytes, 0, keys.length);
  for (const key of keys) {
    at = writeText(bytes, at, key);
    at = writeText(bytes, at, context[key] as string);
  }
  return Buffer.from(bytes.subarray(0, at));
}

/** Whose a backing key is. */
export interface Belonging {
  readonly region: string;
  readonly account: string;
  readonly keyId: string;
  readonly keySpec: string;
  /** From 1. */
  readonly version: number;
  readonly materialId: string;
}

/**
 * What a backing key's blob is bound to, so that a row of the database cannot stand in for another: a label,
 * Region, account, key id, key spec and material id, each with its length (4 bytes) in front, and the version (4).
 */
export function bindingContext(o: Belonging): Uint8Array {
  const texts = ["Keystead backing key v1", o.region, o.account, o.keyId, o.keySpec, o.materialId];
  const bytes = Buffer.alloc(4 + texts.reduce((sum, text) => sum + bytesBound(text), 0));
  let at = 0;
  for (const text of texts) at = writeText(bytes, at, text);
  return bytes.subarray(0, writeNumber(bytes, at, o.version));
}

/** Where most contexts are put together; it is never kept beyond a call. */
const scratch = Buffer.alloc(16 * 1024);

/** At most 3 bytes of UTF-8 for each unit of UTF-16, and the length in front. */
const bytesBound = (text: string) => 4 + 3 * text.length;

function writeNumber(bytes: Buffer, at: number, value: number): number {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
  return at + 4;
}

/** The length in bytes, then the UTF-8 of the text. Returns the place behind it. */
function writeText(bytes: Buffer, at: number, text: string): number {
  const start = at + 4;
  const length = writeAscii(bytes, start, text) ? text.length : writeUtf8(bytes, start, text);
  writeNumber(bytes, at, length);
  return start + length;
}

/** Several times as fast as Buffer's own write on the short texts that contexts are made of. */
function writeAscii(bytes: Buffer, at: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 0x7f) return false;
    bytes[at + i] = unit;
  }
  return true;
}

function writeUtf8(bytes: Buffer, at: number, text: string): number {
  // Buffer writes U+FFFD for a lone surrogate: then different contexts would have the same bytes.
  if (!text.isWellFormed())
    throw new ValidationException("The encryption context has text with a lone surrogate.");
  return bytes.write(text, at);
}

/** Orders well-formed texts by their UTF-8 bytes: as by UTF-16 units, but surrogates come after U+FFFF. */
function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

const rank = (unit: number) => (unit < 0xd800 ? unit : unit < 0xe000 ? unit + 0x2000 : unit - 0x800);
