import { createHash } from "node:crypto";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { encodeContext } from "../lib/ciphertext.ts";
import type { Kms } from "../lib/index.ts";
import { type AuditRecord, bytes, newKey, openTestDeployment, refusal, text } from "./deployment.ts";

let kms: Kms;
let events: (count: number) => Promise<AuditRecord[]>;
let KeyId: string;
let Arn: string;
let other: { KeyId: string; Arn: string };
beforeAll(async () => {
  ({ kms, events } = await openTestDeployment());
  ({ KeyId, Arn } = await newKey(kms));
  other = await newKey(kms);
});

const INVALID = { Error: { name: "InvalidCiphertextException", message: "" } };
const records = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ Plaintext: bytes(`record ${i}`) }));
const sha256 = (...contexts: (Record<string, string> | undefined)[]) => {
  const hash = createHash("sha256");
  for (const context of contexts) hash.update(encodeContext(context));
  return hash.digest("hex");
};

describe("a batch of entries", () => {
  test("keeps its order, and each ciphertext can be opened alone", async () => {
    const EncryptionContext = { table: "people" };
    const sealed = await kms.encryptBatch({ KeyId, EncryptionContext, Entries: records(1000) });
    expect(sealed).toMatchObject({ KeyId: Arn, EncryptionAlgorithm: "SYMMETRIC_DEFAULT" });
    const opened = await kms.decryptBatch({ EncryptionContext, Entries: sealed.Entries });
    expect(opened.Entries.map(({ Plaintext }) => text(Plaintext))).toEqual(
      records(1000).map(({ Plaintext }) => text(Plaintext)),
    );
    const { CurrentKeyMaterialId } = (await kms.describeKey({ KeyId })).KeyMetadata ?? {};
    expect(opened.Entries[0]).toMatchObject({ KeyId: Arn, KeyMaterialId: CurrentKeyMaterialId });
    const { CiphertextBlob } = sealed.Entries[7] ?? {};
    expect(text((await kms.decrypt({ CiphertextBlob, EncryptionContext })).Plaintext)).toBe("record 7");
  });

  test("opens what Encrypt sealed, under any keys, in any order", async () => {
    const Entries = await Promise.all(
      Array.from({ length: 60 }, async (_, i) => {
        const name = i % 3 ? KeyId : other.KeyId;
        const { CiphertextBlob } = await kms.encrypt({ KeyId: name, Plaintext: bytes(`${i}`) });
        return { CiphertextBlob };
      }),
    );
    const opened = await kms.decryptBatch({ Entries });
    expect(opened.Entries.map(({ Plaintext }) => Number(text(Plaintext)))).toEqual([...Array(60).keys()]);
    expect(opened.Entries.map((entry) => entry.KeyId)).toEqual(
      Entries.map((_, i) => (i % 3 ? Arn : other.Arn)),
    );
  });

  test("has a context for all, or one an entry in its place", async () => {
    const Entries = [
      { Plaintext: bytes("a"), EncryptionContext: { tenant: "1" } },
      { Plaintext: bytes("b") },
      { Plaintext: bytes("c"), EncryptionContext: { tenant: "3" } },
    ];
    const EncryptionContext = { tenant: "all" };
    const sealed = await kms.encryptBatch({ KeyId, EncryptionContext, Entries });
    const contexts = [{ tenant: "1" }, EncryptionContext, { tenant: "3" }];
    for (const [i, { CiphertextBlob }] of sealed.Entries.entries())
      await kms.decrypt({ CiphertextBlob, EncryptionContext: contexts[i] });
    const own = sealed.Entries.map(({ CiphertextBlob }, i) => ({
      CiphertextBlob,
      EncryptionContext: contexts[i],
    }));
    const opened = await kms.decryptBatch({ Entries: own });
    expect(opened.Entries.map(({ Plaintext }) => text(Plaintext))).toEqual(["a", "b", "c"]);
    const one = await kms.decryptBatch({ EncryptionContext, Entries: sealed.Entries });
    expect(one.Entries.map(({ Error: error }) => error?.name)).toEqual([
      INVALID.Error.name,
      undefined,
      INVALID.Error.name,
    ]);
  });

  test("has an error for each entry that is wrong, beside the others", async () => {
    const Entries = [
      { Plaintext: bytes("right") },
      { Plaintext: new Uint8Array() },
      { Plaintext: new Uint8Array(4097) },
      { Plaintext: "text" },
      null,
      { Plaintext: bytes("x"), EncryptionContext: { a: 1 } },
      { Plaintext: bytes("right too"), EncryptionContext: { a: "1" } },
    ];
    const sealed = await kms.encryptBatch({ KeyId, Entries: Entries as never });
    const names = sealed.Entries.map(({ Error: error }) => error?.name);
    expect(names).toEqual([
      undefined,
      "ValidationException",
      "ValidationException",
      "SerializationException",
      "SerializationException",
      "SerializationException",
      undefined,
    ]);
    expect(sealed.Entries[2]?.Error?.message).toBe(
      "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: " +
        "Member must have length less than or equal to 4096",
    );
    const [first, , , , , , last] = sealed.Entries;
    const opened = await kms.decryptBatch({
      Entries: [{ ...first }, { ...last, EncryptionContext: { a: "1" } }, { CiphertextBlob: undefined }],
    });
    expect(opened.Entries.slice(0, 2).map(({ Plaintext }) => text(Plaintext))).toEqual([
      "right",
      "right too",
    ]);
    expect(opened.Entries[2]?.Error?.name).toBe("ValidationException");
  });

  test("of nothing but wrong entries touches no key", async () => {
    const Entries = [{ Plaintext: new Uint8Array() }];
    const { Entries: answers } = await kms.encryptBatch({ KeyId, Entries });
    expect(answers).toEqual([{ Error: expect.objectContaining({ name: "ValidationException" }) }]);
  });

  test("opens what is whole among what is damaged", async () => {
    const sealed = await kms.encryptBatch({ KeyId, Entries: records(200) });
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.nat(199), { maxLength: 20 }),
        fc.nat(90 * 8),
        async (damaged, bit) => {
          const Entries = sealed.Entries.map(({ CiphertextBlob = new Uint8Array() }, i) => {
            const blob = Uint8Array.from(CiphertextBlob);
            if (damaged.includes(i)) blob[bit >> 3] = (blob[bit >> 3] as number) ^ (1 << (bit & 7));
            return { CiphertextBlob: blob };
          });
          const opened = await kms.decryptBatch({ Entries });
          for (const [i, entry] of opened.Entries.entries())
            if (damaged.includes(i)) expect(entry).toEqual(INVALID);
            else expect(text(entry.Plaintext)).toBe(`record ${i}`);
        },
      ),
      { numRuns: 50 },
    );
  });

  test("cut at every length is refused entry by entry", async () => {
    const { CiphertextBlob = new Uint8Array() } = await kms.encrypt({ KeyId, Plaintext: bytes("hello") });
    const Entries = Array.from(CiphertextBlob, (_, i) => ({
      CiphertextBlob: CiphertextBlob.subarray(0, i + 1),
    }));
    const opened = await kms.decryptBatch({ Entries });
    expect(text(opened.Entries.pop()?.Plaintext)).toBe("hello");
    expect(opened.Entries).toEqual(opened.Entries.map(() => INVALID));
  });
});

