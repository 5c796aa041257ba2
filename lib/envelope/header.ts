import type { EncryptionContext } from "../ciphertext.ts";
import { decodeContext } from "./context.ts";
import { EnvelopeError } from "./error.ts";
import type { Intake } from "./intake.ts";
import { type Suite, suites, TAG_LENGTH } from "./suite.ts";

const FRAMED = 2;

export interface EncryptedDataKey {
  providerId: string;
  /** For "aws-kms": the ARN of the key that encrypted it. */
  providerInfo: string;
  ciphertext: Uint8Array;
}

/** A header of message format version 2 with a framed body. Source: data-format/message-header.md. */
export interface Header {
  suite: Suite;
  messageId: Uint8Array;
  context: EncryptionContext;
  encryptedDataKeys: EncryptedDataKey[];
  frameLength: number;
  commitment: Uint8Array;
}

export interface ReceivedHeader extends Header {
  /** The serialised header body, which `tag` authenticates. */
  body: Uint8Array;
  tag: Uint8Array;
}

/** What a header may ask of its reader before anything of it is authentic. */
export interface HeaderLimits {
  encryptedDataKeys: number;
  frameLength: number;
}

/** The header body of which `context` is the encoded encryption context. */
export function serialiseHeader(header: Header, context: Uint8Array): Uint8Array {
  const fields = [
    uint8(header.suite.version),
    uint16(header.suite.id),
    header.messageId,
    uint16(context.length),
    context,
    uint16(header.encryptedDataKeys.length),
  ];
  for (const { providerId, providerInfo, ciphertext } of header.encryptedDataKeys) {
    for (const field of [Buffer.from(providerId), Buffer.from(providerInfo), ciphertext]) {
      fields.push(uint16(field.length), field);
    }
  }
  fields.push(uint8(FRAMED), uint32(header.frameLength), header.commitment);
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
  if (version === 1) {
    throw new EnvelopeError(
      "UNSUPPORTED",
      "messages of format version 1 are not read, only those of version 2",
    );
  }
  const id = (yield* take(2)).readUInt16BE();
  const suite = suites.get(id);
  if (suite === undefined) {
    const readable = [...suites.keys()].map(hexadecimal).join(", ");
    throw new EnvelopeError(
      "UNSUPPORTED",
      `algorithm suite ${hexadecimal(id)} is not read, only ${readable}`,
    );
  }
  const messageId = yield* take(suite.messageIdLength);
  const context = decodeContext(yield* sized());

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
    const providerInfo = (yield* sized()).toString();
    encryptedDataKeys.push({ providerId, providerInfo, ciphertext: yield* sized() });
  }

  const contentType = (yield* take(1)).readUInt8();
  if (contentType === 1) throw new EnvelopeError("UNSUPPORTED", "non-framed messages are not read");
  if (contentType !== FRAMED) throw new EnvelopeError("MALFORMED", `there is no content type ${contentType}`);
  const frameLength = (yield* take(4)).readUInt32BE();
  if (frameLength === 0) throw new EnvelopeError("MALFORMED", "the header declares frames of no length");
  if (frameLength > limits.frameLength) {
    throw new EnvelopeError(
      "LIMIT",
      `the header declares frames of ${frameLength} bytes, the limit is ${limits.frameLength}`,
    );
  }
  const commitment = yield* take(suite.commitmentLength);
  const body = Buffer.concat(fields);
  const tag = yield* take(TAG_LENGTH);
  return { suite, messageId, context, encryptedDataKeys, frameLength, commitment, body, tag };
}

function endsInHeader(): EnvelopeError {
  return new EnvelopeError("TRUNCATED", "the message ends within its header");
}

function hexadecimal(id: number): string {
  return `0x${id.toString(16).padStart(4, "0")}`;
}

function uint8(value: number): Uint8Array {
  return Uint8Array.of(value);
}

function uint16(value: number): Uint8Array {
  if (value > 0xffff) throw new RangeError(`${value} does not fit the two bytes that a header has for it`);
  return Uint8Array.of(value >>> 8, value);
}

function uint32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}
