import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import {
  AlgorithmSuiteIdentifier,
  buildClient,
  CommitmentPolicy,
  KmsKeyringNode,
} from "@aws-crypto/client-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  Envelope,
  EnvelopeError,
  type KmsClient,
  KmsKeys,
  type OpenedRecord,
  RawAesKey,
} from "../lib/envelope.ts";
import { Kms } from "../lib/kms.ts";

const directory = mkdtempSync(join(tmpdir(), "keystead-records-"));
let kms: Kms;
let KeyId: string;
let otherKey: string;
beforeAll(async () => {
  kms = await Kms.open({ directory });
  const made = await Promise.all([kms.createKey(), kms.createKey()]);
  [KeyId, otherKey] = made.map(({ KeyMetadata }) => KeyMetadata?.Arn) as [string, string];
});
afterAll(async () => {
  await kms?.close();
  rmSync(directory, { recursive: true, force: true });
});

const client = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
const keyring = () =>
  new KmsKeyringNode({ clientProvider: () => kms, generatorKeyId: KeyId, keyIds: [otherKey] });
const EncryptionContext = { table: "people", ключ: "значение" };
const same = (a: Uint8Array | undefined, b: Uint8Array) => a !== undefined && Buffer.compare(a, b) === 0;

/** An envelope that counts what it asks of the KMS. */
function counting() {
  const calls: string[] = [];
  const envelope = new Envelope({
    request(operation, input) {
      calls.push(operation);
      return kms.request(operation, input);
    },
  });
  return { envelope, calls };
}

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const list: Item[] = [];
  for await (const item of items) list.push(item);
  return list;
}

const sizes = [0, 1, 15, 99, 100, 101, 250, 1000, 5000];
const recordsOf = (count: number) =>
  Array.from({ length: count }, (_, i) => randomBytes(sizes[i % sizes.length] as number));

