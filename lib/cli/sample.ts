import { randomFillSync } from "node:crypto";
import { existsSync, statSync } from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import type { Invocation } from "./invocation.ts";
import { Progress } from "./progress.ts";

const BLOCK = 4 << 20;

/** A file of this size that no two blocks of are alike; one that is there with the right size is used. */
export async function makeSample(path: string, size: number, { err, signal }: Invocation): Promise<void> {
  if (existsSync(path) && statSync(path).size === size) return;
  const progress = new Progress(err, "making a sample file");
  const block = randomFillSync(Buffer.allocUnsafe(BLOCK));
  const draft = `${path}.part`;
  const file = await open(draft, "w", 0o600);
  try {
    for (let at = 0; at < size; at += BLOCK) {
      signal.throwIfAborted();
      // Fresh randomness for all of it would take longer than what is to be shown.
      randomFillSync(block, (at / BLOCK) % (BLOCK - 64), 64);
      await file.write(block, 0, Math.min(BLOCK, size - at));
      progress.update(at, size);
    }
    await file.close();
    await rename(draft, path);
  } catch (error) {
    await file.close().catch(() => {});
    await rm(draft, { force: true });
    throw error;
  } finally {
    progress.end();
  }
}

/** Whether two files hold the same bytes. */
export async function sameContent(one: string, other: string, { err, signal }: Invocation): Promise<boolean> {
  const { size } = statSync(one);
  if (statSync(other).size !== size) return false;
  const progress = new Progress(err, "comparing");
  const files = await Promise.all([open(one), open(other)]);
  const blocks = files.map(() => Buffer.allocUnsafe(BLOCK)) as [Buffer, Buffer];
  try {
    for (let at = 0; at < size; at += BLOCK) {
      signal.throwIfAborted();
      const length = Math.min(BLOCK, size - at);
      await Promise.all(files.map((file, index) => fill(file, blocks[index] as Buffer, length, at)));
      if (blocks[0].compare(blocks[1], 0, length, 0, length) !== 0) return false;
      progress.update(at, size);
    }
    return true;
  } finally {
    progress.end();
    await Promise.all(files.map((file) => file.close()));
  }
}

async function fill(file: FileHandle, block: Buffer, length: number, position: number): Promise<void> {
  for (let filled = 0; filled < length; ) {
    const { bytesRead } = await file.read(block, filled, length - filled, position + filled);
    if (bytesRead === 0) throw new Error("a file became shorter while it was read");
    filled += bytesRead;
  }
}
