import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openDatabase } from "../lib/store/binding.ts";
import { Cache } from "../lib/store/cache.ts";
import { type Change, openStore, StoreConflict } from "../lib/store.ts";
import { library, node } from "./child.ts";
import { account, backingKeyRow, keyRow as key, region } from "./rows.ts";

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

const bytes = (text: string) => new TextEncoder().encode(text);

function backing(keyId: string, version = 1) {
  const materialId = version === 1 ? `m-${keyId}` : `m-${keyId}-${version}`;
  return backingKeyRow({ keyId, version, materialId, blob: bytes(`blob of ${keyId}`), createdAt: 5 });
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
      { put: "meta", row: { name: "account", value: account } },
    ]);
    for (const suffix of ["", "-wal", "-shm"]) expect(statSync(file + suffix).mode & 0o777).toBe(0o600);
    await store.close();
    const again = await open();
    expect(again.key(region, "k1")).toEqual({ ...key("k1"), revision: 1 });
    expect(again.meta("account")).toBe(account);
    expect(again.meta("schema")).toBe("2");
  });

  test("of every table come back as they went in", async () => {
    const store = await open();
    const grant = {
      ...{
        region,
        keyId: "k1",
        grantId: "g1",
        account,
        name: null,
        granteePrincipal: "arn:a",
        principals: { "arn:a": "AIDAX" },
      },
      ...{ retiringPrincipal: "arn:b", issuingAccount: account, operations: ["Encrypt"], createdAt: 3 },
      constraints: { EncryptionContextSubset: { a: "b\0c" } },
    };
    const usage = { operation: "Encrypt", usedAt: 2 ** 45, eventId: "e", requestId: "r" };
    const customKeyStore = {
      ...{
        region,
        account,
        customKeyStoreId: "cks-1",
        name: "s",
        type: "AWS_CLOUDHSM",
        settings: { a: "b" },
      },
      ...{ secret: bytes("sealed"), connectionState: "DISCONNECTED", connectionErrorCode: null },
      createdAt: 4,
    };
    const principal = {
      ...{ arn: "arn:aws:iam::1:user/a", account, type: "User", policies: { p: "{}" }, boundary: null },
      ...{ principalId: "AIDA1", trust: null, trustPrincipals: null, tags: { team: "x" }, createdAt: 5 },
    };
    const credential = {
      ...{ accessKeyId: "AKIA1", account, principal: "arn", secret: Uint8Array.of(1, 2), state: "Active" },
      ...{ session: null, expiresAt: null, createdAt: 6 },
    };
    await store.apply([
      { insert: "key", row: key("k1", { nextRotationAt: 9, validTo: 8, customKeyStoreId: "cks-1" }) },
      { insert: "grant", row: grant },
      { put: "keyUsage", row: { region, keyId: "k1", ...usage, usedAt: 1 } },
      { put: "keyUsage", row: { region, keyId: "k1", ...usage } },
      { insert: "customKeyStore", row: customKeyStore },
      { insert: "principal", row: principal },
      { insert: "credential", row: credential },
    ]);
    expect(store.listGrants(region, "k1", { limit: 9 })).toEqual([grant]);
    expect(store.listGrants(region, "k1", { granteePrincipal: "arn:b", limit: 9 })).toEqual([]);
    expect(store.listRetirableGrants(region, "arn:b", { limit: 9 })).toEqual([grant]);
    expect(store.listRetirableGrants(region, "arn:b", { after: grant, limit: 9 })).toEqual([]);
    expect(store.countGrants(region, "k1")).toBe(1);
    expect(store.row("grant", region, "k1", "g1")).toEqual(grant);
    expect(store.row("keyUsage", region, "k1")).toEqual({ region, keyId: "k1", ...usage });
    expect(store.listCustomKeyStores(region, account, { limit: 9 })).toEqual([
      { ...customKeyStore, revision: 1 },
    ]);
    expect(store.listPrincipals(account, { limit: 9 })).toEqual([{ ...principal, revision: 1 }]);
    expect(store.listCredentials(account, { limit: 9 })).toEqual([credential]);
    expect(store.relatedKeys("k1").map((row) => row.region)).toEqual([region]);
    expect(store.keysOfCustomKeyStore(region, "cks-1", 9)).toHaveLength(1);
    expect([store.keysToRotate(8).length, store.keysToRotate(9).length]).toEqual([0, 1]);
    expect([store.keysToExpire(7).length, store.keysToExpire(8).length]).toEqual([0, 1]);
    const stale = store.apply([
      { update: "principal", arn: principal.arn, revision: 2, set: { boundary: "{}" } },
    ]);
    await expect(stale).rejects.toMatchObject({ name: "StoreConflict", row: "principal", reason: "stale" });
    await store.apply([{ delete: "key", region, keyId: "k1", revision: 1 }]);
    expect(store.countGrants(region, "k1")).toBe(0);
    expect(store.row("keyUsage", region, "k1")).toBeUndefined();
  });
});

