import { constants, createHash, createPublicKey, type KeyObject, verify as verifyBy } from "node:crypto";
import { describe, expect, test } from "vitest";
import { bytes, newKey, openTestDeployment, refusal } from "./deployment.ts";

const { kms, events } = await openTestDeployment();
const Message = bytes("a message of which nothing must show");

type Input = Parameters<typeof kms.sign>[0];
type SigningAlgorithm = Input["SigningAlgorithm"];

async function pair(KeySpec: string) {
  const made = await newKey(kms, { KeySpec, KeyUsage: "SIGN_VERIFY" } as never);
  const { PublicKey } = await kms.getPublicKey({ KeyId: made.KeyId });
  const publicKey = createPublicKey({
    key: Buffer.from(PublicKey as Uint8Array),
    format: "der",
    type: "spki",
  });
  return { ...made, publicKey };
}

/** What node:crypto says of a signature. */
function verified(key: KeyObject, algorithm: string, message: Uint8Array, signature: Uint8Array): boolean {
  const hash = /^ED25519/.test(algorithm) ? null : `sha${algorithm.slice(-3)}`;
  const padding = algorithm.startsWith("RSASSA_PSS")
    ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
    : {};
  return verifyBy(hash, message, { key, ...padding }, signature);
}

const rsa = ["PKCS1_V1_5", "PSS"].flatMap((scheme) =>
  [256, 384, 512].map((bits) => `RSASSA_${scheme}_SHA_${bits}`),
);

describe.each([
  ["RSA_2048", rsa],
  ["RSA_3072", ["RSASSA_PSS_SHA_512"]],
  ["RSA_4096", ["RSASSA_PKCS1_V1_5_SHA_384"]],
  ["ECC_NIST_P256", ["ECDSA_SHA_256"]],
  ["ECC_NIST_P384", ["ECDSA_SHA_384"]],
  ["ECC_NIST_P521", ["ECDSA_SHA_512"]],
  ["ECC_SECG_P256K1", ["ECDSA_SHA_256"]],
  ["ECC_NIST_EDWARDS25519", ["ED25519_SHA_512"]],
])("%s", (KeySpec, names) => {
  test("signs messages, and what it signs others verify", async () => {
    const { KeyId, Arn, publicKey } = await pair(KeySpec);
    for (const name of names as SigningAlgorithm[]) {
      const signed = await kms.sign({ KeyId, Message, SigningAlgorithm: name });
      expect(signed).toMatchObject({ KeyId: Arn, SigningAlgorithm: name });
      const Signature = signed.Signature as Uint8Array;
      expect(verified(publicKey, name as string, Message, Signature)).toBe(true);
      const input = { KeyId, Message, Signature, SigningAlgorithm: name };
      expect(await kms.verify(input)).toMatchObject({
        KeyId: Arn,
        SignatureValid: true,
        SigningAlgorithm: name,
      });
      const flipped = Uint8Array.from(Signature);
      flipped[flipped.length >> 1] = (flipped[flipped.length >> 1] as number) ^ 1;
      for (const wrong of [flipped, Signature.subarray(1), new Uint8Array([...Signature, 0])])
        expect(await refusal(kms.verify({ ...input, Signature: wrong }))).toBe(
          "KMSInvalidSignatureException",
        );
      expect(await refusal(kms.verify({ ...input, Message: bytes("another") }))).toBe(
        "KMSInvalidSignatureException",
      );
    }
  }, 60_000);

  test("tells its public key and what it can", async () => {
    const { KeyId, Arn, publicKey } = await pair(KeySpec);
    const told = await kms.getPublicKey({ KeyId });
    expect(told).toMatchObject({ KeyId: Arn, KeySpec, KeyUsage: "SIGN_VERIFY" });
    expect(told.SigningAlgorithms).toEqual(expect.arrayContaining(names));
    const own = publicKey.export({ format: "der", type: "spki" });
    expect(Buffer.from(told.PublicKey as Uint8Array)).toEqual(own);
    const { KeyMetadata } = await kms.describeKey({ KeyId });
    expect(KeyMetadata).toMatchObject({ KeySpec, KeyUsage: "SIGN_VERIFY", Enabled: true });
    expect(KeyMetadata?.EncryptionAlgorithms).toBeUndefined();
  }, 60_000);
});

test.each([
  ["RSA_2048", "RSASSA_PSS_SHA_256", "sha256"],
  ["RSA_2048", "RSASSA_PKCS1_V1_5_SHA_512", "sha512"],
  ["ECC_NIST_P384", "ECDSA_SHA_384", "sha384"],
] as const)("%s: a digest is not hashed again by %s", async (KeySpec, SigningAlgorithm, hash) => {
  const { KeyId, publicKey } = await pair(KeySpec);
  const digest = createHash(hash).update(Message).digest();
  const input = { KeyId, Message: digest, MessageType: "DIGEST", SigningAlgorithm } as const;
  const { Signature = new Uint8Array() } = await kms.sign(input);
  expect(verified(publicKey, SigningAlgorithm, Message, Signature)).toBe(true);
  expect(await kms.verify({ ...input, Signature })).toMatchObject({ SignatureValid: true });
  expect(await kms.verify({ KeyId, Message, Signature, SigningAlgorithm })).toMatchObject({
    SignatureValid: true,
  });
  for (const short of [digest.subarray(1), Buffer.concat([digest, Buffer.alloc(1)])])
    expect(await refusal(kms.sign({ ...input, Message: short }))).toBe(
      `ValidationException: Digest is invalid length for algorithm ${SigningAlgorithm}.`,
    );
});

