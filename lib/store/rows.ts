/** The rows that a store keeps, the changes it takes, and the interface that every database behind it offers. */

export interface Tag {
  TagKey: string;
  TagValue: string;
}

/** A KMS key. Times are milliseconds since the epoch. */
export interface KeyRow {
  readonly region: string;
  readonly account: string;
  readonly keyId: string;
  readonly keySpec: string;
  readonly keyUsage: string;
  readonly origin: string;
  readonly keyManager: string;
  readonly keyState: string;
  readonly description: string;
  /** The key policy as JSON text, as the caller put it. */
  readonly policy: string;
  readonly createdAt: number;
  /** When the material is to be destroyed; null unless the deletion is scheduled. */
  readonly deletionAt: number | null;
  readonly multiRegion: boolean;
  readonly tags: readonly Readonly<Tag>[];
  /** The current backing key, in hex; material ids are unique within a Region. */
  readonly materialId: string;
  /** Counts the changes of this row; an update or a delete names the one it has seen. */
  readonly revision: number;
}

/** The material of a key, wrapped by the domain key of its Region: of no use without the token. */
export interface BackingKeyRow {
  readonly region: string;
  readonly keyId: string;
  /** From 1; each rotation adds one. */
  readonly version: number;
  readonly materialId: string;
  readonly blob: Uint8Array;
  readonly createdAt: number;
}

export interface AliasRow {
  readonly region: string;
  readonly account: string;
  /** With its prefix: "alias/orders". */
  readonly name: string;
  readonly keyId: string;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** How far a stream of the audit log had come, kept apart from it so that a shortened log is seen. */
export interface AuditHeadRow {
  readonly stream: string;
  readonly sequence: number;
  /** The digest of the last line, in hex. */
  readonly digest: string;
  /** The file that holds the line. */
  readonly file: string;
  readonly time: number;
  /** Whether the stream ended in good order. */
  readonly closed: boolean;
  /** Base64 of the DER signature over all of the above. */
  readonly signature: string;
}

export type KeyChanges = Partial<
  Pick<
    KeyRow,
    | "keyState"
    | "description"
    | "policy"
    | "deletionAt"
    | "multiRegion"
    | "tags"
    | "materialId"
    | "keyManager"
  >
>;

/** Key rows begin at revision 1; each update adds one. Deleting a key deletes its backing keys and aliases. */
export type Change =
  | { insert: "key"; row: Omit<KeyRow, "revision"> }
  | { update: "key"; region: string; keyId: string; revision: number; set: KeyChanges }
  | { delete: "key"; region: string; keyId: string; revision: number }
  | { insert: "backingKey"; row: BackingKeyRow }
  | { insert: "alias"; row: AliasRow }
  | {
      update: "alias";
      region: string;
      account: string;
      name: string;
      set: Pick<AliasRow, "keyId" | "updatedAt">;
    }
  | { delete: "alias"; region: string; account: string; name: string }
  | { put: "auditHead"; row: AuditHeadRow }
  | { put: "meta"; name: string; value: string };

/** A promise only where the database cannot answer at once: hot paths await only what is one. */
export type Soon<T> = T | Promise<T>;

/**
 * What the service keeps. Rows are frozen and shared: the same object is handed out until the row changes, so
 * that callers may hang what they derive from it on a WeakMap. Every method fails with StoreUnavailable when
 * the database cannot be used.
 */
export interface Store {
  key(region: string, keyId: string): Soon<KeyRow | undefined>;
  backingKey(region: string, keyId: string, materialId: string): Soon<BackingKeyRow | undefined>;
  alias(region: string, account: string, name: string): Soon<AliasRow | undefined>;
  /** In the order of key ids, beginning behind `after`. */
  listKeys(region: string, account: string, page: { after?: string; limit: number }): Soon<KeyRow[]>;
  /** In the order of names, beginning behind `after`. */
  listAliases(
    region: string,
    account: string,
    page: { keyId?: string; after?: string; limit: number },
  ): Soon<AliasRow[]>;
  /** The keys whose deletion is due at `now`, in all Regions, the longest due first. */
  keysDue(now: number): Soon<KeyRow[]>;
  /** Every version, the oldest first. */
  backingKeys(region: string, keyId: string): Soon<BackingKeyRow[]>;
  countKeys(region: string, account: string): Soon<number>;
  countAliases(region: string, keyId: string): Soon<number>;
  meta(name: string): Soon<string | undefined>;
  auditHeads(): Soon<AuditHeadRow[]>;
  /**
   * Makes all the changes durable in one transaction, or none. Throws StoreConflict when a row exists already,
   * is missing, or has another revision than expected.
   */
  apply(changes: readonly Change[]): Promise<void>;
  close(): Promise<void>;
}
