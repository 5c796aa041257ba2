import { rmSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { Kms } from "../lib/index.ts";
import { trackedOperations } from "../lib/operation.ts";
import { openDatabase } from "../lib/store/binding.ts";
import { type AuditRecord, bytes, type Clock, newKey, openTestDeployment, refusal } from "./deployment.ts";

let kms: Kms;
let clock: Clock;
let directory: string;
let events: (count: number) => Promise<AuditRecord[]>;
beforeAll(async () => {
  const timer = () => () => {};
  ({ kms, clock, directory, events } = await openTestDeployment({ worker: { timer } }));
});

const Plaintext = bytes("x");
const lastOf = async (KeyId: string, service = kms) =>
  (await service.getKeyLastUsage({ KeyId })).KeyLastUsage;
const stored = (keyId: string) => {
  const database = openDatabase(join(directory, "keystead.db"), 0);
  try {
    return database.prepare("SELECT operation FROM key_usage WHERE key_id = ?").all(keyId);
  } finally {
    database.close();
  }
};

describe("GetKeyLastUsage", () => {
  test("says from when on it knows, and nothing of a key that was never used", async () => {
    const { KeyId, Arn } = await newKey(kms);
    const made = new Date(clock.now);
    clock.advance(1);
    await kms.describeKey({ KeyId });
    await kms.tagResource({ KeyId, Tags: [] });
    await kms.rotateKeyOnDemand({ KeyId });
    expect(await kms.getKeyLastUsage({ KeyId: Arn })).toEqual({
      KeyId,
      KeyCreationDate: made,
      TrackingStartDate: made,
      KeyLastUsage: {},
      $metadata: expect.anything(),
    });
  });

  test("names the event and the request of the last use", async () => {
    const { KeyId } = await newKey(kms);
    const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext });
    clock.advance(1);
    const { $metadata } = await kms.decrypt({ CiphertextBlob });
    const [event] = await events(1);
    expect(await lastOf(KeyId)).toEqual({
      Operation: "Decrypt",
      Timestamp: new Date(clock.now),
      CloudTrailEventId: event?.eventID,
      KmsRequestId: $metadata.requestId,
    });
    expect(event?.requestID).toBe($metadata.requestId);
  });

  test("counts every cryptographic operation, and batches as what they do", async () => {
    const [key, signer, hmac, agreeing] = [
      await newKey(kms),
      await newKey(kms, { KeySpec: "ECC_NIST_P256", KeyUsage: "SIGN_VERIFY" }),
      await newKey(kms, { KeySpec: "HMAC_256", KeyUsage: "GENERATE_VERIFY_MAC" }),
      await newKey(kms, { KeySpec: "ECC_NIST_P256", KeyUsage: "KEY_AGREEMENT" }),
    ];
    const other = await newKey(kms);
    const { CiphertextBlob } = await kms.encrypt({ KeyId: key.KeyId, Plaintext });
    const signing = { KeyId: signer.KeyId, Message: Plaintext, SigningAlgorithm: "ECDSA_SHA_256" } as const;
    const { Signature } = await kms.sign(signing);
    const mac = { KeyId: hmac.KeyId, Message: Plaintext, MacAlgorithm: "HMAC_SHA_256" } as const;
    const { Mac } = await kms.generateMac(mac);
    const { PublicKey } = await kms.getPublicKey({ KeyId: agreeing.KeyId });
    expect(await lastOf(agreeing.KeyId)).toEqual({});
    const KeyId = key.KeyId;
    const uses: [string, string, () => Promise<unknown>][] = [
      ["Encrypt", KeyId, () => kms.encrypt({ KeyId, Plaintext })],
      ["Decrypt", KeyId, () => kms.decrypt({ CiphertextBlob })],
      ["ReEncrypt", KeyId, () => kms.reEncrypt({ CiphertextBlob, DestinationKeyId: other.KeyId })],
      ["ReEncrypt", other.KeyId, () => kms.reEncrypt({ CiphertextBlob, DestinationKeyId: other.KeyId })],
      ["GenerateDataKey", KeyId, () => kms.generateDataKey({ KeyId, KeySpec: "AES_256" })],
      [
        "GenerateDataKeyWithoutPlaintext",
        KeyId,
        () => kms.generateDataKeyWithoutPlaintext({ KeyId, KeySpec: "AES_256" }),
      ],
      ["GenerateDataKeyPair", KeyId, () => kms.generateDataKeyPair({ KeyId, KeyPairSpec: "ECC_NIST_P256" })],
      [
        "GenerateDataKeyPairWithoutPlaintext",
        KeyId,
        () => kms.generateDataKeyPairWithoutPlaintext({ KeyId, KeyPairSpec: "ECC_NIST_P256" }),
      ],
      ["Sign", signer.KeyId, () => kms.sign(signing)],
      ["Verify", signer.KeyId, () => kms.verify({ ...signing, Signature })],
      ["GenerateMac", hmac.KeyId, () => kms.generateMac(mac)],
      ["VerifyMac", hmac.KeyId, () => kms.verifyMac({ ...mac, Mac })],
      [
        "DeriveSharedSecret",
        agreeing.KeyId,
        () => kms.deriveSharedSecret({ KeyId: agreeing.KeyId, PublicKey, KeyAgreementAlgorithm: "ECDH" }),
      ],
      ["Encrypt", KeyId, () => kms.encryptBatch({ KeyId, Entries: [{ Plaintext }] })],
      [
        "Decrypt",
        KeyId,
        () => kms.decryptBatch({ Entries: [{ CiphertextBlob: CiphertextBlob as Uint8Array }] }),
      ],
    ];
    expect([...new Set(uses.map(([name]) => name))].toSorted()).toEqual([...trackedOperations]);
    for (const [Operation, used, use] of uses) {
      clock.now += 1000;
      await use();
      expect(await lastOf(used)).toMatchObject({ Operation, Timestamp: new Date(clock.now) });
    }
  });

  test("counts nothing that failed, was refused or only tried", async () => {
    const { KeyId } = await newKey(kms);
    const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext });
    const used = await lastOf(KeyId);
    clock.advance(1);
    const wrong = { CiphertextBlob, EncryptionContext: { wrong: "context" } };
    expect(await refusal(kms.decrypt(wrong))).toBe("InvalidCiphertextException");
    expect(await refusal(kms.encrypt({ KeyId, Plaintext, DryRun: true }))).toMatch(/^DryRunOperation/);
    const stranger = kms.as("arn:aws:iam::111122223333:user/stranger");
    expect(await refusal(stranger.encrypt({ KeyId, Plaintext }))).toMatch(/^AccessDenied/);
    await stranger.decryptBatch({ Entries: [{ CiphertextBlob: CiphertextBlob as Uint8Array }] });
    await kms.disableKey({ KeyId });
    expect(await refusal(kms.encrypt({ KeyId, Plaintext }))).toMatch(/^DisabledException/);
    await kms.decryptBatch({ Entries: [{ CiphertextBlob: CiphertextBlob as Uint8Array }] });
    expect(await lastOf(KeyId)).toEqual(used);
  });

  test("takes no alias", async () => {
    expect(await refusal(kms.getKeyLastUsage({ KeyId: "alias/any" }))).toBe(
      "NotFoundException: Invalid keyId 'alias/any'",
    );
  });
});

