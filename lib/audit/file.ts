import fs from "node:fs";
import { open } from "node:fs/promises";
import { dirname } from "node:path";
import { promisify } from "node:util";

// The callback functions on a bare descriptor cost the main thread a third of what FileHandle's do.
const write = promisify(fs.write);
const datasync = promisify(fs.fdatasync);
const stat = promisify(fs.stat);
const close = promisify(fs.close);
const openFile = promisify(fs.open);

/** An append-only file that notices when it is no longer the one that its path names. */
export class LogFile {
  readonly path: string;
  #descriptor: number;
  #inode: number;
  #device: number;
  #size = 0;

  private constructor(path: string, descriptor: number, { ino, dev }: fs.Stats) {
    this.path = path;
    this.#descriptor = descriptor;
    this.#inode = ino;
    this.#device = dev;
  }

  /** Makes the file, mode 0600; it must not exist, its directory must. */
  static async create(path: string): Promise<LogFile> {
    const { O_WRONLY, O_CREAT, O_EXCL, O_APPEND } = fs.constants;
    const descriptor = await openFile(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND, 0o600);
    try {
      await syncDirectory(dirname(path));
      return new LogFile(path, descriptor, fs.fstatSync(descriptor));
    } catch (error) {
      await close(descriptor);
      throw error;
    }
  }

  get size(): number {
    return this.#size;
  }

  /** Resolves once the bytes are on the disk, in the file that the path names, and nothing else is behind. */
  async append(bytes: Buffer): Promise<void> {
    for (let written = 0; written < bytes.length; ) {
      written += (await write(this.#descriptor, bytes, written, bytes.length - written)).bytesWritten;
    }
    this.#size += bytes.length;
    const [seen] = await Promise.all([stat(this.path), datasync(this.#descriptor)]);
    if (seen.ino !== this.#inode || seen.dev !== this.#device)
      throw new Error(`audit file ${this.path} was replaced`);
    if (seen.size !== this.#size)
      throw new Error(
        `audit file ${this.path} has ${seen.size} bytes, not the ${this.#size} that were written`,
      );
  }

  close(): Promise<void> {
    return close(this.#descriptor);
  }
}

/** Makes a new name in a directory survive a crash. Windows has no such call and needs none. */
async function syncDirectory(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
