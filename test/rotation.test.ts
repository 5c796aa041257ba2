import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { Kms } from "../lib/index.ts";
import { openDatabase } from "../lib/store/binding.ts";
import {
  ACCOUNT,
  type AuditRecord,
  bytes,
  type Clock,
  newKey,
  openTestDeployment,
  REGION,
  refusal,
  text,
} from "./deployment.ts";

let kms: Kms;
let clock: Clock;
let directory: string;
let events: (count: number) => Promise<AuditRecord[]>;
let tick: () => void;
beforeAll(async () => {
  const timer = (run: () => void) => {
    tick = run;
    return () => {};
  };
  ({ kms, clock, directory, events } = await openTestDeployment({ worker: { timer } }));
});

const DAY = 86_400_000;
const status = async (KeyId: string) => {
  const { $metadata, ...members } = await kms.getKeyRotationStatus({ KeyId });
  return members;
};
const rotations = async (KeyId: string, more: object = {}) =>
  (await kms.listKeyRotations({ KeyId, ...more })).Rotations ?? [];
const currentOf = async (KeyId: string) =>
  (await kms.describeKey({ KeyId })).KeyMetadata?.CurrentKeyMaterialId as string;
const seal = async (KeyId: string) => (await kms.encrypt({ KeyId, Plaintext: bytes(KeyId) })).CiphertextBlob;

/** What the import of material and the replication of keys will do by operations of their own. */
function alter(sql: string): void {
  const database = openDatabase(join(directory, "keystead.db"), 5000);
  database.exec(`${sql}; UPDATE meta SET value = value + 1 WHERE name = 'generation'`);
  database.close();
}

/** Each test sees its own keys fall due. */
afterEach(() => alter("UPDATE keys SET rotation_period = NULL, next_rotation_at = NULL"));

