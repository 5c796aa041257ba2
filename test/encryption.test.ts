import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import type { Kms } from "../lib/index.ts";
import { bytes, newKey, openTestDeployment, refusal, text } from "./deployment.ts";

let kms: Kms;
let KeyId: string;
let Arn: string;
let other: { KeyId: string; Arn: string };
beforeAll(async () => {
  ({ kms } = await openTestDeployment());
  ({ KeyId, Arn } = await newKey(kms));
  other = await newKey(kms);
});

const materialOf = async (id: string) =>
  (await kms.describeKey({ KeyId: id })).KeyMetadata?.CurrentKeyMaterialId;
const INVALID = "InvalidCiphertextException";

describe("Encrypt and Decrypt", () => {
  test("give back what was given, and say what it was under", async () => {
    const sealed = await kms.encrypt({ KeyId, Plaintext: bytes("hello") });
    expect(sealed).toMatchObject({ KeyId: Arn, EncryptionAlgorithm: "SYMMETRIC_DEFAULT" });
    expect(sealed.CiphertextBlob).toHaveLength(5 + 86);
    const opened = await kms.decrypt({ CiphertextBlob: sealed.CiphertextBlob });
    expect(opened).toMatchObject({
      KeyId: Arn,
      EncryptionAlgorithm: "SYMMETRIC_DEFAULT",
      KeyMaterialId: await materialOf(KeyId),
    });
    expect(text(opened.Plaintext)).toBe("hello");
  });

  test("hold for every plaintext and context", async () => {
    const context = fc.dictionary(fc.string({ unit: "grapheme" }), fc.string({ unit: "grapheme" }));
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 1, maxLength: 4096 }),
        context,
        async (Plaintext, pairs) => {
          const EncryptionContext = { ...pairs };
          const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext, EncryptionContext });
          const turned = Object.fromEntries(Object.entries(EncryptionContext).toReversed());
          const opened = await kms.decrypt({ CiphertextBlob, EncryptionContext: turned });
          expect(opened.Plaintext).toEqual(Uint8Array.from(Plaintext));
        },
      ),
      { numRuns: 100 },
    );
  });

  test.each([1, 4096])("take %i bytes", async (size) => {
    const Plaintext = new Uint8Array(size).fill(7);
    const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext });
    expect((await kms.decrypt({ CiphertextBlob })).Plaintext).toEqual(Plaintext);
  });

  test.each([
    [0, "greater than or equal to 1"],
    [4097, "less than or equal to 4096"],
  ])("refuse %i bytes without echoing them", async (size, bound) => {
    expect(await refusal(kms.encrypt({ KeyId, Plaintext: new Uint8Array(size) }))).toBe(
      "ValidationException: 1 validation error detected: Value at 'plaintext' failed to satisfy constraint: " +
        `Member must have length ${bound}`,
    );
  });

  test("never give the same ciphertext twice", async () => {
    const seal = () => kms.encrypt({ KeyId, Plaintext: bytes("x") });
    const sealed = await Promise.all(Array.from({ length: 200 }, seal));
    const blobs = sealed.map(({ CiphertextBlob }) =>
      Buffer.from(CiphertextBlob as Uint8Array).toString("hex"),
    );
    expect(new Set(blobs).size).toBe(200);
  });

  test.each([
    ["missing", undefined],
    ["another", { tenant: "8" }],
    ["longer", { tenant: "7", more: "" }],
    ["of moved boundaries", { tenan: "t7" }],
  ])("refuse a context that is %s", async (_, EncryptionContext) => {
    const { CiphertextBlob } = await kms.encrypt({
      KeyId,
      Plaintext: bytes("x"),
      EncryptionContext: { tenant: "7" },
    });
    expect(await refusal(kms.decrypt({ CiphertextBlob, EncryptionContext }))).toBe(INVALID);
  });

  test("see {a: bc} and {ab: c} as two contexts", async () => {
    const Plaintext = bytes("x");
    const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext, EncryptionContext: { a: "bc" } });
    expect(await refusal(kms.decrypt({ CiphertextBlob, EncryptionContext: { ab: "c" } }))).toBe(INVALID);
  });

  test("copy the context at once: what happens to the object later does not matter", async () => {
    const EncryptionContext: Record<string, string> = {};
    const sealed = [1, 2, 3].map((i) => {
      EncryptionContext.tenant = `${i}`;
      return kms.encrypt({ KeyId, Plaintext: bytes(`${i}`), EncryptionContext });
    });
    for (const [i, { CiphertextBlob }] of (await Promise.all(sealed)).entries()) {
      const opened = await kms.decrypt({ CiphertextBlob, EncryptionContext: { tenant: `${i + 1}` } });
      expect(text(opened.Plaintext)).toBe(`${i + 1}`);
    }
  });

  test("refuse algorithms of other key specs", async () => {
    const EncryptionAlgorithm = "RSAES_OAEP_SHA_256";
    const expected =
      "InvalidKeyUsageException: Algorithm RSAES_OAEP_SHA_256 is incompatible with key spec SYMMETRIC_DEFAULT.";
    const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: bytes("x") });
    expect(await refusal(kms.encrypt({ KeyId, Plaintext: bytes("x"), EncryptionAlgorithm }))).toBe(expected);
    expect(await refusal(kms.decrypt({ CiphertextBlob, EncryptionAlgorithm }))).toBe(expected);
  });
});

