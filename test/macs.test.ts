import { createHmac } from "node:crypto";
import { describe, expect, test } from "vitest";
import { bytes, newKey, openTestDeployment, refusal } from "./deployment.ts";

const { kms, events } = await openTestDeployment();
const Message = bytes("a message of which nothing must show");

describe.each([
  ["HMAC_224", "HMAC_SHA_224", 28],
  ["HMAC_256", "HMAC_SHA_256", 32],
  ["HMAC_384", "HMAC_SHA_384", 48],
  ["HMAC_512", "HMAC_SHA_512", 64],
] as const)("%s", (KeySpec, MacAlgorithm, length) => {
  test("makes a MAC that it verifies, and no other", async () => {
    const { KeyId, Arn } = await newKey(kms, { KeySpec, KeyUsage: "GENERATE_VERIFY_MAC" });
    const made = await kms.generateMac({ KeyId, Message, MacAlgorithm });
    expect(made).toMatchObject({ KeyId: Arn, MacAlgorithm });
    const Mac = made.Mac as Uint8Array;
    expect(Mac.length).toBe(length);
    const verified = await kms.verifyMac({ KeyId, Message, Mac, MacAlgorithm });
    expect(verified).toMatchObject({ KeyId: Arn, MacValid: true, MacAlgorithm });
    const again = await kms.generateMac({ KeyId, Message, MacAlgorithm });
    expect(again.Mac).toEqual(Mac);
    const other = Uint8Array.from(Mac);
    other[length - 1] = (other[length - 1] as number) ^ 1;
    for (const wrong of [other, Mac.subarray(1), new Uint8Array([...Mac, 0])])
      expect(await refusal(kms.verifyMac({ KeyId, Message, Mac: wrong, MacAlgorithm }))).toBe(
        "KMSInvalidMacException",
      );
    expect(await refusal(kms.verifyMac({ KeyId, Message: bytes("x"), Mac, MacAlgorithm }))).toBe(
      "KMSInvalidMacException",
    );
  });
});

test("no two keys make the same MAC, and none is one under a guessable secret", async () => {
  const input = { KeySpec: "HMAC_256", KeyUsage: "GENERATE_VERIFY_MAC" } as const;
  const macOf = async () => {
    const { KeyId } = await newKey(kms, input);
    return (await kms.generateMac({ KeyId, Message, MacAlgorithm: "HMAC_SHA_256" })).Mac as Uint8Array;
  };
  const [a, b] = [await macOf(), await macOf()];
  expect(a).not.toEqual(b);
  expect(Buffer.from(a)).not.toEqual(createHmac("sha256", Buffer.alloc(32)).update(Message).digest());
});

test("usage, algorithm, state and dry run are checked, and the trail shows no message and no MAC", async () => {
  const { KeyId, Arn } = await newKey(kms, { KeySpec: "HMAC_384", KeyUsage: "GENERATE_VERIFY_MAC" });
  const { KeyId: aes, Arn: aesArn } = await newKey(kms);
  const MacAlgorithm = "HMAC_SHA_384";
  expect(await refusal(kms.generateMac({ KeyId: aes, Message, MacAlgorithm }))).toBe(
    `InvalidKeyUsageException: ${aesArn} key usage is ENCRYPT_DECRYPT which is not valid for GenerateMac.`,
  );
  expect(await refusal(kms.encrypt({ KeyId, Plaintext: Message }))).toBe(
    `InvalidKeyUsageException: ${Arn} key usage is GENERATE_VERIFY_MAC which is not valid for Encrypt.`,
  );
  expect(await refusal(kms.generateMac({ KeyId, Message, MacAlgorithm: "HMAC_SHA_224" }))).toBe(
    "InvalidKeyUsageException: Algorithm HMAC_SHA_224 is incompatible with key spec HMAC_384.",
  );
  expect(await refusal(kms.generateMac({ KeyId, Message, MacAlgorithm, DryRun: true }))).toMatch(
    /^DryRunOperationException/,
  );
  expect(await refusal(kms.createKey({ KeySpec: "HMAC_384" }))).toMatch(
    /You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys/,
  );
  await kms.generateMac({ KeyId, Message, MacAlgorithm });
  const [event] = await events(1);
  expect(event).toMatchObject({ eventName: "GenerateMac", readOnly: true, resources: [{ ARN: Arn }] });
  expect(event?.requestParameters).toEqual({ keyId: KeyId, macAlgorithm: MacAlgorithm });
  await kms.disableKey({ KeyId });
  expect(await refusal(kms.generateMac({ KeyId, Message, MacAlgorithm }))).toBe(
    `DisabledException: ${Arn} is disabled.`,
  );
  const { KeyMetadata } = await kms.describeKey({ KeyId });
  expect(KeyMetadata).toMatchObject({ MacAlgorithms: [MacAlgorithm], KeyUsage: "GENERATE_VERIFY_MAC" });
  expect(KeyMetadata?.CurrentKeyMaterialId).toBeUndefined();
});
