import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import {
  AlgorithmSuiteIdentifier,
  buildClient,
  CommitmentPolicy,
  KmsKeyringNode,
} from "@aws-crypto/client-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Envelope, type MessageHeader } from "../lib/envelope.ts";
import { frames } from "../lib/hsm.ts";
import { Kms } from "../lib/kms.ts";
import type { Caller } from "../lib/request.ts";

const directory = mkdtempSync(join(tmpdir(), "keystead-envelope-"));
let kms: Kms;
let envelope: Envelope;
let KeyId: string;
let otherKey: string;
beforeAll(async () => {
  kms = await Kms.open({ directory });
  envelope = kms.envelope;
  [KeyId, otherKey] = (await Promise.all([kms.createKey(), kms.createKey()])).map(
    ({ KeyMetadata }) => KeyMetadata?.Arn as string,
  ) as [string, string];
});
afterAll(async () => {
  await kms?.close();
  rmSync(directory, { recursive: true, force: true });
});

const EncryptionContext = { tenant: "7", ключ: "значение", "": "empty", "\u{1f511}": "", "\uffee": "x" };

const frameLengths = [1, 16, 4096, 65536];
const sizesFor = (frameLength: number) =>
  [0, 1, frameLength - 1, frameLength, frameLength + 1, 3 * frameLength, 100_000, 5_000_001].filter(
    (size) => size / frameLength < 20_000,
  );
const cases = frameLengths.flatMap((frameLength) =>
  [...new Set(sizesFor(frameLength))].map((size) => ({ frameLength, size })),
);

/** Pieces of uneven sizes, empty ones among them. */
function* pieces(bytes: Uint8Array) {
  const steps = [0, 1, 7, 1000, 65536, 1 << 20];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const step = steps[i % steps.length] as number;
    yield bytes.subarray(at, at + step);
    at += step;
  }
}

async function collect(stream: AsyncIterable<Uint8Array>) {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}
const same = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;

describe("a round trip", () => {
  test.each(cases)("of $size bytes in frames of $frameLength", async ({ frameLength, size }) => {
    const plaintext = randomBytes(size);
    const options = { KeyId, EncryptionContext, FrameLength: frameLength };
    const message = await envelope.encrypt(plaintext, options);
    const streamed = await collect(envelope.encrypt(pieces(plaintext), options));
    expect(streamed.length).toBe(message.length);
    for (const sealed of [message, streamed]) {
      expect(same(await envelope.decrypt(sealed, { EncryptionContext }), plaintext)).toBe(true);
      expect(same(await collect(envelope.decrypt(pieces(sealed))), plaintext)).toBe(true);
    }
  });

  test.each([-1, 0, 1])("of several runs and %i bytes", async (more) => {
    const plaintext = randomBytes((48 << 20) + more);
    const message = await envelope.encrypt(plaintext, { KeyId });
    expect(same(await envelope.decrypt(message), plaintext)).toBe(true);
    const streamed = envelope.decrypt(envelope.encrypt(pieces(plaintext), { KeyId }));
    expect(same(await collect(streamed), plaintext)).toBe(true);
  });

  test("of a stream in frames that are longer than its runs", async () => {
    const plaintext = randomBytes(9_000_000);
    const sealed = envelope.encrypt(pieces(plaintext), { KeyId, FrameLength: 4 << 20 });
    expect(same(await collect(envelope.decrypt(sealed)), plaintext)).toBe(true);
  });

  test("of every kind of stream", async () => {
    const plaintext = randomBytes(300_000);
    const sources = [
      () => Readable.from(pieces(plaintext)),
      () => new Blob([plaintext]).stream(),
      () => ReadableStream.from(pieces(plaintext)),
      async function* () {
        yield* pieces(plaintext);
      },
      () => [plaintext.subarray(0, 10), plaintext.subarray(10)],
    ];
    for (const source of sources) {
      const message = await collect(envelope.encrypt(source() as Readable, { KeyId }));
      expect(same(await envelope.decrypt(message), plaintext)).toBe(true);
    }
  });

  test("leaves no two messages alike, and every byte of a view where it was", async () => {
    const around = randomBytes(64);
    const view = around.subarray(20, 40);
    const before = Buffer.from(around);
    const [one, two] = await Promise.all([1, 2].map(() => envelope.encrypt(view, { KeyId })));
    expect(same(one as Uint8Array, two as Uint8Array)).toBe(false);
    expect(same(around, before)).toBe(true);
  });
});

