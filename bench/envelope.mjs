// Envelopes and records beside node:crypto on one thread and the AWS Encryption SDK, in one process, round by round:
//   node --expose-gc bench/envelope.mjs [bytes] [rounds] [frame length]        (after npm run build)
// The Encryption SDK gets a part of the work, at most 100 MiB or 2,000 records a round, and its rate is compared.
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  AlgorithmSuiteIdentifier,
  buildClient,
  CommitmentPolicy,
  getLocalCryptographicMaterialsCache,
  KmsKeyringNode,
  NodeCachingMaterialsManager,
} from "@aws-crypto/client-node";
import { Kms } from "../dist/index.js";

const [size = 2 ** 30, rounds = 5, FrameLength] = process.argv.slice(2).map(Number);
const home = mkdtempSync(join(process.env.BENCH_TMP ?? tmpdir(), "keystead-bench-"));
const file = (name) => join(home, name);
const kms = await Kms.open({ directory: file("keystead") });
const KeyId = (await kms.createKey()).KeyMetadata.Arn;
const options = { KeyId, EncryptionContext: { tenant: "7" }, FrameLength };

const key = randomBytes(32);
const iv = Buffer.alloc(12);
const cipher = () => createCipheriv("aes-256-gcm", key, iv);
const decipher = () => createDecipheriv("aes-256-gcm", key, iv);
const PART = 64 * 1024; // node:crypto's fastest of 16 KiB to 4 MiB

/** What node:crypto makes of the bytes, part by part; the parts are kept, as a result would be. */
function through(transform, bytes) {
  const parts = [];
  for (let at = 0; at < bytes.length; at += PART) parts.push(transform.update(bytes.subarray(at, at + PART)));
  return parts;
}

/** On one thread: reads the next MiB while this one is enciphered and the one before is written; durable. */
async function throughFile(transform) {
  const from = await open(file("plain"));
  const to = await open(file("node"), "w");
  const buffers = [Buffer.alloc(2 ** 20), Buffer.alloc(2 ** 20)];
  let writing;
  let reading = from.read(buffers[0]);
  for (let turn = 0; ; turn = 1 - turn) {
    const { bytesRead } = await reading;
    if (bytesRead === 0) break;
    reading = from.read(buffers[1 - turn]);
    const parts = through(transform, buffers[turn].subarray(0, bytesRead));
    await writing;
    writing = to.writev(parts);
  }
  await writing;
  await to.sync();
  await Promise.all([from.close(), to.close()]);
}

async function drain(stream) {
  for await (const _ of stream);
}
function* mebibytes() {
  for (let at = 0; at < size; at += 2 ** 20) yield memory.subarray(at, at + 2 ** 20);
}

const client = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
const keyring = new KmsKeyringNode({ clientProvider: () => kms, generatorKeyId: KeyId });
const suiteIds = {
  false: AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY,
  true: AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY_ECDSA_P384,
};
const frameLength = FrameLength ?? PART;
const small = Math.min(size, 100 * 2 ** 20);
const theirSeal = (signed) =>
  client.encrypt(keyring, memory.subarray(0, small), { suiteId: suiteIds[signed], frameLength });

// Records of 1 KiB, with what both call a cache: one data key for all of a round.
const RECORD = 1024;
const ours = Array.from({ length: 100_000 }, () => Buffer.alloc(RECORD, 7));
const theirs = ours.slice(0, 2_000);
const cached = new NodeCachingMaterialsManager({
  backingMaterials: keyring,
  cache: getLocalCryptographicMaterialsCache(100),
  maxAge: 600_000,
});
const records = kms.envelope.records(options);
let sealedRecords;
let theirRecords;
/** One after the other: side by side is no faster on their one thread. */
async function eachOf(list, one) {
  const out = [];
  for (const item of list) out.push(await one(item));
  return out;
}