test("a description may hold any character", async () => {
  const store = await open();
  const descriptions = ["", "a\0b", "\0", "é😀\n\"'", "x".repeat(8192)];
  for (const [i, description] of descriptions.entries())
    await store.apply([{ insert: "key", row: key(`k${i}`, { description }) }]);
  const read = await open();
  expect(descriptions.map((_, i) => read.key(region, `k${i}`)?.description)).toEqual(descriptions);
});

describe("changes", () => {
  test("are refused when a row is there already, and then none is made", async () => {
    const store = await open();
    await store.apply([
      { insert: "key", row: key("k1") },
      { insert: "backingKey", row: backing("k1") },
      { insert: "alias", row: alias("alias/a", "k1") },
    ]);
    const refused = async (change: Change, row: string, message: RegExp) => {
      const both = store.apply([{ insert: "key", row: key("k2") }, change]);
      await expect(both).rejects.toThrow(StoreConflict);
      await expect(both).rejects.toThrow(message);
      await expect(both).rejects.toMatchObject({ row, reason: "exists" });
      expect(store.key(region, "k2")).toBeUndefined();
    };
    await refused({ insert: "key", row: key("k1") }, "key", /^key k1 of eu-central-1 exists already$/);
    await refused({ insert: "backingKey", row: backing("k1") }, "backingKey", /^backing key of k1/);
    await refused(
      { insert: "alias", row: alias("alias/a", "k2") },
      "alias",
      /^alias\/a of eu-central-1 exists/,
    );
    expect(store.countKeys(region, account)).toBe(1);
  });

  test("of a revision that is no longer there are refused, as are those of missing rows", async () => {
    const store = await open();
    await store.apply([{ insert: "key", row: key("k1") }]);
    await store.apply([{ update: "key", region, keyId: "k1", revision: 1, set: { description: "new" } }]);
    const refused = async (change: Change, reason: string, row: string, message: RegExp) => {
      const both = store.apply([{ insert: "key", row: key("k2") }, change]);
      await expect(both).rejects.toThrow(message);
      await expect(both).rejects.toMatchObject({ name: "StoreConflict", reason, row });
      expect(store.key(region, "k2")).toBeUndefined();
    };
    const set = { description: "old" };
    const stale = /key k1 .* changed meanwhile: expected revision 1, found 2/;
    await refused({ update: "key", region, keyId: "k1", revision: 1, set }, "stale", "key", stale);
    await refused({ delete: "key", region, keyId: "k1", revision: 1 }, "stale", "key", stale);
    await refused(
      { update: "key", region, keyId: "k9", revision: 1, set },
      "missing",
      "key",
      /k9 .* not exist/,
    );
    await refused({ delete: "key", region, keyId: "k9", revision: 1 }, "missing", "key", /k9 .* not exist/);
    const name = { region, account, name: "alias/none" };
    const to = { keyId: "k1", updatedAt: 3 };
    await refused({ update: "alias", ...name, set: to }, "missing", "alias", /alias\/none .* not exist/);
    await refused({ delete: "alias", ...name }, "missing", "alias", /alias\/none .* not exist/);
    await refused({ insert: "alias", row: alias("alias/a", "k9") }, "missing", "key", /k9 .* not exist/);
    await refused({ insert: "backingKey", row: backing("k9") }, "missing", "key", /k9 .* not exist/);
    await store.apply([{ insert: "alias", row: alias("alias/a", "k1") }]);
    const away = {
      update: "alias",
      region,
      account,
      name: "alias/a",
      set: { keyId: "k9", updatedAt: 3 },
    } as const;
    await refused(away, "missing", "key", /k9 .* not exist/);
    expect(store.alias(region, account, "alias/a")?.keyId).toBe("k1");
    expect(store.key(region, "k1")).toMatchObject({ description: "new", revision: 2 });
  });

  test("to a key take its backing keys and aliases along when it goes, and no others", async () => {
    const store = await open();
    for (const id of ["k1", "k2"]) {
      await store.apply([
        { insert: "key", row: key(id) },
        { insert: "backingKey", row: backing(id) },
        { insert: "backingKey", row: backing(id, 2) },
        { insert: "alias", row: alias(`alias/${id}`, id) },
      ]);
      store.key(region, id);
      store.backingKey(region, id, `m-${id}`);
      store.alias(region, account, `alias/${id}`);
    }
    await store.apply([{ delete: "key", region, keyId: "k1", revision: 1 }]);
    expect(store.key(region, "k1")).toBeUndefined();
    expect(store.backingKeys(region, "k1")).toEqual([]);
    expect(store.backingKey(region, "k1", "m-k1")).toBeUndefined();
    expect(store.alias(region, account, "alias/k1")).toBeUndefined();
    expect(store.backingKeys(region, "k2").map((row) => row.version)).toEqual([1, 2]);
    expect(store.alias(region, account, "alias/k2")?.keyId).toBe("k2");
  });

  test("to aliases are seen at once, and an alias may move to another key", async () => {
    const store = await open();
    await store.apply([
      { insert: "key", row: key("k1") },
      { insert: "key", row: key("k2") },
      { insert: "alias", row: alias("alias/a", "k1") },
    ]);
    expect(store.alias(region, account, "alias/a")?.keyId).toBe("k1");
    const name = { region, account, name: "alias/a" };
    await store.apply([{ update: "alias", ...name, set: { keyId: "k2", updatedAt: 7 } }]);
    expect(store.alias(region, account, "alias/a")).toEqual({ ...alias("alias/a", "k2"), updatedAt: 7 });
    expect([store.countAliases(region, "k1"), store.countAliases(region, "k2")]).toEqual([0, 1]);
    await store.apply([{ delete: "alias", ...name }]);
    expect(store.alias(region, account, "alias/a")).toBeUndefined();
  });

  test("leave nothing of deleted material in the file or its log", async () => {
    const store = await open();
    const other = await open();
    const material = "THE-WRAPPED-MATERIAL-OF-THE-KEY-THAT-WAS-DELETED";
    const blob = bytes(material);
    await store.apply([
      { insert: "key", row: key("k1") },
      { insert: "backingKey", row: { ...backing("k1"), blob } },
      { insert: "key", row: key("k2") },
    ]);
    expect(other.backingKey(region, "k1", "m-k1")?.blob).toEqual(blob);
    const found = () => ["", "-wal"].some((suffix) => readFileSync(file + suffix).includes(material));
    expect(found()).toBe(true);
    await store.apply([{ delete: "key", region, keyId: "k1", revision: 1 }]);
    expect(found()).toBe(false);
  });

  test("leave nothing of it even when a reader is in the way at first", async () => {
    const store = await open();
    const material = "THE-WRAPPED-MATERIAL-OF-THE-KEY-THAT-WAS-DELETED";
    const blob = bytes(material);
    await store.apply([
      { insert: "key", row: key("k1") },
      { insert: "backingKey", row: { ...backing("k1"), blob } },
    ]);
    const reader = openDatabase(file, 0);
    reader.exec("BEGIN");
    reader.prepare("SELECT * FROM keys").all();
    await store.apply([{ delete: "key", region, keyId: "k1", revision: 1 }]);
    expect(readFileSync(`${file}-wal`).includes(material)).toBe(true);
    reader.exec("ROLLBACK");
    reader.close();
    const found = () => ["", "-wal"].some((suffix) => readFileSync(file + suffix).includes(material));
    await expect.poll(found, { timeout: 5000 }).toBe(false);
  });

  test("of one turn are all made, in whatever order they come", async () => {
    const store = await open();
    await Promise.all(
      Array.from({ length: 50 }, (_, i) => store.apply([{ insert: "key", row: key(`k${i}`) }])),
    );
    expect(store.countKeys(region, account)).toBe(50);
  });
});

