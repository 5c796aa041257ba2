import { closeSync, fsyncSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { type Database, openDatabase, type Statement } from "./binding.ts";
import { damaged, StoreUnavailable, unavailable } from "./errors.ts";
import { APPLICATION_ID, QUERIES, SCHEMA, SCHEMA_VERSION } from "./schema.ts";
import type { Columns, Value } from "./table.ts";

/** How long a read blocks the event loop while another process recovers the log after a crash, in ms. */
const READ_TIMEOUT = 1000;

/** One connection to one file with our schema; its statements are kept. Errors are StoreUnavailable or SQLite's. */
export class Connection {
  readonly file: string;
  readonly #database: Database;
  readonly #statements = new Map<string, Statement>();

  /** Makes the file and the schema where they are missing; only under `withLock` may two processes do so. */
  constructor(file: string) {
    this.file = file;
    create(file);
    this.#database = connect(file, READ_TIMEOUT);
    try {
      const empty = this.#recognise();
      this.#exec("PRAGMA journal_mode = WAL");
      this.#exec("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON");
      if (empty) {
        this.#exec("BEGIN IMMEDIATE");
        if (this.#recognise()) this.#exec(SCHEMA);
        this.#exec("COMMIT");
      }
    } catch (error) {
      this.#rollback();
      this.close();
      throw error;
    }
  }

  /**
   * All that `body` does in one transaction, without a break from BEGIN to COMMIT. False, at once, when
   * another connection is writing.
   */
  transaction(body: () => void): boolean {
    try {
      this.#withoutWaiting(() => this.#exec("BEGIN IMMEDIATE"));
    } catch (error) {
      if ((error as StoreUnavailable).reason === "locked") return false;
      throw error;
    }
    try {
      body();
      this.#exec("COMMIT");
    } catch (error) {
      this.#rollback();
      throw error;
    }
    return true;
  }

  /** Empties the write-ahead log; false, at once, while others read or write. */
  checkpoint(): boolean {
    return this.#withoutWaiting(() => this.all("PRAGMA wal_checkpoint(TRUNCATE)")[0]?.[0] === 0);
  }

  get(query: string, ...values: Value[]): Columns | undefined {
    return this.#use(query, (statement) => statement.get(...values));
  }

  all(query: string, ...values: Value[]): Columns[] {
    return this.#use(query, (statement) => statement.all(...values));
  }

  /** How many rows were changed. */
  run(query: string, ...values: Value[]): number {
    return this.#use(query, (statement) => statement.run(...values)).changes;
  }

  close(): void {
    this.#statements.clear();
    this.#database.close();
  }

  #use<T>(query: string, body: (statement: Statement) => T): T {
    try {
      let statement = this.#statements.get(query);
      if (!statement) {
        statement = this.#database.prepare(query);
        this.#statements.set(query, statement);
      }
      return body(statement);
    } catch (error) {
      throw unavailable(error, this.file);
    }
  }

  #exec(sql: string): void {
    try {
      this.#database.exec(sql);
    } catch (error) {
      throw unavailable(error, this.file);
    }
  }

  #rollback(): void {
    if (this.#database.isTransaction) this.#exec("ROLLBACK");
  }

  /** SQLite's own way to wait would block the event loop. */
  #withoutWaiting<T>(body: () => T): T {
    this.#exec("PRAGMA busy_timeout = 0");
    try {
      return body();
    } finally {
      this.#exec(`PRAGMA busy_timeout = ${READ_TIMEOUT}`);
    }
  }

  /** Whether the database is still empty; throws when it is not one of ours, having written nothing. */
  #recognise(): boolean {
    const [application] = this.get("PRAGMA application_id") ?? [];
    const [tables] = this.get("SELECT count(*) FROM sqlite_schema") ?? [];
    if (application === 0 && tables === 0) return true;
    if (application !== APPLICATION_ID) {
      const text = `${this.file} is the database of another program: name another file`;
      throw new StoreUnavailable("foreign", text);
    }
    const [version] = this.get(QUERIES.meta, "schema") ?? [];
    if (version === undefined) throw damaged(this.file);
    if (version !== String(SCHEMA_VERSION)) {
      const text = `${this.file} has schema ${version}, and this Keystead knows schema ${SCHEMA_VERSION}`;
      throw new StoreUnavailable("foreign", `${text}: use the Keystead that wrote it, or a newer one`);
    }
    return false;
  }
}

/** libsql gives no code for a file that it cannot open. `timeout` is how long it blocks while others lock. */
export function connect(file: string, timeout: number): Database {
  try {
    return openDatabase(file, timeout);
  } catch (cause) {
    const text = `${file} cannot be opened: check that it is a file, and that its directory is there and writable`;
    throw new StoreUnavailable("unreadable", text, { cause });
  }
}

/** Closing a descriptor of a file ends all locks of the process on it, so only a file new to all is touched. */
function create(file: string): void {
  let descriptor: number;
  try {
    descriptor = openSync(file, "wx", 0o600);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return;
    const text = `${file} cannot be made: check that its directory exists and is writable (${message})`;
    throw new StoreUnavailable("unreadable", text, { cause: error });
  }
  closeSync(descriptor);
  const directory = openSync(dirname(file), "r");
  fsyncSync(directory);
  closeSync(directory);
}