describe("records", () => {
  test("go there and back in their order, for one data key", async () => {
    const { envelope, calls } = counting();
    const records = recordsOf(20_000);
    const options = { KeyId, EncryptionContext, FrameLength: 100 };
    const messages = await all(envelope.encryptRecords(records, options));
    expect(calls).toEqual(["GenerateDataKey"]);
    expect(
      new Set(messages.map((message) => Buffer.from(message.subarray(3, 35)).toString("hex"))).size,
    ).toBe(20_000);
    const opened = await all(envelope.decryptRecords(messages, { EncryptionContext }));
    expect(calls).toEqual(["GenerateDataKey", "Decrypt"]);
    expect(opened.every(({ Plaintext }, i) => same(Plaintext, records[i] as Buffer))).toBe(true);
  });

  test("are messages that the Encryption SDK opens, and ours one by one", async () => {
    const records = recordsOf(sizes.length);
    const options = { KeyId: [KeyId, otherKey], EncryptionContext, FrameLength: 100 };
    const messages = await all(kms.envelope.encryptRecords(records, options));
    for (const [i, message] of messages.entries()) {
      const theirs = await client.decrypt(keyring(), Buffer.from(message));
      expect(same(theirs.plaintext, records[i] as Buffer)).toBe(true);
      expect({ ...theirs.messageHeader.encryptionContext }).toEqual(EncryptionContext);
      expect(same(await kms.envelope.decrypt(message, { KeyId: otherKey }), records[i] as Buffer)).toBe(true);
    }
  });

  test("of the Encryption SDK, of every suite and of several data keys, are opened together", async () => {
    const old = buildClient(CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT);
    const suites = [
      AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY,
      AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY_ECDSA_P384,
      AlgorithmSuiteIdentifier.ALG_AES128_GCM_IV12_TAG16,
    ] as const;
    const records = recordsOf(30);
    const messages = await Promise.all(
      records.map(async (record, i) => {
        const suiteId = suites[i % 3] as (typeof suites)[0];
        return (await (i % 3 === 2 ? old : client).encrypt(keyring(), record, { suiteId, frameLength: 64 }))
          .result;
      }),
    );
    const opened = await all(
      kms.envelope.decryptRecords(messages, { CommitmentPolicy: "REQUIRE_ENCRYPT_ALLOW_DECRYPT" }),
    );
    expect(opened.every(({ Plaintext }, i) => same(Plaintext, records[i] as Buffer))).toBe(true);
  });

  test("fail one by one: damaged, cut, swapped, of another context, or no message", async () => {
    const records = recordsOf(9).map((record) => Buffer.concat([record, randomBytes(10)]));
    const messages = await all(kms.envelope.encryptRecords(records, { KeyId, EncryptionContext }));
    const other = (await all(kms.envelope.encryptRecords([randomBytes(5)], { KeyId }))) as [Uint8Array];
    const flipped = (message: Uint8Array, at: number) => {
      const copy = Buffer.from(message);
      copy[at] = (copy.at(at) as number) ^ 1;
      return copy;
    };
    const first = messages[0] as Uint8Array;
    const bodyOf = (message: Uint8Array) => message.length - (40 + 10);
    const wrong: [string, Uint8Array][] = [
      ["NOT_AUTHENTIC", flipped(first, first.length - 1)],
      ["NOT_AUTHENTIC", flipped(first, bodyOf(first) - 1)],
      ["NOT_AUTHENTIC", flipped(first, bodyOf(first) - 17)],
      ["NOT_AUTHENTIC", flipped(first, 4)],
      ["TRUNCATED", first.subarray(0, bodyOf(first))],
      ["TRUNCATED", first.subarray(0, 50)],
      ["CONTEXT_MISMATCH", other[0]],
      ["MALFORMED", Buffer.from("no message")],
      ["TRUNCATED", new Uint8Array(0)],
    ];
    const mixed = messages.flatMap((message, i) => [message, (wrong[i] as [string, Uint8Array])[1]]);
    const opened = await all(kms.envelope.decryptRecords(mixed, { EncryptionContext }));
    for (const [i, [code]] of wrong.entries()) {
      expect(same(opened[2 * i]?.Plaintext, records[i] as Buffer)).toBe(true);
      expect(opened[2 * i + 1]?.Error).toBeInstanceOf(EnvelopeError);
      expect(opened[2 * i + 1]).toMatchObject({ Error: { code } });
    }
    const stranger = kms.as("arn:aws:iam::000000000000:user/stranger", { policies: [] }).envelope;
    for (const { Error: error } of await all(stranger.decryptRecords(messages))) {
      expect(error).toMatchObject({ code: "NO_DATA_KEY", cause: { name: "AccessDeniedException" } });
    }
  });

  test("whose bit is flipped anywhere are refused", async () => {
    const [message] = (await all(
      kms.envelope.encryptRecords([randomBytes(40)], { KeyId, FrameLength: 16 }),
    )) as [Uint8Array];
    const flips = Array.from({ length: 8 * message.length }, (_, bit) => {
      const copy = Buffer.from(message);
      copy[bit >> 3] = (copy[bit >> 3] as number) ^ (1 << (bit & 7));
      return copy;
    });
    const opened = await all(kms.envelope.decryptRecords([...flips, message]));
    expect(opened.filter(({ Plaintext }) => Plaintext !== undefined).length).toBe(1);
    expect(opened.at(-1)?.Plaintext?.length).toBe(40);
  });
});

