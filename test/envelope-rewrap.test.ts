import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type AlgorithmSuiteIdentifier,
  buildClient,
  CommitmentPolicy,
  KmsKeyringNode,
} from "@aws-crypto/client-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { suites } from "../lib/envelope/suite.ts";
import { Envelope, EnvelopeError, KmsKeys, MultiKeys, RawAesKey } from "../lib/envelope.ts";
import { Kms } from "../lib/kms.ts";

const directory = mkdtempSync(join(tmpdir(), "keystead-rewrap-"));
let kms: Kms;
let west: Kms;
let oldKey: string;
let newKey: string;
beforeAll(async () => {
  kms = await Kms.open({ directory, regions: ["us-east-1", "eu-west-1"] });
  west = kms.inRegion("eu-west-1");
  const made = await Promise.all([kms.createKey(), west.createKey()]);
  [oldKey, newKey] = made.map(({ KeyMetadata }) => KeyMetadata?.Arn) as [string, string];
});
afterAll(async () => {
  await kms?.close();
  rmSync(directory, { recursive: true, force: true });
});

const EncryptionContext = { tenant: "7" };
const ALLOW = { CommitmentPolicy: "REQUIRE_ENCRYPT_ALLOW_DECRYPT" } as const;
const same = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;
async function collect(stream: AsyncIterable<Uint8Array>) {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}
const To = () => ({ Keys: new KmsKeys(west, [newKey]) });
const keyring = () => new KmsKeyringNode({ clientProvider: () => west as never, keyIds: [newKey] });

describe.each([0, 1, 100_000, 5_000_000])("a message of %i bytes", (size) => {
  test("moves to a key of another Region with its body untouched", async () => {
    const plaintext = randomBytes(size);
    const message = await kms.envelope.encrypt(plaintext, {
      KeyId: oldKey,
      EncryptionContext,
      FrameLength: 4096,
    });
    const moved = await kms.envelope.rewrap(message, { To: To(), Body: "keep" });
    const streamed = await collect(kms.envelope.rewrap([message], { To: To(), Body: "keep" }));
    const body = size + Math.max(1, Math.ceil(size / 4096)) * 32 + 8;
    for (const one of [moved, streamed]) {
      expect(same(one.subarray(-body), message.subarray(-body))).toBe(true);
      expect(same(await west.envelope.decrypt(one, { KeyId: newKey, EncryptionContext }), plaintext)).toBe(
        true,
      );
      await expect(kms.envelope.decrypt(one, { KeyId: oldKey })).rejects.toMatchObject({
        code: "NO_DATA_KEY",
      });
    }
    const client = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
    expect(same((await client.decrypt(keyring(), Buffer.from(moved))).plaintext, plaintext)).toBe(true);
  });

  test.each([false, true])("is sealed anew, signed: %s", async (Signed) => {
    const plaintext = randomBytes(size);
    const options = { KeyId: oldKey, EncryptionContext, FrameLength: 5000, Signed };
    const message = await kms.envelope.encrypt(plaintext, options);
    const moved = await kms.envelope.rewrap(message, { To: To() });
    expect(Buffer.from(moved).indexOf(Buffer.from(message.subarray(3, 35)))).toBe(-1);
    let told: object | undefined;
    const onHeader = (header: object) => {
      told = header;
    };
    expect(same(await west.envelope.decrypt(moved, { onHeader }), plaintext)).toBe(true);
    expect(told).toMatchObject({ KeyId: newKey, Signed, FrameLength: 5000, EncryptionContext });
    const streamed = await collect(kms.envelope.rewrap([message], { To: To() }));
    expect(same(await west.envelope.decrypt(streamed), plaintext)).toBe(true);
  });
});

