// Envelopes beside node:crypto on one thread and the AWS Encryption SDK, in one process, round by round:
//   node --expose-gc bench/envelope.mjs [bytes] [rounds] [frame length]        (after npm run build)
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  AlgorithmSuiteIdentifier,
  buildClient,
  CommitmentPolicy,
  KmsKeyringNode,
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
const suiteId = AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY;
const small = Math.min(size, 100 * 2 ** 20);

const memory = Buffer.alloc(size, 7);
writeFileSync(file("plain"), memory);
let sealed;
const tasks = {
  "memory, seal": [
    ["node:crypto", size, () => through(cipher(), memory)],
    [
      "client-node",
      small,
      () => client.encrypt(keyring, memory.subarray(0, small), { suiteId, frameLength: FrameLength ?? PART }),
    ],
    ["keystead", size, async () => (sealed = await kms.envelope.encrypt(memory, options))],
  ],
  "memory, open": [
    ["keystead", size, () => kms.envelope.decrypt(sealed, options)],
    ["node:crypto", size, () => through(decipher(), memory)],
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
        globalThis.gc?.();
        const start = performance.now();
        await task();
        const rate = bytes / (performance.now() - start) / 1e6;
        if (round > 0) rates.get(name).push(rate); // the first warms up
      }
    }
    const medians = [...rates].map(([name, all]) => [name, all.sort((a, b) => a - b)[all.length >> 1]]);
    const ours = new Map(medians).get("keystead");
    const figures = medians.map(([name, rate]) => `${name} ${rate.toFixed(2)} GB/s`);
    const ratios = medians
      .filter(([name]) => name !== "keystead")
      .map(([name, rate]) => `${(ours / rate).toFixed(1)} × ${name}`);
    console.log(`${title}: ${figures.join(", ")}: ${ratios.join(", ")}`);
  }
} finally {
  await kms.close();
  rmSync(home, { recursive: true, force: true });
}
