/**
 * What the store costs with 10 and with 100,000 keys: opening, reading rows cold and warm, counting, listing,
 * a change, and the memory of the cache. Needs the compiled library: `npm run build:lib` first.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { openStore } from "../dist/store.js";

const region = "us-east-1";
const account = "111122223333";
const policy = JSON.stringify({
  Version: "2012-10-17",
  Id: "key-default-1",
  Statement: [
    {
      Sid: "Enable IAM User Permissions",
      Effect: "Allow",
      Principal: { AWS: `arn:aws:iam::${account}:root` },
      Action: "kms:*",
      Resource: "*",
    },
  ],
});

const keyId = (index) => `${index.toString(16).padStart(8, "0")}-0000-4000-8000-000000000000`;
const materialId = (index) => index.toString(16).padStart(64, "0");

function rows(index) {
  const key = {
    ...{ region, account, keyId: keyId(index), keySpec: "SYMMETRIC_DEFAULT", keyUsage: "ENCRYPT_DECRYPT" },
    ...{
      origin: "AWS_KMS",
      keyManager: "CUSTOMER",
      keyState: "Enabled",
      description: `key ${index}`,
      policy,
    },
    ...{ createdAt: 1_700_000_000_000 + index, deletionAt: null, multiRegion: false, tags: [] },
    materialId: materialId(index),
  };
  const backing = {
    ...{ region, keyId: key.keyId, version: 1, materialId: key.materialId, blob: Buffer.alloc(72, index) },
    createdAt: key.createdAt,
  };
  return [
    { insert: "key", row: key },
    { insert: "backingKey", row: backing },
  ];
}

/** Nanoseconds a call; a turn of the event loop every 64 calls, as requests in flight have it. */
async function measure(count, body) {
  const start = process.hrtime.bigint();
  for (let i = 0; i < count; i++) {
    body(i);
    if (i % 64 === 63) await turn();
  }
  return Number(process.hrtime.bigint() - start) / count;
}

async function scale(count) {
  const directory = mkdtempSync(join(tmpdir(), "keystead-scale-"));
  const file = join(directory, "keystead.db");
  try {
    const filling = await openStore({ file });
    for (let from = 0; from < count; from += 1000) {
      const size = Math.min(1000, count - from);
      await filling.apply(Array.from({ length: size }, (_, i) => rows(from + i)).flat());
    }
    await filling.close();

    globalThis.gc?.();
    const before = process.memoryUsage().rss;
    const opening = performance.now();
    const store = await openStore({ file });
    const open = performance.now() - opening;
    const random = Array.from({ length: 100_000 }, () => Math.floor(Math.random() * count));
    const read = (i) => {
      const row = store.key(region, keyId(random[i]));
      store.backingKey(region, row.keyId, row.materialId);
    };
    const names = await measure(random.length, (i) => keyId(random[i]));
    const cold = await measure(count, (i) => {
      store.backingKey(region, keyId(i), store.key(region, keyId(i)).materialId);
    });
    globalThis.gc?.();
    const memory = process.memoryUsage().rss - before;
    const warm = (await measure(random.length, read)) - names;
    const counting = await measure(20, () => store.countKeys(region, account));
    const listing = await measure(200, (i) =>
      store.listKeys(region, account, { after: keyId(random[i]), limit: 100 }),
    );
    const changing = performance.now();
    for (let i = 0; i < 500; i++) await store.apply(rows(count + i));
    const change = (performance.now() - changing) / 500;
    await store.close();
    return {
      keys: count,
      "open ms": open.toFixed(1),
      "cold read µs": (cold / 1000).toFixed(1),
      "warm read µs": (warm / 1000).toFixed(2),
      "cache MB": (memory / 1e6).toFixed(0),
      "count ms": (counting / 1e6).toFixed(2),
      "list 100 ms": (listing / 1e6).toFixed(2),
      "apply ms": change.toFixed(3),
    };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

console.table([await scale(10), await scale(1000), await scale(100_000)]);
