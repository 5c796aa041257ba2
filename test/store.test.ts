import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type KeyRow, openStore, StoreConflict } from "../lib/store.ts";

const region = "eu-central-1";
const account = "111122223333";

let directory: string;
let file: string;
let opened: Awaited<ReturnType<typeof openStore>>[] = [];

async function open(options = {}) {
  const store = await openStore({ file, ...options });
  opened.push(store);
  return store;
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "keystead-store-"));
  file = join(directory, "keystead.db");
});

afterEach(async () => {
  for (const store of opened) await store.close();
  opened = [];
  rmSync(directory, { recursive: true, force: true });
});

function key(keyId: string, change: Partial<KeyRow> = {}): Omit<KeyRow, "revision"> {
  return {
    region,
    account,
    keyId,
    keySpec: "SYMMETRIC_DEFAULT",
    keyUsage: "ENCRYPT_DECRYPT",
    origin: "AWS_KMS",
    keyManager: "CUSTOMER",
    keyState: "Enabled",
    description: "orders",
    policy: '{"Version":"2012-10-17","Statement":[]}',
    createdAt: 1_700_000_000_123,
    deletionAt: null,
    multiRegion: false,
    tags: [{ TagKey: "team", TagValue: "sales" }],
    materialId: `m-${keyId}`,
    ...change,
  };
}

function backing(keyId: string, version = 1) {
  const materialId = version === 1 ? `m-${keyId}` : `m-${keyId}-${version}`;
  return { region, keyId, version, materialId, blob: Buffer.from(`blob of ${keyId}`), createdAt: 5 };
}

function alias(name: string, keyId: string) {
  return { region, account, name, keyId, createdAt: 1, updatedAt: 2 };
}

describe("rows", () => {
  test("come back as they went in, frozen, and the same object until they change", async () => {
    const store = await open();
    await store.apply([
      { insert: "key", row: key("k1", { deletionAt: 9, multiRegion: true }) },
      { insert: "backingKey", row: backing("k1") },
      { insert: "alias", row: alias("alias/orders", "k1") },
    ]);
    const row = store.key(region, "k1");
    expect(row).toEqual({ ...key("k1", { deletionAt: 9, multiRegion: true }), revision: 1 });
    expect(Object.isFrozen(row) && Object.isFrozen(row?.tags) && Object.isFrozen(row?.tags[0])).toBe(true);
    expect(store.key(region, "k1")).toBe(row);
    expect(store.backingKey(region, "k1", "m-k1")).toEqual(backing("k1"));
    expect(store.backingKey(region, "k1", "m-k1")).toBe(store.backingKey(region, "k1", "m-k1"));
    expect(store.alias(region, account, "alias/orders")).toEqual(alias("alias/orders", "k1"));
    await store.apply([
      {
        update: "key",
        region,
        keyId: "k1",
        revision: 1,
        set: { keyState: "Disabled", deletionAt: null, tags: [] },
      },
    ]);
    expect(store.key(region, "k1")).toEqual({
      ...key("k1", { keyState: "Disabled", multiRegion: true, tags: [] }),
      revision: 2,
    });
    expect(store.key("us-east-1", "k1")).toBeUndefined();
    expect(store.backingKey(region, "k1", "other")).toBeUndefined();
  });

  test("are there after closing and opening again, in a file that only its owner can read", async () => {
    const store = await open();
    await store.apply([
      { insert: "key", row: key("k1") },
      { put: "meta", name: "account", value: account },
    ]);
    for (const suffix of ["", "-wal", "-shm"]) expect(statSync(file + suffix).mode & 0o777).toBe(0o600);
    await store.close();
    const again = await open();
    expect(again.key(region, "k1")).toEqual({ ...key("k1"), revision: 1 });
    expect(again.meta("account")).toBe(account);
    expect(again.meta("schema")).toBe("1");
  });
});

describe("changes", () => {
  test("are refused when a row is there already, and then none is made", async () => {
    const store = await open();
    await store.apply([{ insert: "key", row: key("k1") }]);
    const twice = store.apply([
      { insert: "key", row: key("k2") },
      { insert: "key", row: key("k1") },
    ]);
    await expect(twice).rejects.toThrow(StoreConflict);
    await expect(twice).rejects.toMatchObject({ row: "key", reason: "exists" });
    expect(store.key(region, "k2")).toBeUndefined();
  });
});
