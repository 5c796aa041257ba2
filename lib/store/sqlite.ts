import { setTimeout as sleep } from "node:timers/promises";
import { Caches } from "./caches.ts";
import { make } from "./change.ts";
import { Connection } from "./connection.ts";
import { StoreUnavailable } from "./errors.ts";
import type {
  AliasRow,
  AuditHeadRow,
  BackingKeyRow,
  Change,
  CredentialRow,
  CustomKeyStoreRow,
  GrantRow,
  KeyRow,
  PrincipalRow,
  Rows,
  Store,
  StrayKeyRow,
} from "./rows.ts";
import { LISTS, QUERIES } from "./schema.ts";
import type { Table, Value } from "./table.ts";
import { tables } from "./tables.ts";

export interface SqliteStoreOptions {
  file: string;
  /** How long a change waits for other processes that write, in milliseconds; 5,000 unless told. */
  timeout?: number;
  /** How many rows of each kind and Region are kept in memory at most. */
  cachedRows?: number;
}

/** Most keys have none. */
const NO_GRANTS = new Map<string, readonly GrantRow[]>();
const NONE: readonly GrantRow[] = Object.freeze([]);

/**
 * The store in one SQLite file, in WAL mode, each change synchronised to the disk. Several connections, in
 * this process or others, may use the file at the same time; what another one changes is seen on the next
 * turn of the event loop at the latest.
 */
export class SqliteStore implements Store {
  readonly #connection: Connection;
  readonly #timeout: number;
  readonly #cached: Caches;
  #checked = false;
  #dataVersion = -1;
  #generation = -1;
  #erased = false;
  #eraser: NodeJS.Timeout | undefined;
  #closed = false;

  private constructor(connection: Connection, timeout: number, cachedRows: number) {
    this.#connection = connection;
    this.#timeout = timeout;
    this.#cached = new Caches(cachedRows);
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
    const cached = this.#cached.at(region)?.keys.get(keyId);
    if (cached) return cached;
    const columns = this.#connection.get(tables.key.one, region, keyId);
    return columns && this.#cached.of(region).keys.set(keyId, tables.key.row(columns));
  }

  backingKey(region: string, keyId: string, materialId: string): BackingKeyRow | undefined {
    this.#check();
    const cached = this.#cached.at(region)?.backingKeys.get(materialId);
    if (cached?.keyId === keyId) return cached;
    const columns = this.#connection.get(tables.backingKey.one, region, keyId, materialId);
    return columns && this.#cached.of(region).backingKeys.set(materialId, tables.backingKey.row(columns));
  }

  alias(region: string, account: string, name: string): AliasRow | undefined {
    this.#check();
    const path = `${account} ${name}`;
    const cached = this.#cached.at(region)?.aliases.get(path);
    if (cached) return cached;
    const columns = this.#connection.get(tables.alias.one, region, account, name);
    return columns && this.#cached.of(region).aliases.set(path, tables.alias.row(columns));
  }

  row<Name extends keyof Rows>(name: Name, ...primary: string[]): Rows[Name] | undefined {
    const table = tables[name] as unknown as Table<Rows[Name]>;
    const columns = this.#open().get(table.one, ...primary);
    return columns && table.row(columns);
  }

  grants(region: string, keyId: string, grantees?: readonly string[]): readonly GrantRow[] {
    this.#check();
    let known = this.#cached.at(region)?.grants.get(keyId);
    if (known === undefined) {
      const [one] = this.#list("grant", LISTS.listGrants, region, keyId, "", 1);
      known = one === undefined ? NO_GRANTS : new Map();
      this.#cached.of(region).grants.set(keyId, known);
    }
    if (known === NO_GRANTS) return NONE;
    const names = grantees === undefined ? "" : grantees.join(" ");
    let rows = known.get(names);
    if (rows === undefined) {
      const found =
        grantees === undefined
          ? this.listGrants(region, keyId, { limit: -1 })
          : grantees.flatMap((name) => this.listGrants(region, keyId, { granteePrincipal: name, limit: -1 }));
      rows = Object.freeze(found);
      known.set(names, rows);
    }
    return rows;
  }

  principal(arn: string): PrincipalRow | undefined {
    this.#check();
    const cached = this.#cached.principals.get(arn);
    if (cached !== undefined) return cached ?? undefined;
    return this.#cached.principals.set(arn, this.row("principal", arn) ?? null) ?? undefined;
  }

  credential(accessKeyId: string): CredentialRow | undefined {
    this.#check();
    const cached = this.#cached.credentials.get(accessKeyId);
    if (cached) return cached;
    const row = this.row("credential", accessKeyId);
    return row && this.#cached.credentials.set(accessKeyId, row);
  }

  listKeys(region: string, account: string, page: { after?: string; limit: number }): KeyRow[] {
    return this.#list("key", LISTS.listKeys, region, account, page.after ?? "", page.limit);
  }

  relatedKeys(keyId: string): KeyRow[] {
    return this.#list("key", LISTS.relatedKeys, keyId);
  }

  keysOfCustomKeyStore(region: string, customKeyStoreId: string, limit: number): KeyRow[] {
    return this.#list("key", LISTS.keysOfCustomKeyStore, region, customKeyStoreId, limit);
  }

