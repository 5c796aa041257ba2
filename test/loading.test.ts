import { beforeAll, expect, test } from "vitest";
import type { Kms } from "../lib/index.ts";
import { bytes, newKey, openTestDeployment, text } from "./deployment.ts";

// bench/loading.mjs does it with 10,000 keys through 1,000 handles.
const KEYS = 3_000;
const HANDLES = 300;
const IN_FLIGHT = 64;

let kms: Kms;
let most = 0;
beforeAll(async () => {
  ({ kms } = await openTestDeployment({ hsm: { handles: HANDLES } }));
});

/** Runs `work` for each number, many at a time, and looks at the handles after each. */
async function each(count: number, work: (i: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const lane = async () => {
    for (let i = next++; i < count; i = next++) {
      await work(i);
      most = Math.max(most, kms.hsm.handles.open);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
}

test("3,000 keys used in turn never have more handles than the cache holds", {
  timeout: 180_000,
}, async () => {
  const keys: string[] = [];
  const specs = [
    {},
    { KeySpec: "HMAC_256", KeyUsage: "GENERATE_VERIFY_MAC" },
    { KeySpec: "ECC_NIST_P256", KeyUsage: "SIGN_VERIFY" },
  ] as const;
  const specOf = (i: number) => specs[i % 10 < 8 ? 0 : i % 10 === 8 ? 1 : 2];
  await each(KEYS, async (i) => {
    keys[i] = (await newKey(kms, specOf(i))).KeyId;
  });
  const sealed: Uint8Array[] = [];
  for (let round = 0; round < 2; round++) {
    const { misses } = kms.hsm.handles;
    await each(KEYS, async (i) => {
      const KeyId = keys[i] as string;
      const Message = bytes(`message ${i}`);
      const spec = specOf(i);
      if (spec === specs[1]) {
        const { Mac } = await kms.generateMac({ KeyId, Message, MacAlgorithm: "HMAC_SHA_256" });
        await kms.verifyMac({ KeyId, Message, MacAlgorithm: "HMAC_SHA_256", Mac: Mac as Uint8Array });
      } else if (spec === specs[2]) {
        const { Signature } = await kms.sign({ KeyId, Message, SigningAlgorithm: "ECDSA_SHA_256" });
        expect(Signature?.[0]).toBe(0x30);
      } else {
        const CiphertextBlob = sealed[i];
        if (CiphertextBlob)
          expect(text((await kms.decrypt({ CiphertextBlob })).Plaintext)).toBe(`message ${i}`);
        else sealed[i] = (await kms.encrypt({ KeyId, Plaintext: Message })).CiphertextBlob as Uint8Array;
      }
    });
    // In turn, none is still there when it is used again: each is loaded anew.
    expect(kms.hsm.handles.misses - misses).toBeGreaterThanOrEqual(KEYS);
  }
  expect(kms.hsm.handles.limit).toBe(HANDLES);
  expect(most).toBeLessThanOrEqual(HANDLES);
  expect(most).toBeGreaterThan(HANDLES / 2);
});