test("algorithm, usage and message type must fit the key", async () => {
  const { KeyId, Arn } = await pair("ECC_NIST_P256");
  const sign = (input: object) => refusal(kms.sign({ KeyId, Message, ...input } as Input));
  expect(await sign({ SigningAlgorithm: "ECDSA_SHA_384" })).toBe(
    "InvalidKeyUsageException: Algorithm ECDSA_SHA_384 is incompatible with key spec ECC_NIST_P256.",
  );
  expect(await sign({ SigningAlgorithm: "RSASSA_PSS_SHA_256" })).toMatch(/^InvalidKeyUsageException/);
  expect(await sign({ SigningAlgorithm: "ECDSA_SHA_256", MessageType: "EXTERNAL_MU" })).toMatch(
    /^ValidationException/,
  );
  expect(await sign({ SigningAlgorithm: "ECDSA_SHA_256", DryRun: true })).toMatch(
    /^DryRunOperationException/,
  );
  expect(await refusal(kms.encrypt({ KeyId, Plaintext: Message }))).toBe(
    `InvalidKeyUsageException: ${Arn} key usage is SIGN_VERIFY which is not valid for Encrypt.`,
  );
  const { KeyId: aes } = await newKey(kms);
  expect(await refusal(kms.getPublicKey({ KeyId: aes }))).toMatch(/^UnsupportedOperationException/);
  await kms.sign({ KeyId, Message, SigningAlgorithm: "ECDSA_SHA_256" });
  const [event] = await events(1);
  expect(event?.requestParameters).toEqual({ keyId: KeyId, signingAlgorithm: "ECDSA_SHA_256" });
  expect(event?.resources).toMatchObject([{ ARN: Arn }]);
});

test("the states of a key hold for signing as for encrypting", async () => {
  const { KeyId, Arn } = await pair("ECC_NIST_P256");
  const sign = () => kms.sign({ KeyId, Message, SigningAlgorithm: "ECDSA_SHA_256" });
  await kms.disableKey({ KeyId });
  expect(await refusal(sign())).toBe(`DisabledException: ${Arn} is disabled.`);
  expect(await refusal(kms.getPublicKey({ KeyId }))).toBe(`DisabledException: ${Arn} is disabled.`);
  await kms.enableKey({ KeyId });
  await sign();
  await kms.scheduleKeyDeletion({ KeyId });
  expect(await refusal(sign())).toBe(`KMSInvalidStateException: ${Arn} is pending deletion.`);
});

test("what is not offered is refused by name", async () => {
  expect(await refusal(kms.createKey({ KeySpec: "SM2", KeyUsage: "SIGN_VERIFY" }))).toMatch(
    /^UnsupportedOperationException: KeySpec SM2 is not offered here/,
  );
  expect(await refusal(kms.createKey({ KeySpec: "ECC_SECG_P256K1", KeyUsage: "KEY_AGREEMENT" }))).toBe(
    "ValidationException: KeyUsage KEY_AGREEMENT is not compatible with KeySpec ECC_SECG_P256K1",
  );
});

test("Ed25519ph signs the SHA-512 of a message, and is not Ed25519 of it", async () => {
  const { KeyId } = await pair("ECC_NIST_EDWARDS25519");
  const digest = createHash("sha512").update(Message).digest();
  const input = {
    KeyId,
    Message: digest,
    MessageType: "DIGEST",
    SigningAlgorithm: "ED25519_PH_SHA_512",
  } as const;
  const { Signature = new Uint8Array() } = await kms.sign(input);
  expect(Signature.length).toBe(64);
  expect(await kms.verify({ ...input, Signature })).toMatchObject({ SignatureValid: true });
  const pure = { KeyId, Message: digest, SigningAlgorithm: "ED25519_SHA_512" } as const;
  expect(await refusal(kms.verify({ ...pure, Signature }))).toBe("KMSInvalidSignatureException");
  expect(await refusal(kms.sign({ ...pure, MessageType: "DIGEST" }))).toMatch(/^ValidationException/);
  expect(await refusal(kms.sign({ ...input, MessageType: "RAW" }))).toMatch(/^ValidationException/);
});

const hasMlDsa = Number(process.versions.openssl.split(".", 2).join("")) >= 35;

describe.each(["ML_DSA_44", "ML_DSA_65", "ML_DSA_87"] as const)("%s", (KeySpec) => {
  const SigningAlgorithm = "ML_DSA_SHAKE_256";

  test.runIf(hasMlDsa)("signs messages, whole or as mu", async () => {
    const { KeyId } = await newKey(kms, { KeySpec, KeyUsage: "SIGN_VERIFY" });
    const { PublicKey = new Uint8Array() } = await kms.getPublicKey({ KeyId });
    const key = createPublicKey({ key: Buffer.from(PublicKey), format: "der", type: "spki" });
    const { Signature = new Uint8Array() } = await kms.sign({ KeyId, Message, SigningAlgorithm });
    expect(verifyBy(null, Message, key, Signature)).toBe(true);
    expect(await kms.verify({ KeyId, Message, Signature, SigningAlgorithm })).toMatchObject({
      SignatureValid: true,
    });
    const mu = {
      KeyId,
      Message: createHash("sha512").update("mu").digest(),
      MessageType: "EXTERNAL_MU",
    } as const;
    const signed = await kms.sign({ ...mu, SigningAlgorithm });
    expect(
      await kms.verify({ ...mu, SigningAlgorithm, Signature: signed.Signature as Uint8Array }),
    ).toMatchObject({
      SignatureValid: true,
    });
  });

  test.skipIf(hasMlDsa)("is refused by what it lacks", async () => {
    expect(await refusal(kms.createKey({ KeySpec, KeyUsage: "SIGN_VERIFY" }))).toMatch(
      /^UnsupportedOperationException: .*ML-?_?DSA/,
    );
  });
});