test("keys of other kinds take no batches", async () => {
  const { KeyId } = await newKey(kms, { KeySpec: "RSA_2048", KeyUsage: "ENCRYPT_DECRYPT" });
  const how = { KeyId, EncryptionAlgorithm: "RSAES_OAEP_SHA_256" } as const;
  const { CiphertextBlob } = await kms.encrypt({ ...how, Plaintext: bytes("one") });
  const message = "Keys of key spec RSA_2048 take no batches: give each entry to Encrypt or Decrypt.";
  expect(await refusal(kms.encryptBatch({ ...how, Entries: records(1) }))).toBe(
    `UnsupportedOperationException: ${message}`,
  );
  expect((await kms.decryptBatch({ ...how, Entries: [{ CiphertextBlob }] })).Entries).toEqual([
    { Error: { name: "UnsupportedOperationException", message } },
  ]);
});

describe("a packed batch", () => {
  test("is the same bytes as its entries, all at once", async () => {
    const plaintexts = records(100).map(({ Plaintext }) => Plaintext);
    const Lengths = Uint32Array.from(plaintexts, ({ length }) => length);
    const EncryptionContext = { table: "people" };
    const Plaintexts = Buffer.concat(plaintexts);
    const sealed = await kms.encryptBatch({ KeyId, EncryptionContext, Plaintexts, Lengths });
    expect(sealed.Lengths).toEqual(Lengths.map((length) => length + 86));
    expect(text(Plaintexts)).toBe(text(Buffer.concat(plaintexts)));
    const { CiphertextBlobs } = sealed;
    const opened = await kms.decryptBatch({ EncryptionContext, CiphertextBlobs, Lengths: sealed.Lengths });
    expect(opened).toMatchObject({ Lengths, Errors: [] });
    expect(text(opened.Plaintexts)).toBe(text(Plaintexts));
    const first = CiphertextBlobs.subarray(0, sealed.Lengths[0]);
    expect(text((await kms.decrypt({ CiphertextBlob: first, EncryptionContext })).Plaintext)).toBe(
      "record 0",
    );
  });

  test("has one context for all, or one an entry", async () => {
    const Lengths = Uint32Array.of(1, 1, 1);
    const Plaintexts = bytes("abc");
    const EncryptionContexts = [{ tenant: "1" }, undefined, { tenant: "3" }];
    const EncryptionContext = { tenant: "all" };
    const sealed = await kms.encryptBatch({
      KeyId,
      EncryptionContext,
      EncryptionContexts,
      Plaintexts,
      Lengths,
    });
    const second = sealed.CiphertextBlobs.subarray(87, 174);
    expect(text((await kms.decrypt({ CiphertextBlob: second, EncryptionContext })).Plaintext)).toBe("b");
    const { CiphertextBlobs } = sealed;
    const opening = { CiphertextBlobs, Lengths: sealed.Lengths, EncryptionContext, EncryptionContexts };
    expect(text((await kms.decryptBatch(opening)).Plaintexts)).toBe("abc");
  });

  test("leaves out what does not open, and says where", async () => {
    const Lengths = Uint32Array.of(5, 5, 5);
    const sealed = await kms.encryptBatch({ KeyId, Plaintexts: bytes("firstotherthird"), Lengths });
    const CiphertextBlobs = Uint8Array.from(sealed.CiphertextBlobs);
    CiphertextBlobs[91 + 80] = (CiphertextBlobs[91 + 80] as number) ^ 1;
    const opened = await kms.decryptBatch({ CiphertextBlobs, Lengths: sealed.Lengths });
    expect(text(opened.Plaintexts)).toBe("firstthird");
    expect([...opened.Lengths]).toEqual([5, 0, 5]);
    expect(opened.Errors).toEqual([{ Index: 1, ...INVALID }]);
    expect(text(new Uint8Array(opened.Plaintexts.buffer))).not.toContain("other");
  });

  test.each([
    ["no lengths", { Plaintexts: new Uint8Array(1) }, /Lengths must be a Uint32Array/],
    ["an empty entry", { Plaintexts: new Uint8Array(1), Lengths: Uint32Array.of(0, 1) }, /Lengths\[0\] is 0/],
    ["a long entry", { Plaintexts: new Uint8Array(4097), Lengths: Uint32Array.of(4097) }, /from 1 to 4096/],
    [
      "lengths beyond its bytes",
      { Plaintexts: new Uint8Array(3), Lengths: Uint32Array.of(2, 2) },
      /come to 4 bytes/,
    ],
    [
      "bytes beyond its lengths",
      { Plaintexts: new Uint8Array(3), Lengths: Uint32Array.of(2) },
      /come to 2 bytes/,
    ],
    ["no entries", { Plaintexts: new Uint8Array(), Lengths: new Uint32Array() }, /has 1 to 100000 entries/],
    [
      "too few contexts",
      { Plaintexts: new Uint8Array(2), Lengths: Uint32Array.of(1, 1), EncryptionContexts: [{}] },
      /one for each of 2 entries/,
    ],
    ["both forms", { Plaintexts: new Uint8Array(1), Lengths: Uint32Array.of(1), Entries: [] }, /Give either/],
    ["neither form", {}, /Give either/],
  ])("with %s is refused", async (_, input, expected) => {
    const refused = await refusal(kms.encryptBatch({ KeyId, ...input } as never));
    expect(refused).toMatch(/^ValidationException/);
    expect(refused).toMatch(expected);
  });
});

