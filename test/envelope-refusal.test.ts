import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type DecryptOptions, type Envelope, EnvelopeError } from "../lib/envelope.ts";
import { Kms } from "../lib/kms.ts";

const FrameLength = 16;
const REGULAR = 4 + 12 + FrameLength + 16;
const EncryptionContext = { tenant: "7", table: "orders" };
type Pairs = NonNullable<DecryptOptions["EncryptionContext"]>;
const plaintext = randomBytes(3 * FrameLength + 5);

const directory = mkdtempSync(join(tmpdir(), "keystead-envelope-"));
let kms: Kms;
let envelope: Envelope;
let KeyId: string;
/** Three regular frames and a final one of 5 bytes. */
let message: Buffer;
let bodyAt: number;
/** Where fields of the header begin. */
let at: Record<"contextLength" | "dataKeys" | "contentType" | "frameLength" | "commitment" | "tag", number>;

beforeAll(async () => {
  kms = await Kms.open({ directory });
  envelope = kms.envelope;
  KeyId = (await kms.createKey()).KeyMetadata?.Arn as string;
  message = Buffer.from(await envelope.encrypt(plaintext, { KeyId, EncryptionContext, FrameLength }));
  bodyAt = message.length - (3 * REGULAR + 8 + 12 + 4 + 5 + 16);
  const contextLength = 1 + 2 + 32;
  const dataKeys = contextLength + 2 + message.readUInt16BE(contextLength);
  const tag = bodyAt - 16;
  const commitment = tag - 32;
  at = { contextLength, dataKeys, contentType: commitment - 5, frameLength: commitment - 4, commitment, tag };
});
afterAll(async () => {
  await kms?.close();
  rmSync(directory, { recursive: true, force: true });
});

/** A copy of the message after `change`. */
function changed(change: (copy: Buffer) => void): Buffer {
  const copy = Buffer.from(message);
  change(copy);
  return copy;
}

/** Opens the bytes as a stream of small pieces and gives what came out before it was refused. */
async function released(bytes: Uint8Array, options: DecryptOptions = {}) {
  const pieces = Array.from({ length: Math.ceil(bytes.length / 7) }, (_, i) =>
    bytes.subarray(7 * i, 7 * i + 7),
  );
  const parts: Uint8Array[] = [];
  let error: unknown;
  try {
    for await (const part of envelope.decrypt(pieces, options)) parts.push(part);
  } catch (caught) {
    error = caught;
  }
  return { plaintext: Buffer.concat(parts), error };
}

async function expectRefused(bytes: Uint8Array, code?: string, options: DecryptOptions = {}) {
  const whole = await envelope.decrypt(bytes, options).then(
    () => undefined,
    (error) => error,
  );
  const streamed = await released(bytes, options);
  for (const error of [whole, streamed.error]) {
    expect(error).toBeInstanceOf(EnvelopeError);
    if (code) expect(error.code).toBe(code);
  }
  expect(plaintext.subarray(0, streamed.plaintext.length).equals(streamed.plaintext)).toBe(true);
  expect(streamed.plaintext.length).toBeLessThan(plaintext.length);
}

test("the message is what the tests take it for", async () => {
  expect((await envelope.decrypt(message)).length).toBe(plaintext.length);
  expect((await released(message)).plaintext.equals(plaintext)).toBe(true);
  expect(message.readUInt32BE(bodyAt)).toBe(1);
  expect(message.readUInt32BE(at.frameLength)).toBe(FrameLength);
  expect(message.readUInt16BE(at.dataKeys)).toBe(1);
});

