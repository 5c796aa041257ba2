import { randomUUID } from "node:crypto";
import type { Change, KeyChanges, KeyRow, New } from "../store.ts";

/** Those of multi-Region keys are told by their beginning. */
export const newKeyId = (multiRegion: boolean): string =>
  multiRegion ? `mrk-${randomUUID().replaceAll("-", "")}` : randomUUID();

/** The row of a new key as the store will hand it out. */
export function newKey(row: New<KeyRow>): KeyRow {
  return { ...without, ...row, revision: 1 };
}

/** What most keys have none of. */
const without = {
  service: null,
  policyPrincipals: null,
  deletionAt: null,
  pendingWindow: null,
  primaryRegion: null,
  customKeyStoreId: null,
  xksKeyId: null,
  materialId: null,
  expirationModel: null,
  validTo: null,
  rotationPeriod: null,
  nextRotationAt: null,
} as const;

/** A change of a key's row as it was found: a conflict if it has changed meanwhile. */
export function updateKey({ region, keyId, revision }: KeyRow, set: KeyChanges): Change {
  return { update: "key", region, keyId, revision, set };
}