describe("a damaged ciphertext", () => {
  test("cut at any length does not open", async () => {
    const { CiphertextBlob = new Uint8Array() } = await kms.encrypt({ KeyId, Plaintext: bytes("hello") });
    for (const named of [undefined, KeyId]) {
      const cuts = Array.from({ length: CiphertextBlob.length - 1 }, (_, i) =>
        CiphertextBlob.subarray(0, i + 1),
      );
      const answers = cuts.map((cut) => refusal(kms.decrypt({ KeyId: named, CiphertextBlob: cut })));
      expect(new Set(await Promise.all(answers))).toEqual(new Set([INVALID]));
    }
    expect(await refusal(kms.decrypt({ CiphertextBlob: new Uint8Array() }))).toMatch(/^ValidationException/);
  });

  test("flipped at any bit does not open", async () => {
    const { CiphertextBlob = new Uint8Array() } = await kms.encrypt({ KeyId, Plaintext: bytes("hello") });
    for (const named of [undefined, KeyId]) {
      const flips = Array.from({ length: CiphertextBlob.length * 8 }, (_, bit) => {
        const flipped = Uint8Array.from(CiphertextBlob);
        flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
        return flipped;
      });
      const answers = flips.map((flip) => refusal(kms.decrypt({ KeyId: named, CiphertextBlob: flip })));
      expect(new Set(await Promise.all(answers))).toEqual(new Set([INVALID]));
    }
  });

  test("with the head of another key does not open", async () => {
    const [mine, its] = await Promise.all(
      [KeyId, other.KeyId].map((id) => kms.encrypt({ KeyId: id, Plaintext: bytes("hello") })),
    );
    const swap = (from: number, to: number) => {
      const blob = Uint8Array.from(mine?.CiphertextBlob ?? []);
      blob.set(Uint8Array.from(its?.CiphertextBlob ?? []).subarray(from, to), from);
      return kms.decrypt({ CiphertextBlob: blob });
    };
    for (const [from, to] of [
      [2, 18],
      [18, 50],
      [2, 50],
    ] as const)
      expect(await refusal(swap(from, to))).toBe(INVALID);
  });
});

describe("the KeyId of Decrypt", () => {
  test("may be any name of the key", async () => {
    await kms.createAlias({ AliasName: "alias/decrypt", TargetKeyId: KeyId });
    const { CiphertextBlob } = await kms.encrypt({ KeyId: "alias/decrypt", Plaintext: bytes("x") });
    for (const name of [KeyId, Arn, "alias/decrypt", Arn.replace(`key/${KeyId}`, "alias/decrypt")])
      expect((await kms.decrypt({ KeyId: name, CiphertextBlob })).KeyId).toBe(Arn);
  });

  test("must be the key that the ciphertext is under", async () => {
    const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: bytes("x") });
    expect(await refusal(kms.decrypt({ KeyId: other.KeyId, CiphertextBlob }))).toBe(
      "IncorrectKeyException: The key ID in the request does not identify a CMK that can perform this operation.",
    );
  });
});