describe("RotateKeyOnDemand", () => {
  test("lets the key seal with new material, and open with the old", async () => {
    const { KeyId, Arn } = await newKey(kms);
    const first = await currentOf(KeyId);
    const old = await seal(KeyId);
    clock.advance(1);
    expect(await kms.rotateKeyOnDemand({ KeyId: Arn })).toEqual({ KeyId, $metadata: expect.anything() });
    const second = await currentOf(KeyId);
    expect(second).toMatch(/^[0-9a-f]{64}$/);
    expect(second).not.toBe(first);
    for (const [CiphertextBlob, KeyMaterialId] of [
      [old, first],
      [await seal(KeyId), second],
    ] as const) {
      const opened = await kms.decrypt({ CiphertextBlob, KeyId });
      expect([text(opened.Plaintext), opened.KeyMaterialId]).toEqual([KeyId, KeyMaterialId]);
    }
    expect((await kms.generateDataKey({ KeyId, KeySpec: "AES_256" })).KeyMaterialId).toBe(second);
    const moved = await kms.reEncrypt({ CiphertextBlob: old, DestinationKeyId: KeyId });
    expect([moved.SourceKeyMaterialId, moved.DestinationKeyMaterialId]).toEqual([first, second]);
    expect(await rotations(KeyId)).toEqual([
      {
        KeyId,
        KeyMaterialId: second,
        KeyMaterialState: "CURRENT",
        RotationDate: new Date(clock.now),
        RotationType: "ON_DEMAND",
      },
    ]);
    expect(await rotations(KeyId, { IncludeKeyMaterial: "ALL_KEY_MATERIAL" })).toMatchObject([
      { KeyMaterialId: first, KeyMaterialState: "NON_CURRENT" },
      { KeyMaterialId: second, KeyMaterialState: "CURRENT" },
    ]);
    expect(await status(KeyId)).toEqual({ KeyId, KeyRotationEnabled: false });
  });

  test("is for 25 times, after which every ciphertext still opens", async () => {
    const { KeyId, Arn } = await newKey(kms);
    const sealed = [await seal(KeyId)];
    for (let i = 0; i < 25; i++) {
      await kms.rotateKeyOnDemand({ KeyId });
      sealed.push(await seal(KeyId));
    }
    expect(await refusal(kms.rotateKeyOnDemand({ KeyId }))).toBe(
      `LimitExceededException: ${Arn} was rotated on demand 25 times, which is the limit.`,
    );
    const second = await Kms.open({ directory, clock: clock.read });
    for (const CiphertextBlob of sealed)
      expect(text((await second.decrypt({ CiphertextBlob })).Plaintext)).toBe(KeyId);
    await second.close();
    const all = await rotations(KeyId, { IncludeKeyMaterial: "ALL_KEY_MATERIAL" });
    expect(new Set(all.map(({ KeyMaterialId }) => KeyMaterialId)).size).toBe(26);
    expect(all.filter(({ KeyMaterialState }) => KeyMaterialState === "CURRENT")).toHaveLength(1);
  });

  test("is not for when an automatic one is near", async () => {
    const { KeyId, Arn } = await newKey(kms);
    await kms.enableKeyRotation({ KeyId, RotationPeriodInDays: 90 });
    clock.now += 90 * DAY - 20 * 60_000;
    expect(await refusal(kms.rotateKeyOnDemand({ KeyId }))).toBe(
      `ConflictException: An automatic rotation of ${Arn} is in progress or begins within the next 20 minutes.`,
    );
    clock.now -= 1;
    const before = await status(KeyId);
    await kms.rotateKeyOnDemand({ KeyId });
    expect(await status(KeyId)).toEqual(before);
  });

  test("takes turns with others and with what uses the key meanwhile", async () => {
    const { KeyId } = await newKey(kms);
    const second = await Kms.open({ directory, clock: clock.read });
    const rotated = Array.from({ length: 6 }, (_, i) => (i % 2 ? kms : second).rotateKeyOnDemand({ KeyId }));
    const sealed = await Promise.all(Array.from({ length: 40 }, () => seal(KeyId)));
    const done = (await Promise.allSettled(rotated)).filter((each) => each.status === "fulfilled").length;
    expect(done).toBeGreaterThanOrEqual(3);
    const all = await rotations(KeyId);
    expect(all).toHaveLength(done);
    expect(all.map(({ KeyMaterialState }) => KeyMaterialState)).toEqual([
      ...Array(done - 1).fill("NON_CURRENT"),
      "CURRENT",
    ]);
    expect(all.at(-1)?.KeyMaterialId).toBe(await currentOf(KeyId));
    for (const CiphertextBlob of [...sealed, await seal(KeyId)])
      expect(text((await second.decrypt({ CiphertextBlob })).Plaintext)).toBe(KeyId);
    await second.close();
  });

  test("is in the trail with both materials", async () => {
    const { KeyId, Arn } = await newKey(kms);
    const previousKeyMaterialId = await currentOf(KeyId);
    await kms.rotateKeyOnDemand({ KeyId });
    const currentKeyMaterialId = await currentOf(KeyId);
    expect((await events(2))[0]).toMatchObject({
      eventName: "RotateKeyOnDemand",
      readOnly: false,
      responseElements: { keyId: KeyId },
      additionalEventData: { rotationType: "ON_DEMAND", previousKeyMaterialId, currentKeyMaterialId },
      resources: [{ ARN: Arn }],
    });
  });

  test("of imported material takes what waits for it, and nothing else", async () => {
    const { KeyId, Arn } = await newKey(kms);
    const [first, sealed] = [await currentOf(KeyId), await seal(KeyId)];
    await kms.rotateKeyOnDemand({ KeyId });
    const second = await currentOf(KeyId);
    alter(`UPDATE keys SET origin = 'EXTERNAL' WHERE key_id = '${KeyId}'`);
    expect(await refusal(kms.rotateKeyOnDemand({ KeyId }))).toBe(
      `KMSInvalidStateException: ${Arn} has no key material that is pending rotation.`,
    );
    alter(`UPDATE backing_keys SET state = 'PENDING_ROTATION' WHERE material_id = '${first}'`);
    await kms.rotateKeyOnDemand({ KeyId });
    expect(await currentOf(KeyId)).toBe(first);
    expect(await rotations(KeyId, { IncludeKeyMaterial: "ALL_KEY_MATERIAL" })).toMatchObject([
      {
        KeyMaterialId: first,
        KeyMaterialState: "CURRENT",
        ImportState: "IMPORTED",
        RotationType: "ON_DEMAND",
      },
      { KeyMaterialId: second, KeyMaterialState: "NON_CURRENT", ImportState: "IMPORTED" },
    ]);
    expect(text((await kms.decrypt({ CiphertextBlob: sealed })).Plaintext)).toBe(KeyId);
    alter(`UPDATE keys SET key_state = 'PendingImport' WHERE key_id = '${KeyId}'`);
    expect(await refusal(kms.rotateKeyOnDemand({ KeyId }))).toBe(
      `KMSInvalidStateException: ${Arn} is pending import.`,
    );
    for (const change of [kms.enableKeyRotation({ KeyId }), kms.disableKeyRotation({ KeyId })])
      expect(await refusal(change)).toBe(
        `UnsupportedOperationException: ${Arn} origin is EXTERNAL which is not valid for this operation.`,
      );
    expect(await status(KeyId)).toEqual({ KeyId, KeyRotationEnabled: false });
  });
});

