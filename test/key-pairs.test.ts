import {
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  sign,
  verify,
} from "node:crypto";
import { describe, expect, test } from "vitest";
import { bytes, newKey, openTestDeployment, refusal } from "./deployment.ts";

const { kms } = await openTestDeployment();

const der = { format: "der", type: "spki" } as const;

describe.each([
  ["ECC_NIST_P256", "P-256"],
  ["ECC_NIST_P384", "P-384"],
  ["ECC_NIST_P521", "P-521"],
] as const)("key agreement with %s", (KeySpec, namedCurve) => {
  test("gives both sides the same secret", async () => {
    const { KeyId, Arn } = await newKey(kms, { KeySpec, KeyUsage: "KEY_AGREEMENT" });
    const { PublicKey = new Uint8Array(), KeyAgreementAlgorithms } = await kms.getPublicKey({ KeyId });
    expect(KeyAgreementAlgorithms).toEqual(["ECDH"]);
    const publicKey = createPublicKey({ key: Buffer.from(PublicKey), ...der });
    for (let i = 0; i < 8; i++) {
      const other = generateKeyPairSync("ec", { namedCurve });
      const derived = await kms.deriveSharedSecret({
        KeyId,
        KeyAgreementAlgorithm: "ECDH",
        PublicKey: other.publicKey.export(der),
      });
      expect(derived).toMatchObject({ KeyId: Arn, KeyAgreementAlgorithm: "ECDH", KeyOrigin: "AWS_KMS" });
      const expected = diffieHellman({ privateKey: other.privateKey, publicKey });
      expect(Buffer.from(derived.SharedSecret as Uint8Array)).toEqual(expected);
    }
  });

  test("refuses what is no public key of its curve", async () => {
    const { KeyId } = await newKey(kms, { KeySpec, KeyUsage: "KEY_AGREEMENT" });
    const own = generateKeyPairSync("ec", { namedCurve }).publicKey.export(der);
    const off = Buffer.from(own);
    off[off.length - 1] = (off[off.length - 1] as number) ^ 1;
    const foreign = generateKeyPairSync("ec", { namedCurve: "secp256k1" }).publicKey.export(der);
    for (const PublicKey of [
      off,
      own.subarray(1),
      Buffer.concat([own, Buffer.alloc(1)]),
      foreign,
      bytes("x"),
    ])
      expect(
        await refusal(kms.deriveSharedSecret({ KeyId, KeyAgreementAlgorithm: "ECDH", PublicKey })),
      ).toMatch(/^ValidationException: The public key is none of key spec ECC_NIST_P/);
  });
});

describe.each([
  "RSA_2048",
  "RSA_3072",
  "ECC_NIST_P256",
  "ECC_NIST_P521",
  "ECC_SECG_P256K1",
  "ECC_NIST_EDWARDS25519",
] as const)("a data key pair of %s", (KeyPairSpec) => {
  test("comes in the clear and sealed, and its halves belong together", async () => {
    const { KeyId, Arn } = await newKey(kms);
    const EncryptionContext = { purpose: "tests" };
    const made = await kms.generateDataKeyPair({ KeyId, KeyPairSpec, EncryptionContext });
    expect(made).toMatchObject({ KeyId: Arn, KeyPairSpec });
    const opened = await kms.decrypt({ CiphertextBlob: made.PrivateKeyCiphertextBlob, EncryptionContext });
    expect(opened.Plaintext).toEqual(made.PrivateKeyPlaintext);
    const privateKey = createPrivateKey({
      key: Buffer.from(made.PrivateKeyPlaintext as Uint8Array),
      format: "der",
      type: "pkcs8",
    });
    const publicKey = createPublicKey({ key: Buffer.from(made.PublicKey as Uint8Array), ...der });
    const hash = KeyPairSpec === "ECC_NIST_EDWARDS25519" ? null : "sha256";
    expect(verify(hash, bytes("m"), publicKey, sign(hash, bytes("m"), privateKey))).toBe(true);
    expect(createPublicKey(privateKey).export(der)).toEqual(publicKey.export(der));
  }, 60_000);

  test("may come without plaintext", async () => {
    const { KeyId } = await newKey(kms);
    const made = await kms.generateDataKeyPairWithoutPlaintext({ KeyId, KeyPairSpec });
    expect(made).not.toHaveProperty("PrivateKeyPlaintext");
    const { Plaintext = new Uint8Array() } = await kms.decrypt({
      CiphertextBlob: made.PrivateKeyCiphertextBlob,
    });
    const privateKey = createPrivateKey({ key: Buffer.from(Plaintext), format: "der", type: "pkcs8" });
    expect(createPublicKey(privateKey).export(der)).toEqual(Buffer.from(made.PublicKey as Uint8Array));
  }, 60_000);
});

test("data key pairs are refused of SM2, of asymmetric keys, and when dry", async () => {
  const { KeyId } = await newKey(kms);
  expect(await refusal(kms.generateDataKeyPair({ KeyId, KeyPairSpec: "SM2" }))).toMatch(
    /^UnsupportedOperationException/,
  );
  expect(
    await refusal(kms.generateDataKeyPair({ KeyId, KeyPairSpec: "ECC_NIST_P256", DryRun: true })),
  ).toMatch(/^DryRunOperationException/);
  const { KeyId: hmac } = await newKey(kms, { KeySpec: "HMAC_256", KeyUsage: "GENERATE_VERIFY_MAC" });
  expect(await refusal(kms.generateDataKeyPair({ KeyId: hmac, KeyPairSpec: "RSA_2048" }))).toMatch(
    /^InvalidKeyUsageException/,
  );
});
