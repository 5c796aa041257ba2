/** The one schema and the one set of queries; `?` binds by position, in the order of the columns named. */

export const SCHEMA_VERSION = 1;

/** "KSTD": marks the file as ours, so that another program's database is never written to. */
export const APPLICATION_ID = 0x4b535444;

/** `generation` in `meta` counts the transactions that changed keys, backing keys or aliases. */
export const SCHEMA = `
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE keys (
  region TEXT NOT NULL, key_id TEXT NOT NULL, account TEXT NOT NULL,
  key_spec TEXT NOT NULL, key_usage TEXT NOT NULL, origin TEXT NOT NULL, key_manager TEXT NOT NULL,
  key_state TEXT NOT NULL, description TEXT NOT NULL, policy TEXT NOT NULL, created_at INTEGER NOT NULL,
  deletion_at INTEGER, multi_region INTEGER NOT NULL, tags TEXT NOT NULL, material_id TEXT NOT NULL,
  revision INTEGER NOT NULL,
  PRIMARY KEY (region, key_id)
) STRICT;
CREATE INDEX keys_by_account ON keys (region, account, key_id);
CREATE INDEX keys_by_deletion ON keys (deletion_at) WHERE deletion_at IS NOT NULL;
CREATE TABLE backing_keys (
  region TEXT NOT NULL, key_id TEXT NOT NULL, version INTEGER NOT NULL, material_id TEXT NOT NULL,
  blob BLOB NOT NULL, created_at INTEGER NOT NULL,
  PRIMARY KEY (region, key_id, material_id),
  UNIQUE (region, key_id, version),
  FOREIGN KEY (region, key_id) REFERENCES keys ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE TABLE aliases (
  region TEXT NOT NULL, account TEXT NOT NULL, name TEXT NOT NULL, key_id TEXT NOT NULL,
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
  PRIMARY KEY (region, account, name),
  FOREIGN KEY (region, key_id) REFERENCES keys ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX aliases_by_key ON aliases (region, key_id, account, name);
CREATE TABLE audit_heads (
  stream TEXT PRIMARY KEY, sequence INTEGER NOT NULL, digest TEXT NOT NULL, file TEXT NOT NULL,
  time INTEGER NOT NULL, closed INTEGER NOT NULL, signature TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES ('schema', '${SCHEMA_VERSION}'), ('generation', '0');
PRAGMA application_id = ${APPLICATION_ID};
`;

const KEY = `region, key_id, account, key_spec, key_usage, origin, key_manager, key_state, description, policy,
  created_at, deletion_at, multi_region, tags, material_id, revision`;
/** As it is read: the binding ends a text at its first NUL, which a description may hold. */
const KEY_READ = KEY.replace("description", "CAST(description AS BLOB)");
const BACKING_KEY = "region, key_id, version, material_id, blob, created_at";
const ALIAS = "region, account, name, key_id, created_at, updated_at";
const AUDIT_HEAD = "stream, sequence, digest, file, time, closed, signature";

/** Columns of `keys` that an update may set, by the names of their members. */
export const KEY_COLUMNS = {
  keyManager: "key_manager",
  keyState: "key_state",
  description: "description",
  policy: "policy",
  deletionAt: "deletion_at",
  multiRegion: "multi_region",
  tags: "tags",
  materialId: "material_id",
} as const;

export const QUERIES = {
  key: `SELECT ${KEY_READ} FROM keys WHERE region = ? AND key_id = ?`,
  backingKey: `SELECT ${BACKING_KEY} FROM backing_keys WHERE region = ? AND key_id = ? AND material_id = ?`,
  alias: `SELECT ${ALIAS} FROM aliases WHERE region = ? AND account = ? AND name = ?`,
  listKeys: `SELECT ${KEY_READ} FROM keys WHERE region = ? AND account = ? AND key_id > ? ORDER BY key_id LIMIT ?`,
  listAliases: `SELECT ${ALIAS} FROM aliases WHERE region = ? AND account = ? AND name > ? ORDER BY name LIMIT ?`,
  listAliasesOfKey: `SELECT ${ALIAS} FROM aliases
    WHERE region = ? AND account = ? AND name > ? AND key_id = ? ORDER BY name LIMIT ?`,
  keysDue: `SELECT ${KEY_READ} FROM keys WHERE deletion_at <= ? ORDER BY deletion_at`,
  backingKeys: `SELECT ${BACKING_KEY} FROM backing_keys WHERE region = ? AND key_id = ? ORDER BY version`,
  countKeys: "SELECT count(*) FROM keys WHERE region = ? AND account = ?",
  countAliases: "SELECT count(*) FROM aliases WHERE region = ? AND key_id = ?",
  meta: "SELECT value FROM meta WHERE name = ?",
  auditHeads: `SELECT ${AUDIT_HEAD} FROM audit_heads ORDER BY stream`,
  dataVersion: "PRAGMA data_version",

  insertKey: `INSERT INTO keys (${KEY}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)`,
  deleteKey: "DELETE FROM keys WHERE region = ? AND key_id = ? AND revision = ?",
  insertBackingKey: `INSERT INTO backing_keys (${BACKING_KEY}) VALUES (?, ?, ?, ?, ?, ?)`,
  insertAlias: `INSERT INTO aliases (${ALIAS}) VALUES (?, ?, ?, ?, ?, ?)`,
  updateAlias: "UPDATE aliases SET key_id = ?, updated_at = ? WHERE region = ? AND account = ? AND name = ?",
  deleteAlias: "DELETE FROM aliases WHERE region = ? AND account = ? AND name = ?",
  putAuditHead: `INSERT OR REPLACE INTO audit_heads (${AUDIT_HEAD}) VALUES (?, ?, ?, ?, ?, ?, ?)`,
  countGeneration: "UPDATE meta SET value = value + 1 WHERE name = 'generation'",
  putMeta: "INSERT OR REPLACE INTO meta VALUES (?, ?)",
} as const;

/** Sets the columns of one key whose revision is as expected; binds them, then region, key id, revision. */
export function updateKey(columns: string[]): string {
  const set = columns.map((column) => `${column} = ?, `).join("");
  return `UPDATE keys SET ${set}revision = revision + 1 WHERE region = ? AND key_id = ? AND revision = ?`;
}