describe("a message", () => {
  test.each([...suites.values()].filter(({ version }) => version === 1))(
    "of the old suite $name",
    async (suite) => {
      const old = buildClient(CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT);
      const plaintext = randomBytes(5000);
      const ours = new KmsKeyringNode({ clientProvider: () => kms, generatorKeyId: oldKey });
      const suiteId = suite.id as AlgorithmSuiteIdentifier;
      const { result } = await old.encrypt(ours, plaintext, { suiteId, frameLength: 1000 } as never);
      const keeping = kms.envelope.rewrap(result, { From: ALLOW, To: To(), Body: "keep" });
      if (suite.signature) await expect(keeping).rejects.toMatchObject({ code: "UNSUPPORTED" });
      else {
        const moved = Buffer.from(await keeping);
        expect(same((await old.decrypt(keyring(), moved)).plaintext, plaintext)).toBe(true);
        expect(same(await west.envelope.decrypt(moved, ALLOW), plaintext)).toBe(true);
        // Not the IV of the old header, under which it has a tag already.
        const firstFrame = Buffer.from("00000001000000000000000000000001", "hex");
        const ivOf = (one: Buffer) =>
          one
            .subarray(one.indexOf(firstFrame) - 28)
            .subarray(0, 12)
            .toString("hex");
        const again = Buffer.from(await kms.envelope.rewrap(result, { From: ALLOW, To: To(), Body: "keep" }));
        expect(ivOf(result)).toBe("00".repeat(12));
        expect(new Set([result, moved, again].map(ivOf)).size).toBe(3);
      }
      const sealed = await kms.envelope.rewrap(result, { From: ALLOW, To: To() });
      expect(same(await west.envelope.decrypt(sealed), plaintext)).toBe(true);
    },
  );

  test("under several keys, from raw keys, into a file in its own place", async () => {
    const offline = new Envelope();
    const [one, two] = ["one", "two"].map(
      (name) => new RawAesKey({ namespace: "test", name, key: randomBytes(32) }),
    ) as [RawAesKey, RawAesKey];
    const file = join(directory, "message");
    const plaintext = randomBytes(3_000_000);
    for (const Body of ["keep", "reseal"] as const) {
      await writeFile(file, await offline.encrypt(plaintext, { Keys: one }));
      const Keys = new MultiKeys({ generator: two, children: [new KmsKeys(west, [newKey])] });
      const { read, written } = await offline.rewrapFile(file, file, {
        From: { Keys: one },
        To: { Keys },
        Body,
      });
      const moved = await readFile(file);
      expect(written).toBe(moved.length);
      expect(read).toBeLessThan(written);
      expect(same(await offline.decrypt(moved, { Keys: two }), plaintext)).toBe(true);
      expect(same(await west.envelope.decrypt(moved), plaintext)).toBe(true);
      await expect(offline.decrypt(moved, { Keys: one })).rejects.toMatchObject({ code: "NO_DATA_KEY" });
    }
  });

  test("that is damaged, of another context or of another's key is not moved", async () => {
    const message = Buffer.from(
      await kms.envelope.encrypt(randomBytes(1000), { KeyId: oldKey, EncryptionContext }),
    );
    const header = message.length - 1040;
    for (const Body of ["keep", "reseal"] as const) {
      for (let at = 0; at < header; at += 7) {
        const changed = Buffer.from(message);
        changed[at] = (changed[at] as number) ^ 1;
        await expect(kms.envelope.rewrap(changed, { To: To(), Body })).rejects.toBeInstanceOf(EnvelopeError);
        const cut = message.subarray(0, at);
        await expect(kms.envelope.rewrap(cut, { To: To(), Body })).rejects.toMatchObject({
          code: "TRUNCATED",
        });
      }
      const other = { From: { EncryptionContext: { tenant: "8" } }, To: To(), Body };
      await expect(kms.envelope.rewrap(message, other)).rejects.toMatchObject({ code: "CONTEXT_MISMATCH" });
      const stranger = kms.as("arn:aws:iam::000000000000:user/stranger", { policies: [] }).envelope;
      await expect(stranger.rewrap(message, { To: To(), Body })).rejects.toMatchObject({
        code: "NO_DATA_KEY",
      });
    }
    const changed = Buffer.from(message);
    changed[changed.length - 1] = (changed.at(-1) as number) ^ 1;
    await expect(kms.envelope.rewrap(changed, { To: To() })).rejects.toMatchObject({ code: "NOT_AUTHENTIC" });
    const kept = await kms.envelope.rewrap(changed, { To: To(), Body: "keep" });
    await expect(west.envelope.decrypt(kept)).rejects.toMatchObject({ code: "NOT_AUTHENTIC" });
  });
});

test("a hierarchy, as docs/envelope.md shows it: a data key under a key under a key", async () => {
  const docs = await readFile(join(import.meta.dirname, "../docs/envelope.md"), "utf8");
  const example = docs
    .split("```")
    .find((block) => block.includes("sealedBranch"))
    ?.replace(/^ts\n/, "");
  const AsyncFunction = (async () => {}).constructor as FunctionConstructor;
  const run = AsyncFunction(
    "kms",
    "bytes",
    "randomBytes",
    "RawAesKey",
    `${example?.replace("await kms.envelope.encrypt(bytes", "const message = $&")}; return { sealedBranch, branch, key, message };`,
  );
  await kms.createAlias({ AliasName: "alias/root", TargetKeyId: oldKey.split("/")[1] as string });
  const { sealedBranch, branch, key, message } = await run(kms, Buffer.from("hello"), randomBytes, RawAesKey);
  expect(same(branch, key)).toBe(true);
  // All that is below moves with it.
  const moved = await kms.envelope.rewrap(sealedBranch, { To: To() });
  const opened = await west.envelope.decrypt(moved, { KeyId: newKey });
  const Keys = new RawAesKey({ namespace: "branches", name: "eu", key: opened });
  expect(Buffer.from(await new Envelope().decrypt(message, { Keys })).toString()).toBe("hello");
});
