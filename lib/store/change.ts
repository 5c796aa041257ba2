import { keyRow, type Value } from "./columns.ts";
import type { Connection } from "./connection.ts";
import { resultCode, StoreConflict } from "./errors.ts";
import type { Change, KeyChanges, KeyRow } from "./rows.ts";
import { KEY_COLUMNS, QUERIES, updateKey } from "./schema.ts";

type Insert = Extract<Change, { insert: string }>;

/** Makes one change within a transaction; throws StoreConflict when the rows are not as expected. */
export function make(connection: Connection, change: Change): void {
  if ("insert" in change) insert(connection, change);
  else if ("update" in change) update(connection, change);
  else if ("delete" in change) remove(connection, change);
  else put(connection, change);
}

function insert(connection: Connection, change: Insert): void {
  constrained(change, () => {
    if (change.insert === "key") {
      const r = change.row;
      const name = [r.region, r.keyId, r.account, r.keySpec, r.keyUsage, r.origin, r.keyManager];
      const state = [r.keyState, r.description, r.policy, r.createdAt, r.deletionAt, Number(r.multiRegion)];
      connection.run(QUERIES.insertKey, ...name, ...state, JSON.stringify(r.tags), r.materialId);
    } else if (change.insert === "backingKey") {
      const { region, keyId, version, materialId, blob, createdAt } = change.row;
      connection.run(QUERIES.insertBackingKey, region, keyId, version, materialId, blob, createdAt);
    } else {
      const { region, account, name, keyId, createdAt, updatedAt } = change.row;
      connection.run(QUERIES.insertAlias, region, account, name, keyId, createdAt, updatedAt);
    }
  });
}

function update(connection: Connection, change: Extract<Change, { update: string }>): void {
  const { region } = change;
  if (change.update === "key") {
    const { keyId, revision, set } = change;
    const members = Object.keys(set) as (keyof KeyChanges)[];
    const query = updateKey(members.map((member) => KEY_COLUMNS[member]));
    const values = members.map((member) => value(set[member] as KeyRow[keyof KeyChanges]));
    if (!connection.run(query, ...values, region, keyId, revision)) throw stale(connection, change);
  } else {
    const { account, name, set } = change;
    constrained(change, () => {
      const changed = connection.run(QUERIES.updateAlias, set.keyId, set.updatedAt, region, account, name);
      if (!changed) throw missingAlias(change);
    });
  }
}

function remove(connection: Connection, change: Extract<Change, { delete: string }>): void {
  const { region } = change;
  if (change.delete === "key") {
    const { keyId, revision } = change;
    if (!connection.run(QUERIES.deleteKey, region, keyId, revision)) throw stale(connection, change);
  } else {
    const { account, name } = change;
    if (!connection.run(QUERIES.deleteAlias, region, account, name)) throw missingAlias(change);
  }
}

function put(connection: Connection, change: Extract<Change, { put: string }>): void {
  if (change.put === "meta") {
    connection.run(QUERIES.putMeta, change.name, change.value);
  } else {
    const { stream, sequence, digest, file, time, closed, signature } = change.row;
    const query = QUERIES.putAuditHead;
    connection.run(query, stream, sequence, digest, file, time, Number(closed), signature);
  }
}

function value(member: KeyRow[keyof KeyChanges]): Value {
  if (typeof member === "boolean") return Number(member);
  return typeof member === "object" && member !== null ? JSON.stringify(member) : member;
}

/** SQLite's codes for a row that refers to no key, and for a row that is there already. */
const FOREIGN_KEY = 787;
const CONSTRAINT = 19;

function constrained(change: Insert | Extract<Change, { update: "alias" }>, body: () => void): void {
  try {
    body();
  } catch (cause) {
    if (resultCode(cause) !== CONSTRAINT) throw cause;
    const kind = "insert" in change ? change.insert : change.update;
    const row = "insert" in change ? change.row : { ...change, ...change.set };
    if ((cause as { rawCode?: number }).rawCode === FOREIGN_KEY) {
      const text = `key ${row.keyId} of ${row.region} does not exist`;
      throw new StoreConflict("key", "missing", text, { cause });
    }
    const name = "name" in row ? row.name : `${kind === "key" ? "key" : "backing key of"} ${row.keyId}`;
    throw new StoreConflict(kind, "exists", `${name} of ${row.region} exists already`, { cause });
  }
}

function stale(connection: Connection, change: { region: string; keyId: string; revision: number }) {
  const { region, keyId, revision } = change;
  const found = connection.get(QUERIES.key, region, keyId);
  if (!found) return new StoreConflict("key", "missing", `key ${keyId} of ${region} does not exist`);
  const text = `key ${keyId} of ${region} was changed meanwhile: expected revision ${revision}`;
  return new StoreConflict("key", "stale", `${text}, found ${keyRow(found).revision}`);
}

function missingAlias({ region, name }: { region: string; name: string }): StoreConflict {
  return new StoreConflict("alias", "missing", `${name} of ${region} does not exist`);
}
