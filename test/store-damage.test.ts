import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { resultCode } from "../lib/store/errors.ts";
import { openStore, StoreUnavailable } from "../lib/store.ts";
import { library, node } from "./child.ts";
import { account, keyRow, region } from "./rows.ts";

const rows = 300;
const root = mkdtempSync(join(tmpdir(), "keystead-damage-"));
const whole = join(root, "whole.db");
const isRoot = process.getuid?.() === 0;
/** Whom modes bind: root, whom they do not, becomes nobody, who may not be able to read this checkout. */
const somebody = isRoot ? { uid: 65534, gid: 65534 } : {};
const isReadable = spawnSync("test", ["-r", import.meta.filename], somebody).status === 0;

const key = (keyId: string) => keyRow(keyId, { description: "d".repeat(400) });

const keyId = (i: number) => `key-${String(i).padStart(4, "0")}`;

beforeAll(async () => {
  chmodSync(root, 0o755);
  const store = await openStore({ file: whole });
  await store.apply(Array.from({ length: rows }, (_, i) => ({ insert: "key", row: key(keyId(i)) })));
  await store.close();
});

afterAll(() => rmSync(root, { recursive: true, force: true }));

let copies = 0;
function damaged(change: (bytes: Buffer) => Buffer): string {
  const file = join(root, `copy-${copies++}.db`);
  writeFileSync(file, change(readFileSync(whole)));
  return file;
}

/** Opens a database and reads and lists all that is in it; the error must be ours and name the file. */
async function readAll(file: string): Promise<StoreUnavailable | undefined> {
  try {
    const store = await openStore({ file });
    try {
      for (let i = 0; i < rows; i++) store.key(region, keyId(i));
      store.listKeys(region, account, { limit: 1000 });
      return undefined;
    } finally {
      await store.close();
    }
  } catch (error) {
    expect(error).toBeInstanceOf(StoreUnavailable);
    expect((error as Error).message).toContain(file);
    return error as StoreUnavailable;
  }
}

describe("a damaged database", () => {
  const overwritten = (bytes: Buffer) => {
    bytes.fill(0x55, 0, 100);
    return bytes;
  };
  const damages: Record<string, (bytes: Buffer) => Buffer> = {
    "whose header is overwritten": overwritten,
    "that is cut in the middle": (bytes) => bytes.subarray(0, bytes.length >> 1),
    "whose first page is cut": (bytes) => bytes.subarray(0, 1000),
    "whose tables are overwritten": (bytes) => bytes.fill(0x55, 4096),
    "with a page of zeros": (bytes) => bytes.fill(0, 4096 * 2, 4096 * 12),
    "that is another file": () => Buffer.from("not a database at all\n".repeat(500)),
  };

  test.each(Object.entries(damages))("%s is refused with what to do", async (_, change) => {
    const error = await readAll(damaged(change));
    expect(error?.reason).toBe("corrupt");
    expect(error?.message).toMatch(/is damaged: stop the service, keep a copy of it .* restore a backup/);
    expect([11, 26]).toContain(resultCode(error?.cause));
  });

  test("is not written to when it is no database", async () => {
    const file = damaged(overwritten);
    const before = readFileSync(file);
    await readAll(file);
    expect(readFileSync(file)).toEqual(before);
  });

  test("gives the error again at each try, and the rows that can be read are right", async () => {
    const file = damaged((bytes) => bytes.fill(0xff, bytes.length - 4096 * 4));
    const store = await openStore({ file });
    let failed = 0;
    for (let i = 0; i < rows; i++) {
      try {
        const row = store.key(region, keyId(i));
        if (row) expect(row).toEqual({ ...key(keyId(i)), revision: 1 });
      } catch (error) {
        expect(error).toMatchObject({ name: "StoreUnavailable", reason: "corrupt" });
        expect(() => store.key(region, keyId(i))).toThrow(/is damaged/);
        failed++;
      }
    }
    expect(failed).toBeGreaterThan(0);
    expect(failed).toBeLessThan(rows);
    await store.close();
  });

  test("whose log is cut has what was whole, and goes on", async () => {
    const file = join(root, "log.db");
    const open = await openStore({ file });
    await open.apply([{ insert: "key", row: key("first") }]);
    await open.apply([{ insert: "key", row: key("second") }]);
    const copy = join(root, "log-copy.db");
    copyFileSync(file, copy);
    copyFileSync(`${file}-wal`, `${copy}-wal`);
    await open.close();
    truncateSync(`${copy}-wal`, readFileSync(`${copy}-wal`).length - 100);
    const store = await openStore({ file: copy });
    expect(store.key(region, "first")?.keyId).toBe("first");
    expect(store.key(region, "second")).toBeUndefined();
    await store.apply([{ insert: "key", row: key("third") }]);
    expect(store.countKeys(region, account)).toBe(2);
    await store.close();
  });
});