describe("the limits of a batch", () => {
  test("are 100,000 entries", async () => {
    const Entries = new Array(100_001).fill({ Plaintext: bytes("x") });
    expect(await refusal(kms.encryptBatch({ KeyId, Entries }))).toBe(
      "ValidationException: A batch has 1 to 100000 entries; this one has 100001.",
    );
    const sealed = await kms.encryptBatch({ KeyId, Entries: Entries.slice(1) });
    const opened = await kms.decryptBatch({ Entries: sealed.Entries });
    expect(opened.Entries.every(({ Plaintext }) => Plaintext?.[0] === 0x78)).toBe(true);
  });

  test("are 256 MiB", async () => {
    const Entries = new Array(65_537).fill({ Plaintext: new Uint8Array(4096) });
    expect(await refusal(kms.encryptBatch({ KeyId, Entries }))).toMatch(/at most 268435456 bytes/);
  });
});

describe("who may", () => {
  const app = () => kms.as("arn:aws:iam::111122223333:role/app");

  test("is decided for the key of an encryption", async () => {
    const Entries = records(1);
    expect(await refusal(app().encryptBatch({ KeyId, Entries }))).toMatch(
      new RegExp(`AccessDeniedException: .* not authorized to perform: kms:Encrypt on resource: ${Arn} `),
    );
  });

  test("is decided for each key of a decryption", async () => {
    const open = await newKey(kms, {
      Policy: JSON.stringify({
        Version: "2012-10-17",
        Statement: { Effect: "Allow", Principal: "*", Action: "kms:*", Resource: "*" },
      }),
    });
    const off = await newKey(kms);
    const sealed = [];
    for (const name of [KeyId, open.KeyId, off.KeyId])
      sealed.push((await kms.encryptBatch({ KeyId: name, Entries: records(1) })).Entries[0] ?? {});
    await kms.disableKey({ KeyId: off.KeyId });
    const mine = await kms.decryptBatch({ Entries: sealed });
    expect(mine.Entries.map(({ Error: error }) => error?.name)).toEqual([
      undefined,
      undefined,
      "DisabledException",
    ]);
    const its = await app().decryptBatch({ Entries: sealed });
    expect(its.Entries.map(({ Error: error }) => error?.name)).toEqual([
      "AccessDeniedException",
      undefined,
      "AccessDeniedException",
    ]);
  });

  test("and KeyId holds a decryption to one key", async () => {
    const Entries = [KeyId, other.KeyId].map(
      async (name) => (await kms.encryptBatch({ KeyId: name, Entries: records(1) })).Entries[0] ?? {},
    );
    const opened = await kms.decryptBatch({ KeyId, Entries: await Promise.all(Entries) });
    expect(opened.Entries.map(({ Error: error }) => error?.name)).toEqual([
      undefined,
      "IncorrectKeyException",
    ]);
  });
});

describe("the trail", () => {
  test("has one event with the count and a digest of the contexts", async () => {
    const EncryptionContext = { table: "people" };
    const sealed = await kms.encryptBatch({ KeyId, EncryptionContext, Entries: records(50) });
    const blobs = sealed.Entries.map(({ CiphertextBlob }, i) => ({
      CiphertextBlob,
      EncryptionContext: i % 2 ? EncryptionContext : { table: "none" },
    }));
    await kms.decryptBatch({ Entries: blobs });
    const [sealing, opening] = await events(2);
    expect(sealing).toMatchObject({
      eventName: "EncryptBatch",
      requestParameters: { keyId: KeyId, encryptionContext: EncryptionContext },
      additionalEventData: { entries: 50, failed: 0, contextsSha256: sha256(EncryptionContext) },
      resources: [{ ARN: Arn }],
    });
    expect(opening).toMatchObject({
      eventName: "DecryptBatch",
      additionalEventData: {
        entries: 50,
        failed: 25,
        contextsSha256: sha256(...blobs.map((entry) => entry.EncryptionContext)),
      },
      resources: [{ ARN: Arn }],
    });
  });
});
