import type { Body } from "./body.ts";
import { EnvelopeError } from "./error.ts";
import type { Intake } from "./intake.ts";
import { openBlock } from "./legacy.ts";
import type { Witness } from "./signature.ts";
import { IV_LENGTH, TAG_LENGTH } from "./suite.ts";

/**
 * A body that is not framed, which is authentic as a whole or not at all: [IV (12), length of the content (8), content,
 * tag (16)], and the footer of a signed message. Source: data-format/message-body.md.
 */
export async function readBlock(
  body: Body,
  intake: Intake,
  { limit, witness }: { limit: number; witness: Witness | undefined },
): Promise<Uint8Array> {
  const take = async (length: number) => {
    const bytes = Buffer.allocUnsafeSlow(length);
    if ((await intake.fill(bytes)) === length) return bytes;
    throw new EnvelopeError("TRUNCATED", "the message ends within its body");
  };
  const head = await take(IV_LENGTH + 8);
  const length = head.readBigUInt64BE(IV_LENGTH);
  if (length > BigInt(limit)) {
    throw new EnvelopeError(
      "LIMIT",
      `the message has one frame of ${length} bytes, the limit is ${limit}: raise MaxFrameLength`,
    );
  }
  const content = await take(Number(length) + TAG_LENGTH);
  const ciphertext = content.subarray(0, -TAG_LENGTH);
  const tag = content.subarray(ciphertext.length);
  // One byte more than there can be, to see whether the message ends.
  const rest = Buffer.alloc((witness?.footerLength ?? 0) + 1);
  const footer = rest.subarray(0, await intake.fill(rest));
  if (witness === undefined && footer.length > 0) {
    throw new EnvelopeError("TRUNCATED", "the message goes on behind its end");
  }
  const plaintext = openBlock(body, head.subarray(0, IV_LENGTH), ciphertext, tag);
  if (plaintext === undefined)
    throw new EnvelopeError("NOT_AUTHENTIC", "the body of the message was changed");
  try {
    witness?.update(head);
    witness?.update(content);
    witness?.finish(footer);
    return plaintext;
  } catch (error) {
    plaintext.fill(0);
    throw error;
  }
}
