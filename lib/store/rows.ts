/** The rows that a store keeps, the changes it takes, and the interface that every database behind it offers. */

export interface Tag {
  TagKey: string;
  TagValue: string;
}

/**
 * The principal ids of those users and roles that a text names by ARN and that were kept here when it was: it means
 * them, and nobody who has their name after them.
 */
export type PrincipalIds = Readonly<Record<string, string>>;

/** A KMS key. Times are milliseconds since the epoch; null is what it has none of. */
export interface KeyRow {
  readonly region: string;
  readonly account: string;
  readonly keyId: string;
  readonly keySpec: string;
  readonly keyUsage: string;
  readonly origin: string;
  readonly keyManager: string;
  /** The service that made it for the account, or that owns it. */
  readonly service: string | null;
  readonly keyState: string;
  readonly description: string;
  /** The key policy as JSON text, as the caller put it. */
  readonly policy: string;
  readonly policyPrincipals: PrincipalIds | null;
  readonly createdAt: number;
  /** When the material is to be destroyed; null unless the deletion is scheduled. */
  readonly deletionAt: number | null;
  /** Days that a primary key waits from when its last replica is gone. */
  readonly pendingWindow: number | null;
  readonly multiRegion: boolean;
  /** Of a multi-Region key: where its primary is, this Region or another. */
  readonly primaryRegion: string | null;
  /** Where its material is, unless it is wrapped by the Region's domain key. */
  readonly customKeyStoreId: string | null;
  readonly xksKeyId: string | null;
  readonly tags: readonly Readonly<Tag>[];
  /** The current backing key, in hex; material ids are unique within a Region. Null while an import is awaited. */
  readonly materialId: string | null;
  /** Of imported material: the first end among all that the key needs. */
  readonly expirationModel: string | null;
  readonly validTo: number | null;
  /** Days; null while automatic rotation is off. */
  readonly rotationPeriod: number | null;
  readonly nextRotationAt: number | null;
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
  /** Null where the material is elsewhere, or imported material is gone until it is imported again. */
  readonly blob: Uint8Array | null;
  /** Of key pairs: SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array | null;
  readonly createdAt: number;
  /** A `KeyMaterialState` of the model. */
  readonly state: string;
  readonly description: string | null;
  readonly expirationModel: string | null;
  readonly validTo: number | null;
  /** When the key was rotated to this material, and how; null for its first. */
  readonly rotatedAt: number | null;
  readonly rotationType: string | null;
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

export interface GrantRow {
  readonly region: string;
  readonly keyId: string;
  /** 64 hex digits. */
  readonly grantId: string;
  /** The account of the key. */
  readonly account: string;
  readonly name: string | null;
  readonly granteePrincipal: string;
  readonly retiringPrincipal: string | null;
  readonly issuingAccount: string;
  readonly operations: readonly string[];
  readonly constraints: {
    readonly EncryptionContextSubset?: Readonly<Record<string, string>>;
    readonly EncryptionContextEquals?: Readonly<Record<string, string>>;
  } | null;
  /** Of the grantee and the retiring principal. */
  readonly principals: PrincipalIds | null;
  readonly createdAt: number;
}

/** When a key was used last in a cryptographic operation. */
export interface KeyUsageRow {
  readonly region: string;
  readonly keyId: string;
  readonly operation: string;
  readonly usedAt: number;
  readonly eventId: string;
  readonly requestId: string;
}

export interface CustomKeyStoreRow {
  readonly region: string;
  readonly account: string;
  readonly customKeyStoreId: string;
  readonly name: string;
  /** "AWS_CLOUDHSM" or "EXTERNAL_KEY_STORE". */
  readonly type: string;
  /** What is not secret of how to reach it. */
  readonly settings: Readonly<Record<string, string>>;
  /** What is, sealed by the service. */
  readonly secret: Uint8Array | null;
  readonly connectionState: string;
  readonly connectionErrorCode: string | null;
  readonly createdAt: number;
  readonly revision: number;
}

/** A key in the token of a cluster that no KMS key stands for: not yet, or no longer. */
export interface StrayKeyRow {
  readonly clusterId: string;
  readonly keyId: string;
  /** When it is to be destroyed, unless its KMS key is stored by then. */
  readonly dueAt: number;
  readonly revision: number;
}

/** A user or role whose identity is kept here, or an account of which any is: its policies are service control ones. */
export interface PrincipalRow {
  readonly arn: string;
  /** Unique for good: names are given anew. Of an account its number. */
  readonly principalId: string;
  readonly account: string;
  readonly type: string;
  /** Identity policies by name, as JSON texts. */
  readonly policies: Readonly<Record<string, string>>;
  /** The permission boundary, as JSON text. */
  readonly boundary: string | null;
  /** Who may assume the role, as JSON text. */
  readonly trust: string | null;
  readonly trustPrincipals: PrincipalIds | null;
  readonly tags: Readonly<Record<string, string>>;
  readonly createdAt: number;
  readonly revision: number;
}

export interface CredentialRow {
  readonly accessKeyId: string;
  readonly account: string;
  /** The ARN of whom it authenticates. */
  readonly principal: string;
  /** The secret access key, sealed by the service. */
  readonly secret: Uint8Array;
  /** "Active" or "Inactive". */
  readonly state: string;
  /** Of a role's session: what it was assumed with. */
  readonly session: Readonly<Record<string, string>> | null;
  readonly expiresAt: number | null;
  readonly createdAt: number;
}

export interface MetaRow {
  readonly name: string;
  readonly value: string;
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

/** The rows of each table, by the name that changes call them by. */
export interface Rows {
  key: KeyRow;
  backingKey: BackingKeyRow;
  alias: AliasRow;
  grant: GrantRow;
  keyUsage: KeyUsageRow;
  customKeyStore: CustomKeyStoreRow;
  strayKey: StrayKeyRow;
  principal: PrincipalRow;
  credential: CredentialRow;
  auditHead: AuditHeadRow;
  meta: MetaRow;
}

interface Primary {
  key: "region" | "keyId" | "revision";
  backingKey: "region" | "keyId" | "materialId";
  alias: "region" | "account" | "name";
  grant: "region" | "keyId" | "grantId";
  keyUsage: "region" | "keyId";
  customKeyStore: "region" | "customKeyStoreId" | "revision";
  strayKey: "clusterId" | "keyId" | "revision";
  principal: "arn" | "revision";
  credential: "accessKeyId";
  auditHead: "stream";
  meta: "name";
}

export type KeyChanges = Partial<Omit<KeyRow, Primary["key"]>>;

/** A row to be inserted may leave out what it has none of. */
export type New<Row> = Omit<Row, "revision" | Nullable<Row>> & Partial<Pick<Row, Nullable<Row> & keyof Row>>;
type Nullable<Row> = { [M in keyof Row]: null extends Row[M] ? M : never }[keyof Row];

/**
 * One change of one row. Rows that have a revision begin at 1 and each update adds one; an update or a delete names
 * the one it has seen. Deleting a key deletes all that belongs to it. `put` replaces the row, if there is one.
 */
export type Change = {
  [Name in keyof Rows]:
    | { insert: Name; row: New<Rows[Name]> }
    | { put: Name; row: New<Rows[Name]> }
    | ({ update: Name; set: Partial<Omit<Rows[Name], Primary[Name]>> } & Pick<
        Rows[Name],
        Primary[Name] & keyof Rows[Name]
      >)
    | ({ delete: Name } & Pick<Rows[Name], Primary[Name] & keyof Rows[Name]>);
}[keyof Rows];

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
  /** Those of a key whose grantee is called so, or all: the same list until a grant of the key changes. */
  grants(region: string, keyId: string, grantees?: readonly string[]): Soon<readonly GrantRow[]>;
  /** A user, a role, or an account by the ARN of its root; whom there is not is remembered too. */
  principal(arn: string): Soon<PrincipalRow | undefined>;
  credential(accessKeyId: string): Soon<CredentialRow | undefined>;
  /** Those of a key, in the order of grant ids, beginning behind `after`. */
  listGrants(
    region: string,
    keyId: string,
    page: { granteePrincipal?: string; after?: string; limit: number },
  ): Soon<GrantRow[]>;
  /** Those that a principal may retire, in the order of key ids and grant ids, beginning behind `after`. */
  listRetirableGrants(
    region: string,
    retiringPrincipal: string,
    page: { after?: Pick<GrantRow, "keyId" | "grantId">; limit: number },
  ): Soon<GrantRow[]>;
  listCustomKeyStores(
    region: string,
    account: string,
    page: { after?: string; limit: number },
  ): Soon<CustomKeyStoreRow[]>;
  listPrincipals(account: string, page: { after?: string; limit: number }): Soon<PrincipalRow[]>;
  /** The users and roles of this name, whatever their path. */
  principalsNamed(account: string, name: string): Soon<PrincipalRow[]>;
  /** Those for good: no session's. */
  listCredentials(account: string, page: { after?: string; limit: number }): Soon<CredentialRow[]>;
  /** Those of a user, or those of a role and of its sessions. */
  credentialsOf(account: string, arn: string): Soon<CredentialRow[]>;
  /** The longest expired first. */
  credentialsExpired(now: number, limit: number): Soon<CredentialRow[]>;
  /** The primary and all replicas of a multi-Region key, in the order of Regions. */
  relatedKeys(keyId: string): Soon<KeyRow[]>;
  keysOfCustomKeyStore(region: string, customKeyStoreId: string, limit: number): Soon<KeyRow[]>;
  /** The key of a store that stands for this external key. */
  keyOfExternalKey(region: string, customKeyStoreId: string, xksKeyId: string): Soon<KeyRow | undefined>;
  /** In all Regions. */
  connectedKeyStores(): Soon<CustomKeyStoreRow[]>;
  /** Those that are due at `now`. */
  strayKeys(now: number): Soon<StrayKeyRow[]>;
  countGrants(region: string, keyId: string): Soon<number>;
  /** Any one row, by the members of its table's primary key. */
  row<Name extends keyof Rows>(name: Name, ...primary: string[]): Soon<Rows[Name] | undefined>;
  /** The keys whose deletion is due at `now`, in all Regions, the longest due first. */
  keysDue(now: number): Soon<KeyRow[]>;
  /** Likewise those that are to be rotated, and those whose imported material ends. */
  keysToRotate(now: number): Soon<KeyRow[]>;
  keysToExpire(now: number): Soon<KeyRow[]>;
  /** Every version, the oldest first. */
  backingKeys(region: string, keyId: string): Soon<BackingKeyRow[]>;
  /** The customer's own: those that services made do not count. */
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