const memory = Buffer.alloc(size, 7);
writeFileSync(file("plain"), memory);
let sealed;
let signed;
const foreign = { false: undefined, true: undefined };
const tasks = {
  "memory, seal": [
    ["node:crypto", size, () => through(cipher(), memory)],
    ["client-node", small, async () => (foreign.false = (await theirSeal(false)).result)],
    ["keystead", size, async () => (sealed = await kms.envelope.encrypt(memory, options))],
  ],
  "memory, open": [
    ["keystead", size, () => kms.envelope.decrypt(sealed, { EncryptionContext: options.EncryptionContext })],
    ["client-node", small, () => client.decrypt(keyring, foreign.false)],
    ["node:crypto", size, () => through(decipher(), memory)],
  ],
  "memory, seal signed": [
    ["client-node", small, async () => (foreign.true = (await theirSeal(true)).result)],
    [
      "keystead",
      size,
      async () => (signed = await kms.envelope.encrypt(memory, { ...options, Signed: true })),
    ],
  ],
  "memory, open signed": [
    ["client-node", small, () => client.decrypt(keyring, foreign.true)],
    ["keystead", size, () => kms.envelope.decrypt(signed)],
  ],
  "records of 1 KiB, seal": [
    [
      "client-node",
      theirs.length * RECORD,
      async () =>
        (theirRecords = await eachOf(
          theirs,
          async (one) =>
            (await client.encrypt(cached, one, { encryptionContext: options.EncryptionContext, frameLength }))
              .result,
        )),
    ],
    ["keystead", ours.length * RECORD, async () => (sealedRecords = await records.encrypt(ours))],
  ],
  "records of 1 KiB, open": [
    ["client-node", theirs.length * RECORD, () => eachOf(theirRecords, (one) => client.decrypt(cached, one))],
    ["keystead", ours.length * RECORD, () => records.decrypt(sealedRecords)],
  ],
  "stream, seal": [
    ["keystead", size, () => drain(kms.envelope.encrypt(mebibytes(), options))],
    ["node:crypto", size, () => through(cipher(), memory)],
  ],
  "file, seal": [
    ["keystead", size, () => kms.envelope.encryptFile(file("plain"), file("sealed"), options)],
    ["node:crypto", size, () => throughFile(cipher())],
  ],
  "file, open": [
    ["keystead", size, () => kms.envelope.decryptFile(file("sealed"), file("opened"), options)],
    ["node:crypto", size, () => throughFile(decipher())],
  ],
};

const outOf = { "file, seal": "sealed", "file, open": "opened" };

try {
  for (const [title, contenders] of Object.entries(tasks)) {
    const rates = new Map(contenders.map(([name]) => [name, []]));
    for (let round = 0; round <= rounds; round++) {
      for (const [name, bytes, task] of contenders) {
        // Each writes a file that is not there, so that none pays for, or profits from, the freeing of an old one.
        if (outOf[title]) rmSync(file(name === "keystead" ? outOf[title] : "node"), { force: true });
        if (title === "memory, seal") sealed = undefined;
        if (title === "memory, seal signed") signed = undefined;
        globalThis.gc?.();
        const start = performance.now();
        await task();
        const rate = bytes / (performance.now() - start) / 1e6;
        if (round > 0) rates.get(name).push(rate); // the first warms up
      }
    }
    const medians = [...rates].map(([name, all]) => [name, all.sort((a, b) => a - b)[all.length >> 1]]);
    const mine = new Map(medians).get("keystead");
    const figures = medians.map(([name, rate]) => `${name} ${rate.toFixed(rate < 0.1 ? 4 : 2)} GB/s`);
    const ratios = medians
      .filter(([name]) => name !== "keystead")
      .map(([name, rate]) => `${(mine / rate).toFixed(1)} × ${name}`);
    console.log(`${title}: ${figures.join(", ")}: ${ratios.join(", ")}`);
  }
} finally {
  await kms.close();
  rmSync(home, { recursive: true, force: true });
}
