import fs from "node:fs";
import { open } from "node:fs/promises";
import { dirname } from "node:path";
import { promisify } from "node:util";

const close = promisify(fs.close);
const truncate = promisify(fs.ftruncate);
const openFile = promisify(fs.open);

/** How far a file and the chain of its stream have come. */
export interface Tail {
  /** 64 hex digits: of the last line. */
  digest: string;
  /** Bytes of lines in the file. While it is written to, zero bytes may follow, which the next lines overwrite. */
  size: number;
}

/** Writes files of the log on a thread of its own. `lib/hsm.ts` has the one there is. */
export interface Journal {
  /** An empty file, whose first line follows the line with this digest. */
  open(digest: string): object;
  /**
   * Chains lines as line.ts says and resolves once they are on the disk, in the file that the path names, and nothing
   * but zero bytes is behind them. Commits are made in the order of the calls; once one has failed, so do all behind it.
   */
  append(commit: {
    journal: object;
    descriptor: number;
    path: string;
    /** Number of the first line. */
    sequence: number;
    /** Bodies of the lines, a newline between each two. */
    bodies: string;
  }): Promise<Tail>;
}

/** An append-only file that notices when it is no longer the one that its path names. */
export class LogFile {
  readonly path: string;
  #descriptor: number;
  #journal: Journal;
  #handle: object;
  #size = 0;

  private constructor(path: string, descriptor: number, journal: Journal, digest: string) {
    this.path = path;
    this.#descriptor = descriptor;
    this.#journal = journal;
    this.#handle = journal.open(digest);
  }

  /** Makes the file, mode 0600; it must not exist, its directory must. Its first line follows `digest`. */
  static async create(path: string, journal: Journal, digest: string): Promise<LogFile> {
    const { O_WRONLY, O_CREAT, O_EXCL } = fs.constants;
    const descriptor = await openFile(path, O_WRONLY | O_CREAT | O_EXCL, 0o600);
    try {
      await syncDirectory(dirname(path));
      return new LogFile(path, descriptor, journal, digest);
    } catch (error) {
      await close(descriptor);
      throw error;
    }
  }

  get size(): number {
    return this.#size;
  }

  /** Resolves to the last line's digest once the lines are durable; what follows a rejection is in doubt. */
  async append(sequence: number, bodies: string[]): Promise<string> {
    const { digest, size } = await this.#journal.append({
      journal: this.#handle,
      descriptor: this.#descriptor,
      path: this.path,
      sequence,
      bodies: bodies.join("\n"),
    });
    this.#size = size;
    return digest;
  }

  /** Ends the file behind its last line. */
  async close(): Promise<void> {
    try {
      await truncate(this.#descriptor, this.#size);
    } finally {
      await close(this.#descriptor);
    }
  }

  /** Leaves the file as it is: what is behind the last durable line may be evidence. */
  leave(): Promise<void> {
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