describe("lists", () => {
  test("are in order, in pages, of one Region and account", async () => {
    const store = await open();
    const ids = Array.from({ length: 25 }, (_, i) => `k${String(i).padStart(2, "0")}`);
    await store.apply(ids.toReversed().map((id) => ({ insert: "key", row: key(id) })));
    await store.apply([
      { insert: "key", row: key("k05-other", { account: "999999999999" }) },
      { insert: "key", row: key("k06", { region: "us-east-1" }) },
    ]);
    const seen: string[] = [];
    for (let after: string | undefined; ; ) {
      const page = store.listKeys(region, account, { after, limit: 10 });
      seen.push(...page.map((row) => row.keyId));
      after = page.at(-1)?.keyId;
      if (page.length < 10) break;
    }
    expect(seen).toEqual(ids);
    expect(store.countKeys(region, account)).toBe(25);
    expect(store.countKeys("us-east-1", account)).toBe(1);
  });

  test("of aliases are by name, of all keys or of one", async () => {
    const store = await open();
    await store.apply([
      { insert: "key", row: key("k1") },
      { insert: "key", row: key("k2") },
      ...["c", "a", "b", "d"].map((name, i): Change => {
        return { insert: "alias", row: alias(`alias/${name}`, i % 2 ? "k2" : "k1") };
      }),
    ]);
    const names = (page: Parameters<typeof store.listAliases>[2]) =>
      store.listAliases(region, account, page).map((row) => row.name.slice(6));
    expect(names({ limit: 10 })).toEqual(["a", "b", "c", "d"]);
    expect(names({ limit: 2, after: "alias/a" })).toEqual(["b", "c"]);
    expect(names({ limit: 10, keyId: "k2" })).toEqual(["a", "d"]);
    expect(names({ limit: 10, keyId: "k2", after: "alias/a" })).toEqual(["d"]);
  });

  test("of due keys hold those whose time has come, the longest due first", async () => {
    const store = await open();
    await store.apply([
      { insert: "key", row: key("late", { keyState: "PendingDeletion", deletionAt: 2000 }) },
      {
        insert: "key",
        row: key("early", { keyState: "PendingDeletion", deletionAt: 1000, region: "us-east-1" }),
      },
      { insert: "key", row: key("never") },
    ]);
    const due = (now: number) => store.keysDue(now).map((row) => row.keyId);
    expect([due(999), due(1000), due(5000)]).toEqual([[], ["early"], ["early", "late"]]);
  });

  test("of audit heads hold the last one put of each stream", async () => {
    const store = await open();
    const head = { sequence: 1, digest: "ab", file: "f", time: 12, closed: false, signature: "c2ln" };
    await store.apply([{ put: "auditHead", row: { ...head, stream: "s2" } }]);
    await store.apply([{ put: "auditHead", row: { ...head, stream: "s1" } }]);
    await store.apply([{ put: "auditHead", row: { ...head, stream: "s2", sequence: 9, closed: true } }]);
    expect(store.auditHeads()).toEqual([
      { ...head, stream: "s1" },
      { ...head, stream: "s2", sequence: 9, closed: true },
    ]);
  });
});

