import { generateKeyPairSync, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  buildClient,
  CommitmentPolicy,
  type KeyringNode,
  KmsKeyringNode,
  MultiKeyringNode,
  RawAesKeyringNode,
  RawAesWrappingSuiteIdentifier,
  RawRsaKeyringNode,
} from "@aws-crypto/client-node";
import * as sdk from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  Envelope,
  type KeyProvider,
  KmsKeys,
  MultiKeys,
  RawAesKey,
  RawRsaKey,
  type RsaPadding,
} from "../lib/envelope.ts";
import { Kms } from "../lib/kms.ts";

const directory = mkdtempSync(join(tmpdir(), "keystead-keys-"));
let kms: Kms;
let KeyId: string;
beforeAll(async () => {
  kms = await Kms.open({ directory, regions: ["us-east-1", "eu-west-1"] });
  KeyId = (await kms.createKey()).KeyMetadata?.Arn as string;
});
afterAll(async () => {
  await kms?.close();
  rmSync(directory, { recursive: true, force: true });
});

const offline = new Envelope();
const client = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
const plaintext = randomBytes(10_000);
const namespace = "keys at hand";
const contexts: Record<string, string>[] = [{}, { tenant: "7" }, { b: "1", B: "2", ключ: "3", a: "4" }];
const same = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;

/** Each reads what the other writes. */
async function meet(Keys: KeyProvider, keyring: KeyringNode) {
  for (const EncryptionContext of contexts) {
    for (const Signed of [false, true]) {
      const ours = await offline.encrypt(plaintext, { Keys, EncryptionContext, Signed });
      expect(same((await client.decrypt(keyring as never, Buffer.from(ours))).plaintext, plaintext)).toBe(
        true,
      );
      expect(same(await offline.decrypt(ours, { Keys, EncryptionContext }), plaintext)).toBe(true);
    }
    const { result } = await client.encrypt(keyring as never, plaintext, {
      encryptionContext: EncryptionContext,
    });
    expect(same(await offline.decrypt(result, { Keys, EncryptionContext }), plaintext)).toBe(true);
  }
}

const aesSuites = {
  16: RawAesWrappingSuiteIdentifier.AES128_GCM_IV12_TAG16_NO_PADDING,
  24: RawAesWrappingSuiteIdentifier.AES192_GCM_IV12_TAG16_NO_PADDING,
  32: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
};
const aes = (name: string, key: Buffer, utf8Sorting = true) =>
  new RawAesKeyringNode({
    keyNamespace: namespace,
    keyName: name,
    unencryptedMasterKey: Uint8Array.from(key),
    wrappingSuite: aesSuites[key.length as 32],
    utf8Sorting,
  });

describe("raw AES keys", () => {
  test.each([16, 24, 32])("of %i bytes are those of the Encryption SDK", async (size) => {
    const key = randomBytes(size);
    await meet(new RawAesKey({ namespace, name: "aes", key }), aes("aes", key));
  });

  test("open what the Encryption SDK sorted by locale", async () => {
    const key = randomBytes(32);
    const { result } = await client.encrypt(aes("aes", key, false), plaintext, {
      encryptionContext: { b: "1", B: "2", a: "4" },
    });
    expect(
      (await offline.decrypt(result, { Keys: new RawAesKey({ namespace, name: "aes", key }) })).length,
    ).toBe(10_000);
  });

  test("with another name, namespace or key open nothing", async () => {
    const key = randomBytes(32);
    const message = await offline.encrypt(plaintext, {
      Keys: new RawAesKey({ namespace, name: "aes", key }),
    });
    for (const other of [
      { namespace, name: "ae", key },
      { namespace, name: "aes2", key },
      { namespace: "other", name: "aes", key },
      { namespace, name: "aes", key: randomBytes(32) },
    ]) {
      const opening = offline.decrypt(message, { Keys: new RawAesKey(other) });
      await expect(opening).rejects.toMatchObject({ name: "EnvelopeError", code: "NO_DATA_KEY" });
    }
  });

  test("are named in the header", async () => {
    const Keys = new RawAesKey({ namespace, name: "aes", key: randomBytes(32) });
    const message = await offline.encrypt(plaintext, { Keys });
    let told: object | undefined;
    const onHeader = (header: object) => {
      told = header;
    };
    await offline.decrypt(message, { Keys, onHeader });
    expect(told).toMatchObject({ KeyId: "aes", EncryptedDataKeys: [{ Provider: namespace, KeyId: "aes" }] });
  });
});

