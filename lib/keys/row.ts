import type { KeyRow, New } from "../store.ts";

/** The row of a new key as the store will hand it out. */
export function newKey(row: New<KeyRow>): KeyRow {
  return { ...without, ...row, revision: 1 };
}

/** What most keys have none of. */
const without = {
  service: null,
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
  rotatingSince: null,
} as const;