describe("a use", () => {
  test("is stored when the worker looks, and at the close", async () => {
    const [one, two] = [await newKey(kms), await newKey(kms)];
    await kms.encrypt({ KeyId: one.KeyId, Plaintext });
    expect(stored(one.KeyId)).toEqual([]);
    await kms.runDue();
    expect(stored(one.KeyId)).toEqual([["Encrypt"]]);
    const second = await Kms.open({ directory, clock: clock.read });
    expect(await lastOf(one.KeyId, second)).toEqual(await lastOf(one.KeyId));
    await second.encrypt({ KeyId: two.KeyId, Plaintext });
    expect(await lastOf(two.KeyId)).toEqual({});
    await second.close();
    expect(await lastOf(two.KeyId)).toMatchObject({ Operation: "Encrypt" });
  });

  test("does not take the place of a later one that another process has stored", async () => {
    const { KeyId } = await newKey(kms);
    const second = await Kms.open({ directory, clock: clock.read });
    const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext });
    clock.advance(1);
    await second.decrypt({ CiphertextBlob });
    await second.close();
    await kms.runDue();
    expect(await lastOf(KeyId)).toMatchObject({ Operation: "Decrypt", Timestamp: new Date(clock.now) });
  });

  test("of a key that is gone by then keeps no other from the store", async () => {
    const [dying, living] = [await newKey(kms), await newKey(kms)];
    for (const { KeyId } of [dying, living]) await kms.encrypt({ KeyId, Plaintext });
    await kms.scheduleKeyDeletion({ KeyId: dying.KeyId, PendingWindowInDays: 7 });
    clock.advance(8);
    await kms.runDue();
    expect(stored(dying.KeyId)).toEqual([]);
    expect(stored(living.KeyId)).toEqual([["Encrypt"]]);
  });

  test("of each of 2,500 keys is stored with the others", async () => {
    const made = await Promise.all(Array.from({ length: 2500 }, () => newKey(kms)));
    await Promise.all(made.map(({ KeyId }) => kms.encrypt({ KeyId, Plaintext })));
    await kms.runDue();
    for (const { KeyId } of [made[0], made[1000], made[2499]] as typeof made)
      expect(stored(KeyId)).toEqual([["Encrypt"]]);
  });
});

test("a use that cannot be recorded is none", async () => {
  const { KeyId } = await newKey(kms);
  rmSync(join(directory, "audit"), { recursive: true });
  expect(await refusal(kms.encrypt({ KeyId, Plaintext }))).toMatch(/^KMSInternalException/);
  await kms.close().catch(() => {});
  expect(stored(KeyId)).toEqual([]);
});
