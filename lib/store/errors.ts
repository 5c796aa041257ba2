import type { Rows } from "./rows.ts";

/** The changes were made to rows that have changed meanwhile; nothing was applied. */
export class StoreConflict extends Error {
  override readonly name = "StoreConflict";
  readonly row: keyof Rows;
  /** Exists already, is missing, or has another revision than expected. */
  readonly reason: "exists" | "missing" | "stale";

  constructor(
    row: StoreConflict["row"],
    reason: StoreConflict["reason"],
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.row = row;
    this.reason = reason;
  }
}

/** The database cannot be used at present; the message says which file and what to do about it. */
export class StoreUnavailable extends Error {
  override readonly name = "StoreUnavailable";
  readonly reason: "locked" | "corrupt" | "full" | "unreadable" | "foreign" | "closed";

  constructor(reason: StoreUnavailable["reason"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

/** SQLite's primary result codes that say something about the file rather than about the statement. */
const failures = new Map<number, [StoreUnavailable["reason"], (file: string) => string]>([
  [5, ["locked", (file) => `${file} is locked by another process: end the one that holds it, or wait`]],
  [6, ["locked", (file) => `${file} is locked by another connection of this process`]],
  [
    8,
    ["unreadable", (file) => `${file} cannot be written: check the owner and mode of it and its directory`],
  ],
  [10, ["unreadable", (file) => `${file} cannot be read or written: check the disk and its limits`]],
  [11, ["corrupt", corrupt]],
  [13, ["full", (file) => `the disk that holds ${file} is full: make room; nothing was changed`]],
  [14, ["unreadable", (file) => `${file} cannot be opened: check that its directory exists and is writable`]],
  [26, ["corrupt", corrupt]],
]);

function corrupt(file: string): string {
  return `${file} is damaged: stop the service, keep a copy of it and its -wal file, and restore a backup`;
}

export const damaged = (file: string) => new StoreUnavailable("corrupt", corrupt(file));

/** SQLite's extended result code, if the error is SQLite's: Node calls it `errcode`, libsql `rawCode`. */
function extendedCode(error: unknown): number | undefined {
  const { errcode, rawCode } = error as { errcode?: number; rawCode?: number };
  return errcode ?? rawCode;
}

/** The primary code, which an extended one has in its low byte. */
export function resultCode(error: unknown): number | undefined {
  const code = extendedCode(error);
  return code === undefined ? undefined : code & 0xff;
}

/** Names the file and what to do; errors that are not about the file stay as they are. */
export function unavailable(error: unknown, file: string): unknown {
  const failure = failures.get(resultCode(error) ?? -1);
  if (!failure) return error;
  const [reason, text] = failure;
  return new StoreUnavailable(reason, `${text(file)} (${(error as Error).message})`, { cause: error });
}

const CONSTRAINT = 19;
const FOREIGN_KEY = 787;

/** Which constraint an error of SQLite's is about: a row refers to none, or there is one such already. */
export function constraintOf(error: unknown): "foreign key" | "unique" | undefined {
  if (resultCode(error) !== CONSTRAINT) return undefined;
  return extendedCode(error) === FOREIGN_KEY ? "foreign key" : "unique";
}
