// node:crypto's best single thread: AES-256-GCM in chunks, from memory to memory and from file to file.
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import { contend } from "../round.mjs";

const { BENCH_FILE, BENCH_OUT } = process.env;
const size = Number(process.env.BENCH_FILE_SIZE);
const key = randomBytes(32);
const iv = Buffer.alloc(12);
const cipher = () => createCipheriv("aes-256-gcm", key, iv);
const decipher = () => createDecipheriv("aes-256-gcm", key, iv).setAuthTag(Buffer.alloc(16));
const output = join(BENCH_OUT, "node.sealed");
const chunk = 64 * 1024; // the fastest of 16 KiB to 4 MiB

let memory;
const through = (transform) => {
  memory ??= Buffer.alloc(size, 7);
  const parts = [];
  for (let at = 0; at < size; at += chunk) parts.push(transform.update(memory.subarray(at, at + chunk)));
  return parts;
};

/** Reads the next part while this one is enciphered and written: what a careful program does on one thread. */
async function fileThrough(transform, durable) {
  await rm(output, { force: true });
  const from = await open(BENCH_FILE);
  const to = await open(output, "w");
  const buffers = [Buffer.alloc(1 << 20), Buffer.alloc(1 << 20)];
  let turn = 0;
  let reading = from.read(buffers[0]);
  let writing = Promise.resolve();
  for (;;) {
    const { bytesRead } = await reading;
    if (bytesRead === 0) break;
    const part = buffers[turn].subarray(0, bytesRead);
    turn = 1 - turn;
    reading = from.read(buffers[turn]);
    const parts = [];
    for (let at = 0; at < bytesRead; at += chunk) parts.push(transform.update(part.subarray(at, at + chunk)));
    await writing;
    writing = to.writev(parts);
  }
  await writing;
  if (durable) await to.sync();
  await from.close();
  await to.close();
  return size;
}

contend({
  "encrypt memory": () => {
    through(cipher()).length = 0;
    return size;
  },
  "decrypt memory": () => {
    through(decipher()).length = 0;
    return size;
  },
  "encrypt file": () => fileThrough(cipher(), true),
  "decrypt file": () => fileThrough(decipher(), true),
  "encrypt file, no fsync": () => fileThrough(cipher(), false),
  "decrypt file, no fsync": () => fileThrough(decipher(), false),
});
