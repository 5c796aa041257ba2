// How time and memory grow with the work: 10^3 to 10^7 records, and a stream of 1 MiB to 8 GiB, that come from a generator
// and go nowhere. The sizes are run in turn, round by round, a small one many times in a round. Draws a chart into the file
// that is told: node bench/growth.mjs growth.svg
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Kms } from "../dist/index.js";
import { panels } from "./panels.mjs";
import { median } from "./report.mjs";
import { claim, say } from "./tell.mjs";

/** Seconds of rounds for a kind of work, and of a round for a size; what has begun is finished. */
const FOR_KIND = 15;
const FOR_SIZE = 0.4;
const MEBIBYTE = 2 ** 20;

const home = mkdtempSync(join(process.env.BENCH_TMP ?? tmpdir(), "keystead-growth-"));
const kms = await Kms.open({ directory: join(home, "keystead") });
const { KeyId } = (await kms.createKey()).KeyMetadata;
const options = { KeyId, EncryptionContext: { tenant: "7" } };

const CALL = 10_000;
const packed = { Plaintexts: new Uint8Array(CALL * 256).fill(7), Lengths: new Uint32Array(CALL).fill(256) };
async function encryptBatches(records) {
  for (let left = records; left > 0; left -= CALL) {
    const count = Math.min(left, CALL);
    const Plaintexts = packed.Plaintexts.subarray(0, count * 256);
    await kms.encryptBatch({ ...options, Plaintexts, Lengths: packed.Lengths.subarray(0, count) });
  }
}

const record = Buffer.alloc(1024, 7);
function* copies(piece, count) {
  for (let i = 0; i < count; i++) yield piece;
}
async function drain(stream) {
  for await (const _ of stream);
}
const encryptRecords = (count) => drain(kms.envelope.encryptRecords(copies(record, count), options));

const mebibyte = Buffer.alloc(MEBIBYTE, 7);
const encryptStream = (bytes) => drain(kms.envelope.encrypt(copies(mebibyte, bytes / MEBIBYTE), options));

const thousands = [1e3, 1e4, 1e5, 1e6, 1e7];
const mebibytes = [1, 8, 64, 256, 1024, 2048, 4096, 8192].map((count) => count * MEBIBYTE);
const decimal = (count) => (count < 1e6 ? `${count / 1e3} k` : `${count / 1e6} M`);
const binary = (bytes) => (bytes < 2 ** 30 ? `${bytes / MEBIBYTE} MiB` : `${bytes / 2 ** 30} GiB`);
const kinds = [
  { name: "encrypt, a stream", sizes: mebibytes, run: encryptStream, label: binary },
  {
    name: "encryptBatch, packed, records of 256 bytes",
    sizes: thousands,
    run: encryptBatches,
    label: decimal,
  },
  { name: "encryptRecords, messages of 1 KiB", sizes: thousands, run: encryptRecords, label: decimal },
];

// Not the median: what happens seldom, such as a collection of garbage, belongs to each.
const mean = (values) => values.reduce((sum, value) => sum + value) / values.length;

/** Seconds a run, and the memory resident meanwhile: on average, and at most, which is when garbage is waiting. */
async function measure({ sizes, run }) {
  await run(sizes.at(-1) / 8);
  const figures = sizes.map((size) => ({ size, times: [], resident: [] }));
  const end = performance.now() + FOR_KIND * 1000;
  while (performance.now() < end) {
    for (const figure of figures) {
      const look = () => figure.resident.push(process.memoryUsage.rss());
      const timer = setInterval(look, 10);
      for (let spent = 0; spent < FOR_SIZE; ) {
        const began = performance.now();
        await run(figure.size);
        const time = (performance.now() - began) / 1000;
        figure.times.push(time);
        spent += time;
        look();
      }
      clearInterval(timer);
    }
  }
  return figures.map(({ size, times, resident }) => {
    return { size, time: mean(times), rss: mean(resident), most: Math.max(...resident) };
  });
}

/**
 * Points with `each`, the time an item relative to its usual one: the median of the sizes `from` where fixed costs are under
 * a tenth. Fixed is the most that a size of up to a hundredth of the largest takes beyond its share of the largest one's time.
 */
function judged(points) {
  const { size, time } = points.at(-1);
  const small = points.filter((point) => point.size <= size / 100);
  const fixed = Math.max(...small.map((point) => point.time - (time * point.size) / size));
  const { size: from } = points.find((point) => fixed < point.time / 10) ?? points.at(-1);
  const usual = median(points.filter((point) => point.size >= from).map((point) => point.time / point.size));
  return { from, points: points.map((point) => ({ ...point, each: point.time / point.size / usual })) };
}

const charts = [];
try {
  for (const kind of kinds) {
    const { from, points } = judged(await measure(kind));
    say(`${kind.name}: the fixed cost is under 10 % from ${kind.label(from)} on`);
    for (const { size, time, each, rss, most } of points) {
      const [items, seconds] = [kind.label(size).padStart(8), time.toPrecision(3).padStart(9)];
      say(
        `${items} ${seconds} s, ${each.toFixed(2)} × an item's usual time, ${(rss / 1e6).toFixed(0)} MB, at most ${(most / 1e6).toFixed(0)}`,
      );
    }
    const settled = points.filter(({ size }) => size >= from);
    const off = Math.max(...settled.map(({ each }) => Math.abs(each - 1)));
    claim(`${kind.name}: time an item off its median, from ${kind.label(from)} on`, off * 100, {
      atMost: 10,
      unit: " %",
    });
    const { size, rss } = points.at(-1);
    const less = points.findLast((point) => point.size <= size / 100);
    claim(
      `${kind.name}: more memory for ${kind.label(size)} than for ${kind.label(less.size)}`,
      (rss / less.rss - 1) * 100,
      { atMost: 10, unit: " %" },
    );
    say("");
    charts.push({ ...kind, from, points });
  }
  if (process.argv[2]) writeFileSync(process.argv[2], panels(charts));
} finally {
  await kms.close();
  rmSync(home, { recursive: true, force: true });
}
