import { createDecipheriv } from "node:crypto";
import type { FrameJob } from "../hsm.ts";
import type { FrameEngine } from "./body.ts";
import { IV_LENGTH, TAG_LENGTH } from "./suite.ts";

const SEQUENCE_END = 0xffffffff;
/** What a regular frame has beside its content; the final one has 8 bytes more. */
const REGULAR = 4 + IV_LENGTH + TAG_LENGTH;
const FRAME = Buffer.from("AWSKMSEncryptionClient Frame");
const FINAL_FRAME = Buffer.from("AWSKMSEncryptionClient Final Frame");
const BLOCK = Buffer.from("AWSKMSEncryptionClient Single Block");

/**
 * Opens frames of message format version 1: with keys of any size, ids of 16 bytes and IVs that are read from the
 * frame, since the first Encryption SDKs chose them at random. On the thread of the caller: old messages are opened to be
 * moved, not all day.
 */
export const legacyFrames: FrameEngine = {
  async seal() {
    throw new TypeError("messages of format version 1 are read, never written");
  },
  async open(job: FrameJob) {
    const { frameLength, final, output } = job;
    const input = Buffer.from(job.input.buffer, job.input.byteOffset, job.input.byteLength);
    const regular = REGULAR + frameLength;
    const count = Math.floor((input.length - (final ? REGULAR + 8 : 0)) / regular);
    const opened = (sequence: number, ivAt: number, at: number, to: Uint8Array, text: Uint8Array) => {
      const end = at + to.length;
      const [iv, tag] = [input.subarray(ivAt, ivAt + IV_LENGTH), input.subarray(end, end + TAG_LENGTH)];
      const plaintext = openContent(job, iv, { sequence, text }, input.subarray(at, end), tag);
      if (plaintext === undefined) return false;
      to.set(plaintext);
      return true;
    };
    for (let i = 0; i < count; i++) {
      const at = i * regular;
      const sequence = job.firstSequence + i;
      const to = output.subarray(i * frameLength, (i + 1) * frameLength);
      if (input.readUInt32BE(at) !== sequence) return refused(job);
      if (!opened(sequence, at + 4, at + 4 + IV_LENGTH, to, FRAME)) return refused(job);
    }
    if (!final) return true;
    const at = count * regular;
    const sequence = job.firstSequence + count;
    const to = output.subarray(count * frameLength);
    const declared = [
      input.readUInt32BE(at),
      input.readUInt32BE(at + 4),
      input.readUInt32BE(at + 8 + IV_LENGTH),
    ];
    if (declared[0] !== SEQUENCE_END || declared[1] !== sequence || declared[2] !== to.length)
      return refused(job);
    return opened(sequence, at + 8, at + 12 + IV_LENGTH, to, FINAL_FRAME) || refused(job);
  },
};

function refused({ output }: FrameJob): false {
  output.fill(0);
  return false;
}

/** The content of a non-framed body; undefined when it is not authentic. */
export function openBlock(
  { key, messageId }: { key: Uint8Array; messageId: Uint8Array },
  iv: Uint8Array,
  ciphertext: Uint8Array,
  tag: Uint8Array,
): Uint8Array | undefined {
  return openContent({ key, messageId }, iv, { sequence: 1, text: BLOCK }, ciphertext, tag);
}

/** Source of the additional data: data-format/message-body-aad.md. */
function openContent(
  { key, messageId }: { key: Uint8Array; messageId: Uint8Array },
  iv: Uint8Array,
  { sequence, text }: { sequence: number; text: Uint8Array },
  ciphertext: Uint8Array,
  tag: Uint8Array,
): Uint8Array | undefined {
  const numbers = Buffer.alloc(12);
  numbers.writeUInt32BE(sequence);
  numbers.writeBigUInt64BE(BigInt(ciphertext.length), 4);
  const cipher = `aes-${8 * key.length}-gcm` as "aes-256-gcm";
  const decipher = createDecipheriv(cipher, key, iv, { authTagLength: TAG_LENGTH });
  decipher.setAAD(Buffer.concat([messageId, text, numbers])).setAuthTag(tag);
  const plaintext = decipher.update(ciphertext);
  try {
    decipher.final();
    return plaintext;
  } catch {
    plaintext.fill(0);
    return undefined;
  }
}
