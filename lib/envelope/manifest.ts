import { type FileHandle, open, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { StoreUnavailable, withLock } from "../store.ts";
import { replaceFile } from "./file.ts";
import type { DirectoryEntry } from "./options.ts";

/** In the directory that is written: one line of JSON for each file that is planned, and one more when it is done. */
export const MANIFEST = ".keystead-manifest";
/** Beside it as long as a run is at work; SQLite has a file whose name begins so too. */
export const LOCK = ".keystead-lock";
/** How the files begin that a run has not finished. */
export const UNFINISHED = ".keystead-run-";

/** What runs before this one have planned and done, by `Path`. The line of a run that was killed may be cut. */
export async function readManifest(directory: string): Promise<Map<string, DirectoryEntry>> {
  const text = await readFile(join(directory, MANIFEST), "utf8").catch((error) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
  const known = new Map<string, DirectoryEntry>();
  for (const line of text.split("\n")) {
    const entry = entryOf(line);
    if (entry !== undefined) known.set(entry.Path, entry);
  }
  return known;
}

/** Undefined where the line is no whole one: what it was about is done again. */
function entryOf(line: string): DirectoryEntry | undefined {
  try {
    const entry = JSON.parse(line) as DirectoryEntry;
    return typeof entry?.Path === "string" ? entry : undefined;
  } catch {
    return undefined;
  }
}

export async function writeManifest(
  directory: string,
  entries: readonly DirectoryEntry[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const lines = entries.map(lineOf).join("");
  async function* text() {
    yield Buffer.from(lines);
  }
  await replaceFile(join(directory, MANIFEST), text(), signal, UNFINISHED);
}

/** Gives `body` a way to add to the manifest. */
export async function appending<T>(
  directory: string,
  body: (append: (entry: DirectoryEntry) => Promise<void>) => Promise<T>,
): Promise<T> {
  const manifest: FileHandle = await open(join(directory, MANIFEST), "a");
  try {
    return await body((entry) => manifest.appendFile(lineOf(entry)));
  } finally {
    await manifest.close();
  }
}

const lineOf = (entry: DirectoryEntry) => `${JSON.stringify(entry)}\n`;

/** Runs `body` as the only run, of any process, that writes to the directory; rejects at once where there is one. */
export async function alone<T>(directory: string, body: () => Promise<T>): Promise<T> {
  const file = join(directory, LOCK);
  const inode = () =>
    stat(file).then(
      ({ ino }) => ino,
      () => undefined,
    );
  const busy = () =>
    Object.assign(new Error(`another run is writing to ${directory}: wait for its end`), {
      code: "EBUSY",
      path: directory,
    });
  const before = await inode();
  const held = async () => {
    // Whoever had it before may have taken the file away meanwhile: then it is no lock.
    const now = await inode();
    if (now === undefined || (before !== undefined && now !== before)) throw busy();
    try {
      return await body();
    } finally {
      await rm(file, { force: true });
    }
  };
  return withLock(directory, held, { timeout: 0, name: LOCK }).catch((error) => {
    throw error instanceof StoreUnavailable && error.reason === "locked" ? busy() : error;
  });
}
