import { createRequire } from "node:module";
import type Libsql from "libsql";
import type { Columns, Value } from "./table.ts";

/** What is used of `node:sqlite`, by its names. Rows are arrays; a text that is read may end at its first NUL. */
export interface Database {
  readonly isTransaction: boolean;
  prepare(sql: string): Statement;
  exec(sql: string): unknown;
  close(): unknown;
}

export interface Statement {
  get(...values: Value[]): Columns | undefined;
  all(...values: Value[]): Columns[];
  run(...values: Value[]): { changes: number };
}

interface NodeSqlite {
  DatabaseSync: new (file: string, options: { timeout: number }) => Database;
  StatementSync: { prototype: { setReturnArrays?: unknown } };
}

/** Opens or makes a file; `timeout` is how long a statement blocks while others lock, in ms. */
export type OpenDatabase = (file: string, timeout: number) => Database;

/**
 * Node's own SQLite from Node 22.16 on, else libsql, which aborts the process when a worker is terminated within
 * a call to it. One process uses one of them: to POSIX locks, two copies of SQLite would be one and the same.
 */
export const openDatabase: OpenDatabase = ofNode() ?? ofLibsql();

function ofNode(): OpenDatabase | undefined {
  const sqlite = loadQuietly();
  if (!sqlite?.StatementSync.prototype.setReturnArrays) return undefined;
  class NodeDatabase extends sqlite.DatabaseSync {
    override prepare(sql: string): Statement {
      const statement = super.prepare(sql) as Statement & { setReturnArrays(enabled: boolean): void };
      statement.setReturnArrays(true);
      return statement;
    }
  }
  return (file, timeout) => new NodeDatabase(file, { timeout });
}

/** Node 22 calls it experimental, on stderr and in the midst of loading, when it is loaded first. */
function loadQuietly(): NodeSqlite | undefined {
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return process.getBuiltinModule("node:sqlite") as NodeSqlite | undefined;
  } finally {
    process.emitWarning = emitWarning;
  }
}

function ofLibsql(): OpenDatabase {
  const Database: typeof Libsql = createRequire(import.meta.url)("libsql");
  return (file, timeout) => {
    const database = new Database(file, { timeout });
    return {
      get isTransaction() {
        return database.inTransaction;
      },
      prepare: (sql) => {
        const statement = database.prepare(sql);
        return (statement.reader ? statement.raw() : statement) as Statement;
      },
      exec: (sql) => database.exec(sql),
      close: () => database.close(),
    };
  };
}
