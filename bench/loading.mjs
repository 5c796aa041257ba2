// 10,000 keys used in turn through a handle cache of 1,000, or as many of each as told: the handles are counted after
// every use, and may never be more than the cache holds. node bench/loading.mjs 10000 1000
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Kms } from "../dist/index.js";
import { inFlight } from "./round.mjs";
import { claim, say } from "./tell.mjs";

const [count = 10_000, handles = 1_000] = process.argv.slice(2).map(Number);
const home = mkdtempSync(join(process.env.BENCH_TMP ?? tmpdir(), "keystead-loading-"));
const kms = await Kms.open({ directory: join(home, "keystead"), hsm: { handles } });
const Plaintext = Buffer.alloc(256, 7);
const keys = [];
let most = 0;

/** Runs `use` for each key, 64 in flight, and says what came of it. */
async function pass(name, use) {
  const { misses } = kms.hsm.handles;
  const started = performance.now();
  await inFlight(64, count, async (i) => {
    await use(i);
    most = Math.max(most, kms.hsm.handles.open);
  });
  const seconds = (performance.now() - started) / 1000;
  say(
    `${name}: ${(count / seconds).toFixed(0)}/s, ${kms.hsm.handles.misses - misses} handles made, ` +
      `at most ${most} of ${handles} at a time, ${(process.memoryUsage.rss() / 1e6).toFixed(0)} MB resident`,
  );
}

try {
  await pass(`make ${count} keys`, async (i) => {
    keys[i] = (await kms.createKey()).KeyMetadata.KeyId;
  });
  for (const round of ["first", "second"])
    await pass(`use each in turn, the ${round} time`, (i) => kms.encrypt({ KeyId: keys[i], Plaintext }));
  claim("handles at a time", most, { atMost: handles });
} finally {
  await kms.close();
  rmSync(home, { recursive: true, force: true });
}