describe("another connection's change", () => {
  test("is seen on the next turn, whatever was cached", async () => {
    const [mine, other] = [await open(), await open()];
    await mine.apply([
      { insert: "key", row: key("k1") },
      { insert: "alias", row: alias("alias/a", "k1") },
      { insert: "key", row: key("k2") },
    ]);
    expect(mine.key(region, "k1")?.keyState).toBe("Enabled");
    expect(mine.alias(region, account, "alias/a")?.keyId).toBe("k1");
    await other.apply([
      { update: "key", region, keyId: "k1", revision: 1, set: { keyState: "Disabled" } },
      { update: "alias", region, account, name: "alias/a", set: { keyId: "k2", updatedAt: 9 } },
    ]);
    await turn();
    expect(mine.key(region, "k1")?.keyState).toBe("Disabled");
    expect(mine.alias(region, account, "alias/a")?.keyId).toBe("k2");
  });

  test("that falls between a read and a change of our own is seen as well", async () => {
    const [mine, other] = [await open(), await open()];
    await mine.apply([
      { insert: "key", row: key("k1") },
      { insert: "key", row: key("k2") },
    ]);
    await turn();
    expect(mine.key(region, "k1")?.keyState).toBe("Enabled");
    const set = { keyState: "Disabled" };
    const theirs = other.apply([{ update: "key", region, keyId: "k1", revision: 1, set }]);
    const ours = mine.apply([{ update: "key", region, keyId: "k2", revision: 1, set }]);
    expect(mine.key(region, "k1")?.keyState).toBe("Disabled");
    await Promise.all([theirs, ours]);
  });

  test("of an audit head does not empty the cache", async () => {
    const [mine, other] = [await open(), await open()];
    await mine.apply([{ insert: "key", row: key("k1") }]);
    const row = mine.key(region, "k1");
    const head = { sequence: 1, digest: "ab", file: "f", time: 12, closed: false, signature: "c2ln" };
    await other.apply([{ put: "auditHead", row: { ...head, stream: "s" } }]);
    await turn();
    expect(mine.key(region, "k1")).toBe(row);
  });
});

