import { setTimeout as sleep } from "node:timers/promises";
import { Cache } from "./cache.ts";
import { make } from "./change.ts";
import { aliasRow, auditHeadRow, backingKeyRow, type Columns, keyRow, type Value } from "./columns.ts";
import { Connection } from "./connection.ts";
import { StoreUnavailable } from "./errors.ts";
import type { AliasRow, AuditHeadRow, BackingKeyRow, Change, KeyRow, Store } from "./rows.ts";
import { QUERIES } from "./schema.ts";

export interface SqliteStoreOptions {
  file: string;
  /** How long a change waits for other processes that write, in milliseconds; 5,000 unless told. */
  timeout?: number;
  /** How many rows of each kind are kept in memory at most. */
  cachedRows?: number;
}

/**
 * The store in one SQLite file, in WAL mode, each change synchronised to the disk. Several connections, in
 * this process or others, may use the file at the same time; what another one changes is seen on the next
 * turn of the event loop at the latest.
 */
export class SqliteStore implements Store {
  readonly #connection: Connection;
  readonly #timeout: number;
  readonly #keys: Cache<KeyRow>;
  readonly #backingKeys: Cache<BackingKeyRow>;
  readonly #aliases: Cache<AliasRow>;
  #checked = false;
  #dataVersion = -1;
  #generation = -1;
  #erased = false;
  #closed = false;

  private constructor(connection: Connection, timeout: number, cachedRows: number) {
    this.#connection = connection;
    this.#timeout = timeout;
    this.#keys = new Cache(cachedRows);
    this.#backingKeys = new Cache(cachedRows);
    this.#aliases = new Cache(cachedRows);
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
    const name = `${region} ${keyId}`;
    return this.#keys.get(name) ?? this.#load(this.#keys, name, keyRow, QUERIES.key, region, keyId);
  }

  backingKey(region: string, keyId: string, materialId: string): BackingKeyRow | undefined {
    this.#check();
    const name = `${region} ${keyId} ${materialId}`;
    const cached = this.#backingKeys.get(name);
    if (cached) return cached;
    return this.#load(this.#backingKeys, name, backingKeyRow, QUERIES.backingKey, region, keyId, materialId);
  }

  alias(region: string, account: string, name: string): AliasRow | undefined {
    this.#check();
    const path = `${region} ${account} ${name}`;
    const cached = this.#aliases.get(path);
    return cached ?? this.#load(this.#aliases, path, aliasRow, QUERIES.alias, region, account, name);
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
    this.#erase();
    this.#closed = true;
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
    if ("update" in change && change.update === "key") {
      this.#keys.delete(`${change.region} ${change.keyId}`);
    } else if ("delete" in change && change.delete === "key") {
      this.#keys.delete(`${change.region} ${change.keyId}`);
      this.#backingKeys.clear();
      this.#aliases.clear();
      this.#erased = false;
    } else {
      this.#aliases.delete(`${change.region} ${change.account} ${change.name}`);
    }
  }

  /** Counts this transaction, and drops the cache when others came between it and the last look. */
  #count(): number {
    this.#connection.run(QUERIES.countGeneration);
    const generation = this.#readGeneration();
    if (generation !== this.#generation + 1) this.#clear();
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
      if (generation !== this.#generation) this.#clear();
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

  #clear(): void {
    this.#keys.clear();
    this.#backingKeys.clear();
    this.#aliases.clear();
  }

  /**
   * Empties the write-ahead log, which else keeps deleted material until it is overwritten. Where a reader or
   * a full disk prevents it, the next change, the end or the next opening tries again.
   */
  #erase(): void {
    try {
      this.#erased = this.#connection.checkpoint();
    } catch {
      this.#erased = false;
    }
  }

  #load<Row>(
    cache: Cache<Row>,
    name: string,
    decode: (row: Columns) => Row,
    query: string,
    ...values: Value[]
  ) {
    const columns = this.#connection.get(query, ...values);
    if (!columns) return undefined;
    const row = decode(columns);
    cache.set(name, row);
    return row;
  }

  #open(): Connection {
    if (!this.#closed) return this.#connection;
    throw new StoreUnavailable("closed", `the store ${this.#connection.file} is closed`);
  }
}

function pause(): Promise<void> {
  return sleep(1 + Math.random() * 10);
}
