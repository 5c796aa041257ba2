/** What the service keeps besides the log: keys, wrapped backing keys, aliases. SQLite is behind it today. */
import { SqliteStore, type SqliteStoreOptions } from "./store/sqlite.ts";

export { StoreConflict, StoreUnavailable } from "./store/errors.ts";
export { withLock } from "./store/lock.ts";
export type {
  AliasRow,
  AuditHeadRow,
  BackingKeyRow,
  Change,
  CredentialRow,
  CustomKeyStoreRow,
  GrantRow,
  KeyChanges,
  KeyRow,
  KeyUsageRow,
  New,
  PrincipalIds,
  PrincipalRow,
  Rows,
  Soon,
  Store,
  StrayKeyRow,
  Tag,
} from "./store/rows.ts";

/** Opens the database, making it (mode 0600) when it is not there. */
export function openStore(options: SqliteStoreOptions): Promise<SqliteStore> {
  return SqliteStore.open(options);
}
