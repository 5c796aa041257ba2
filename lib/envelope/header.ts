import type { EncryptionContext } from "../ciphertext.ts";
import { decodeContext } from "./context.ts";
import { EnvelopeError } from "./error.ts";
import type { Intake } from "./intake.ts";
import { PUBLIC_KEY } from "./signature.ts";
import { HEADER_IV, IV_LENGTH, type Suite, suites, TAG_LENGTH } from "./suite.ts";

const NON_FRAMED = 1;
const FRAMED = 2;
/** Of format version 1: "Customer Authenticated Encrypted Data". */
const TYPE = 0x80;
const NOTHING = new Uint8Array(0);

export interface EncryptedDataKey {
  providerId: string;
  /** Names the key that encrypted it: for "aws-kms", its ARN. */
  providerInfo: Uint8Array;
  ciphertext: Uint8Array;
}

/** A header of either message format. Source: data-format/message-header.md. */
export interface Header {
  suite: Suite;
  messageId: Uint8Array;
  context: EncryptionContext;
  encryptedDataKeys: readonly EncryptedDataKey[];
  /** 0 for a body that is not framed. */
  frameLength: number;
  commitment: Uint8Array;
}

export interface ReceivedHeader extends Header {
  /** The serialised header body, which `tag` authenticates. */
  body: Uint8Array;
  iv: Uint8Array;
  tag: Uint8Array;
  /** How the header ends, behind its body. */
  authentication: Uint8Array;
}

/** What a header may ask of its reader before anything of it is authentic. */
export interface HeaderLimits {
  encryptedDataKeys: number;
  frameLength: number;
}

/** The header body of which `context` is the encoded encryption context. */
export function serialiseHeader(header: Header, context: Uint8Array): Uint8Array {
  const { suite, frameLength } = header;
  const old = suite.version === 1;
  const fields = [
    old ? Uint8Array.of(suite.version, TYPE) : Uint8Array.of(suite.version),
    uint16(suite.id),
    header.messageId,
    uint16(context.length),
    context,
    uint16(header.encryptedDataKeys.length),
  ];
  for (const { providerId, providerInfo, ciphertext } of header.encryptedDataKeys) {
    for (const field of [Buffer.from(providerId), providerInfo, ciphertext]) {
      fields.push(uint16(field.length), field);
    }
  }
  fields.push(Uint8Array.of(frameLength === 0 ? NON_FRAMED : FRAMED));
  if (old) fields.push(uint32(0), Uint8Array.of(IV_LENGTH));
  fields.push(uint32(frameLength), header.commitment);
  return Buffer.concat(fields);
}

/** The header that `message` begins with; its body follows behind `body.length + tag.length` bytes. */
export function parseHeader(message: Uint8Array, limits: HeaderLimits): ReceivedHeader {
  const parser = headerParser(limits);
  let at = 0;
  let step = parser.next();
  while (!step.done) {
    const field = message.subarray(at, at + step.value);
    if (field.length < step.value) throw endsInHeader();
    at += step.value;
    step = parser.next(field);
  }
  return step.value;
}

/** As parseHeader, taking no more bytes than the header has. */
export async function readHeader(intake: Intake, limits: HeaderLimits): Promise<ReceivedHeader> {
  const parser = headerParser(limits);
  let step = parser.next();
  while (!step.done) {
    const field = new Uint8Array(step.value);
    if ((await intake.fill(field)) < field.length) throw endsInHeader();
    step = parser.next(field);
  }
  return step.value;
}

