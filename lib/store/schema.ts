/** The one schema and the one set of queries; `?` binds by position, in the order of the columns named. */
import { INDEXES, tables } from "./tables.ts";

export const SCHEMA_VERSION = 2;

/** "KSTD": marks the file as ours, so that another program's database is never written to. */
export const APPLICATION_ID = 0x4b535444;

/** `generation` in `meta` counts the transactions that changed anything which is cached. */
export const SCHEMA = `
${Object.values(tables)
  .map((table) => table.create)
  .join("")}
${INDEXES}
INSERT INTO meta VALUES ('schema', '${SCHEMA_VERSION}'), ('generation', '0');
PRAGMA application_id = ${APPLICATION_ID};
`;

const { key, backingKey, alias, grant, customKeyStore, strayKey, principal, credential } = tables;

/** Queries for whole rows of one table, by their names in the interface of the store. */
export const LISTS = {
  listKeys: key.select("region = ? AND account = ? AND key_id > ? ORDER BY key_id LIMIT ?"),
  relatedKeys: key.select("key_id = ? ORDER BY region"),
  keysOfCustomKeyStore: key.select("region = ? AND custom_key_store_id = ? ORDER BY key_id LIMIT ?"),
  keyOfExternalKey: key.select("region = ? AND custom_key_store_id = ? AND xks_key_id = ?"),
  connectedKeyStores: customKeyStore.select("connection_state = 'CONNECTED' ORDER BY custom_key_store_id"),
  strayKeys: strayKey.select("due_at <= ? ORDER BY due_at"),
  keysDue: key.select("deletion_at <= ? ORDER BY deletion_at"),
  // Replicas are rotated with their primary key.
  keysToRotate: key.select(
    "next_rotation_at <= ? AND ifnull(primary_region, region) = region ORDER BY next_rotation_at",
  ),
  keysToExpire: key.select("valid_to <= ? ORDER BY valid_to"),
  backingKeys: backingKey.select("region = ? AND key_id = ? ORDER BY version"),
  listAliases: alias.select("region = ? AND account = ? AND name > ? ORDER BY name LIMIT ?"),
  listAliasesOfKey: alias.select(
    "region = ? AND account = ? AND name > ? AND key_id = ? ORDER BY name LIMIT ?",
  ),
  listGrants: grant.select("region = ? AND key_id = ? AND grant_id > ? ORDER BY grant_id LIMIT ?"),
  listGrantsOfGrantee: grant.select(
    "region = ? AND key_id = ? AND grantee_principal = ? AND grant_id > ? ORDER BY grant_id LIMIT ?",
  ),
  listRetirableGrants: grant.select(
    "region = ? AND retiring_principal = ? AND (key_id, grant_id) > (?, ?) ORDER BY key_id, grant_id LIMIT ?",
  ),
  listCustomKeyStores: customKeyStore.select(
    "region = ? AND account = ? AND custom_key_store_id > ? ORDER BY custom_key_store_id LIMIT ?",
  ),
  listPrincipals: principal.select("account = ? AND arn > ? ORDER BY arn LIMIT ?"),
  principalsNamed: principal.select("account = ? AND substr(arn, -length(?)) = ? ORDER BY arn"),
  credentialsOf: credential.select(
    "account = ? AND (principal = ? OR session ->> 'role' = ?) ORDER BY access_key_id",
  ),
  credentialsExpired: credential.select("expires_at <= ? ORDER BY expires_at LIMIT ?"),
  listCredentials: credential.select(
    "account = ? AND access_key_id > ? AND session IS NULL ORDER BY access_key_id LIMIT ?",
  ),
} as const;

export const QUERIES = {
  countKeys:
    "SELECT count(*) - (SELECT count(*) FROM keys WHERE region = ? AND account = ? AND service IS NOT NULL) " +
    "FROM keys WHERE region = ? AND account = ?",
  countAliases: "SELECT count(*) FROM aliases WHERE region = ? AND key_id = ?",
  countGrants: "SELECT count(*) FROM grants WHERE region = ? AND key_id = ?",
  meta: "SELECT value FROM meta WHERE name = ?",
  auditHeads: `SELECT ${tables.auditHead.columns} FROM audit_heads ORDER BY stream`,
  dataVersion: "PRAGMA data_version",
  countGeneration: "UPDATE meta SET value = value + 1 WHERE name = 'generation'",
} as const;
