import type { AliasRow, AuditHeadRow, BackingKeyRow, KeyRow } from "./rows.ts";

/** What SQLite takes and, in the order of a query's columns, gives. */
export type Value = string | number | null | Uint8Array;
// biome-ignore lint/suspicious/noExplicitAny: the query says what each column is
export type Columns = any[];

export function keyRow(c: Columns): KeyRow {
  const tags: KeyRow["tags"] = JSON.parse(c[13]);
  return Object.freeze({
    region: c[0],
    keyId: c[1],
    account: c[2],
    keySpec: c[3],
    keyUsage: c[4],
    origin: c[5],
    keyManager: c[6],
    keyState: c[7],
    description: Buffer.from(c[8]).toString(),
    policy: c[9],
    createdAt: c[10],
    deletionAt: c[11],
    multiRegion: c[12] === 1,
    tags: Object.freeze(tags.map((tag) => Object.freeze(tag))),
    materialId: c[14],
    revision: c[15],
  });
}

export function backingKeyRow(c: Columns): BackingKeyRow {
  const [region, keyId, version, materialId, blob, createdAt] = c;
  return Object.freeze({ region, keyId, version, materialId, blob, createdAt });
}

export function aliasRow(c: Columns): AliasRow {
  const [region, account, name, keyId, createdAt, updatedAt] = c;
  return Object.freeze({ region, account, name, keyId, createdAt, updatedAt });
}

export function auditHeadRow(c: Columns): AuditHeadRow {
  const [stream, sequence, digest, file, time, closed, signature] = c;
  return Object.freeze({ stream, sequence, digest, file, time, closed: closed === 1, signature });
}
