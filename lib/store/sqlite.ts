import { setTimeout as sleep } from "node:timers/promises";
import { Cache } from "./cache.ts";
import { make } from "./change.ts";
import { aliasRow, auditHeadRow, backingKeyRow, keyRow } from "./columns.ts";
import { Connection } from "./connection.ts";
import { StoreUnavailable } from "./errors.ts";
import type { AliasRow, AuditHeadRow, BackingKeyRow, Change, KeyRow, Store } from "./rows.ts";
import { QUERIES } from "./schema.ts";

export interface SqliteStoreOptions {
  file: string;
  /** How long a change waits for other processes that write, in milliseconds; 5,000 unless told. */
  timeout?: number;
  /** How many rows of each kind and Region are kept in memory at most. */
  cachedRows?: number;
}

/** Rows by key id, material id, and account and alias name: short keys, for the hash of each is computed. */
interface Cached {
  keys: Cache<KeyRow>;
  backingKeys: Cache<BackingKeyRow>;
  aliases: Cache<AliasRow>;
}

/**
 * The store in one SQLite file, in WAL mode, each change synchronised to the disk. Several connections, in
 * this process or others, may use the file at the same time; what another one changes is seen on the next
 * turn of the event loop at the latest.
 */
export class SqliteStore implements Store {
  readonly #connection: Connection;
  readonly #timeout: number;
  readonly #cachedRows: number;
  readonly #regions = new Map<string, Cached>();
  #checked = false;
  #dataVersion = -1;
  #generation = -1;
  #erased = false;
  #eraser: NodeJS.Timeout | undefined;
  #closed = false;

  private constructor(connection: Connection, timeout: number, cachedRows: number) {
    this.#connection = connection;
    this.#timeout = timeout;
    this.#cachedRows = cachedRows;
    this.#erase();
  }

  /** Makes the file (mode 0600) when it is not there: do that under `withLock`. */
  static async open(options: SqliteStoreOptions): Promise<SqliteStore> {
    const { file, timeout = 5000, cachedRows = 1 << 18 } = options;
    const deadline = Date.now() + timeout;
    for (;;) {
      try {
        return new SqliteStore(new Connection(file), timeout, cachedRows);
      } catch (error) {
        if ((error as StoreUnavailable).reason !== "locked" || Date.now() > deadline) throw error;
      }
      await pause();
    }
  }

  key(region: string, keyId: string): KeyRow | undefined {
    this.#check();
    const cached = this.#regions.get(region)?.keys.get(keyId);
    if (cached) return cached;
    const columns = this.#connection.get(QUERIES.key, region, keyId);
    return columns && this.#cached(region).keys.set(keyId, keyRow(columns));
  }

  backingKey(region: string, keyId: string, materialId: string): BackingKeyRow | undefined {
    this.#check();
    const cached = this.#regions.get(region)?.backingKeys.get(materialId);
    if (cached?.keyId === keyId) return cached;
    const columns = this.#connection.get(QUERIES.backingKey, region, keyId, materialId);
    return columns && this.#cached(region).backingKeys.set(materialId, backingKeyRow(columns));
  }

  alias(region: string, account: string, name: string): AliasRow | undefined {
    this.#check();
    const path = `${account} ${name}`;
    const cached = this.#regions.get(region)?.aliases.get(path);
    if (cached) return cached;
    const columns = this.#connection.get(QUERIES.alias, region, account, name);
    return columns && this.#cached(region).aliases.set(path, aliasRow(columns));
  }

  listKeys(region: string, account: string, page: { after?: string; limit: number }): KeyRow[] {
    return this.#open()
      .all(QUERIES.listKeys, region, account, page.after ?? "", page.limit)
      .map(keyRow);
  }

  listAliases(
    region: string,
    account: string,
    { keyId, after = "", limit }: { keyId?: string; after?: string; limit: number },
  ): AliasRow[] {
    const rows =
      keyId === undefined
        ? this.#open().all(QUERIES.listAliases, region, account, after, limit)
        : this.#open().all(QUERIES.listAliasesOfKey, region, account, after, keyId, limit);
    return rows.map(aliasRow);
  }

  keysDue(now: number): KeyRow[] {
    return this.#open().all(QUERIES.keysDue, now).map(keyRow);
  }

