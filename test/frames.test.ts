import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { addon } from "../lib/hsm/load.ts";
import { library, node } from "./child.ts";

// The framed body of an AWS Encryption SDK message, format version 2, written once more with node:crypto from its
// specification (data-format/message-body.md and message-body-aad.md).

const { sealFrames, openFrames, crew, useGcm } = addon();

interface Message {
  key: Buffer;
  messageId: Buffer;
  frameLength: number;
}

function message(frameLength: number): Message {
  return { key: randomBytes(32), messageId: randomBytes(32), frameLength };
}

function iv(sequence: number): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32BE(sequence, 8);
  return bytes;
}

function aad(messageId: Buffer, sequence: number, final: boolean, length: number): Buffer {
  const tail = Buffer.alloc(12);
  tail.writeUInt32BE(sequence, 0);
  tail.writeBigUInt64BE(BigInt(length), 4);
  const content = final ? "AWSKMSEncryptionClient Final Frame" : "AWSKMSEncryptionClient Frame";
  return Buffer.concat([messageId, Buffer.from(content), tail]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function sealFrame(m: Message, sequence: number, final: boolean, plaintext: Buffer): Buffer {
  const cipher = createCipheriv("aes-256-gcm", m.key, iv(sequence));
  cipher.setAAD(aad(m.messageId, sequence, final, plaintext.length));
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  const head = final
    ? [uint32(0xffffffff), uint32(sequence), iv(sequence), uint32(plaintext.length)]
    : [uint32(sequence), iv(sequence)];
  return Buffer.concat([...head, ciphertext, cipher.getAuthTag()]);
}

function openFrame(m: Message, sequence: number, final: boolean, sealed: Buffer): Buffer {
  const head = final ? 24 : 16;
  const ciphertext = sealed.subarray(head, -16);
  if (final) {
    expect(sealed.readUInt32BE(0)).toBe(0xffffffff);
    expect(sealed.readUInt32BE(20)).toBe(ciphertext.length);
  }
  expect(sealed.readUInt32BE(final ? 4 : 0)).toBe(sequence);
  const decipher = createDecipheriv(
    "aes-256-gcm",
    m.key,
    sealed.subarray(head - (final ? 16 : 12)).subarray(0, 12),
  );
  decipher.setAAD(aad(m.messageId, sequence, final, ciphertext.length));
  decipher.setAuthTag(sealed.subarray(-16));
  return Buffer.concat([decipher.update(ciphertext), decipher.final()]);
}

function sealBody(m: Message, plaintext: Buffer, first = 1, final = true): Buffer {
  const frames: Buffer[] = [];
  for (let at = 0; at < plaintext.length || (final && frames.length === 0); at += m.frameLength) {
    const last = final && at + m.frameLength >= plaintext.length;
    frames.push(sealFrame(m, first + frames.length, last, plaintext.subarray(at, at + m.frameLength)));
  }
  return Buffer.concat(frames);
}

function openBody(m: Message, sealed: Buffer): Buffer {
  const plaintext: Buffer[] = [];
  let at = 0;
  for (; sealed.readUInt32BE(at) !== 0xffffffff; at += m.frameLength + 32) {
    plaintext.push(openFrame(m, plaintext.length + 1, false, sealed.subarray(at, at + m.frameLength + 32)));
  }
  plaintext.push(openFrame(m, plaintext.length + 1, true, sealed.subarray(at)));
  return Buffer.concat(plaintext);
}

async function seal(m: Message, plaintext: Buffer, first = 1, final = true): Promise<Buffer> {
  const frames = Math.max(final ? 1 : 0, Math.ceil(plaintext.length / m.frameLength));
  const output = Buffer.alloc(plaintext.length + frames * 32 + (final ? 8 : 0));
  await sealFrames({ ...m, firstSequence: first, final, input: plaintext, output });
  return output;
}

/** The plaintext, or undefined: then the output, filled with other bytes before, was wiped. */
async function open(
  m: Message,
  sealed: Buffer,
  size: number,
  first = 1,
  final = true,
): Promise<Buffer | undefined> {
  const output = Buffer.alloc(size, 0xee);
  if (await openFrames({ ...m, firstSequence: first, final, input: sealed, output })) return output;
  expect(output.equals(Buffer.alloc(size))).toBe(true);
  return undefined;
}

const gcms = crew().gcms;

test("tells its threads and implementations", () => {
  expect(crew().threads).toBeGreaterThanOrEqual(1);
  expect(gcms).toContain("openssl");
  for (const gcm of gcms) {
    useGcm(gcm);
    expect(crew().gcm).toBe(gcm);
  }
  expect(() => useGcm("rot13" as "openssl")).toThrowError(
    expect.objectContaining({ name: "EngineError", code: "GCM_UNAVAILABLE" }),
  );
});

test.each(gcms)("%s seals as node:crypto does, byte for byte", async (gcm) => {
  useGcm(gcm);
  for (const frameLength of [1, 16, 100, 4096]) {
    for (const size of [
      0,
      1,
      frameLength - 1,
      frameLength,
      frameLength + 1,
      3 * frameLength,
      7 * frameLength + 5,
    ]) {
      const m = message(frameLength);
      const plaintext = randomBytes(size);
      const sealed = await seal(m, plaintext);
      expect(sealed.equals(sealBody(m, plaintext))).toBe(true);
      expect(openBody(m, sealed).equals(plaintext)).toBe(true);
      expect(await open(m, sealed, size)).toEqual(plaintext);
    }
  }
});

test.each(gcms)("%s seals and opens a large message in runs", async (gcm) => {
  useGcm(gcm);
  const m = message(64 * 1024);
  const plaintext = randomBytes(16 * 1024 * 1024 + 12345);
  const half = 128 * m.frameLength;
  const runs = await Promise.all([
    seal(m, plaintext.subarray(0, half), 1, false),
    seal(m, plaintext.subarray(half), 129, true),
  ]);
  const sealed = Buffer.concat(runs);
  expect(sealed.equals(sealBody(m, plaintext))).toBe(true);
  const opened = await Promise.all([
    open(m, sealed.subarray(0, runs[0].length), half, 1, false),
    open(m, sealed.subarray(runs[0].length), plaintext.length - half, 129, true),
  ]);
  expect(opened[0] && opened[1] && Buffer.concat([opened[0], opened[1]]).equals(plaintext)).toBe(true);
});

test("opens an empty final frame behind full ones", async () => {
  const m = message(100);
  const plaintext = randomBytes(200);
  const sealed = Buffer.concat([sealBody(m, plaintext, 1, false), sealFrame(m, 3, true, Buffer.alloc(0))]);
  expect(await open(m, sealed, 200)).toEqual(plaintext);
});

test.each(gcms)("%s: one wrong bit anywhere and nothing is opened", async (gcm) => {
  useGcm(gcm);
  const m = message(20);
  const sealed = sealBody(m, randomBytes(50));
  const results: (Buffer | undefined)[] = [];
  for (let bit = 0; bit < sealed.length * 8; bit++) {
    const wrong = Buffer.from(sealed);
    wrong[bit >> 3] = (wrong[bit >> 3] as number) ^ (1 << (bit & 7));
    results.push(await open(m, wrong, 50));
  }
  expect(results.every((result) => result === undefined)).toBe(true);
});

test("one wrong frame among many wipes all of them", async () => {
  const m = message(4096);
  const sealed = sealBody(m, randomBytes(1000 * 4096));
  sealed[900 * 4128 + 77] = (sealed[900 * 4128 + 77] as number) ^ 1;
  expect(await open(m, sealed, 1000 * 4096)).toBeUndefined();
});

test("frames out of their order, of another message or under another key are refused", async () => {
  const m = message(20);
  const sealed = sealBody(m, randomBytes(60), 1, false);
  const frame = (i: number) => sealed.subarray(i * 52, i * 52 + 52);
  expect(await open(m, sealed, 60, 1, false)).toBeDefined();
  expect(await open(m, sealed, 60, 2, false)).toBeUndefined();
  expect(await open(m, Buffer.concat([frame(1), frame(0), frame(2)]), 60, 1, false)).toBeUndefined();
  expect(await open(m, Buffer.concat([frame(0), frame(0), frame(2)]), 60, 1, false)).toBeUndefined();
  expect(await open({ ...m, messageId: randomBytes(32) }, sealed, 60, 1, false)).toBeUndefined();
  expect(await open({ ...m, key: randomBytes(32) }, sealed, 60, 1, false)).toBeUndefined();
  // A regular frame cut to look like a final one, and a message without its final frame.
  expect(await open(m, sealed.subarray(0, 104), 32)).toBeUndefined();
  expect(await open(m, sealBody(m, randomBytes(60)).subarray(0, 104), 32)).toBeUndefined();
});

test("sizes that do not fit are refused", async () => {
  const m = message(100);
  const job = { ...m, firstSequence: 1, final: true, input: Buffer.alloc(140), output: Buffer.alloc(100) };
  const layout = expect.objectContaining({ name: "EngineError", code: "FRAME_LAYOUT" });
  await expect(openFrames(job)).resolves.toBe(false);
  for (const wrong of [
    { output: Buffer.alloc(99) },
    { output: Buffer.alloc(101) },
    { input: Buffer.alloc(39), output: Buffer.alloc(0) },
    { final: false },
    { frameLength: 0 },
    { frameLength: 99 },
    { firstSequence: 0 },
    { key: Buffer.alloc(16) },
    { messageId: Buffer.alloc(16) },
  ]) {
    await expect(openFrames({ ...job, ...wrong })).rejects.toEqual(layout);
  }
  const sealing = {
    ...m,
    firstSequence: 1,
    final: false,
    input: Buffer.alloc(100),
    output: Buffer.alloc(132),
  };
  await expect(sealFrames(sealing)).resolves.toBeUndefined();
  await expect(sealFrames({ ...sealing, firstSequence: 0xffffffff })).rejects.toEqual(layout);
  await expect(sealFrames({ ...sealing, input: Buffer.alloc(101) })).rejects.toEqual(layout);
});

test("the key and the message id are copied before the call returns", async () => {
  const m = message(4096);
  const original = { ...m, key: Buffer.from(m.key), messageId: Buffer.from(m.messageId) };
  const plaintext = randomBytes(300_000);
  const sealing = seal(m, plaintext);
  m.key.fill(0);
  m.messageId.fill(0);
  expect((await sealing).equals(sealBody(original, plaintext))).toBe(true);
});

test("many jobs at the same time", async () => {
  const jobs = Array.from({ length: 200 }, async (_, i) => {
    const m = message(64);
    const plaintext = randomBytes(i * 13);
    const sealed = await seal(m, plaintext);
    expect(await open(m, sealed, plaintext.length)).toEqual(plaintext);
    expect(openBody(m, sealed).equals(plaintext)).toBe(true);
  });
  await Promise.all(jobs);
});

// Runs that never end, so that whatever ends the process or the thread finds the crew at work.
const endless = `
  const { addon } = await import(${library("hsm/load")});
  const input = Buffer.alloc(4096 * 4096);
  const output = Buffer.alloc(4096 * 4128);
  const job = { key: Buffer.alloc(32), messageId: Buffer.alloc(32), frameLength: 4096, firstSequence: 1, final: false };
  const again = () => addon().sealFrames({ ...job, input, output }).then(again);
  for (let i = 0; i < 4; i++) again();`;

test("a process leaves in the midst of its work", async () => {
  const exits = Array.from({ length: 5 }, (_, i) =>
    node(`${endless} setTimeout(() => process.exit(7), ${20 + 7 * i});`, [], { timeout: 20_000 }),
  );
  for (const exit of await Promise.allSettled(exits)) {
    expect(exit).toMatchObject({ status: "rejected", reason: { code: 7, signal: null } });
  }
});

test("a worker is terminated in the midst of its work, and the process goes on", async () => {
  const worker = JSON.stringify(endless);
  const program = `
    import { Worker } from "node:worker_threads";
    for (let i = 0; i < 5; i++) {
      const worker = new Worker(new URL("data:text/javascript," + encodeURIComponent(${worker})));
      await new Promise((resolve) => setTimeout(resolve, 60 + 7 * i));
      await worker.terminate();
    }
    const { addon } = await import(${library("hsm/load")});
    const output = Buffer.alloc(41);
    await addon().sealFrames({
      key: Buffer.alloc(32), messageId: Buffer.alloc(32), frameLength: 1, firstSequence: 1, final: true,
      input: Buffer.alloc(1), output,
    });
    console.log(output.subarray(0, 8).toString("hex"));`;
  const { stdout } = await node(program, [], { timeout: 20_000 });
  expect(stdout).toBe("ffffffff00000001\n");
});