/** Asks for the bytes of one field after the other, so that it serves bytes at hand and bytes to come alike. */
function* headerParser(limits: HeaderLimits): Generator<number, ReceivedHeader, Uint8Array> {
  const fields: Uint8Array[] = [];
  function* take(length: number): Generator<number, Buffer, Uint8Array> {
    const field = yield length;
    fields.push(field);
    return Buffer.from(field.buffer, field.byteOffset, field.byteLength);
  }
  function* sized(): Generator<number, Buffer, Uint8Array> {
    return yield* take((yield* take(2)).readUInt16BE());
  }

  const version = (yield* take(1)).readUInt8();
  if (version === "A".charCodeAt(0)) {
    throw new EnvelopeError("MALFORMED", "the message seems to be Base64 text: decode it first");
  }
  if (version !== 1 && version !== 2) {
    throw new EnvelopeError("MALFORMED", "this is not a message of the AWS Encryption SDK");
  }
  if (version === 1 && (yield* take(1)).readUInt8() !== TYPE) {
    throw new EnvelopeError("MALFORMED", "this is not a message of the AWS Encryption SDK");
  }
  const id = (yield* take(2)).readUInt16BE();
  const suite = suites.get(id);
  if (suite === undefined) {
    throw new EnvelopeError("UNSUPPORTED", `there is no algorithm suite ${hexadecimal(id)}`);
  }
  if (suite.version !== version) {
    throw new EnvelopeError(
      "MALFORMED",
      `algorithm suite ${hexadecimal(id)} does not go with format version ${version}`,
    );
  }
  const messageId = yield* take(suite.messageIdLength);
  const context = decodeContext(yield* sized(), suite.signature && PUBLIC_KEY);

  const count = (yield* take(2)).readUInt16BE();
  if (count === 0) throw new EnvelopeError("MALFORMED", "the header has no encrypted data key");
  if (count > limits.encryptedDataKeys) {
    throw new EnvelopeError(
      "LIMIT",
      `the header declares ${count} encrypted data keys, the limit is ${limits.encryptedDataKeys}`,
    );
  }
  const encryptedDataKeys: EncryptedDataKey[] = [];
  for (let i = 0; i < count; i++) {
    const providerId = (yield* sized()).toString();
    const providerInfo = yield* sized();
    encryptedDataKeys.push({ providerId, providerInfo, ciphertext: yield* sized() });
  }

  const contentType = (yield* take(1)).readUInt8();
  if (contentType !== FRAMED && contentType !== NON_FRAMED) {
    throw new EnvelopeError("MALFORMED", `there is no content type ${contentType}`);
  }
  if (version === 1) {
    const [reserved, ivLength] = [(yield* take(4)).readUInt32BE(), (yield* take(1)).readUInt8()];
    if (reserved !== 0 || ivLength !== IV_LENGTH) {
      throw new EnvelopeError(
        "MALFORMED",
        "the header has reserved bytes that are not 0, or IVs of another length",
      );
    }
  }
  const frameLength = (yield* take(4)).readUInt32BE();
  if ((frameLength === 0) !== (contentType === NON_FRAMED)) {
    throw new EnvelopeError(
      "MALFORMED",
      "the header declares frames of no length, or a length without frames",
    );
  }
  if (frameLength > limits.frameLength) {
    throw new EnvelopeError(
      "LIMIT",
      `the header declares frames of ${frameLength} bytes, the limit is ${limits.frameLength}`,
    );
  }
  const commitment = suite.commitmentLength > 0 ? yield* take(suite.commitmentLength) : NOTHING;
  const body = Buffer.concat(fields);
  const iv = version === 1 ? yield* take(IV_LENGTH) : HEADER_IV;
  const tag = yield* take(TAG_LENGTH);
  const authentication = version === 1 ? Buffer.concat([iv, tag]) : tag;
  const parts = { suite, messageId, context, encryptedDataKeys, frameLength, commitment };
  return { ...parts, body, iv, tag, authentication };
}

function endsInHeader(): EnvelopeError {
  return new EnvelopeError("TRUNCATED", "the message ends within its header");
}

function hexadecimal(id: number): string {
  return `0x${id.toString(16).padStart(4, "0")}`;
}

function uint16(value: number): Uint8Array {
  if (value > 0xffff) throw new RangeError(`${value} does not fit the two bytes that a header has for it`);
  return Uint8Array.of(value >>> 8, value);
}

function uint32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}
