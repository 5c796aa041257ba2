import { describe, expect, it } from "vitest";
import {
  algorithmOf,
  algorithms,
  dataKeyBytes,
  encryptionAlgorithmOf,
  signingTerms,
  usageOf,
} from "../lib/algorithms.ts";
import { OVERHEAD_BYTES } from "../lib/ciphertext.ts";
import { validate } from "../lib/shape.ts";
import * as shapes from "../lib/shapes.ts";

const symmetric = algorithmOf("SYMMETRIC_DEFAULT");
const served = new Set(algorithms.map(({ keySpec }) => keySpec));
const unserved = (shapes.KeySpec.enum ?? []).filter((keySpec) => !served.has(keySpec));

describe("the table", () => {
  it("has each key spec once, and only values of the model", () => {
    expect(served.size).toBe(algorithms.length);
    for (const row of algorithms) {
      validate(shapes.KeySpec, row.keySpec);
      for (const usage of row.usages) validate(shapes.KeyUsageType, usage);
      validate(shapes.EncryptionAlgorithmSpecList, row.encryptionAlgorithms);
      validate(shapes.SigningAlgorithmSpecList, row.signingAlgorithms);
      validate(shapes.MacAlgorithmSpecList, row.macAlgorithms);
      validate(shapes.KeyAgreementAlgorithmSpecList, row.keyAgreementAlgorithms);
    }
  });

  it("gives each usage an algorithm, and a default only where it is a usage", () => {
    for (const row of algorithms) {
      const usages = [
        ["ENCRYPT_DECRYPT", row.encryptionAlgorithms],
        ["SIGN_VERIFY", row.signingAlgorithms],
        ["GENERATE_VERIFY_MAC", row.macAlgorithms],
        ["KEY_AGREEMENT", row.keyAgreementAlgorithms],
      ] as const;
      for (const [usage, names] of usages) expect(names.length > 0).toBe(row.usages.includes(usage));
      if (row.defaultUsage) expect(row.usages).toContain(row.defaultUsage);
    }
  });

  it("lets nothing be encrypted that makes a ciphertext too long for the model", () => {
    const longest = symmetric.longestPlaintext.SYMMETRIC_DEFAULT ?? 0;
    validate(shapes.PlaintextType, new Uint8Array(longest));
    validate(shapes.CiphertextType, new Uint8Array(longest + OVERHEAD_BYTES));
  });

  it("bounds what each encryption algorithm takes, RSA as the service does", () => {
    for (const row of algorithms)
      expect(Object.keys(row.longestPlaintext).toSorted()).toEqual(row.encryptionAlgorithms.toSorted());
    const bounds = (["RSA_2048", "RSA_3072", "RSA_4096"] as const).map(
      (spec) => algorithmOf(spec).longestPlaintext,
    );
    expect(bounds).toEqual([
      { RSAES_OAEP_SHA_1: 214, RSAES_OAEP_SHA_256: 190 },
      { RSAES_OAEP_SHA_1: 342, RSAES_OAEP_SHA_256: 318 },
      { RSAES_OAEP_SHA_1: 470, RSAES_OAEP_SHA_256: 446 },
    ]);
  });

  it("says of each signing algorithm how it takes a message", () => {
    for (const { keySpec, signingAlgorithms } of algorithms)
      for (const name of signingAlgorithms) {
        const taken = (shapes.MessageType.enum ?? []).filter((type) => {
          try {
            return signingTerms(keySpec, name, type) !== undefined;
          } catch {
            return false;
          }
        });
        const ed = keySpec === "ECC_NIST_EDWARDS25519";
        if (ed) expect(taken).toEqual([name === "ED25519_SHA_512" ? "RAW" : "DIGEST"]);
        else expect(taken).toEqual(["RAW", name === "ML_DSA_SHAKE_256" ? "EXTERNAL_MU" : "DIGEST"]);
      }
  });
});

it.each(unserved)("%s is refused by name", (keySpec) => {
  expect(() => algorithmOf(keySpec)).toThrow(
    expect.objectContaining({
      name: "UnsupportedOperationException",
      message: expect.stringMatching(
        `^KeySpec ${keySpec} is not offered here. Offered: SYMMETRIC_DEFAULT, RSA_2048`,
      ),
    }),
  );
});

describe("a usage", () => {
  it("may be left out where there is a default", () => {
    expect(usageOf(symmetric, undefined)).toBe("ENCRYPT_DECRYPT");
    expect(() => usageOf({ ...symmetric, defaultUsage: undefined }, undefined)).toThrow(
      expect.objectContaining({
        name: "ValidationException",
        message: "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.",
      }),
    );
  });

  it("must fit the spec", () => {
    expect(() => usageOf(symmetric, "SIGN_VERIFY")).toThrow(
      expect.objectContaining({
        name: "ValidationException",
        message: "KeyUsage SIGN_VERIFY is not compatible with KeySpec SYMMETRIC_DEFAULT",
      }),
    );
  });
});

it("an encryption algorithm must fit the spec", () => {
  expect(encryptionAlgorithmOf(symmetric)).toBe("SYMMETRIC_DEFAULT");
  expect(() => encryptionAlgorithmOf(symmetric, "RSAES_OAEP_SHA_1")).toThrow(
    expect.objectContaining({
      name: "InvalidKeyUsageException",
      message: "Algorithm RSAES_OAEP_SHA_1 is incompatible with key spec SYMMETRIC_DEFAULT.",
    }),
  );
});

it("every data key spec of the model has a size", () => {
  expect(Object.keys(dataKeyBytes).sort()).toEqual([...(shapes.DataKeySpec.enum ?? [])].sort());
  expect(dataKeyBytes).toEqual({ AES_128: 16, AES_256: 32 });
});
