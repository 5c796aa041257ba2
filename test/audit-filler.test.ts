import { appendFileSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { followEvents, lastEvents, publicKeyOf, verify } from "../lib/audit.ts";
import { Kms } from "../lib/index.ts";
import { openTestDeployment } from "./deployment.ts";

const { directory } = await openTestDeployment();
const audit = join(directory, "audit");
const publicKey = publicKeyOf(readFileSync(join(audit, "audit.pem"), "utf8"));

const newest = () => {
  const names = readdirSync(audit).filter((name) => name.endsWith(".jsonl"));
  return join(
    audit,
    names.reduce((a, b) => (statSync(join(audit, a)).mtimeMs > statSync(join(audit, b)).mtimeMs ? a : b)),
  );
};
const many = (kms: Kms, count: number) =>
  Promise.all(Array.from({ length: count }, () => kms.generateRandom({ NumberOfBytes: 1 })));
const verified = () => verify(audit, publicKey, []);

test("a busy file ends with filler that no reader takes for lines, until it is closed", async () => {
  const kms = await Kms.open({ directory });
  await many(kms, 300);
  await many(kms, 300);
  const file = newest();
  const content = readFileSync(file);
  const end = content.indexOf(0);
  expect(end).toBeGreaterThan(1 << 16);
  expect(content[end - 1]).toBe(10);
  expect(content.subarray(end).every((byte) => byte === 0)).toBe(true);
  expect(content.length).toBeGreaterThan(end);
  expect(await lastEvents(audit, 3)).toHaveLength(3);
  expect(await verified()).toMatchObject({ problems: [] });

  const stop = new AbortController();
  const following = await followEvents(audit, stop.signal);
  const { $metadata } = await kms.generateRandom({ NumberOfBytes: 1 });
  const { value } = await following.next();
  expect(value).toContain($metadata.requestId);
  stop.abort();

  await kms.close();
  const closed = readFileSync(file);
  expect(closed.includes(0)).toBe(false);
  expect(closed.at(-1)).toBe(10);
  expect(await verified()).toMatchObject({ ok: true, problems: [] });
});

test("filler that a kill left is no problem; what stands behind a zero byte is", async () => {
  const kms = await Kms.open({ directory });
  await many(kms, 300);
  await many(kms, 300);
  await sleep(1200);
  const file = newest();
  const left = readFileSync(file);
  expect(left.at(-1)).toBe(0);
  await kms.close();
  const closed = readFileSync(file);
  writeFileSync(file, Buffer.concat([closed, Buffer.alloc(5000)]));
  expect(await verified()).toMatchObject({ ok: true, problems: [] });
  appendFileSync(file, closed.subarray(-500));
  const { ok, problems } = await verified();
  expect(ok).toBe(false);
  expect(problems).toMatchObject([{ kind: "changed" }]);
  writeFileSync(file, Buffer.concat([closed.subarray(0, -200), Buffer.alloc(200)]));
  expect((await verified()).ok).toBe(false);
});
