// Full load for a while (300 s unless told): memory and handles must not grow after the first minute.
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Kms } from "../dist/index.js";
import { inFlight } from "./round.mjs";

const seconds = Number(process.argv[2] ?? 300);
const settled = Math.min(60, seconds / 3);
const home = mkdtempSync(join(process.env.BENCH_TMP ?? tmpdir(), "keystead-soak-"));
const kms = await Kms.open({ directory: join(home, "keystead") });
const keys = [];
for (let i = 0; i < 100; i++) keys.push((await kms.createKey()).KeyMetadata.KeyId);
const record = Buffer.alloc(256, 7);
const Entries = Array.from({ length: 10_000 }, () => ({ Plaintext: record }));
const EncryptionContext = { tenant: "7" };
const file = Buffer.alloc(64 << 20, 7);

let stop = false;
let operations = 0;
const load = async () => {
  while (!stop) {
    await inFlight(64, 6_400, async (i) => {
      const KeyId = keys[i % keys.length];
      const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: record, EncryptionContext });
      if (i % 4 === 0) await kms.decrypt({ CiphertextBlob, EncryptionContext });
    });
    const sealed = await kms.encryptBatch({ KeyId: keys[0], EncryptionContext, Entries });
    await kms.decryptBatch({ EncryptionContext, Entries: sealed.Entries });
    await kms.envelope.decrypt(await kms.envelope.encrypt(file, { KeyId: keys[1], EncryptionContext }), {});
    operations += 6_400 * 1.25 + 20_000;
  }
};

const descriptors = () => readdirSync("/proc/self/fd").length;
const samples = [];
const started = Date.now();
const timer = setInterval(() => {
  const at = (Date.now() - started) / 1000;
  samples.push({
    at,
    rss: process.memoryUsage.rss(),
    handles: kms.hsm.handles.open,
    descriptors: descriptors(),
  });
  const { rss, handles, descriptors: files } = samples.at(-1);
  process.stderr.write(
    `\r\x1b[K${at.toFixed(0)} s, ${(rss / 1e6).toFixed(0)} MB, ${handles} handles, ${files} files`,
  );
  if (at >= seconds) stop = true;
}, 1000);
await load();
clearInterval(timer);
await kms.close();

/** The most in the tenth after `settled` and in the last tenth: garbage comes and goes, a leak stays. */
const most = (figure, from, to) =>
  Math.max(...samples.filter(({ at }) => at >= from && at <= to).map((sample) => sample[figure]));
const span = (seconds - settled) / 3;
console.log(`\n${operations} operations in ${seconds} s; log ${logSize()} MB`);
let failed = false;
for (const figure of ["rss", "handles", "descriptors"]) {
  const before = most(figure, settled, settled + span);
  const after = most(figure, seconds - span, seconds + 5);
  const growth = after / before - 1;
  const grew = growth > (figure === "rss" ? 0.05 : 0);
  failed ||= grew;
  console.log(`${figure}: ${before} → ${after} (${(growth * 100).toFixed(1)} %)${grew ? " GREW" : ""}`);
}
rmSync(home, { recursive: true, force: true });
process.exitCode = failed ? 1 : 0;

function logSize() {
  const audit = join(home, "keystead", "audit");
  return Math.round(
    readdirSync(audit).reduce((sum, name) => sum + statSync(join(audit, name)).size, 0) / 1e6,
  );
}
