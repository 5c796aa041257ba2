import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Database } from "./binding.ts";
import { connect } from "./connection.ts";
import { resultCode, StoreUnavailable, unavailable } from "./errors.ts";

/**
 * Runs `body` while nobody else, in this process or any other, is in a section of the same directory. The
 * lock is SQLite's on `DIRECTORY/lock.db`, or what `name` says, so the kernel releases it when the holder dies. Not
 * re-entrant. Throws StoreUnavailable "locked" when the section is not free within `timeout` milliseconds.
 */
export async function withLock<T>(
  directory: string,
  body: () => T | Promise<T>,
  options?: { timeout?: number; name?: string },
): Promise<T> {
  const file = join(directory, options?.name ?? "lock.db");
  const database = await acquire(file, options?.timeout ?? 30_000);
  try {
    return await body();
  } finally {
    // libsql may keep a closed connection until it is collected: the lock must end now.
    database.exec("ROLLBACK");
    database.close();
  }
}

async function acquire(file: string, timeout: number): Promise<Database> {
  const deadline = Date.now() + timeout;
  const database = connect(file, 0);
  for (;;) {
    try {
      database.exec("BEGIN IMMEDIATE");
      return database;
    } catch (error) {
      if (resultCode(error) !== 5) {
        database.close();
        throw unavailable(error, file);
      }
      if (Date.now() > deadline) {
        database.close();
        const text = `${file} was held for ${timeout} ms, by a process that is setting up this directory`;
        throw new StoreUnavailable("locked", `${text}: wait for it, or end it (fuser ${file} names it)`);
      }
    }
    await sleep(5 + Math.random() * 20);
  }
}
