import { constants, createPublicKey, publicEncrypt, randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { bytes, newKey, openTestDeployment, refusal, text } from "./deployment.ts";

const { kms, events } = await openTestDeployment();

async function encryptionKey(KeySpec: "RSA_2048" | "RSA_3072" | "RSA_4096") {
  const made = await newKey(kms, { KeySpec, KeyUsage: "ENCRYPT_DECRYPT" });
  const { PublicKey = new Uint8Array() } = await kms.getPublicKey({ KeyId: made.KeyId });
  const key = createPublicKey({ key: Buffer.from(PublicKey), format: "der", type: "spki" });
  return { ...made, encrypt: (data: Uint8Array, hash: string) => encryptBy(key, data, hash) };
}

const encryptBy = (key: ReturnType<typeof createPublicKey>, data: Uint8Array, oaepHash: string) =>
  new Uint8Array(publicEncrypt({ key, oaepHash, padding: constants.RSA_PKCS1_OAEP_PADDING }, data));

const algorithms = [
  ["RSAES_OAEP_SHA_1", "sha1", 42],
  ["RSAES_OAEP_SHA_256", "sha256", 66],
] as const;

describe.each([
  ["RSA_2048", 256],
  ["RSA_3072", 384],
  ["RSA_4096", 512],
] as const)("%s", (KeySpec, size) => {
  test("opens what it and what others encrypt, up to the longest plaintext", async () => {
    const { KeyId, Arn, encrypt } = await encryptionKey(KeySpec);
    for (const [EncryptionAlgorithm, hash, overhead] of algorithms) {
      const Plaintext = new Uint8Array(randomBytes(size - overhead));
      const sealed = await kms.encrypt({ KeyId, Plaintext, EncryptionAlgorithm });
      expect(sealed).toMatchObject({ KeyId: Arn, EncryptionAlgorithm });
      expect(sealed.CiphertextBlob?.length).toBe(size);
      for (const CiphertextBlob of [
        sealed.CiphertextBlob,
        encrypt(Plaintext, hash),
        encrypt(bytes("x"), hash),
      ]) {
        const opened = await kms.decrypt({ KeyId, CiphertextBlob, EncryptionAlgorithm });
        expect(opened).toMatchObject({ KeyId: Arn, EncryptionAlgorithm });
        expect([text(Plaintext), "x"]).toContain(text(opened.Plaintext));
        expect(opened.KeyMaterialId).toBeUndefined();
      }
      const long = new Uint8Array(size - overhead + 1);
      expect(await refusal(kms.encrypt({ KeyId, Plaintext: long, EncryptionAlgorithm }))).toBe(
        `ValidationException: Algorithm ${EncryptionAlgorithm} and key spec ${KeySpec} cannot encrypt data larger ` +
          `than ${size - overhead} bytes.`,
      );
    }
  }, 60_000);
});

test("what is damaged, shortened or under another algorithm is no ciphertext", async () => {
  const { KeyId } = await encryptionKey("RSA_2048");
  const EncryptionAlgorithm = "RSAES_OAEP_SHA_256";
  const { CiphertextBlob = new Uint8Array() } = await kms.encrypt({
    KeyId,
    Plaintext: bytes("secret"),
    EncryptionAlgorithm,
  });
  const decrypt = (blob: Uint8Array, name: "RSAES_OAEP_SHA_1" | "RSAES_OAEP_SHA_256" = EncryptionAlgorithm) =>
    refusal(kms.decrypt({ KeyId, CiphertextBlob: blob, EncryptionAlgorithm: name }));
  const flipped = Uint8Array.from(CiphertextBlob);
  flipped[100] = (flipped[100] as number) ^ 4;
  const wrong = [flipped, CiphertextBlob.subarray(1), new Uint8Array([...CiphertextBlob, 0]), bytes("x")];
  for (const blob of [...wrong, new Uint8Array(256).fill(255)])
    expect(await decrypt(blob)).toBe("InvalidCiphertextException");
  expect(await decrypt(CiphertextBlob, "RSAES_OAEP_SHA_1")).toBe("InvalidCiphertextException");
  const { KeyId: other } = await encryptionKey("RSA_2048");
  expect(await refusal(kms.decrypt({ KeyId: other, CiphertextBlob, EncryptionAlgorithm }))).toBe(
    "InvalidCiphertextException",
  );
});

test("the algorithm must be named, and there is no encryption context", async () => {
  const { KeyId } = await encryptionKey("RSA_2048");
  const Plaintext = bytes("secret");
  expect(await refusal(kms.encrypt({ KeyId, Plaintext }))).toBe(
    "InvalidKeyUsageException: Algorithm SYMMETRIC_DEFAULT is incompatible with key spec RSA_2048.",
  );
  const EncryptionAlgorithm = "RSAES_OAEP_SHA_1";
  const EncryptionContext = { a: "b" };
  expect(await refusal(kms.encrypt({ KeyId, Plaintext, EncryptionAlgorithm, EncryptionContext }))).toMatch(
    /^ValidationException: EncryptionContext is not supported/,
  );
  expect(await refusal(kms.generateDataKey({ KeyId, KeySpec: "AES_256" }))).toMatch(
    /^InvalidKeyUsageException/,
  );
  expect(await refusal(kms.encrypt({ KeyId, Plaintext, EncryptionAlgorithm, DryRun: true }))).toMatch(
    /^DryRunOperationException/,
  );
  await kms.encrypt({ KeyId, Plaintext, EncryptionAlgorithm });
  const [event] = await events(1);
  expect(event?.requestParameters).toEqual({ keyId: KeyId, encryptionAlgorithm: EncryptionAlgorithm });
});

test("a ciphertext moves between an RSA and a symmetric key", async () => {
  const { KeyId: rsa, Arn: rsaArn } = await encryptionKey("RSA_2048");
  const { KeyId: aes, Arn } = await newKey(kms);
  const { CiphertextBlob } = await kms.encrypt({ KeyId: aes, Plaintext: bytes("moved") });
  const there = await kms.reEncrypt({
    CiphertextBlob,
    DestinationKeyId: rsa,
    DestinationEncryptionAlgorithm: "RSAES_OAEP_SHA_256",
  });
  expect(there).toMatchObject({
    SourceKeyId: Arn,
    KeyId: rsaArn,
    SourceEncryptionAlgorithm: "SYMMETRIC_DEFAULT",
  });
  const back = await kms.reEncrypt({
    CiphertextBlob: there.CiphertextBlob,
    SourceKeyId: rsa,
    SourceEncryptionAlgorithm: "RSAES_OAEP_SHA_256",
    DestinationKeyId: aes,
    DestinationEncryptionContext: { tenant: "7" },
  });
  const opened = await kms.decrypt({
    CiphertextBlob: back.CiphertextBlob,
    EncryptionContext: { tenant: "7" },
  });
  expect(text(opened.Plaintext)).toBe("moved");
});