describe("raw RSA keys", () => {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const pem = {
    publicKey: publicKey.export({ type: "spki", format: "pem" }) as string,
    privateKey: privateKey.export({ type: "pkcs8", format: "pem" }) as string,
  };
  const paddings: [RsaPadding, object][] = [
    ["OAEP_SHA1", { oaepHash: "sha1" }],
    ["OAEP_SHA256", { oaepHash: "sha256" }],
    ["OAEP_SHA384", { oaepHash: "sha384" }],
    ["OAEP_SHA512", { oaepHash: "sha512" }],
  ];
  test.each(paddings)("padded by %s are those of the Encryption SDK", async (padding, theirs) => {
    const keyring = new RawRsaKeyringNode({
      keyNamespace: namespace,
      keyName: "rsa",
      rsaKey: pem,
      ...theirs,
    });
    await meet(new RawRsaKey({ namespace, name: "rsa", publicKey, privateKey, padding }), keyring);
  });

  test("encrypt with the public half and open with the private one", async () => {
    const sealer = new RawRsaKey({ namespace, name: "rsa", publicKey: pem.publicKey });
    const opener = new RawRsaKey({ namespace, name: "rsa", privateKey: pem.privateKey });
    const message = await offline.encrypt(plaintext, { Keys: sealer });
    expect(same(await offline.decrypt(message, { Keys: opener }), plaintext)).toBe(true);
    await expect(offline.decrypt(message, { Keys: sealer })).rejects.toThrow("no privateKey");
    await expect(offline.encrypt(plaintext, { Keys: opener })).rejects.toThrow("no publicKey");
  });
});

describe("KMS keys", () => {
  /** What a user of AWS has, here answered by Keystead's own protocol. */
  const aws = () =>
    new sdk.KMS({
      region: kms.region,
      requestHandler: kms.requestHandler() as never,
      credentials: { accessKeyId: "x", secretAccessKey: "x" },
    });

  test("of a client of the AWS SDK", async () => {
    const Keys = new KmsKeys(aws(), [KeyId]);
    const message = await offline.encrypt(plaintext, { Keys, EncryptionContext: { tenant: "7" } });
    expect(same(await kms.envelope.decrypt(message), plaintext)).toBe(true);
    expect(same(await offline.decrypt(message, { Keys }), plaintext)).toBe(true);
    expect(same(await offline.decrypt(message, { Keys: new KmsKeys(aws()) }), plaintext)).toBe(true);
  });

  test("need a client that has the operations", () => {
    const bare = new sdk.KMSClient({ region: "us-east-1" });
    expect(() => new KmsKeys(bare as never)).toThrow("new KMS()");
  });

  test("of two Regions: either opens the message, and so does a replica", async () => {
    const [east, west] = ["us-east-1", "eu-west-1"].map((region) => kms.inRegion(region)) as [Kms, Kms];
    const [one, other] = (await Promise.all([east, west].map((at) => at.createKey()))).map(
      ({ KeyMetadata }) => KeyMetadata?.Arn as string,
    ) as [string, string];
    const Keys = new MultiKeys({
      generator: new KmsKeys(east, [one]),
      children: [new KmsKeys(west, [other])],
    });
    const message = await offline.encrypt(plaintext, { Keys });
    for (const at of [east, west]) {
      expect(same(await offline.decrypt(message, { Keys: new KmsKeys(at) }), plaintext)).toBe(true);
      expect(same(await at.envelope.decrypt(message), plaintext)).toBe(true);
    }
    const primary = (await east.createKey({ MultiRegion: true })).KeyMetadata?.Arn as string;
    await east.replicateKey({ KeyId: primary, ReplicaRegion: "eu-west-1" });
    const replica = primary.replace("us-east-1", "eu-west-1");
    const shared = await offline.encrypt(plaintext, { Keys: new KmsKeys(east, [primary]) });
    const there = new KmsKeys(west, [replica]);
    expect(same(await offline.decrypt(shared, { Keys: there }), plaintext)).toBe(true);
  });
});

