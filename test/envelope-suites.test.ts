import { createCipheriv, createECDH, createHash, createSign, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import {
  AlgorithmSuiteIdentifier,
  buildClient,
  CommitmentPolicy,
  KmsKeyringNode,
  type NodeAlgorithmSuite,
} from "@aws-crypto/client-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { encodeContext } from "../lib/envelope/context.ts";
import { serialiseHeader } from "../lib/envelope/header.ts";
import { derive, headerTag, type Suite, suites } from "../lib/envelope/suite.ts";
import { type DecryptOptions, Envelope, EnvelopeError } from "../lib/envelope.ts";
import { frames } from "../lib/hsm.ts";
import { Kms } from "../lib/kms.ts";

const directory = mkdtempSync(join(tmpdir(), "keystead-suites-"));
let kms: Kms;
let envelope: Envelope;
let KeyId: string;
let otherKey: string;
beforeAll(async () => {
  kms = await Kms.open({ directory });
  envelope = kms.envelope;
  const made = await Promise.all([kms.createKey(), kms.createKey()]);
  [KeyId, otherKey] = made.map(({ KeyMetadata }) => KeyMetadata?.Arn) as [string, string];
});
afterAll(async () => {
  await kms?.close();
  rmSync(directory, { recursive: true, force: true });
});

const EncryptionContext = { tenant: "7", table: "orders" };
const ALLOW = { CommitmentPolicy: "REQUIRE_ENCRYPT_ALLOW_DECRYPT" } as const;
const old = buildClient(CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT);
const committing = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT);
const keyring = () =>
  new KmsKeyringNode({ clientProvider: () => kms, generatorKeyId: KeyId, keyIds: [otherKey] });
const hex = (id: number) => `0x${id.toString(16).padStart(4, "0")}`;
const ids = [...suites.keys()].map((id) => [hex(id), id] as const);

/** A message of the suite as the Encryption SDK writes it. */
async function foreign(id: number, plaintext: Uint8Array, frameLength: number): Promise<Buffer> {
  const suiteId = id as AlgorithmSuiteIdentifier;
  const client = suites.get(id)?.version === 1 ? old : committing;
  const options = { suiteId, frameLength, encryptionContext: EncryptionContext };
  return (await client.encrypt(keyring(), plaintext, options as { suiteId: NodeAlgorithmSuite["id"] }))
    .result;
}

async function collect(stream: AsyncIterable<Uint8Array>) {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}
function* inPieces(bytes: Uint8Array, step = 1013) {
  for (let at = 0; at < bytes.length; at += step) yield bytes.subarray(at, at + step);
}
const same = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;

