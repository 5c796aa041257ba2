// node:crypto's best single thread: AES-256-GCM in parts, from memory to memory and from file to file.
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { contend } from "../round.mjs";

const { BENCH_FILE, BENCH_OUT, BENCH_SIZE } = process.env;
const size = Number(BENCH_SIZE);
const key = randomBytes(32);
const iv = Buffer.alloc(12);
const cipher = () => createCipheriv("aes-256-gcm", key, iv);
const decipher = () => createDecipheriv("aes-256-gcm", key, iv).setAuthTag(Buffer.alloc(16));
const output = join(BENCH_OUT, "node.sealed");
const PART = 64 * 1024; // the fastest of 16 KiB to 4 MiB

/** What becomes of the bytes, part by part; the parts are kept, as a result would be. */
function through(transform, bytes) {
  const parts = [];
  for (let at = 0; at < bytes.length; at += PART) parts.push(transform.update(bytes.subarray(at, at + PART)));
  return parts;
}

let memory;
function memoryThrough(transform) {
  memory ??= Buffer.alloc(size, 7);
  through(transform, memory);
  return size;
}

/** Reads the next MiB while this one is enciphered and written: what a careful program does on one thread. */
async function fileThrough(transform, durable) {
  const from = await open(BENCH_FILE);
  const to = await open(output, "w");
  const buffers = [Buffer.alloc(1 << 20), Buffer.alloc(1 << 20)];
  let reading = from.read(buffers[0]);
  let writing;
  for (let turn = 0; ; turn = 1 - turn) {
    const { bytesRead } = await reading;
    if (bytesRead === 0) break;
    reading = from.read(buffers[1 - turn]);
    const parts = through(transform, buffers[turn].subarray(0, bytesRead));
    await writing;
    writing = to.writev(parts);
  }
  await writing;
  if (durable) await to.sync();
  await Promise.all([from.close(), to.close()]);
  return size;
}

contend(
  {
    "seal memory": () => memoryThrough(cipher()),
    "open memory": () => memoryThrough(decipher()),
    "seal file": () => fileThrough(cipher(), true),
    "open file": () => fileThrough(decipher(), true),
    "seal file, no fsync": () => fileThrough(cipher(), false),
    "open file, no fsync": () => fileThrough(decipher(), false),
  },
  undefined,
  () => {
    rmSync(output, { force: true });
    globalThis.gc();
  },
);
