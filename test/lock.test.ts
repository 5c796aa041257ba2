import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { StoreUnavailable, withLock } from "../lib/store.ts";
import { library, node } from "./child.ts";

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "keystead-lock-"));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** A process that takes the lock, says so, and holds it until its input ends. */
async function holder() {
  const program = `
    import { once } from "node:events";
    import { withLock } from ${library("store")};
    await withLock(process.argv[1], async () => {
      process.stdout.write("held");
      await once(process.stdin.resume(), "end");
    });`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program, directory], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  return child;
}

test("one section at a time in a process, and each gives its result or its error", async () => {
  let inside = 0;
  let most = 0;
  const sections = Array.from({ length: 10 }, (_, i) =>
    withLock(directory, async () => {
      most = Math.max(most, ++inside);
      await sleep(5);
      inside--;
      if (i === 3) throw new RangeError("three");
      return i;
    }),
  );
  const results = await Promise.allSettled(sections);
  expect(most).toBe(1);
  expect(results[3]).toMatchObject({ status: "rejected", reason: new RangeError("three") });
  expect(results.filter((result) => result.status === "fulfilled")).toHaveLength(9);
});

test("one section at a time among processes", async () => {
  const log = join(directory, "log");
  const program = `
    import { appendFileSync } from "node:fs";
    import { setTimeout as sleep } from "node:timers/promises";
    import { withLock } from ${library("store")};
    const [directory, log] = process.argv.slice(1);
    for (let i = 0; i < 10; i++) {
      await withLock(directory, async () => {
        appendFileSync(log, "(");
        await sleep(2);
        appendFileSync(log, ")");
      });
    }`;
  const ours = Array.from({ length: 10 }, () =>
    withLock(directory, async () => {
      appendFileSync(log, "(");
      await sleep(2);
      appendFileSync(log, ")");
    }),
  );
  await Promise.all([...ours, ...[1, 2, 3].map(() => node(program, [directory, log]))]);
  expect(readFileSync(log, "utf8")).toBe("()".repeat(40));
});

test("a deadline that passes says which file and what to do, and runs nothing", async () => {
  const child = await holder();
  let ran = false;
  const late = withLock(directory, () => (ran = true), { timeout: 100 });
  await expect(late).rejects.toThrow(StoreUnavailable);
  await expect(late).rejects.toMatchObject({ reason: "locked" });
  await expect(late).rejects.toThrow(
    /lock\.db was held for 100 ms, .*: wait for it, or end it \(fuser .*lock\.db/,
  );
  expect(ran).toBe(false);
  child.stdin.end();
  await once(child, "exit");
  expect(await withLock(directory, () => "free")).toBe("free");
});

test("a killed holder holds no more", async () => {
  const child = await holder();
  const waiting = withLock(directory, () => "taken", { timeout: 10_000 });
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(await waiting).toBe("taken");
});

test("a directory that is not there is named", async () => {
  const missing = join(directory, "none");
  await expect(withLock(missing, () => 1)).rejects.toThrow(`${join(missing, "lock.db")} cannot be opened`);
  writeFileSync(join(directory, "lock.db"), "this is no database at all, and much too long for an empty one");
  await expect(withLock(directory, () => 1)).rejects.toMatchObject({ name: "StoreUnavailable" });
});