/** Refused, as bytes, as a stream and as a held stream: the error, and that nothing else came out than the beginning. */
async function refused(bytes: Uint8Array, plaintext: Uint8Array, options: DecryptOptions = ALLOW) {
  const whole = await envelope.decrypt(bytes, options).catch((error) => error);
  expect(whole).toBeInstanceOf(EnvelopeError);
  for (const SignedMessages of ["release", "hold"] as const) {
    const parts: Uint8Array[] = [];
    let error: unknown;
    try {
      const stream = envelope.decrypt(inPieces(bytes), { ...options, SignedMessages });
      for await (const part of stream) parts.push(part);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(EnvelopeError);
    const out = Buffer.concat(parts);
    expect(same(plaintext.subarray(0, out.length), out)).toBe(true);
  }
  return whole as EnvelopeError;
}

describe.each(ids)("suite %s", (_, id) => {
  const suite = suites.get(id) as Suite;

  test.each([1, 16, 4096, 65_536, 1 << 20])(
    "as the Encryption SDK writes it, in frames of %i",
    async (frameLength) => {
      for (const size of [0, 1, frameLength - 1, frameLength, frameLength + 1, 3 * frameLength, 70_001]) {
        if (size / frameLength > 100) continue;
        const plaintext = randomBytes(size);
        const message = await foreign(id, plaintext, frameLength);
        let told: object | undefined;
        const onHeader = (header: object) => {
          told = header;
        };
        const options = { ...ALLOW, EncryptionContext, onHeader };
        expect(same(await envelope.decrypt(message, options), plaintext)).toBe(true);
        expect(same(await collect(envelope.decrypt(inPieces(message), options)), plaintext)).toBe(true);
        expect(told).toMatchObject({
          AlgorithmSuite: suite.name,
          Signed: suite.signature !== undefined,
          EncryptionContext,
        });
      }
    },
  );

  test("of more than a run", async () => {
    const plaintext = randomBytes(5_000_001);
    const message = await foreign(id, plaintext, 4096);
    expect(same(await envelope.decrypt(message, ALLOW), plaintext)).toBe(true);
    const held = { ...ALLOW, SignedMessages: "hold" } as const;
    expect(same(await collect(envelope.decrypt(inPieces(message, 70_000), held)), plaintext)).toBe(true);
  });

  test("opens with any one of its keys", async () => {
    const message = await foreign(id, Buffer.from("two keys"), 16);
    for (const key of [KeyId, otherKey]) {
      const plaintext = await envelope.decrypt(message, { ...ALLOW, KeyId: key });
      expect(Buffer.from(plaintext).toString()).toBe("two keys");
    }
  });

  test("needs a policy that allows it", async () => {
    const message = await foreign(id, randomBytes(9), 16);
    const opening = envelope.decrypt(message);
    if (suite.commitmentLength > 0) expect((await opening).length).toBe(9);
    else
      await expect(opening).rejects.toMatchObject({
        code: "UNSUPPORTED",
        message: expect.stringMatching("CommitmentPolicy"),
      });
  });

  test("cut at every byte, and with bytes behind", async () => {
    const plaintext = randomBytes(40);
    const message = await foreign(id, plaintext, 16);
    for (let i = 0; i < message.length; i += 64) {
      const lengths = Array.from({ length: Math.min(64, message.length - i) }, (_, j) => i + j);
      await Promise.all(lengths.map((length) => refused(message.subarray(0, length), plaintext)));
    }
    for (const more of [1, 2, 40, 106, 5000]) {
      await refused(Buffer.concat([message, randomBytes(more)]), plaintext);
    }
  });

  test("with a bit flipped in any byte", async () => {
    const plaintext = randomBytes(40);
    const message = await foreign(id, plaintext, 16);
    for (let i = 0; i < message.length; i += 64) {
      const places = Array.from({ length: Math.min(64, message.length - i) }, (_, j) => i + j);
      await Promise.all(
        places.map(async (at) => {
          const changed = Buffer.from(message);
          changed[at] = (changed[at] as number) ^ (1 << (at % 8));
          // The second data key is not looked at when the first opens the message, but the header's tag covers it.
          await refused(changed, plaintext);
        }),
      );
    }
  });

  test("of a body that is not framed", async () => {
    for (const size of [0, 1, 100_000]) {
      const plaintext = randomBytes(size);
      const message = await nonFramed(suite, plaintext);
      const theirs = await (suite.version === 1 ? old : committing).decrypt(keyring(), message);
      expect(same(theirs.plaintext, plaintext)).toBe(true);
      expect(same(await envelope.decrypt(message, ALLOW), plaintext)).toBe(true);
      expect(same(await collect(envelope.decrypt(inPieces(message), ALLOW)), plaintext)).toBe(true);
    }
    const plaintext = randomBytes(50);
    const message = await nonFramed(suite, plaintext);
    const body = message.length - (50 + 16 + 20);
    await Promise.all(
      Array.from({ length: message.length - body + 60 }, async (_, i) => {
        const changed = Buffer.from(message);
        const at = body - 60 + i;
        changed[at] = (changed[at] as number) ^ 1;
        await refused(changed, plaintext);
        await refused(message.subarray(0, at), plaintext);
      }),
    );
    await refused(Buffer.concat([message, Buffer.alloc(1)]), plaintext);
    const small = await refused(message, plaintext, { ...ALLOW, MaxFrameLength: 49 });
    expect(small.code).toBe("LIMIT");
  });

  test("of a body that says it is longer than memory", async () => {
    const message = await nonFramed(suite, randomBytes(50));
    const at = message.lastIndexOf(Buffer.from([0, 0, 0, 0, 0, 0, 0, 50]));
    message.fill(0xff, at, at + 8);
    expect((await refused(message, Buffer.alloc(0))).code).toBe("LIMIT");
  });
});

/** As the first Encryption SDKs wrote it, by hand: none of today's writes it any more. */
async function nonFramed(suite: Suite, plaintext: Uint8Array): Promise<Buffer> {
  const messageId = randomBytes(suite.messageIdLength);
  const curve = suite.signature?.curve === "P-256" ? "prime256v1" : "secp384r1";
  const pair = createECDH(curve);
  pair.generateKeys();
  const publicKey = pair.getPublicKey("base64", "compressed");
  const context = suite.signature
    ? { ...EncryptionContext, "aws-crypto-public-key": publicKey }
    : EncryptionContext;
  const dataKey = await kms.generateDataKey({
    KeyId,
    NumberOfBytes: suite.keyLength,
    EncryptionContext: context,
  });
  const { key, commitment } = derive(suite, dataKey.Plaintext as Uint8Array, messageId);
  const edk = {
    providerId: "aws-kms",
    providerInfo: Buffer.from(KeyId),
    ciphertext: dataKey.CiphertextBlob as Uint8Array,
  };
  const header = serialiseHeader(
    { suite, messageId, context, encryptedDataKeys: [edk], frameLength: 0, commitment },
    encodeContext(context),
  );
  const zero = Buffer.alloc(12);
  // Of version 1 a random one, as they chose it.
  const iv = suite.version === 1 ? randomBytes(12) : zero;
  const head = [header, ...(suite.version === 1 ? [iv] : []), headerTag(suite, key, iv, header)];
  const bodyIv = Buffer.alloc(12);
  bodyIv.writeUInt32BE(1, 8);
  const length = Buffer.alloc(8);
  length.writeUInt32BE(plaintext.length, 4);
  const one = Buffer.from([0, 0, 0, 1]);
  const cipher = createCipheriv(suite.cipher, key, bodyIv).setAAD(
    Buffer.concat([messageId, Buffer.from("AWSKMSEncryptionClient Single Block"), one, length]),
  );
  const content = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  const message = Buffer.concat([...head, bodyIv, length, content, cipher.getAuthTag()]);
  if (suite.signature === undefined) return message;
  const jwk = (point: Buffer) => {
    const half = (point.length - 1) / 2;
    return {
      x: point.subarray(1, 1 + half).toString("base64url"),
      y: point.subarray(1 + half).toString("base64url"),
    };
  };
  const privateKey = {
    format: "jwk" as const,
    key: {
      kty: "EC",
      crv: suite.signature.curve,
      ...jwk(pair.getPublicKey()),
      d: pair.getPrivateKey("base64url"),
    },
  };
  const signature = createSign(suite.signature.hash)
    .update(message)
    .sign(privateKey as never);
  return Buffer.concat([message, Buffer.from([signature.length >> 8, signature.length & 255]), signature]);
}

test.each([
  [0x0478, 4096],
  [0x0478, 1 << 20],
  [0x0578, 65_536],
])("130 MiB of suite %i in frames of %i go both ways, stream by stream", async (id, frameLength) => {
  const length = 130 << 20;
  function* plain() {
    for (let at = 0; at < length; at += 1 << 20) yield Buffer.alloc(1 << 20, `${at}.`);
  }
  const digest = async (stream: AsyncIterable<Uint8Array>) => {
    const hash = createHash("sha256");
    for await (const part of stream) hash.update(part);
    return hash.digest("hex");
  };
  const expected = await digest(Readable.from(plain()));
  const options = { KeyId, FrameLength: frameLength, Signed: id === 0x0578 };
  const theirs = committing.decryptStream(keyring(), { maxBodySize: length });
  const [opened] = await Promise.all([digest(theirs), pipeline(envelope.encrypt(plain(), options), theirs)]);
  expect(opened).toBe(expected);
  const sealing = committing.encryptStream(keyring(), { suiteId: id as never, frameLength });
  const [, back] = await Promise.all([
    pipeline(Readable.from(plain()), sealing),
    digest(envelope.decrypt(sealing)),
  ]);
  expect(back).toBe(expected);
});

test.each([0, 1, 1_000, 30_000, 65_400])("a context of %i bytes goes both ways", async (size) => {
  const context: Record<string, string> = {};
  for (let left = size, i = 0; left > 0; left -= 500, i++)
    context[`${i}`] = "é".repeat(Math.min(240, left >> 2));
  const plaintext = randomBytes(100);
  const ours = await envelope.encrypt(plaintext, { KeyId, EncryptionContext: context });
  const theirs = await committing.decrypt(keyring(), Buffer.from(ours));
  expect(same(theirs.plaintext, plaintext)).toBe(true);
  expect({ ...theirs.messageHeader.encryptionContext }).toEqual(context);
  const { result } = await committing.encrypt(keyring(), plaintext, { encryptionContext: context });
  expect(same(await envelope.decrypt(result, { EncryptionContext: context }), plaintext)).toBe(true);
});

test("a context that fills a header goes, and a byte more is refused", async () => {
  // The count, and the lengths of two texts.
  const most = 0xffff - 2 - 2 - 2 - 1;
  const options = (length: number) => ({ KeyId, EncryptionContext: { k: "v".repeat(length) } });
  const message = await envelope.encrypt(randomBytes(9), options(most));
  expect((await envelope.decrypt(message, options(most))).length).toBe(9);
  const theirs = await committing.decrypt(keyring(), Buffer.from(message));
  expect(theirs.plaintext.length).toBe(9);
  await expect(envelope.encrypt(randomBytes(9), options(most + 1))).rejects.toThrow("65535");
});

describe("a signed message", () => {
  const suiteId = AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY_ECDSA_P384;

  test.each([1, 16, 4096, 65_536, 1 << 20])(
    "in frames of %i is one that the Encryption SDK opens",
    async (FrameLength) => {
      for (const size of [0, 1, FrameLength - 1, FrameLength, FrameLength + 1, 3 * FrameLength, 70_001]) {
        if (size / FrameLength > 100) continue;
        const plaintext = randomBytes(size);
        const options = { KeyId: [KeyId, otherKey], EncryptionContext, FrameLength, Signed: true };
        const message = await envelope.encrypt(plaintext, options);
        const streamed = await collect(envelope.encrypt(inPieces(plaintext), options));
        for (const sealed of [message, streamed]) {
          const opened = await committing.decrypt(keyring(), Buffer.from(sealed));
          expect(opened.messageHeader.suiteId).toBe(suiteId);
          expect(opened.messageHeader.encryptedDataKeys.length).toBe(2);
          expect(same(opened.plaintext, plaintext)).toBe(true);
          expect(same(await envelope.decrypt(sealed, { EncryptionContext }), plaintext)).toBe(true);
          expect(same(await collect(envelope.decrypt(inPieces(sealed))), plaintext)).toBe(true);
        }
      }
    },
  );

  test("of many runs", async () => {
    const plaintext = randomBytes(20_000_003);
    const message = await envelope.encrypt(plaintext, { KeyId, Signed: true });
    const opened = await committing.decrypt(keyring(), Buffer.from(message), { maxBodySize: 1 << 30 });
    expect(same(opened.plaintext, plaintext)).toBe(true);
    const streamed = envelope.encrypt(inPieces(plaintext, 1 << 20), { KeyId, Signed: true });
    expect(same(await collect(envelope.decrypt(streamed)), plaintext)).toBe(true);
  });

  /** With the last byte of its signature changed, which leaves every frame as it was. */
  const badlySigned = async (plaintext: Uint8Array) => {
    const message = Buffer.from(await envelope.encrypt(plaintext, { KeyId, Signed: true }));
    message[message.length - 1] = (message.at(-1) as number) ^ 1;
    return message;
  };

  test("that another has signed gives nothing as bytes, as a file or held", async () => {
    const plaintext = randomBytes(3 << 20);
    const message = await badlySigned(plaintext);
    await expect(envelope.decrypt(message)).rejects.toMatchObject({ code: "NOT_AUTHENTIC" });
    let out = 0;
    const held = async (options: DecryptOptions) => {
      for await (const part of envelope.decrypt(inPieces(message), options)) out += part.length;
    };
    await expect(held({ SignedMessages: "hold" })).rejects.toThrow("signature");
    expect(out).toBe(0);
    await expect(held({ SignedMessages: "release" })).rejects.toThrow("signature");
    expect(out).toBeGreaterThan(0);
    const folder = join(directory, "signed");
    await mkdir(folder);
    await writeFile(join(folder, "sealed"), message);
    const opening = envelope.decryptFile(join(folder, "sealed"), join(folder, "opened"));
    await expect(opening).rejects.toMatchObject({ code: "NOT_AUTHENTIC" });
    expect(await readdir(folder)).toEqual(["sealed"]);
  });

  test("leaves no plaintext in memory when it is refused as bytes, or given up", async () => {
    const plaintext = Buffer.alloc(50 << 20, "what is to be kept secret ");
    const rooms: Uint8Array[] = [];
    const seeing = new Envelope(kms, {
      seal: (job) => frames.seal(job),
      open(job) {
        rooms.push(job.output);
        return frames.open(job);
      },
    });
    for (const Signed of [true, false]) {
      const message = Buffer.from(await envelope.encrypt(plaintext, { KeyId, Signed }));
      const abort = new AbortController();
      const onProgress = ({ done }: { done: number }) => {
        if (done > 20 << 20) abort.abort(new Error("enough"));
      };
      await expect(seeing.decrypt(message, { signal: abort.signal, onProgress })).rejects.toThrow("enough");
      message[message.length - 1] = (message.at(-1) as number) ^ 1;
      await expect(seeing.decrypt(message)).rejects.toMatchObject({ code: "NOT_AUTHENTIC" });
    }
    expect(rooms.length).toBeGreaterThan(50);
    expect(
      rooms.every((room) => !Buffer.from(room.buffer, room.byteOffset, room.length).includes("secret")),
    ).toBe(true);
  });

  test("is held up to a limit, and refused where it is to be", async () => {
    const message = await envelope.encrypt(randomBytes(3 << 20), { KeyId, Signed: true });
    const over = { SignedMessages: "hold", MaxHeldLength: (3 << 20) - 1 } as const;
    await expect(collect(envelope.decrypt(inPieces(message), over))).rejects.toMatchObject({ code: "LIMIT" });
    const enough = { SignedMessages: "hold", MaxHeldLength: 3 << 20 } as const;
    expect((await collect(envelope.decrypt(Readable.from(inPieces(message)), enough))).length).toBe(3 << 20);
    const refusing = envelope.decrypt(message, { SignedMessages: "refuse" });
    await expect(refusing).rejects.toMatchObject({ code: "UNSUPPORTED" });
    const unsigned = await envelope.encrypt(randomBytes(10), { KeyId });
    expect((await envelope.decrypt(unsigned, { SignedMessages: "refuse" })).length).toBe(10);
  });

  test("whose signer is another, or none, is refused", async () => {
    const plaintext = randomBytes(100);
    const [one, two] = (await Promise.all(
      [1, 2].map(() => envelope.encrypt(plaintext, { KeyId, Signed: true })),
    )) as [Buffer, Buffer];
    const footer = (message: Buffer) => message.length - signatureLength(message);
    const swapped = Buffer.concat([one.subarray(0, footer(one)), two.subarray(footer(two))]);
    expect((await refused(swapped, plaintext, {})).code).toBe("NOT_AUTHENTIC");
    expect((await refused(one.subarray(0, footer(one)), plaintext, {})).code).toBe("TRUNCATED");
  });
});

/** Of the footer: the length in front of it, and DER, whose second byte is its length. */
function signatureLength(message: Buffer): number {
  for (let length = 98; length <= 106; length++) {
    const at = message.length - length;
    if (message.readUInt16BE(at) === length - 2 && message[at + 2] === 0x30) return length;
  }
  throw new Error("there is no footer");
}