describe("ReEncrypt", () => {
  test("moves a ciphertext to another key and context", async () => {
    const from = { tenant: "7" };
    const to = { tenant: "8" };
    const { CiphertextBlob } = await kms.encrypt({
      KeyId,
      Plaintext: bytes("moved"),
      EncryptionContext: from,
    });
    const moved = await kms.reEncrypt({
      CiphertextBlob,
      SourceEncryptionContext: from,
      DestinationKeyId: other.KeyId,
      DestinationEncryptionContext: to,
    });
    expect(moved).toMatchObject({
      SourceKeyId: Arn,
      KeyId: other.Arn,
      SourceEncryptionAlgorithm: "SYMMETRIC_DEFAULT",
      DestinationEncryptionAlgorithm: "SYMMETRIC_DEFAULT",
      SourceKeyMaterialId: await materialOf(KeyId),
      DestinationKeyMaterialId: await materialOf(other.KeyId),
    });
    const opened = await kms.decrypt({ CiphertextBlob: moved.CiphertextBlob, EncryptionContext: to });
    expect([text(opened.Plaintext), opened.KeyId]).toEqual(["moved", other.Arn]);
  });

  test("wants the source's context and key", async () => {
    const { CiphertextBlob } = await kms.encrypt({
      KeyId,
      Plaintext: bytes("x"),
      EncryptionContext: { a: "1" },
    });
    const move = (input: object) =>
      kms.reEncrypt({ CiphertextBlob, DestinationKeyId: other.KeyId, ...input });
    expect(await refusal(move({}))).toBe(INVALID);
    const SourceEncryptionContext = { a: "1" };
    expect(await refusal(move({ SourceEncryptionContext, SourceKeyId: other.KeyId }))).toMatch(
      /^IncorrectKey/,
    );
    await move({ SourceEncryptionContext, SourceKeyId: KeyId });
  });
});

describe("a dry run", () => {
  const DRY = "DryRunOperationException: The request would have succeeded, but the DryRun option is set.";

  test("says that it would have succeeded, of each operation that has one", async () => {
    const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: bytes("x") });
    const DryRun = true;
    for (const run of [
      () => kms.encrypt({ KeyId, Plaintext: bytes("x"), DryRun }),
      () => kms.decrypt({ CiphertextBlob, DryRun }),
      () => kms.decrypt({ KeyId, DryRun, DryRunModifiers: ["IGNORE_CIPHERTEXT"] }),
      () => kms.reEncrypt({ CiphertextBlob, DestinationKeyId: other.KeyId, DryRun }),
      () => kms.generateDataKey({ KeyId, KeySpec: "AES_256", DryRun }),
      () => kms.generateDataKeyWithoutPlaintext({ KeyId, KeySpec: "AES_256", DryRun }),
    ])
      expect(await refusal(run())).toBe(DRY);
  });

  test("fails as the operation would have", async () => {
    const DryRun = true;
    const damaged = new Uint8Array(100).fill(1);
    expect(await refusal(kms.decrypt({ CiphertextBlob: damaged, DryRun }))).toBe(INVALID);
    expect(await refusal(kms.decrypt({ DryRun }))).toMatch(/^ValidationException.*'ciphertextBlob'/);
    const app = kms.as("arn:aws:iam::111122223333:role/app");
    expect(await refusal(app.encrypt({ KeyId, Plaintext: bytes("x"), DryRun }))).toMatch(/^AccessDenied/);
    const modified = { DryRun, DryRunModifiers: ["IGNORE_CIPHERTEXT" as const] };
    expect(await refusal(kms.decrypt(modified))).toMatch(/^ValidationException/);
    expect(await refusal(app.decrypt({ KeyId, ...modified }))).toMatch(/^AccessDenied/);
  });
});

test("an answer for an enclave is refused", async () => {
  const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: bytes("x") });
  const Recipient = { KeyEncryptionAlgorithm: "RSAES_OAEP_SHA_256" as const };
  for (const run of [
    () => kms.decrypt({ CiphertextBlob, Recipient }),
    () => kms.generateDataKey({ KeyId, KeySpec: "AES_256", Recipient }),
    () => kms.generateRandom({ NumberOfBytes: 1, Recipient }),
  ])
    expect(await refusal(run())).toMatch(/^UnsupportedOperationException: Recipient/);
});