describe("refused", () => {
  /** Many at the same time, since each waits for its audit record. */
  async function each(count: number, refused: (i: number) => Promise<void>) {
    for (let i = 0; i < count; i += 64) {
      await Promise.all(Array.from({ length: Math.min(64, count - i) }, (_, j) => refused(i + j)));
    }
  }

  test("cut at every byte", () =>
    each(message.length, (length) =>
      expectRefused(message.subarray(0, length), length < bodyAt ? "TRUNCATED" : undefined),
    ));

  test("with any bit flipped", () =>
    each(8 * message.length, (bit) =>
      expectRefused(
        changed((copy) => {
          copy[bit >> 3] = (copy[bit >> 3] as number) ^ (1 << (bit & 7));
        }),
      ),
    ));

  test("with bytes behind its final frame", async () => {
    for (const more of [1, 8, 39, 40, FrameLength, REGULAR, 10_000]) {
      await expectRefused(Buffer.concat([message, randomBytes(more)]));
    }
    await expectRefused(Buffer.concat([message, message]));
    await expectRefused(Buffer.concat([message, message.subarray(bodyAt)]));
  });

  test("when it is anything at all behind a version and a suite", () =>
    fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), fc.nat(bodyAt), (bytes, kept) =>
        expectRefused(Buffer.concat([message.subarray(0, Math.max(3, kept)), bytes])),
      ),
      { numRuns: 500 },
    ));

  const frame = (i: number) => message.subarray(bodyAt + i * REGULAR, bodyAt + (i + 1) * REGULAR);
  const final = () => message.subarray(bodyAt + 3 * REGULAR);
  const withFrames = (...parts: Uint8Array[]) => Buffer.concat([message.subarray(0, bodyAt), ...parts]);
  test.each([
    ["two swapped", () => withFrames(frame(1), frame(0), frame(2), final())],
    ["the first dropped", () => withFrames(frame(1), frame(2), final())],
    ["one dropped", () => withFrames(frame(0), frame(2), final())],
    ["the last regular one dropped", () => withFrames(frame(0), frame(1), final())],
    ["one twice", () => withFrames(frame(0), frame(1), frame(1), frame(2), final())],
    ["the final one dropped", () => withFrames(frame(0), frame(1), frame(2))],
    ["the final one twice", () => withFrames(frame(0), frame(1), frame(2), final(), final())],
    ["only the final one", () => withFrames(final())],
    ["none", () => withFrames()],
  ])("with %s of its frames", async (_, bytes) => {
    await expectRefused(bytes());
  });

  test("with a frame of another message under the same context", async () => {
    const other = await envelope.encrypt(plaintext, { KeyId, EncryptionContext, FrameLength });
    await expectRefused(
      Buffer.concat([message.subarray(0, bodyAt), other.subarray(bodyAt)]),
      "NOT_AUTHENTIC",
    );
    await expectRefused(
      Buffer.concat([other.subarray(0, bodyAt), message.subarray(bodyAt)]),
      "NOT_AUTHENTIC",
    );
  });

  test("with another commitment, before its tag is looked at", async () => {
    const wrong = changed((copy) => copy.fill(0, at.commitment, at.tag).fill(0, at.tag, bodyAt));
    await expect(envelope.decrypt(wrong)).rejects.toThrow("not made with the data key");
    await expectRefused(wrong, "NOT_AUTHENTIC");
  });
});

describe("a header that declares", () => {
  test.each<[string, string, (copy: Buffer) => void]>([
    ["version 1", "MALFORMED", (copy) => copy.writeUInt8(1)],
    ["version 3", "MALFORMED", (copy) => copy.writeUInt8(3)],
    ["a signed suite", "MALFORMED", (copy) => copy.writeUInt16BE(0x0578, 1)],
    ["no suite", "UNSUPPORTED", (copy) => copy.writeUInt16BE(0, 1)],
    ["a longer context", "MALFORMED", (copy) => copy.writeUInt16BE(0xffff, at.contextLength)],
    ["more pairs", "MALFORMED", (copy) => copy.writeUInt16BE(0xffff, at.contextLength + 2)],
    ["fewer pairs", "MALFORMED", (copy) => copy.writeUInt16BE(1, at.contextLength + 2)],
    ["a longer pair", "MALFORMED", (copy) => copy.writeUInt16BE(0xffff, at.contextLength + 4)],
    ["no data key", "MALFORMED", (copy) => copy.writeUInt16BE(0, at.dataKeys)],
    ["17 data keys", "LIMIT", (copy) => copy.writeUInt16BE(17, at.dataKeys)],
    ["65535 data keys", "LIMIT", (copy) => copy.writeUInt16BE(0xffff, at.dataKeys)],
    ["another provider", "NO_DATA_KEY", (copy) => copy.write("aws-kmz", at.dataKeys + 4)],
    ["a body that is not framed", "MALFORMED", (copy) => copy.writeUInt8(1, at.contentType)],
    ["an unknown kind of body", "MALFORMED", (copy) => copy.writeUInt8(3, at.contentType)],
    ["frames of no length", "MALFORMED", (copy) => copy.writeUInt32BE(0, at.frameLength)],
    ["frames of 16 MiB and a byte", "LIMIT", (copy) => copy.writeUInt32BE((16 << 20) + 1, at.frameLength)],
    ["frames of 2^31 bytes", "LIMIT", (copy) => copy.writeUInt32BE(2 ** 31, at.frameLength)],
    ["frames of 2^32 - 1 bytes", "LIMIT", (copy) => copy.writeUInt32BE(2 ** 32 - 1, at.frameLength)],
  ])("%s is %s", async (_, code, change) => {
    const bytes = changed(change);
    // A message as long as a false length says, so that it is not its end that refuses it.
    await expectRefused(Buffer.concat([bytes, Buffer.alloc(70_000)]), code);
  });

  test("a key twice in its context is malformed", async () => {
    const context = { "key a": "1", "key b": "2" };
    const twice = Buffer.from(await envelope.encrypt(plaintext, { KeyId, EncryptionContext: context }));
    twice.write("key a", twice.indexOf("key b"));
    await expectRefused(twice, "MALFORMED");
  });

  test("what the reader raised his limit for is read", async () => {
    const long = await envelope.encrypt(plaintext, { KeyId, FrameLength: 1024 });
    await expectRefused(long, "LIMIT", { MaxFrameLength: 1023 });
    expect((await envelope.decrypt(long, { MaxFrameLength: 1024 })).length).toBe(plaintext.length);
  });
});