describe("a data key", () => {
  test("is fetched once, however many ask at the same time", async () => {
    const { envelope, calls } = counting();
    const records = envelope.records({ KeyId });
    const sealed = (await Promise.all(recordsOf(500).map((record) => records.encrypt([record])))).flat();
    expect(calls).toEqual(["GenerateDataKey"]);
    const opener = envelope.records();
    const opened = (await Promise.all(sealed.map((message) => opener.decrypt([message])))).flat();
    expect(calls).toEqual(["GenerateDataKey", "Decrypt"]);
    expect(opened.every(({ Plaintext }) => Plaintext)).toBe(true);
  });

  test.each([
    ["messages", { MaxMessages: 7 }, 15],
    ["bytes", { MaxBytes: 1000 }, 10],
  ])("is used for so many %s and no more", async (_, limits, expected) => {
    const { envelope, calls } = counting();
    const records = Array.from({ length: 100 }, () => randomBytes(100));
    const messages = await all(envelope.encryptRecords(records, { KeyId, ...limits }));
    expect(calls.length).toBe(expected);
    const opened = await all(envelope.decryptRecords(messages));
    expect(opened.every(({ Plaintext }, i) => same(Plaintext, records[i] as Buffer))).toBe(true);
    expect(calls.length).toBe(2 * expected);
  });

  test("is used for so long and no longer", async () => {
    const { envelope, calls } = counting();
    const records = envelope.records({ KeyId, MaxAge: 50 });
    const [message] = (await records.encrypt([randomBytes(10)])) as [Uint8Array];
    await records.decrypt([message]);
    await delay(60);
    await records.encrypt([randomBytes(10)]);
    expect((await records.decrypt([message]))[0]?.Plaintext?.length).toBe(10);
    expect(calls).toEqual(["GenerateDataKey", "Decrypt", "GenerateDataKey", "Decrypt"]);
  });

  test("that cannot be fetched fails its records, and is asked for again later", async () => {
    let broken = true;
    const envelope = new Envelope({
      async request(operation, input) {
        if (broken) throw new Error("the KMS is away");
        return kms.request(operation, input);
      },
    });
    const records = envelope.records({ KeyId });
    await expect(records.encrypt([randomBytes(1)])).rejects.toThrow("away");
    broken = false;
    const messages = await records.encrypt([randomBytes(1)]);
    broken = true;
    expect((await records.decrypt(messages))[0]).toMatchObject({ Error: { code: "NO_DATA_KEY" } });
    broken = false;
    expect((await records.decrypt(messages))[0]?.Plaintext?.length).toBe(1);
  });

  test("is wiped when it is replaced or closed, never while it is used", async () => {
    const keys: Uint8Array[] = [];
    const envelope = new Envelope({
      async request(operation, input) {
        const output = (await kms.request(operation, input)) as { Plaintext: Uint8Array };
        keys.push(output.Plaintext);
        return output;
      },
    });
    const records = envelope.records({ KeyId, MaxMessages: 3 });
    const many = Array.from({ length: 200 }, () => randomBytes(50));
    const messages = (await Promise.all(many.map((record) => records.encrypt([record])))).flat();
    const opener = envelope.records({ KeyId });
    const opening = opener.decrypt(messages);
    opener.close();
    expect((await opening).every(({ Plaintext }, i) => same(Plaintext, many[i] as Buffer))).toBe(true);
    opener.close();
    records.close();
    await delay(10);
    expect(keys.length).toBeGreaterThan(67);
    for (const key of keys) expect(key.every((byte) => byte === 0)).toBe(true);
  });

  test("is wiped when its time is over, though nobody asks again", async () => {
    const keys: Uint8Array[] = [];
    const envelope = new Envelope({
      async request(operation, input) {
        const output = (await kms.request(operation, input)) as { Plaintext: Uint8Array };
        keys.push(output.Plaintext);
        return output;
      },
    });
    const records = envelope.records({ KeyId, MaxAge: 300 });
    const messages = await records.encrypt([randomBytes(9)]);
    await records.decrypt(messages);
    expect(keys.map((key) => key.some((byte) => byte !== 0))).toEqual([true, true]);
    await expect
      .poll(() => keys.some((key) => key.some((byte) => byte !== 0)), { timeout: 5_000 })
      .toBe(false);
    expect((await records.decrypt(messages))[0]?.Plaintext?.length).toBe(9);
    expect(keys.length).toBe(3);
    records.close();
  });

  test("that the KMS never gives keeps nobody who has given up, and is wiped when it comes late", async () => {
    let answer: (output: object) => void = () => {};
    const waiting = () =>
      new Promise<never>((resolve) => {
        answer = resolve as typeof answer;
      });
    const client: KmsClient = { generateDataKey: waiting, encrypt: waiting, decrypt: waiting };
    const silent = { Keys: new KmsKeys(client, [KeyId]) };
    const [message] = (await all(kms.envelope.encryptRecords([randomBytes(9)], { KeyId }))) as [Uint8Array];
    async function* later(record: Uint8Array) {
      yield record;
    }
    const offline = new Envelope();
    for (const [way, record] of [
      ["encryptRecords", randomBytes(9)],
      ["decryptRecords", message],
    ] as const) {
      for (const source of [[record], later(record)]) {
        const abort = new AbortController();
        const out = all<unknown>(offline[way](source, { ...silent, signal: abort.signal }));
        setTimeout(() => abort.abort(new Error("enough")), 20);
        await expect(out).rejects.toThrow("enough");
        const Plaintext = randomBytes(32);
        answer({ Plaintext, KeyId, CiphertextBlob: randomBytes(99) });
        await expect.poll(() => Plaintext.every((byte) => byte === 0)).toBe(true);
      }
    }
  });

  test("has limits that make sense", () => {
    for (const limits of [
      { MaxMessages: 0 },
      { MaxMessages: 2 ** 32 + 1 },
      { MaxBytes: -1 },
      { MaxAge: Number.NaN },
    ]) {
      expect(() => kms.envelope.records({ KeyId, ...limits })).toThrow(TypeError);
    }
    const over = kms.envelope.records({ KeyId, MaxBytes: 10 }).encrypt([randomBytes(11)]);
    return expect(over).rejects.toMatchObject({ code: "LIMIT" });
  });
});