const program = `
  import { openStore } from ${library("store")};
  const [file, row, count] = process.argv.slice(1);
  process.on("SIGXFSZ", () => {});
  const said = { made: 0 };
  try {
    const store = await openStore({ file });
    for (; said.made < Number(count); said.made++) {
      const keyId = "more-" + said.made;
      await store.apply([{ insert: "key", row: { ...JSON.parse(row), keyId } }]);
    }
    await store.close();
  } catch ({ name, reason, message }) {
    Object.assign(said, { name, reason, message });
  }
  console.log(JSON.stringify(said));
  process.exit();`;

interface Said {
  made: number;
  name?: string;
  reason?: string;
  message?: string;
}

/** A database with room for some more rows fails clearly, keeps what it had acknowledged, and recovers. */
async function expectWhole(file: string, said: Said): Promise<void> {
  expect(said.made).toBeGreaterThan(0);
  const store = await openStore({ file });
  expect(store.countKeys(region, account)).toBe(rows + said.made);
  await store.apply([{ insert: "key", row: key("after") }]);
  expect(store.countKeys(region, account)).toBe(rows + said.made + 1);
  await store.close();
}

describe("a place that takes no more", () => {
  test.skipIf(!isRoot)("because the disk is full: says so, and nothing is lost", async (context) => {
    const directory = join(root, "small");
    mkdirSync(directory);
    const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", directory]);
    if (mounted.status !== 0) return context.skip("this machine lets nobody mount");
    try {
      const file = join(directory, "keystead.db");
      copyFileSync(whole, file);
      const { stdout } = await node(program, [file, JSON.stringify(key("x")), "100000"]);
      const said: Said = JSON.parse(String(stdout));
      expect(said).toMatchObject({ name: "StoreUnavailable", reason: "full" });
      expect(said.message).toContain(`the disk that holds ${file} is full: make room; nothing was changed`);
      execFileSync("mount", ["-o", "remount,size=20m", directory]);
      await expectWhole(file, said);
    } finally {
      execFileSync("umount", ["-l", directory]);
    }
  });

  test("because files may not grow: says so, and nothing is lost", async () => {
    const file = damaged((bytes) => bytes);
    const limit = Math.ceil(readFileSync(file).length / 1024) + 600;
    const command = 'ulimit -f "$0" && exec "$@"';
    const run = [
      process.execPath,
      "--input-type=module",
      "-e",
      program,
      file,
      JSON.stringify(key("x")),
      "100000",
    ];
    const { stdout, stderr } = spawnSync("bash", ["-c", command, String(limit), ...run], {
      encoding: "utf8",
    });
    expect(stderr).toBe("");
    const said: Said = JSON.parse(stdout);
    expect(said).toMatchObject({ name: "StoreUnavailable", reason: "unreadable" });
    expect(said.message).toContain(`${file} cannot be read or written: check the disk and its limits`);
    await expectWhole(file, said);
  });

  test.skipIf(!isReadable)("because its directory is not writable: says so", async () => {
    const directory = join(root, "closed");
    mkdirSync(directory);
    chmodSync(directory, 0o555);
    const file = join(directory, "keystead.db");
    const { stdout } = await node(program, [file, JSON.stringify(key("x")), "1"], somebody);
    const said: Said = JSON.parse(String(stdout));
    expect(said).toMatchObject({ name: "StoreUnavailable", reason: "unreadable", made: 0 });
    expect(said.message).toContain(`${file} cannot be made: check that its directory exists and is writable`);
  });

  test.skipIf(!isReadable)("because the file is read-only: can be read, and a change says so", async () => {
    const directory = join(root, "read-only");
    mkdirSync(directory);
    const file = join(directory, "keystead.db");
    copyFileSync(whole, file);
    chmodSync(file, 0o444);
    chmodSync(directory, 0o555);
    const { stdout } = await node(program, [file, JSON.stringify(key("x")), "1"], somebody);
    const said: Said = JSON.parse(String(stdout));
    expect(said).toMatchObject({ name: "StoreUnavailable", reason: "unreadable", made: 0 });
    expect(said.message).toContain(`${file} cannot be`);
    chmodSync(directory, 0o755);
  });
});