test("keys of other Regions are named by their ARNs, and asked for where they are", async () => {
  const west = kms.inRegion("eu-west-1");
  const other = (await west.createKey()).KeyMetadata?.Arn as string;
  const message = await kms.envelope.encrypt(plaintext, { KeyId: [KeyId, other] });
  for (const key of [KeyId, other]) {
    for (const at of [kms, west]) {
      expect(same(await at.envelope.decrypt(message, { KeyId: key }), plaintext)).toBe(true);
    }
  }
  const moved = await kms.envelope.rewrap(message, { To: { KeyId: other } });
  expect(same(await west.envelope.decrypt(moved), plaintext)).toBe(true);
  const stranger = kms.as("arn:aws:iam::000000000000:user/stranger", { policies: [] }).envelope;
  await expect(stranger.encrypt(plaintext, { KeyId: other })).rejects.toMatchObject({
    name: "AccessDeniedException",
  });
  const nowhere = kms.envelope.encrypt(plaintext, { KeyId: other.replace("eu-west-1", "eu-west-9") });
  await expect(nowhere).rejects.toMatchObject({ name: "NotFoundException" });
});

describe("keys together", () => {
  test("are those of the Encryption SDK", async () => {
    const key = randomBytes(32);
    const Keys = new MultiKeys({
      generator: new KmsKeys(kms, [KeyId]),
      children: [new RawAesKey({ namespace, name: "backup", key })],
    });
    const generator = new KmsKeyringNode({ clientProvider: () => kms, generatorKeyId: KeyId });
    await meet(Keys, new MultiKeyringNode({ generator, children: [aes("backup", key)] }));
    const message = await offline.encrypt(plaintext, { Keys });
    const backup = new RawAesKey({ namespace, name: "backup", key });
    for (const only of [backup, new KmsKeys(kms), new MultiKeys({ children: [aesOf("none"), backup] })]) {
      expect(same(await offline.decrypt(message, { Keys: only }), plaintext)).toBe(true);
    }
    await expect(offline.decrypt(message, { Keys: aesOf("none") })).rejects.toMatchObject({
      code: "NO_DATA_KEY",
    });
  });

  test("all have to be usable, else nothing is encrypted", async () => {
    const Keys = new MultiKeys({ generator: aesOf("one"), children: [new KmsKeys(kms, ["alias/none"])] });
    await expect(offline.encrypt(plaintext, { Keys })).rejects.toMatchObject({ name: "NotFoundException" });
  });

  test("without a generator only open", async () => {
    const Keys = new MultiKeys({ children: [aesOf("one")] });
    await expect(offline.encrypt(plaintext, { Keys })).rejects.toThrow("generator");
    expect(() => new MultiKeys({})).toThrow(TypeError);
  });
});

const aesOf = (name: string) => new RawAesKey({ namespace, name, key: Buffer.alloc(32, name) });

test.each<[string, () => unknown]>([
  ["no KMS and no keys", () => offline.encrypt(plaintext, { KeyId: "alias/x" })],
  ["both", () => kms.envelope.encrypt(plaintext, { KeyId, Keys: aesOf("x") })],
  ["neither", () => kms.envelope.encrypt(plaintext, {})],
])("misuse: %s", async (_, misuse) => {
  await expect(misuse()).rejects.toThrow(TypeError);
});
test.each<[string, () => unknown]>([
  ["an AES key of 20 bytes", () => new RawAesKey({ namespace, name: "x", key: Buffer.alloc(20) })],
  ["the namespace of KMS", () => new RawAesKey({ namespace: "aws-kms", name: "x", key: Buffer.alloc(32) })],
  ["no name", () => new RawAesKey({ namespace, name: "", key: Buffer.alloc(32) })],
  ["no RSA key", () => new RawRsaKey({ namespace, name: "x" })],
  [
    "an EC key",
    () => new RawRsaKey({ namespace, name: "x", ...generateKeyPairSync("ec", { namedCurve: "P-256" }) }),
  ],
])("misuse: %s", (_, misuse) => {
  expect(misuse).toThrow(TypeError);
});