describe("automatic rotation", () => {
  test("is off until it is enabled, for a year unless told", async () => {
    const { KeyId, Arn } = await newKey(kms);
    expect(await status(KeyId)).toEqual({ KeyId, KeyRotationEnabled: false });
    await kms.enableKeyRotation({ KeyId: Arn });
    const on = {
      KeyId,
      KeyRotationEnabled: true,
      RotationPeriodInDays: 365,
      NextRotationDate: new Date(clock.now + 365 * DAY),
    };
    expect(await status(KeyId)).toEqual(on);
    clock.advance(10);
    await kms.enableKeyRotation({ KeyId });
    expect(await status(KeyId)).toEqual(on);
    await kms.enableKeyRotation({ KeyId, RotationPeriodInDays: 2560 });
    expect(await status(KeyId)).toMatchObject({
      RotationPeriodInDays: 2560,
      NextRotationDate: new Date(clock.now + 2560 * DAY),
    });
    await kms.scheduleKeyDeletion({ KeyId });
    expect(await status(KeyId)).toEqual({ KeyId, KeyRotationEnabled: false });
    await kms.cancelKeyDeletion({ KeyId });
    expect((await status(KeyId)).KeyRotationEnabled).toBe(true);
    await kms.enableKey({ KeyId });
    await kms.disableKeyRotation({ KeyId });
    await kms.disableKeyRotation({ KeyId });
    expect(await status(KeyId)).toEqual({ KeyId, KeyRotationEnabled: false });
  });

  test.each([
    [89, "greater than or equal to 90"],
    [2561, "less than or equal to 2560"],
  ])("takes no period of %i days", async (RotationPeriodInDays, bound) => {
    const { KeyId } = await newKey(kms);
    expect(await refusal(kms.enableKeyRotation({ KeyId, RotationPeriodInDays }))).toBe(
      `ValidationException: 1 validation error detected: Value '${RotationPeriodInDays}' at 'rotationPeriodInDays' ` +
        `failed to satisfy constraint: Member must have value ${bound}`,
    );
  });

  test("comes on its day, again and again, and not before", async () => {
    const { KeyId, Arn } = await newKey(kms);
    await kms.enableKeyRotation({ KeyId, RotationPeriodInDays: 90 });
    const day = clock.now + 90 * DAY;
    const [first, sealed] = [await currentOf(KeyId), await seal(KeyId)];
    clock.now = day - 1;
    expect(await kms.runDue()).toBe(0);
    clock.now = day + 5000;
    expect(await kms.runDue()).toBe(1);
    expect(await kms.runDue()).toBe(0);
    const second = await currentOf(KeyId);
    expect((await events(2)).at(0)).toMatchObject({
      eventName: "RotateKey",
      eventType: "AwsServiceEvent",
      userIdentity: { type: "AWSService", invokedBy: "kms.amazonaws.com" },
      recipientAccountId: ACCOUNT,
      readOnly: false,
      serviceEventDetails: {
        rotationType: "AUTOMATIC",
        keyOrigin: "AWS_KMS",
        previousKeyMaterialId: first,
        currentKeyMaterialId: second,
        keyId: KeyId,
      },
      resources: [{ ARN: Arn }],
    });
    expect(await rotations(KeyId)).toMatchObject([
      { KeyMaterialId: second, RotationType: "AUTOMATIC", RotationDate: new Date(clock.now) },
    ]);
    expect((await status(KeyId)).NextRotationDate).toEqual(new Date(day + 90 * DAY));
    clock.advance(90);
    tick();
    await expect.poll(async () => (await rotations(KeyId)).length).toBe(2);
    expect(text((await kms.decrypt({ CiphertextBlob: sealed })).Plaintext)).toBe(KeyId);
  });

  test("waits while the key is disabled, and comes when it is enabled", async () => {
    const { KeyId } = await newKey(kms);
    await kms.enableKeyRotation({ KeyId, RotationPeriodInDays: 90 });
    await kms.disableKey({ KeyId });
    clock.advance(400);
    expect(await kms.runDue()).toBe(0);
    await kms.enableKey({ KeyId });
    expect(await kms.runDue()).toBe(1);
    expect((await status(KeyId)).NextRotationDate).toEqual(new Date(clock.now + 90 * DAY));
  });

  test("of many keys comes once for each, by two processes at once", async () => {
    const made = await Promise.all(Array.from({ length: 5 }, () => newKey(kms)));
    for (const { KeyId } of made) await kms.enableKeyRotation({ KeyId, RotationPeriodInDays: 90 });
    clock.advance(90);
    const second = await Kms.open({ directory, clock: clock.read });
    await Promise.allSettled([kms.runDue(), second.runDue()]);
    await second.close();
    for (const { KeyId } of made) {
      const all = await rotations(KeyId, { IncludeKeyMaterial: "ALL_KEY_MATERIAL" });
      expect(all.map(({ KeyMaterialState }) => KeyMaterialState)).toEqual(["NON_CURRENT", "CURRENT"]);
      await seal(KeyId);
    }
  });

  test.each([
    [{ KeySpec: "RSA_2048", KeyUsage: "SIGN_VERIFY" }, "RSA_2048"],
    [{ KeySpec: "HMAC_256", KeyUsage: "GENERATE_VERIFY_MAC" }, "HMAC_256"],
  ] as const)("is not for %j, whose status is readable all the same", async (input, spec) => {
    const { KeyId, Arn } = await newKey(kms, input);
    const refused = `UnsupportedOperationException: ${Arn} key spec is ${spec} which is not valid for this operation.`;
    expect(await refusal(kms.enableKeyRotation({ KeyId }))).toBe(refused);
    expect(await refusal(kms.disableKeyRotation({ KeyId }))).toBe(refused);
    expect(await refusal(kms.rotateKeyOnDemand({ KeyId }))).toBe(refused);
    expect(await refusal(kms.listKeyRotations({ KeyId }))).toBe(refused);
    expect(await status(KeyId)).toEqual({ KeyId, KeyRotationEnabled: false });
  });

  test("of a replica is its primary key's affair", async () => {
    const { KeyId, Arn } = await newKey(kms);
    await kms.enableKeyRotation({ KeyId, RotationPeriodInDays: 90 });
    alter(`UPDATE keys SET multi_region = 1, primary_region = 'us-east-1' WHERE key_id = '${KeyId}'`);
    const refused = `UnsupportedOperationException: ${Arn} is a multi-Region replica key, which is rotated with its primary key in us-east-1.`;
    expect(await refusal(kms.enableKeyRotation({ KeyId }))).toBe(refused);
    expect(await refusal(kms.disableKeyRotation({ KeyId }))).toBe(refused);
    expect(await refusal(kms.rotateKeyOnDemand({ KeyId }))).toBe(refused);
    clock.advance(90);
    expect(await kms.runDue()).toBe(0);
    expect(await rotations(KeyId)).toEqual([]);
    alter(`UPDATE keys SET primary_region = '${REGION}' WHERE key_id = '${KeyId}'`);
    expect(await kms.runDue()).toBe(1);
  });

  test("of keys in custom key stores, and of AWS's own, is nobody's to change", async () => {
    const [store, managed] = [await newKey(kms), await newKey(kms)];
    alter(`UPDATE keys SET origin = 'AWS_CLOUDHSM' WHERE key_id = '${store.KeyId}'`);
    alter(`UPDATE keys SET key_manager = 'AWS' WHERE key_id = '${managed.KeyId}'`);
    const origin = `UnsupportedOperationException: ${store.Arn} origin is AWS_CLOUDHSM which is not valid for this operation.`;
    for (const run of [
      () => kms.enableKeyRotation(store),
      () => kms.rotateKeyOnDemand(store),
      () => kms.getKeyRotationStatus(store),
      () => kms.listKeyRotations(store),
    ])
      expect(await refusal(run())).toBe(origin);
    expect(await refusal(kms.enableKeyRotation(managed))).toMatch(
      /^UnsupportedOperationException: .* AWS managed/,
    );
    expect(await refusal(kms.rotateKeyOnDemand(managed))).toMatch(/^UnsupportedOperationException/);
  });

  test("that fails for one key is done for the others", async () => {
    const [broken, sound] = [await newKey(kms), await newKey(kms)];
    for (const { KeyId } of [broken, sound]) await kms.enableKeyRotation({ KeyId, RotationPeriodInDays: 90 });
    alter(`UPDATE keys SET key_spec = 'SM2' WHERE key_id = '${broken.KeyId}'`);
    clock.advance(90);
    expect(await refusal(kms.runDue())).toMatch(/^UnsupportedOperationException: KeySpec SM2/);
    expect(await rotations(sound.KeyId)).toHaveLength(1);
    alter(`UPDATE keys SET key_spec = 'SYMMETRIC_DEFAULT' WHERE key_id = '${broken.KeyId}'`);
    expect(await kms.runDue()).toBe(1);
  });
});

