import fs from "node:fs";
import { open } from "node:fs/promises";
import { dirname } from "node:path";
import { promisify } from "node:util";

const close = promisify(fs.close);
const openFile = promisify(fs.open);

/** How far a file and the chain of its stream have come. */
export interface Tail {
  /** 64 hex digits: of the last line. */
  digest: string;
  /** Bytes in the file. */
  size: number;
}

/**
 * Chains lines as line.ts says and resolves once they are on the disk, in the file that the path names, and
 * nothing else is behind them. `lib/hsm.ts` has the one there is.
 */
export type Journal = (
  commit: Tail & {
    descriptor: number;
    path: string;
    /** Number of the first line. */
    sequence: number;
    /** Bodies of the lines, a newline between each two. */
    bodies: string;
  },
) => Promise<Tail>;

/** An append-only file that notices when it is no longer the one that its path names. */
export class LogFile {
  readonly path: string;
  #descriptor: number;
  #journal: Journal;
  #size = 0;

  private constructor(path: string, descriptor: number, journal: Journal) {
    this.path = path;
    this.#descriptor = descriptor;
    this.#journal = journal;
  }

  /** Makes the file, mode 0600; it must not exist, its directory must. */
  static async create(path: string, journal: Journal): Promise<LogFile> {
    const { O_WRONLY, O_CREAT, O_EXCL, O_APPEND } = fs.constants;
    const descriptor = await openFile(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND, 0o600);
    try {
      await syncDirectory(dirname(path));
      return new LogFile(path, descriptor, journal);
    } catch (error) {
      await close(descriptor);
      throw error;
    }
  }

  get size(): number {
    return this.#size;
  }

  /** Resolves to the last line's digest once the lines are durable; what follows a rejection is in doubt. */
  async append(line: { digest: string; sequence: number }, bodies: string[]): Promise<string> {
    const { digest, size } = await this.#journal({
      descriptor: this.#descriptor,
      path: this.path,
      size: this.#size,
      digest: line.digest,
      sequence: line.sequence + 1,
      bodies: bodies.join("\n"),
    });
    this.#size = size;
    return digest;
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
