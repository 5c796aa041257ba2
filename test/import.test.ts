import {
  constants,
  createCipheriv,
  createHmac,
  createPublicKey,
  generateKeyPairSync,
  publicEncrypt,
  randomBytes,
  verify,
} from "node:crypto";
import { describe, expect, test } from "vitest";
import type { Kms } from "../lib/index.ts";
import { bytes, newKey, openTestDeployment, refusal, text } from "./deployment.ts";

const { kms, clock, events } = await openTestDeployment();

type Parameters0<M extends keyof Kms> = Kms[M] extends (input: infer I) => unknown ? I : never;
type Wrapping = Parameters0<"getParametersForImport">["WrappingAlgorithm"];

/** The material as a caller of AWS KMS wraps it. */
function wrap(publicKey: Uint8Array, algorithm: string, material: Uint8Array): Uint8Array {
  const key = createPublicKey({ key: Buffer.from(publicKey), format: "der", type: "spki" });
  const oaepHash = algorithm.endsWith("SHA_256") ? "sha256" : "sha1";
  const encrypt = (data: Uint8Array) =>
    publicEncrypt({ key, oaepHash, padding: constants.RSA_PKCS1_OAEP_PADDING }, data);
  if (algorithm.startsWith("RSAES_OAEP")) return encrypt(material);
  const aes = randomBytes(32);
  const cipher = createCipheriv("id-aes256-wrap-pad" as never, aes, Buffer.from("a65959a6", "hex"));
  return Buffer.concat([encrypt(aes), cipher.update(material), cipher.final()]);
}

async function parameters(
  KeyId: string,
  WrappingAlgorithm: Wrapping = "RSAES_OAEP_SHA_256",
  spec = "RSA_2048",
) {
  const given = await kms.getParametersForImport({
    KeyId,
    WrappingAlgorithm,
    WrappingKeySpec: spec as "RSA_2048",
  });
  return { ImportToken: given.ImportToken as Uint8Array, publicKey: given.PublicKey as Uint8Array, given };
}

