// Encrypting under one of 10 keys, and under one of 100,000 (or as many as told) taken at random, once warm: one call
// at a time and 64 in flight; with the handle cache as it comes, and with room for every key.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Kms } from "../dist/index.js";
import { inFlight } from "./round.mjs";
import { claim, say } from "./tell.mjs";

const count = Number(process.argv[2] ?? 100_000);
const home = mkdtempSync(join(process.env.BENCH_TMP ?? tmpdir(), "keystead-keys-"));
const directory = join(home, "keystead");
const EncryptionContext = { tenant: "7" };
const Plaintext = Buffer.alloc(256, 7);
const keys = [];

const open = async (handles) => {
  const started = performance.now();
  const kms = await Kms.open({ directory, hsm: { handles } });
  return { kms, opened: performance.now() - started };
};
const make = (kms, more) =>
  inFlight(64, more, async () => keys.push((await kms.createKey()).KeyMetadata.KeyId));
const encrypt = (kms, KeyId) => kms.encrypt({ KeyId, Plaintext, EncryptionContext });

/** Microseconds a call. */
async function cost(kms, flights, calls) {
  const random = () => keys[Math.floor(Math.random() * keys.length)];
  const started = performance.now();
  await inFlight(flights, calls, () => encrypt(kms, random()));
  return ((performance.now() - started) / calls) * 1000;
}

async function measure(kms) {
  await inFlight(64, keys.length, (i) => encrypt(kms, keys[i]));
  await cost(kms, 64, 5_000);
  const costs = { alone: await cost(kms, 1, 5_000), together: await cost(kms, 64, 50_000) };
  const { open: handles } = kms.hsm.handles;
  return { ...costs, handles, rss: process.memoryUsage.rss() };
}

const report = (name, { alone, together, handles, rss }) =>
  say(
    `${name}: ${alone.toFixed(0)} µs alone, ${together.toFixed(1)} µs each of 64 in flight; ` +
      `${handles} handles, ${(rss / 1e6).toFixed(0)} MB resident`,
  );

try {
  const { kms } = await open();
  await make(kms, 10);
  const few = await measure(kms);
  report("10 keys", few);
  const started = performance.now();
  await make(kms, count - keys.length);
  say(`made ${keys.length} keys in ${((performance.now() - started) / 1000).toFixed(0)} s`);
  await kms.close();
  for (const handles of [undefined, count]) {
    const { kms, opened } = await open(handles);
    const room = `${handles ?? "default"} handles`;
    claim(`opened with ${keys.length} keys`, opened, { atMost: 2000, unit: " ms" });
    const many = await measure(kms);
    report(`${keys.length} keys, ${room}`, many);
    claim(`${room}, alone`, many.alone / few.alone, { atMost: 1.5, unit: " ×" });
    claim(`${room}, 64 in flight`, many.together / few.together, { atMost: 1.5, unit: " ×" });
    await kms.close();
  }
} finally {
  rmSync(home, { recursive: true, force: true });
}