describe("the cache", () => {
  test("is bounded: rows beyond it are read again and are the same", async () => {
    const store = await open({ cachedRows: 8 });
    const ids = Array.from({ length: 40 }, (_, i) => `k${i}`);
    await store.apply(ids.map((id) => ({ insert: "key", row: key(id) })));
    const first = store.key(region, "k0");
    for (const id of ids) expect(store.key(region, id)?.keyId).toBe(id);
    expect(store.key(region, "k0")).toEqual(first);
    expect(store.key(region, "k0")).not.toBe(first);
  });

  test("never holds more than its limit and keeps what is in use", () => {
    const cache = new Cache<number>(8);
    let misses = 0;
    for (let i = 0; i < 100; i++) {
      cache.set(`${i}`, i);
      if (i > 0 && cache.get("0") === undefined) misses++;
    }
    expect(misses).toBe(0);
    for (const used of ["99", "0", "98", "97"]) expect(cache.get(used)).toBe(Number(used));
    const held = Array.from({ length: 100 }, (_, i) => i).filter((i) => cache.get(`${i}`) !== undefined);
    expect(held.length).toBeLessThanOrEqual(8);
  });

  test("keeps apart what has the same material id in another Region or of another key", async () => {
    const store = await open();
    const rows = [key("k1"), key("k2"), key("k1", { region: "us-east-1" })];
    await store.apply([
      ...rows.map((row): Change => ({ insert: "key", row })),
      ...rows.map((row): Change => {
        const blob = Buffer.from(`${row.region} ${row.keyId}`);
        return {
          insert: "backingKey",
          row: { ...backing(row.keyId), region: row.region, materialId: "m", blob },
        };
      }),
    ]);
    for (const row of [...rows, ...rows]) {
      const found = store.backingKey(row.region, row.keyId, "m");
      expect(Buffer.from(found?.blob ?? []).toString()).toBe(`${row.region} ${row.keyId}`);
    }
  });
});