describe("the caller's own demands", () => {
  test.each<Pairs>([
    { tenant: "8" },
    { tenant: "" },
    { Tenant: "7" },
    { tenant: "7", more: "" },
    { toString: "" },
  ])("context %o is not there", (required) =>
    expectRefused(message, "CONTEXT_MISMATCH", { EncryptionContext: required }),
  );

  test("a context that is there", async () => {
    const there: Pairs[] = [{}, { tenant: "7" }, { table: "orders", tenant: "7" }];
    for (const required of there) {
      expect((await envelope.decrypt(message, { EncryptionContext: required })).length).toBe(
        plaintext.length,
      );
    }
  });

  test("another key", async () => {
    await expectRefused(message, "NO_DATA_KEY", { KeyId: `${KeyId}0` });
    await expectRefused(message, "NO_DATA_KEY", { KeyId: [] });
  });

  test.each<DecryptOptions>([
    { SignedMessages: "held" as "hold" },
    { MaxHeldLength: Number.NaN },
    { MaxEncryptedDataKeys: Number.NaN },
    { MaxEncryptedDataKeys: 0 },
    { MaxFrameLength: Number.NaN },
    { MaxFrameLength: 2 ** 32 },
    { CommitmentPolicy: "NONE" as "FORBID_ENCRYPT_ALLOW_DECRYPT" },
  ])("%o is misuse, and no lack of a limit", async (options) => {
    await expect(envelope.decrypt(message, options)).rejects.toThrow(TypeError);
    const { error, plaintext: out } = await released(message, options);
    expect(error).toBeInstanceOf(TypeError);
    expect(out.length).toBe(0);
  });

  test("no message is written that its reader would refuse", async () => {
    const seventeen = Array.from({ length: 17 }, () => KeyId);
    const sealing = envelope.encrypt(plaintext, { KeyId: seventeen });
    await expect(sealing).rejects.toMatchObject({ code: "LIMIT" });
    const records = envelope.records({ KeyId: seventeen });
    await expect(records.encrypt([plaintext])).rejects.toMatchObject({ code: "LIMIT" });
    for (const Body of ["keep", "reseal"] as const) {
      const moving = envelope.rewrap(message, { To: { KeyId: seventeen }, Body });
      await expect(moving).rejects.toMatchObject({ code: "LIMIT" });
    }
    const more = { MaxEncryptedDataKeys: 17 };
    const long = await envelope.encrypt(plaintext, { KeyId: seventeen, ...more });
    await expectRefused(long, "LIMIT");
    expect((await envelope.decrypt(long, more)).length).toBe(plaintext.length);
  });

  test("a caller who may not decrypt", async () => {
    const stranger = kms.as("arn:aws:iam::000000000000:user/stranger", { policies: [] }).envelope;
    const error = await stranger.decrypt(message).catch((caught) => caught);
    expect(error).toBeInstanceOf(EnvelopeError);
    expect(error.code).toBe("NO_DATA_KEY");
    expect(error.cause.name).toBe("AccessDeniedException");
    await expect(stranger.encrypt(plaintext, { KeyId })).rejects.toThrow(/not authorized/);
  });

  test("Base64 is named as such", async () => {
    await expectRefused(Buffer.from(message.toString("base64")), "MALFORMED");
    await expect(envelope.decrypt(Buffer.from(message.toString("base64")))).rejects.toThrow("Base64");
  });
});