const forever = { ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE" } as const;

/** Imports material; what the caller says beside it is as AWS takes it. */
async function importInto(
  KeyId: string,
  material: Uint8Array,
  input: object = forever,
  algorithm?: Wrapping,
) {
  const { ImportToken, publicKey } = await parameters(KeyId, algorithm);
  const EncryptedKeyMaterial = wrap(publicKey, algorithm ?? "RSAES_OAEP_SHA_256", material);
  return kms.importKeyMaterial({ KeyId, ImportToken, EncryptedKeyMaterial, ...input });
}

const stateOf = async (KeyId: string) => (await kms.describeKey({ KeyId })).KeyMetadata;

describe.each([
  ["RSAES_OAEP_SHA_1", "RSA_2048"],
  ["RSAES_OAEP_SHA_256", "RSA_3072"],
  ["RSA_AES_KEY_WRAP_SHA_1", "RSA_4096"],
  ["RSA_AES_KEY_WRAP_SHA_256", "RSA_2048"],
] as const)("%s under %s", (algorithm, spec) => {
  test("brings a symmetric key its material", async () => {
    const { KeyId, Arn } = await newKey(kms, { Origin: "EXTERNAL" });
    expect(await stateOf(KeyId)).toMatchObject({
      Origin: "EXTERNAL",
      KeyState: "PendingImport",
      Enabled: false,
    });
    expect(await refusal(kms.encrypt({ KeyId, Plaintext: bytes("x") }))).toBe(
      `KMSInvalidStateException: ${Arn} is pending import.`,
    );
    const { ImportToken, publicKey, given } = await parameters(KeyId, algorithm, spec);
    expect(given).toMatchObject({ KeyId: Arn, ParametersValidTo: new Date(clock.now + 86_400_000) });
    const EncryptedKeyMaterial = wrap(publicKey, algorithm, randomBytes(32));
    const made = await kms.importKeyMaterial({ KeyId, ImportToken, EncryptedKeyMaterial, ...forever });
    expect(made).toMatchObject({ KeyId: Arn, KeyMaterialId: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(await stateOf(KeyId)).toMatchObject({
      KeyState: "Enabled",
      Enabled: true,
      ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE",
      CurrentKeyMaterialId: made.KeyMaterialId,
    });
    const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: bytes("under my own key") });
    const opened = await kms.decrypt({ CiphertextBlob });
    expect(text(opened.Plaintext)).toBe("under my own key");
    expect(opened.KeyMaterialId).toBe(made.KeyMaterialId);
  }, 60_000);
});

test("a MAC key makes the MACs of what was imported", async () => {
  const { KeyId } = await newKey(kms, {
    Origin: "EXTERNAL",
    KeySpec: "HMAC_384",
    KeyUsage: "GENERATE_VERIFY_MAC",
  });
  const secret = randomBytes(48);
  expect(await refusal(importInto(KeyId, randomBytes(32)))).toMatch(/^IncorrectKeyMaterialException/);
  const made = await importInto(KeyId, secret);
  expect(made.KeyMaterialId).toBeUndefined();
  const { Mac } = await kms.generateMac({ KeyId, Message: bytes("m"), MacAlgorithm: "HMAC_SHA_384" });
  expect(Buffer.from(Mac as Uint8Array)).toEqual(createHmac("sha384", secret).update("m").digest());
});

test.each([
  ["ECC_NIST_P256", "ECDSA_SHA_256", () => generateKeyPairSync("ec", { namedCurve: "P-256" })],
  ["ECC_NIST_P521", "ECDSA_SHA_512", () => generateKeyPairSync("ec", { namedCurve: "P-521" })],
  ["ECC_SECG_P256K1", "ECDSA_SHA_256", () => generateKeyPairSync("ec", { namedCurve: "secp256k1" })],
  ["RSA_2048", "RSASSA_PKCS1_V1_5_SHA_256", () => generateKeyPairSync("rsa", { modulusLength: 2048 })],
] as const)(
  "a private key of %s signs as its owner would",
  async (KeySpec, SigningAlgorithm, make) => {
    const { KeyId } = await newKey(kms, { Origin: "EXTERNAL", KeySpec, KeyUsage: "SIGN_VERIFY" });
    const { privateKey, publicKey } = make();
    const pkcs8 = privateKey.export({ format: "der", type: "pkcs8" });
    await importInto(KeyId, pkcs8, forever, "RSA_AES_KEY_WRAP_SHA_256");
    const told = await kms.getPublicKey({ KeyId });
    expect(Buffer.from(told.PublicKey as Uint8Array)).toEqual(
      publicKey.export({ format: "der", type: "spki" }),
    );
    const { Signature = new Uint8Array() } = await kms.sign({ KeyId, Message: bytes("m"), SigningAlgorithm });
    expect(verify(`sha${SigningAlgorithm.slice(-3)}`, bytes("m"), publicKey, Signature)).toBe(true);
    const other = generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey.export({
      format: "der",
      type: "pkcs8",
    });
    expect(await refusal(importInto(KeyId, other, forever, "RSA_AES_KEY_WRAP_SHA_256"))).toMatch(
      /^IncorrectKeyMaterialException/,
    );
  },
  60_000,
);

describe("material that expires", () => {
  test("is gone when its time is over, and the same may come again", async () => {
    const { KeyId, Arn } = await newKey(kms, { Origin: "EXTERNAL" });
    const material = randomBytes(32);
    const ValidTo = new Date(clock.now + 5 * 86_400_000);
    const { KeyMaterialId } = await importInto(KeyId, material, { ValidTo });
    expect(await stateOf(KeyId)).toMatchObject({ ValidTo, ExpirationModel: "KEY_MATERIAL_EXPIRES" });
    const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: bytes("kept") });
    await kms.runDue();
    expect((await stateOf(KeyId))?.KeyState).toBe("Enabled");
    clock.advance(6);
    expect(await kms.runDue()).toBeGreaterThan(0);
    expect((await events(1))[0]).toMatchObject({
      eventName: "DeleteExpiredKeyMaterial",
      resources: [{ ARN: Arn }],
    });
    const gone = await stateOf(KeyId);
    expect(gone?.KeyState).toBe("PendingImport");
    expect(gone?.ValidTo).toBeUndefined();
    expect(await refusal(kms.decrypt({ CiphertextBlob }))).toMatch(/pending import/);
    expect(await refusal(importInto(KeyId, randomBytes(32)))).toMatch(/^IncorrectKeyMaterialException/);
    expect(await importInto(KeyId, material)).toMatchObject({ KeyMaterialId });
    expect(text((await kms.decrypt({ CiphertextBlob })).Plaintext)).toBe("kept");
  });

  test("needs an end that lies ahead, and within a year", async () => {
    const { KeyId } = await newKey(kms, { Origin: "EXTERNAL" });
    const at = (days: number) => ({ ValidTo: new Date(clock.now + days * 86_400_000) });
    const none = {} as object;
    for (const input of [none, at(-1), at(0), at(366), { ...at(1), ...forever }])
      expect(await refusal(importInto(KeyId, randomBytes(32), input))).toMatch(/^ValidationException/);
  });
});