describe("processes", () => {
  test("that write at the same time lose nothing", async () => {
    const store = await open({ timeout: 60_000 });
    await store.apply([{ insert: "key", row: key("shared", { description: "0" }) }]);
    const program = `
      import { openStore } from ${library("store")};
      const [file, writer, template] = process.argv.slice(1);
      const store = await openStore({ file, timeout: 60_000 });
      for (let i = 0; i < 100; i++) {
        const row = { ...JSON.parse(template), keyId: writer + i };
        await store.apply([{ insert: "key", row }]);
        for (;;) {
          const { revision, description } = store.key(row.region, "shared");
          const set = { description: String(Number(description) + 1) };
          const change = { update: "key", region: row.region, keyId: "shared", revision, set };
          const done = await store.apply([change]).then(() => true, (error) => {
            if (error.reason !== "stale") throw error;
          });
          if (done) break;
          await new Promise(setImmediate);
        }
      }
      await store.close();`;
    await Promise.all(["a", "b", "c"].map((name) => node(program, [file, name, JSON.stringify(key("x"))])));
    expect(store.countKeys(region, account)).toBe(301);
    expect(store.key(region, "shared")?.description).toBe("300");
  }, 60_000);

  test("that open a new database at the same time agree on its schema", async () => {
    const program = `
      import { openStore, withLock } from ${library("store")};
      const [directory, file, row] = process.argv.slice(1);
      const store = await withLock(directory, () => openStore({ file }));
      await store.apply([{ insert: "key", row: JSON.parse(row) }]);
      await store.close();`;
    await Promise.all(
      ["a", "b", "c", "d"].map((id) => node(program, [directory, file, JSON.stringify(key(id))])),
    );
    expect((await open()).countKeys(region, account)).toBe(4);
  }, 60_000);
});

describe("a database that cannot be used", () => {
  test("because another process holds it: says so after the time given, and nothing is changed", async () => {
    const store = await open({ timeout: 100 });
    await store.apply([{ insert: "key", row: key("k1") }]);
    const holder = openDatabase(file, 0);
    holder.exec("BEGIN IMMEDIATE");
    const change = store.apply([{ insert: "key", row: key("k2") }]);
    await expect(change).rejects.toThrow(
      `${file} was locked by another process for 100 ms, nothing was changed`,
    );
    await expect(change).rejects.toMatchObject({ name: "StoreUnavailable", reason: "locked" });
    expect(store.key(region, "k1")?.keyId).toBe("k1");
    expect((await open()).key(region, "k1")?.keyId).toBe("k1");
    const waiting = store.apply([{ insert: "key", row: key("k3") }]);
    holder.exec("ROLLBACK");
    holder.close();
    await waiting;
    expect([store.key(region, "k2"), store.key(region, "k3")?.keyId]).toEqual([undefined, "k3"]);
  });

  test("because a newer version wrote it, or another program: is refused, not touched", async () => {
    const store = await open();
    await store.close();
    const database = openDatabase(file, 0);
    database.exec("UPDATE meta SET value = '1' WHERE name = 'schema'");
    database.close();
    await expect(openStore({ file })).rejects.toMatchObject({ reason: "foreign" });
    await expect(openStore({ file })).rejects.toThrow(
      /has schema 1, and this Keystead knows schema 2: use the/,
    );
    const foreign = join(directory, "other.db");
    const other = openDatabase(foreign, 0);
    other.exec("CREATE TABLE t (a)");
    other.close();
    const untouched = readFileSync(foreign);
    await expect(openStore({ file: foreign })).rejects.toThrow(
      /is the database of another program: name another/,
    );
    expect(readFileSync(foreign)).toEqual(untouched);
  });

  test("because its directory is missing, or it is a directory: names it", async () => {
    const missing = join(directory, "none", "keystead.db");
    await expect(openStore({ file: missing })).rejects.toMatchObject({ reason: "unreadable" });
    await expect(openStore({ file: missing })).rejects.toThrow(
      `${missing} cannot be made: check that its directory`,
    );
    await expect(openStore({ file: directory })).rejects.toThrow(
      `${directory} cannot be opened: check that it is a`,
    );
  });

  test("because it was closed: says so", async () => {
    const store = await open();
    await store.close();
    await store.close();
    await expect(store.apply([])).rejects.toMatchObject({ name: "StoreUnavailable", reason: "closed" });
    expect(() => store.key(region, "k1")).toThrow(/is closed/);
  });
});
