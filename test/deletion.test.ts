import { rmSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { Kms } from "../lib/index.ts";
import { openDatabase } from "../lib/store/binding.ts";
import { type AuditRecord, bytes, type Clock, newKey, openTestDeployment, refusal } from "./deployment.ts";

let kms: Kms;
let clock: Clock;
let directory: string;
let events: (count: number) => Promise<AuditRecord[]>;
let tick: () => void;
let stopped = false;
beforeAll(async () => {
  const timer = (run: () => void) => {
    tick = run;
    return () => {
      stopped = true;
    };
  };
  ({ kms, clock, directory, events } = await openTestDeployment({ worker: { timer } }));
});

const rows = (table: string, keyId: string) => {
  const database = openDatabase(join(directory, "keystead.db"), 0);
  try {
    return database.prepare(`SELECT * FROM ${table} WHERE key_id = ?`).all(keyId).length;
  } finally {
    database.close();
  }
};

describe("when the waiting period of a key ends", () => {
  test("its row, material and aliases are gone, and what it sealed stays closed", async () => {
    const { KeyId, Arn } = await newKey(kms);
    await kms.createAlias({ AliasName: "alias/dying", TargetKeyId: KeyId });
    const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: bytes("x") });
    await kms.scheduleKeyDeletion({ KeyId, PendingWindowInDays: 7 });
    const open = kms.hsm.handles.open;
    clock.advance(7);
    clock.now -= 1;
    expect(await kms.runDue()).toBe(0);
    expect((await kms.describeKey({ KeyId })).KeyMetadata?.KeyState).toBe("PendingDeletion");
    clock.now += 1;
    expect(await kms.runDue()).toBe(1);
    expect(await kms.runDue()).toBe(0);
    expect(["keys", "backing_keys", "aliases"].map((table) => rows(table, KeyId))).toEqual([0, 0, 0]);
    await expect.poll(() => kms.hsm.handles.open).toBe(open - 1);
    expect(await refusal(kms.describeKey({ KeyId }))).toBe(`NotFoundException: Key '${Arn}' does not exist`);
    expect(await refusal(kms.describeKey({ KeyId: "alias/dying" }))).toMatch(/^NotFoundException: Alias/);
    expect(await refusal(kms.decrypt({ CiphertextBlob }))).toBe("InvalidCiphertextException");
    expect((await kms.listAliases()).Aliases).toEqual([]);
  });

  test("the service's own event says so", async () => {
    const { KeyId, Arn } = await newKey(kms);
    await kms.scheduleKeyDeletion({ KeyId, PendingWindowInDays: 7 });
    clock.advance(8);
    await kms.runDue();
    const [event] = await events(1);
    expect(event).toMatchObject({
      eventName: "DeleteKey",
      userIdentity: { type: "AWSService" },
      eventType: "AwsServiceEvent",
      serviceEventDetails: { keyId: KeyId, deletionDate: expect.any(String) },
      readOnly: false,
      resources: [{ ARN: Arn }],
    });
    expect(event).not.toHaveProperty("errorCode");
  });

  test("the timer sees to it", async () => {
    const { KeyId } = await newKey(kms);
    await kms.scheduleKeyDeletion({ KeyId, PendingWindowInDays: 7 });
    clock.advance(8);
    tick();
    await expect.poll(() => rows("keys", KeyId)).toBe(0);
  });

  test("others stay: those not due, and those that were rescued", async () => {
    const [later, rescued, due] = [await newKey(kms), await newKey(kms), await newKey(kms)];
    await kms.scheduleKeyDeletion({ KeyId: later.KeyId, PendingWindowInDays: 30 });
    for (const { KeyId } of [rescued, due]) await kms.scheduleKeyDeletion({ KeyId, PendingWindowInDays: 7 });
    await kms.cancelKeyDeletion({ KeyId: rescued.KeyId });
    clock.advance(20);
    expect(await kms.runDue()).toBe(1);
    await kms.cancelKeyDeletion({ KeyId: later.KeyId });
    for (const { KeyId } of [later, rescued]) {
      await kms.enableKey({ KeyId });
      await kms.encrypt({ KeyId, Plaintext: bytes("x") });
    }
  });

  test("by two processes at once, it goes once", async () => {
    const { KeyId, Arn } = await newKey(kms);
    await kms.scheduleKeyDeletion({ KeyId, PendingWindowInDays: 7 });
    clock.advance(8);
    const second = await Kms.open({ directory, clock: clock.read });
    const destroyed = await Promise.allSettled([kms.runDue(), second.runDue()]);
    expect(destroyed.flatMap((run) => (run.status === "fulfilled" ? run.value : []))).toContain(1);
    const deaths = (await events(20)).filter(
      (event) => event.eventName === "DeleteKey" && event.resources[0]?.ARN === Arn && !event.errorCode,
    );
    expect(deaths.length).toBeGreaterThanOrEqual(1);
    await second.close();
    expect(rows("keys", KeyId)).toBe(0);
  });

  test("another process lets go of its handle when it looks next", async () => {
    const { KeyId } = await newKey(kms);
    const second = await Kms.open({ directory, clock: clock.read });
    await second.encrypt({ KeyId, Plaintext: bytes("x") });
    await kms.scheduleKeyDeletion({ KeyId, PendingWindowInDays: 7 });
    clock.advance(8);
    await kms.runDue();
    const open = second.hsm.handles.open;
    await second.runDue();
    await expect.poll(() => second.hsm.handles.open).toBe(open - 1);
    await second.close();
  });
});

test("nothing is destroyed that cannot be recorded", async () => {
  const { KeyId } = await newKey(kms);
  await kms.scheduleKeyDeletion({ KeyId, PendingWindowInDays: 7 });
  clock.advance(8);
  const warnings: Error[] = [];
  process.on("warning", (warning) => warnings.push(warning));
  rmSync(join(directory, "audit"), { recursive: true });
  expect(await refusal(kms.runDue())).toMatch(/^AuditError/);
  tick();
  await expect.poll(() => warnings.map(({ name }) => name)).toContain("KeysteadWarning");
  expect(rows("keys", KeyId)).toBe(1);
  expect(rows("backing_keys", KeyId)).toBe(1);
  await kms.close().catch(() => {});
  expect(stopped).toBe(true);
});
