import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openDatabase } from "../lib/store/binding.ts";
import { LISTS, QUERIES } from "../lib/store/schema.ts";
import { tables } from "../lib/store/tables.ts";
import { type Change, openStore } from "../lib/store.ts";
import { account, backingKeyRow, keyRow, region } from "./rows.ts";

const count = 100_000;
const directory = mkdtempSync(join(tmpdir(), "keystead-scale-"));
const file = join(directory, "keystead.db");

const keyId = (index: number) => `${index.toString(16).padStart(8, "0")}-0000-4000-8000-000000000000`;
const materialId = (index: number) => index.toString(16).padStart(32, "0");

function changes(index: number): Change[] {
  const named = { region, keyId: keyId(index), materialId: materialId(index), createdAt: index };
  const alias = { region, account, keyId: named.keyId, createdAt: index, updatedAt: index };
  return [
    { insert: "key", row: keyRow(named.keyId, named) },
    { insert: "backingKey", row: backingKeyRow({ ...named, version: 1, blob: Buffer.alloc(72, index) }) },
    { insert: "alias", row: { ...alias, name: `alias/${index}` } },
  ];
}

beforeAll(async () => {
  const store = await openStore({ file });
  for (let from = 0; from < count; from += 2000) {
    await store.apply(Array.from({ length: 2000 }, (_, i) => changes(from + i)).flat());
  }
  await store.close();
}, 120_000);

afterAll(() => rmSync(directory, { recursive: true, force: true }));

test("100,000 keys fit into the cache: a second pass hands out the same rows", async () => {
  const store = await openStore({ file });
  const pass = () =>
    Array.from({ length: count }, (_, i) => [
      store.key(region, keyId(i)),
      store.backingKey(region, keyId(i), materialId(i)),
      store.alias(region, account, `alias/${i}`),
    ]);
  const first = pass();
  const second = pass();
  expect(first.flat().every((row) => row !== undefined)).toBe(true);
  expect(second.every((rows, i) => rows.every((row, j) => row === first[i]?.[j]))).toBe(true);
  await store.close();
});

test("100,000 keys can be listed page by page, each once, and counted", async () => {
  const store = await openStore({ file });
  const seen = new Set<string>();
  for (let after: string | undefined; ; ) {
    const page = store.listKeys(region, account, { after, limit: 1000 });
    for (const row of page) seen.add(row.keyId);
    after = page.at(-1)?.keyId;
    if (page.length < 1000) break;
  }
  expect(seen.size).toBe(count);
  expect(store.countKeys(region, account)).toBe(count);
  expect(store.listAliases(region, account, { keyId: keyId(77), limit: 10 })).toMatchObject([
    { name: "alias/77" },
  ]);
  await store.close();
});

const ofTables: [string, string][] = Object.entries(tables).flatMap(([name, table]) => [
  [`one ${name}`, table.one],
  [`update ${name}`, table.update([table.members.at(-1) as string])],
  [`delete ${name}`, table.remove],
]);
const queries = { ...QUERIES, ...LISTS, ...Object.fromEntries(ofTables) };
const planned = Object.entries(queries).filter(([, query]) => /^(SELECT|UPDATE|DELETE)/.test(query));

test.each(planned)("%s finds its rows by an index and sorts nothing", (_, query) => {
  const database = openDatabase(file, 0);
  const values = [...query.matchAll(/\?/g)].map(() => "0");
  const plan = database.prepare(`EXPLAIN QUERY PLAN ${query}`).all(...values);
  database.close();
  const slow = plan.map(([, , , detail]) => detail).filter((detail) => /^SCAN|TEMP B-TREE/.test(detail));
  // The audit log has few streams, and all of them are wanted.
  expect(slow.filter((detail) => detail !== "SCAN audit_heads")).toEqual([]);
});
