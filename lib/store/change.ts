import type { Connection } from "./connection.ts";
import { constraintOf, StoreConflict } from "./errors.ts";
import type { Change, Rows } from "./rows.ts";
import { encode, type Table, type Value } from "./table.ts";
import { tables } from "./tables.ts";

type Members = Readonly<Record<string, unknown>>;

function nameOf(change: Change): keyof Rows {
  if ("insert" in change) return change.insert;
  if ("put" in change) return change.put;
  return "update" in change ? change.update : change.delete;
}

/** Makes one change within a transaction; throws StoreConflict when the rows are not as expected. */
export function make(connection: Connection, change: Change): void {
  const name = nameOf(change);
  const table: Table = tables[name] as never;
  const row = ("row" in change ? change.row : change) as Members;
  try {
    if ("row" in change) {
      const values = table.values(table.versioned ? { ...row, revision: 1 } : row);
      connection.run("insert" in change ? table.insert : table.put, ...values);
      return;
    }
    const place = primaryOf(table, row);
    if (table.versioned) place.push(row.revision as number);
    const set = "update" in change ? Object.entries(change.set) : [];
    const query = "update" in change ? table.update(set.map(([member]) => member)) : table.remove;
    const values = set.map(([, value]) => encode(value));
    if (!connection.run(query, ...values, ...place)) throw unexpected(connection, name, table, row);
  } catch (cause) {
    const merged = "set" in change ? { ...row, ...change.set } : row;
    throw conflictOf(cause, name, merged) ?? cause;
  }
}

const primaryOf = (table: Table, row: Members) => table.primary.map((member) => row[member] as Value);

function conflictOf(cause: unknown, name: keyof Rows, row: Members): StoreConflict | undefined {
  const constraint = constraintOf(cause);
  if (constraint === undefined) return undefined;
  if (constraint === "foreign key") {
    const text = `key ${row.keyId} of ${row.region} does not exist`;
    return new StoreConflict("key", "missing", text, { cause });
  }
  return new StoreConflict(name, "exists", `${described(name, row)} exists already`, { cause });
}

function unexpected(connection: Connection, name: keyof Rows, table: Table, row: Members): StoreConflict {
  const found = table.versioned ? connection.get(table.one, ...primaryOf(table, row)) : undefined;
  if (!found) return new StoreConflict(name, "missing", `${described(name, row)} does not exist`);
  const text = `${described(name, row)} was changed meanwhile: expected revision ${row.revision}`;
  return new StoreConflict(name, "stale", `${text}, found ${table.row(found).revision}`);
}

/** A row as messages call it. */
function described(name: keyof Rows, row: Members): string {
  const { region, keyId } = row;
  if (name === "key") return `key ${keyId} of ${region}`;
  if (name === "backingKey") return `backing key of ${keyId} of ${region}`;
  const own = row.name ?? row.grantId ?? row.customKeyStoreId ?? row.arn ?? row.accessKeyId ?? row.stream;
  return region === undefined ? `${own}` : `${own} of ${region}`;
}
