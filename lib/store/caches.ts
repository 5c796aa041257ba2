import { Cache } from "./cache.ts";
import type {
  AliasRow,
  BackingKeyRow,
  Change,
  CredentialRow,
  GrantRow,
  KeyRow,
  PrincipalRow,
} from "./rows.ts";

/** Rows by key id, material id, and account and alias name: short keys, for the hash of each is computed. */
interface Cached {
  keys: Cache<KeyRow>;
  backingKeys: Cache<BackingKeyRow>;
  aliases: Cache<AliasRow>;
  /** Of each key by the names of their grantees. */
  grants: Cache<Map<string, readonly GrantRow[]>>;
}

/** The rows that are kept in memory. */
export class Caches {
  readonly #limit: number;
  readonly #regions = new Map<string, Cached>();
  /** Also whom there is not, which is asked of most callers: null. */
  principals: Cache<PrincipalRow | null>;
  credentials: Cache<CredentialRow>;

  /** `limit` rows of each kind and Region at most. */
  constructor(limit: number) {
    this.#limit = limit;
    this.principals = new Cache(limit);
    this.credentials = new Cache(limit);
  }

  /** What there is of a Region. */
  at(region: string): Cached | undefined {
    return this.#regions.get(region);
  }

  /** To put something there. */
  of(region: string): Cached {
    let cached = this.#regions.get(region);
    if (!cached) {
      const limit = this.#limit;
      cached = {
        keys: new Cache(limit),
        backingKeys: new Cache(limit),
        aliases: new Cache(limit),
        grants: new Cache(limit),
      };
      this.#regions.set(region, cached);
    }
    return cached;
  }

  /** Drops the row that a change is about; a deleted key takes others with it. */
  forget(change: Change): void {
    if ("insert" in change) {
      if (change.insert === "grant") this.of(change.row.region).grants.delete(change.row.keyId);
      if (change.insert === "principal") this.principals.delete(change.row.arn);
      return;
    }
    if ("put" in change) return;
    if ("arn" in change) this.principals.delete(change.arn);
    if ("accessKeyId" in change) this.credentials.delete(change.accessKeyId);
    if (!("region" in change)) return;
    if ("delete" in change && change.delete === "key") this.#regions.delete(change.region);
    const cached = this.of(change.region);
    if ("grantId" in change) cached.grants.delete(change.keyId);
    else if ("materialId" in change) cached.backingKeys.delete(change.materialId);
    else if ("name" in change) cached.aliases.delete(`${change.account} ${change.name}`);
    else if ("keyId" in change) cached.keys.delete(change.keyId);
  }

  clear(): void {
    this.#regions.clear();
    this.principals = new Cache(this.#limit);
    this.credentials = new Cache(this.#limit);
  }
}