test("deleted material takes the key's use with it, and can be brought back", async () => {
  const { KeyId, Arn } = await newKey(kms, { Origin: "EXTERNAL" });
  const material = randomBytes(32);
  const { KeyMaterialId } = await importInto(KeyId, material);
  const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: bytes("kept") });
  expect(await kms.deleteImportedKeyMaterial({ KeyId })).toMatchObject({ KeyId: Arn, KeyMaterialId });
  expect((await stateOf(KeyId))?.KeyState).toBe("PendingImport");
  expect(await refusal(kms.decrypt({ CiphertextBlob }))).toMatch(/pending import/);
  await kms.deleteImportedKeyMaterial({ KeyId });
  const unknown = "0".repeat(64);
  expect(await refusal(kms.deleteImportedKeyMaterial({ KeyId, KeyMaterialId: unknown }))).toBe(
    `NotFoundException: ${Arn} has no key material ${unknown}.`,
  );
  await importInto(KeyId, material, { ...forever, ImportType: "EXISTING_KEY_MATERIAL", KeyMaterialId });
  expect(text((await kms.decrypt({ CiphertextBlob })).Plaintext)).toBe("kept");
});

test("new material waits for a rotation on demand, and all that was sealed stays readable", async () => {
  const { KeyId } = await newKey(kms, { Origin: "EXTERNAL" });
  const [first, second] = [randomBytes(32), randomBytes(32)];
  const one = await importInto(KeyId, first);
  const old = await kms.encrypt({ KeyId, Plaintext: bytes("old") });
  const two = await importInto(KeyId, second, { ...forever, ImportType: "NEW_KEY_MATERIAL" });
  expect(two.KeyMaterialId).not.toBe(one.KeyMaterialId);
  expect((await stateOf(KeyId))?.CurrentKeyMaterialId).toBe(one.KeyMaterialId);
  expect(
    await refusal(importInto(KeyId, randomBytes(32), { ...forever, ImportType: "NEW_KEY_MATERIAL" })),
  ).toMatch(/^KMSInvalidStateException: .*pending rotation/);
  await kms.rotateKeyOnDemand({ KeyId });
  await kms.runDue();
  expect((await stateOf(KeyId))?.CurrentKeyMaterialId).toBe(two.KeyMaterialId);
  const fresh = await kms.encrypt({ KeyId, Plaintext: bytes("new") });
  for (const [{ CiphertextBlob }, said, by] of [
    [old, "old", one],
    [fresh, "new", two],
  ] as const) {
    const opened = await kms.decrypt({ CiphertextBlob });
    expect([text(opened.Plaintext), opened.KeyMaterialId]).toEqual([said, by.KeyMaterialId]);
  }
  await kms.deleteImportedKeyMaterial({ KeyId, KeyMaterialId: one.KeyMaterialId });
  expect((await stateOf(KeyId))?.KeyState).toBe("PendingImport");
  await importInto(KeyId, first);
  expect(text((await kms.decrypt({ CiphertextBlob: old.CiphertextBlob })).Plaintext)).toBe("old");
});