describe("the AWS Encryption SDK for JavaScript", () => {
  const client = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT);
  const keyring = (...keyIds: string[]) =>
    new KmsKeyringNode({ clientProvider: () => kms, generatorKeyId: KeyId, keyIds });
  const suiteId = AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY;

  test.each(cases)("opens $size bytes in frames of $frameLength", async ({ frameLength, size }) => {
    const plaintext = randomBytes(size);
    const options = { KeyId, EncryptionContext, FrameLength: frameLength };
    const message = await envelope.encrypt(plaintext, options);
    const opened = await client.decrypt(keyring(), Buffer.from(message));
    expect(same(opened.plaintext, plaintext)).toBe(true);
    expect(opened.messageHeader.suiteId).toBe(suiteId);
    expect({ ...opened.messageHeader.encryptionContext }).toEqual(EncryptionContext);
  });

  test.each(cases)("seals $size bytes in frames of $frameLength", async ({ frameLength, size }) => {
    const plaintext = randomBytes(size);
    const { result } = await client.encrypt(keyring(), plaintext, {
      suiteId,
      frameLength,
      encryptionContext: EncryptionContext,
    });
    expect(same(await envelope.decrypt(result, { EncryptionContext }), plaintext)).toBe(true);
    expect(same(await collect(envelope.decrypt(pieces(result))), plaintext)).toBe(true);
  });

  test("seals under two keys, and either opens it", async () => {
    const { result } = await client.encrypt(keyring(otherKey), Buffer.from("two keys"), { suiteId });
    for (const key of [KeyId, otherKey, otherKey.split("/")[1] as string]) {
      expect(Buffer.from(await envelope.decrypt(result, { KeyId: key })).toString()).toBe("two keys");
    }
  });
});

describe("the header", () => {
  test("is told before any plaintext, sealing and opening", async () => {
    const told: MessageHeader[] = [];
    const onHeader = (header: MessageHeader) => void told.push(header);
    const message = await envelope.encrypt(randomBytes(10), { KeyId, EncryptionContext, onHeader });
    await envelope.decrypt(message, { onHeader });
    const stream = envelope.decrypt(pieces(message), { onHeader });
    for await (const _ of stream) expect(told.length).toBe(3);
    expect(told[0]).toEqual({
      KeyId,
      EncryptedDataKeys: [{ Provider: "aws-kms", KeyId }],
      EncryptionContext,
      AlgorithmSuite: "ALG_AES_256_GCM_HKDF_SHA512_COMMIT_KEY",
      Signed: false,
      MessageId: expect.any(Uint8Array),
      FrameLength: 65536,
    });
    expect(told[1]).toEqual(told[0]);
    expect(told[2]).toEqual(told[0]);
  });

  test("can be refused by whoever is told", async () => {
    const message = await envelope.encrypt(randomBytes(10), { KeyId });
    const onHeader = async () => {
      throw new Error("not this one");
    };
    await expect(envelope.decrypt(message, { onHeader })).rejects.toThrow("not this one");
    await expect(collect(envelope.decrypt([message], { onHeader }))).rejects.toThrow("not this one");
  });
});

describe("keys", () => {
  test("are wiped when a message is done, or refused", async () => {
    const keys: Uint8Array[] = [];
    const caller: Caller = {
      async request(operation, input) {
        const output = (await kms.request(operation, input)) as { Plaintext: Uint8Array };
        keys.push(output.Plaintext);
        return output;
      },
    };
    const seen = new Envelope(caller, {
      seal(job) {
        keys.push(job.key);
        return frames.seal(job);
      },
      open(job) {
        keys.push(job.key);
        return frames.open(job);
      },
    });
    const message = await seen.encrypt(randomBytes(100_000), { KeyId });
    await collect(seen.encrypt([randomBytes(100_000)], { KeyId }));
    await seen.decrypt(message);
    await expect(seen.decrypt(message.subarray(0, -1))).rejects.toThrow();
    message[message.length - 1] = (message.at(-1) as number) ^ 1;
    await expect(seen.decrypt(message)).rejects.toThrow();
    await expect(collect(seen.decrypt([message]))).rejects.toThrow();
    expect(keys.length).toBe(6 * 2);
    for (const key of keys) expect(key.every((byte) => byte === 0)).toBe(true);
  });
});

describe("misuse is a TypeError", () => {
  test.each([0, -1, 1.5, Number.NaN, (16 << 20) + 1])("FrameLength %d", async (FrameLength) => {
    await expect(envelope.encrypt(new Uint8Array(1), { KeyId, FrameLength })).rejects.toThrow(TypeError);
  });

  test.each<Record<string, string>>([
    { "aws-crypto-public-key": "x" },
    { half: "\ud800" },
    { number: 1 as unknown as string },
    { long: "x".repeat(65_536) },
  ])("EncryptionContext %o", async (context) => {
    const sealing = envelope.encrypt(new Uint8Array(1), { KeyId, EncryptionContext: context });
    await expect(sealing).rejects.toThrow(TypeError);
  });

  test("a source that is neither bytes nor a stream", () => {
    expect(() => envelope.encrypt(7 as unknown as Readable, { KeyId })).toThrow(TypeError);
  });

  test("a stream of text", async () => {
    await expect(collect(envelope.encrypt(Readable.from(["text"]), { KeyId }))).rejects.toThrow(TypeError);
  });
});
