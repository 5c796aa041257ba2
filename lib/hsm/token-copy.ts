import { open, readdir, readFile, rename } from "node:fs/promises";
import { join } from "node:path";

/**
 * SoftHSM writes `token.object`, in which the PINs guard the key of all keys, at each login, and empties it
 * before: whoever is killed in between has lost the token. So a copy lies beside it, in the token's directory.
 */
const OBJECT = "token.object";
const COPY = "token.object.copy";

/** Brings back what a killed login has emptied. To be done before a login, under the directory's lock. */
export async function restoreTokens(tokens: string): Promise<void> {
  for (const { directory, object, copy } of await read(tokens)) {
    if (object.length < copy.length) await replace(join(directory, OBJECT), copy);
  }
}

/** Keeps what a login has just proved to be good, or what has just been made. */
export async function copyTokens(tokens: string): Promise<void> {
  for (const { directory, object, copy } of await read(tokens)) {
    // Shorter is what another process is about to write.
    if (object.length >= copy.length && !object.equals(copy)) await replace(join(directory, COPY), object);
  }
}

async function read(tokens: string): Promise<{ directory: string; object: Buffer; copy: Buffer }[]> {
  const entries = await readdir(tokens, { withFileTypes: true });
  const directories = entries.filter((entry) => entry.isDirectory()).map((entry) => join(tokens, entry.name));
  return Promise.all(
    directories.map(async (directory) => ({
      directory,
      object: await content(join(directory, OBJECT)),
      copy: await content(join(directory, COPY)),
    })),
  );
}

async function content(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return Buffer.alloc(0);
    throw error;
  }
}

async function replace(file: string, bytes: Buffer): Promise<void> {
  const part = `${file}.part`;
  try {
    const handle = await open(part, "w", 0o600);
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(part, file);
  } catch (cause) {
    throw new Error(`${file}, a part of the token, cannot be written: ${(cause as Error).message}`, {
      cause,
    });
  }
}
