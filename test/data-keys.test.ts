import { beforeAll, describe, expect, test } from "vitest";
import type { Kms } from "../lib/index.ts";
import { newKey, openTestDeployment, refusal } from "./deployment.ts";

let kms: Kms;
let KeyId: string;
let Arn: string;
beforeAll(async () => {
  ({ kms } = await openTestDeployment());
  ({ KeyId, Arn } = await newKey(kms));
});

const EncryptionContext = { table: "people" };

describe("GenerateDataKey", () => {
  test.each([
    [{ KeySpec: "AES_256" as const }, 32],
    [{ KeySpec: "AES_128" as const }, 16],
    [{ NumberOfBytes: 1 }, 1],
    [{ NumberOfBytes: 1024 }, 1024],
  ])("of %j gives %i bytes, plain and encrypted", async (size, length) => {
    const made = await kms.generateDataKey({ KeyId, EncryptionContext, ...size });
    expect(made.Plaintext).toHaveLength(length);
    expect(made.KeyId).toBe(Arn);
    const { CiphertextBlob } = made;
    const opened = await kms.decrypt({ CiphertextBlob, EncryptionContext });
    expect(opened.Plaintext).toEqual(made.Plaintext);
    expect(opened.KeyMaterialId).toBe(made.KeyMaterialId);
    expect(await refusal(kms.decrypt({ CiphertextBlob }))).toBe("InvalidCiphertextException");
  });

  test("gives another key each time", async () => {
    const keys = await Promise.all(
      Array.from({ length: 50 }, () => kms.generateDataKey({ KeyId, KeySpec: "AES_256" })),
    );
    expect(new Set(keys.map(({ Plaintext }) => `${Plaintext}`)).size).toBe(50);
  });

  test.each([
    [{}, "ValidationException: Please specify either number of bytes or key spec."],
    [
      { KeySpec: "AES_256" as const, NumberOfBytes: 32 },
      "ValidationException: Please specify either number of bytes or key spec.",
    ],
    [
      { NumberOfBytes: 1025 },
      "ValidationException: 1 validation error detected: Value '1025' at 'numberOfBytes' failed to satisfy " +
        "constraint: Member must have value less than or equal to 1024",
    ],
  ])("refuses %j", async (size, expected) => {
    expect(await refusal(kms.generateDataKey({ KeyId, ...size }))).toBe(expected);
    expect(await refusal(kms.generateDataKeyWithoutPlaintext({ KeyId, ...size }))).toBe(expected);
  });
});

test("GenerateDataKeyWithoutPlaintext gives the encrypted key alone", async () => {
  const made = await kms.generateDataKeyWithoutPlaintext({ KeyId, EncryptionContext, KeySpec: "AES_256" });
  expect(Object.keys(made).toSorted()).toEqual(["$metadata", "CiphertextBlob", "KeyId", "KeyMaterialId"]);
  const opened = await kms.decrypt({ CiphertextBlob: made.CiphertextBlob, EncryptionContext });
  expect(opened.Plaintext).toHaveLength(32);
});

describe("GenerateRandom", () => {
  test.each([1, 32, 1024])("gives %i bytes", async (NumberOfBytes) => {
    expect((await kms.generateRandom({ NumberOfBytes })).Plaintext).toHaveLength(NumberOfBytes);
  });

  test("gives others each time", async () => {
    const made = await Promise.all(
      Array.from({ length: 50 }, () => kms.generateRandom({ NumberOfBytes: 16 })),
    );
    expect(new Set(made.map(({ Plaintext }) => `${Plaintext}`)).size).toBe(50);
  });

  test.each([
    [{}, "ValidationException: NumberOfBytes is required."],
    [{ NumberOfBytes: 0 }, /^ValidationException: 1 validation error detected: Value '0' at 'numberOfBytes'/],
    [{ NumberOfBytes: 1, CustomKeyStoreId: "cks-1" }, /^CustomKeyStoreNotFoundException/],
  ])("refuses %j", async (input, expected) => {
    expect(await refusal(kms.generateRandom(input))).toMatch(expected);
  });
});
