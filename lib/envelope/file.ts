import { randomBytes } from "node:crypto";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";

/**
 * Puts what `pieces` gives into the file `path`: all of it or, after an error or a crash, nothing; what was
 * there before stays until then. It is written to a file beside it (mode 0600, which it keeps), forced to the
 * disk and then renamed. A piece may be overwritten once the next is asked for. Resolves to the bytes written.
 */
export async function replaceFile(
  path: string,
  pieces: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<number> {
  const directory = dirname(path);
  const temporary = join(directory, `.keystead-${randomBytes(8).toString("hex")}.tmp`);
  const file = await open(temporary, "wx", 0o600);
  let length = 0;
  try {
    try {
      for await (const piece of pieces) {
        await writeAll(file, piece, length);
        length += piece.length;
      }
      await file.sync();
    } finally {
      await file.close();
    }
    signal?.throwIfAborted();
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(directory);
  return length;
}

async function writeAll(file: FileHandle, piece: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < piece.length; ) {
    at += (await file.write(piece, at, piece.length - at, position + at)).bytesWritten;
  }
}

/** A new name is only durable once its directory is. Windows has no such call, and no need of it. */
async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(directory);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