describe("ListKeyRotations", () => {
  test("gives each rotation once over pages, and takes the markers of its own list alone", async () => {
    const { KeyId } = await newKey(kms);
    for (let i = 0; i < 5; i++) await kms.rotateKeyOnDemand({ KeyId });
    for (const IncludeKeyMaterial of ["ROTATIONS_ONLY", "ALL_KEY_MATERIAL"] as const) {
      const whole = await rotations(KeyId, { IncludeKeyMaterial });
      const paged: unknown[] = [];
      let Marker: string | undefined;
      do {
        const page = await kms.listKeyRotations({ KeyId, IncludeKeyMaterial, Limit: 2, Marker });
        expect(page.Truncated).toBe(page.NextMarker !== undefined);
        paged.push(...(page.Rotations ?? []));
        Marker = page.NextMarker;
      } while (Marker);
      expect(paged).toEqual(whole);
      expect(whole).toHaveLength(IncludeKeyMaterial === "ROTATIONS_ONLY" ? 5 : 6);
    }
    const { NextMarker } = await kms.listKeyRotations({ KeyId, Limit: 1 });
    const other = await newKey(kms);
    for (const wrong of [
      { KeyId, Marker: "x" },
      { KeyId, Marker: NextMarker, IncludeKeyMaterial: "ALL_KEY_MATERIAL" as const },
      { KeyId: other.KeyId, Marker: NextMarker },
    ])
      expect(await refusal(kms.listKeyRotations(wrong))).toMatch(/^InvalidMarkerException/);
    expect(await refusal(kms.listKeyRotations({ KeyId, Limit: 1001 }))).toMatch(/Value '1001' at 'limit'/);
  });
});