describe("a source", () => {
  const Keys = new RawAesKey({ namespace: "test", name: "records", key: randomBytes(32) });
  const offline = new Envelope();

  test("that waits does not keep back what it gave", async () => {
    async function* slow() {
      yield randomBytes(10);
      await new Promise(() => {});
    }
    const abort = new AbortController();
    const messages = offline.encryptRecords(slow(), { Keys, signal: abort.signal });
    expect((await messages.next()).value?.length).toBeGreaterThan(10);
    const waiting = messages.next();
    setTimeout(() => abort.abort(new Error("enough")), 20);
    await expect(waiting).rejects.toThrow("enough");
  });

  test("gives no more than is taken out of it", async () => {
    let taken = 0;
    const closed = { yes: false };
    async function* endless() {
      try {
        while (true) {
          taken++;
          yield new Uint8Array(1000);
        }
      } finally {
        closed.yes = true;
      }
    }
    const messages = offline.encryptRecords(endless(), { Keys });
    for (let i = 0; i < 10; i++) await messages.next();
    await delay(50);
    expect(taken).toBeLessThan(20_000);
    await messages.return();
    expect(closed.yes).toBe(true);
  });

  test("that is async, empty, or fails", async () => {
    const records = recordsOf(10_000);
    async function* later() {
      yield* records;
    }
    const messages = offline.encryptRecords(later(), { Keys });
    const opened: OpenedRecord[] = await all(offline.decryptRecords(messages, { Keys }));
    expect(opened.length).toBe(10_000);
    expect(opened.every(({ Plaintext }, i) => same(Plaintext, records[i] as Buffer))).toBe(true);
    expect(await all(offline.encryptRecords([], { Keys }))).toEqual([]);
    async function* failing() {
      yield randomBytes(1);
      throw new Error("the source is broken");
    }
    await expect(all(offline.encryptRecords(failing(), { Keys }))).rejects.toThrow("broken");
    await expect(all(offline.encryptRecords(["text"] as never, { Keys }))).rejects.toThrow(TypeError);
  });
});