  keyOfExternalKey(region: string, customKeyStoreId: string, xksKeyId: string): KeyRow | undefined {
    return this.#list("key", LISTS.keyOfExternalKey, region, customKeyStoreId, xksKeyId)[0];
  }

  connectedKeyStores(): CustomKeyStoreRow[] {
    return this.#list("customKeyStore", LISTS.connectedKeyStores);
  }

  strayKeys(now: number): StrayKeyRow[] {
    return this.#list("strayKey", LISTS.strayKeys, now);
  }

  listAliases(
    region: string,
    account: string,
    { keyId, after = "", limit }: { keyId?: string; after?: string; limit: number },
  ): AliasRow[] {
    return keyId === undefined
      ? this.#list("alias", LISTS.listAliases, region, account, after, limit)
      : this.#list("alias", LISTS.listAliasesOfKey, region, account, after, keyId, limit);
  }

  listGrants(
    region: string,
    keyId: string,
    { granteePrincipal, after = "", limit }: { granteePrincipal?: string; after?: string; limit: number },
  ): GrantRow[] {
    return granteePrincipal === undefined
      ? this.#list("grant", LISTS.listGrants, region, keyId, after, limit)
      : this.#list("grant", LISTS.listGrantsOfGrantee, region, keyId, granteePrincipal, after, limit);
  }

  listRetirableGrants(
    region: string,
    retiringPrincipal: string,
    { after, limit }: { after?: Pick<GrantRow, "keyId" | "grantId">; limit: number },
  ): GrantRow[] {
    const { keyId, grantId } = after ?? { keyId: "", grantId: "" };
    return this.#list("grant", LISTS.listRetirableGrants, region, retiringPrincipal, keyId, grantId, limit);
  }

  listCustomKeyStores(
    region: string,
    account: string,
    page: { after?: string; limit: number },
  ): CustomKeyStoreRow[] {
    const { after = "", limit } = page;
    return this.#list("customKeyStore", LISTS.listCustomKeyStores, region, account, after, limit);
  }

  listPrincipals(account: string, page: { after?: string; limit: number }): PrincipalRow[] {
    return this.#list("principal", LISTS.listPrincipals, account, page.after ?? "", page.limit);
  }

  principalsNamed(account: string, name: string): PrincipalRow[] {
    return this.#list("principal", LISTS.principalsNamed, account, `/${name}`, `/${name}`);
  }

  credentialsOf(account: string, arn: string): CredentialRow[] {
    return this.#list("credential", LISTS.credentialsOf, account, arn, arn);
  }

  credentialsExpired(now: number, limit: number): CredentialRow[] {
    return this.#list("credential", LISTS.credentialsExpired, now, limit);
  }

  listCredentials(account: string, page: { after?: string; limit: number }): CredentialRow[] {
    return this.#list("credential", LISTS.listCredentials, account, page.after ?? "", page.limit);
  }

  keysDue(now: number): KeyRow[] {
    return this.#list("key", LISTS.keysDue, now);
  }

  keysToRotate(now: number): KeyRow[] {
    return this.#list("key", LISTS.keysToRotate, now);
  }

  keysToExpire(now: number): KeyRow[] {
    return this.#list("key", LISTS.keysToExpire, now);
  }

  backingKeys(region: string, keyId: string): BackingKeyRow[] {
    return this.#list("backingKey", LISTS.backingKeys, region, keyId);
  }

  countGrants(region: string, keyId: string): number {
    return this.#open().get(QUERIES.countGrants, region, keyId)?.[0];
  }

  countKeys(region: string, account: string): number {
    return this.#open().get(QUERIES.countKeys, region, account, region, account)?.[0];
  }

  countAliases(region: string, keyId: string): number {
    return this.#open().get(QUERIES.countAliases, region, keyId)?.[0];
  }

  meta(name: string): string | undefined {
    return this.#open().get(QUERIES.meta, name)?.[0];
  }

  auditHeads(): AuditHeadRow[] {
    return this.#list("auditHead", QUERIES.auditHeads);
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
        if (isErasing(change)) this.#erased = false;
        this.#cached.forget(change);
        make(this.#connection, change);
      }
      if (changes.some((change) => !("put" in change))) generation = this.#count();
    });
    if (!done) return false;
    this.#generation = generation;
    if (!this.#erased) this.#erase();
    return true;
  }

  /** Counts this transaction, and drops the cache when others came between it and the last look. */
  #count(): number {
    this.#connection.run(QUERIES.countGeneration);
    const generation = this.#readGeneration();
    if (generation !== this.#generation + 1) this.#cached.clear();
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
      if (generation !== this.#generation) this.#cached.clear();
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

  #list<Name extends keyof Rows>(name: Name, query: string, ...values: Value[]): Rows[Name][] {
    const table = tables[name] as unknown as Table<Rows[Name]>;
    return this.#open()
      .all(query, ...values)
      .map((columns) => table.row(columns));
  }

  #open(): Connection {
    if (!this.#closed) return this.#connection;
    throw new StoreUnavailable("closed", `the store ${this.#connection.file} is closed`);
  }
}

function pause(): Promise<void> {
  return sleep(1 + Math.random() * 10);
}

/** Whether a change leaves something behind that is to be erased. */
function isErasing(change: Change): boolean {
  if ("delete" in change) return change.delete !== "alias";
  return "set" in change && "blob" in change.set;
}