  backingKeys(region: string, keyId: string): BackingKeyRow[] {
    return this.#open().all(QUERIES.backingKeys, region, keyId).map(backingKeyRow);
  }

  countKeys(region: string, account: string): number {
    return this.#open().get(QUERIES.countKeys, region, account)?.[0];
  }

  countAliases(region: string, keyId: string): number {
    return this.#open().get(QUERIES.countAliases, region, keyId)?.[0];
  }

  meta(name: string): string | undefined {
    return this.#open().get(QUERIES.meta, name)?.[0];
  }

  auditHeads(): AuditHeadRow[] {
    return this.#open().all(QUERIES.auditHeads).map(auditHeadRow);
  }

  async apply(changes: readonly Change[]): Promise<void> {
    const deadline = Date.now() + this.#timeout;
    while (!this.#tryApply(changes)) {
      if (Date.now() > deadline) {
        const text = `${this.#connection.file} was locked by another process for ${this.#timeout} ms`;
        throw new StoreUnavailable("locked", `${text}, nothing was changed: try again, or end that process`);
      }
      await pause();
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#erase();
    this.#checked = false;
    this.#connection.close();
  }

  #tryApply(changes: readonly Change[]): boolean {
    let generation = this.#generation;
    const done = this.#open().transaction(() => {
      for (const change of changes) {
        this.#forget(change);
        make(this.#connection, change);
      }
      if (changes.some((change) => !("put" in change))) generation = this.#count();
    });
    if (!done) return false;
    this.#generation = generation;
    if (!this.#erased) this.#erase();
    return true;
  }

  #forget(change: Change): void {
    if ("put" in change || "insert" in change) return;
    const cached = this.#cached(change.region);
    if ("update" in change && change.update === "key") {
      cached.keys.delete(change.keyId);
    } else if ("delete" in change && change.delete === "key") {
      this.#regions.delete(change.region);
      this.#erased = false;
    } else {
      cached.aliases.delete(`${change.account} ${change.name}`);
    }
  }

  /** Counts this transaction, and drops the cache when others came between it and the last look. */
  #count(): number {
    this.#connection.run(QUERIES.countGeneration);
    const generation = this.#readGeneration();
    if (generation !== this.#generation + 1) this.#regions.clear();
    return generation;
  }

  /**
   * Drops the cache when another connection has changed what is in it: asked of SQLite once a turn of the
   * event loop. The generation keeps a mere audit head of another process from emptying it.
   */
  #check(): void {
    if (this.#checked) return;
    const dataVersion = this.#open().get(QUERIES.dataVersion)?.[0];
    if (dataVersion !== this.#dataVersion) {
      const generation = this.#readGeneration();
      if (generation !== this.#generation) this.#regions.clear();
      this.#generation = generation;
      this.#dataVersion = dataVersion;
    }
    this.#checked = true;
    // Not unref'd: the loop would then run the callbacks of its next turn before this one.
    setImmediate(() => {
      this.#checked = false;
    });
  }

  #readGeneration(): number {
    return Number(this.#connection.get(QUERIES.meta, "generation")?.[0]);
  }

  /**
   * Empties the write-ahead log, which else keeps deleted material until it is overwritten. Where others read
   * or the disk is full it tries again: in a while, with the next change, and at the next opening.
   */
  #erase(): void {
    clearTimeout(this.#eraser);
    try {
      this.#erased = this.#connection.checkpoint();
    } catch {
      this.#erased = false;
    }
    if (!this.#erased && !this.#closed) this.#eraser = setTimeout(() => this.#erase(), 1000).unref();
  }

  #cached(region: string): Cached {
    let cached = this.#regions.get(region);
    if (!cached) {
      const limit = this.#cachedRows;
      cached = { keys: new Cache(limit), backingKeys: new Cache(limit), aliases: new Cache(limit) };
      this.#regions.set(region, cached);
    }
    return cached;
  }

  #open(): Connection {
    if (!this.#closed) return this.#connection;
    throw new StoreUnavailable("closed", `the store ${this.#connection.file} is closed`);
  }
}

function pause(): Promise<void> {
  return sleep(1 + Math.random() * 10);
}