describe("an import token", () => {
  test("is for its key, for a day, and for nothing that was changed", async () => {
    const { KeyId } = await newKey(kms, { Origin: "EXTERNAL" });
    const { KeyId: other } = await newKey(kms, { Origin: "EXTERNAL" });
    const { ImportToken, publicKey } = await parameters(KeyId);
    const EncryptedKeyMaterial = wrap(publicKey, "RSAES_OAEP_SHA_256", randomBytes(32));
    const use = (token: Uint8Array, key = KeyId) =>
      refusal(kms.importKeyMaterial({ KeyId: key, ImportToken: token, EncryptedKeyMaterial, ...forever }));
    expect(await use(ImportToken, other)).toBe("InvalidImportTokenException");
    for (let at = 0; at < ImportToken.length; at += 37) {
      const flipped = Uint8Array.from(ImportToken);
      flipped[at] = (flipped[at] as number) ^ 1;
      expect(await use(flipped)).toBe("InvalidImportTokenException");
      expect(await use(ImportToken.subarray(0, at + 1))).toBe("InvalidImportTokenException");
    }
    clock.advance(1);
    expect(await use(ImportToken)).toBe("ExpiredImportTokenException");
  });

  test("opens only what its own public key encrypted", async () => {
    const { KeyId } = await newKey(kms, { Origin: "EXTERNAL" });
    const { ImportToken } = await parameters(KeyId);
    const { publicKey } = await parameters(KeyId);
    const EncryptedKeyMaterial = wrap(publicKey, "RSAES_OAEP_SHA_256", randomBytes(32));
    for (const encrypted of [EncryptedKeyMaterial, EncryptedKeyMaterial.subarray(1), bytes("x")])
      expect(
        await refusal(
          kms.importKeyMaterial({ KeyId, ImportToken, EncryptedKeyMaterial: encrypted, ...forever }),
        ),
      ).toBe("InvalidCiphertextException");
  });
});

test("only keys of origin EXTERNAL take material, and only such as is offered", async () => {
  const { KeyId, Arn } = await newKey(kms);
  const wrapped = { WrappingAlgorithm: "RSAES_OAEP_SHA_256", WrappingKeySpec: "RSA_2048" } as const;
  const invalid = `UnsupportedOperationException: ${Arn} origin is AWS_KMS which is not valid for this operation.`;
  expect(await refusal(kms.getParametersForImport({ KeyId, ...wrapped }))).toBe(invalid);
  expect(await refusal(kms.deleteImportedKeyMaterial({ KeyId }))).toBe(invalid);
  const { KeyId: external } = await newKey(kms, { Origin: "EXTERNAL" });
  for (const input of [
    { ...wrapped, WrappingAlgorithm: "RSAES_PKCS1_V1_5" as const },
    { ...wrapped, WrappingKeySpec: "SM2" as const },
  ])
    expect(await refusal(kms.getParametersForImport({ KeyId: external, ...input }))).toMatch(
      /^UnsupportedOperationException: WrappingAlgorithm .* is not offered here/,
    );
  expect(
    await refusal(
      kms.createKey({ Origin: "EXTERNAL", KeySpec: "ECC_NIST_EDWARDS25519", KeyUsage: "SIGN_VERIFY" }),
    ),
  ).toMatch(/^UnsupportedOperationException/);
});

test("states of the key: material comes to one that is disabled, not to one that is pending deletion", async () => {
  const { KeyId, Arn } = await newKey(kms, { Origin: "EXTERNAL" });
  await importInto(KeyId, randomBytes(32));
  await kms.disableKey({ KeyId });
  const { ImportToken } = await parameters(KeyId);
  expect((await stateOf(KeyId))?.KeyState).toBe("Disabled");
  await kms.scheduleKeyDeletion({ KeyId });
  const pending = `KMSInvalidStateException: ${Arn} is pending deletion.`;
  const wrapped = { WrappingAlgorithm: "RSAES_OAEP_SHA_256", WrappingKeySpec: "RSA_2048" } as const;
  expect(await refusal(kms.getParametersForImport({ KeyId, ...wrapped }))).toBe(pending);
  const EncryptedKeyMaterial = bytes("x");
  expect(await refusal(kms.importKeyMaterial({ KeyId, ImportToken, EncryptedKeyMaterial, ...forever }))).toBe(
    pending,
  );
});
