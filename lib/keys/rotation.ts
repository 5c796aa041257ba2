import { isSymmetric, type KeySpec } from "../algorithms.ts";
import { UnsupportedOperationException } from "../errors.ts";
import type { BackingKeyRow, Change, KeyChanges, KeyRow, New, Store } from "../store.ts";
import { arnOf } from "./metadata.ts";
import { withReplicas } from "./multi-region.ts";
import type { KeyRing } from "./ring.ts";

const DAY = 86_400_000;

export type RotationType = "AUTOMATIC" | "ON_DEMAND";

/** A rotation that is decided; all of its changes must be made together. */
export interface Rotation {
  readonly materialId: string;
  readonly changes: readonly Change[];
}

/** Of a multi-Region key, only the primary has a life of its own. */
export const isReplica = (key: KeyRow): boolean => key.multiRegion && key.primaryRegion !== key.region;

export const invalidOrigin = (key: KeyRow) =>
  new UnsupportedOperationException(
    `${arnOf(key)} origin is ${key.origin} which is not valid for this operation.`,
  );

/** Throws `UnsupportedOperationException` unless this key can have several materials. */
export function checkRotatable(key: KeyRow, origins: readonly string[]): void {
  if (!origins.includes(key.origin)) throw invalidOrigin(key);
  if (!isSymmetric(key.keySpec as KeySpec))
    throw new UnsupportedOperationException(
      `${arnOf(key)} key spec is ${key.keySpec} which is not valid for this operation.`,
    );
}

/** Throws `UnsupportedOperationException` for a key whose rotation its account does not decide on by itself. */
export function checkRotationIsOwn(key: KeyRow): void {
  if (key.keyManager !== "CUSTOMER")
    throw new UnsupportedOperationException(
      `${arnOf(key)} is an AWS managed key, which is rotated every year.`,
    );
  if (isReplica(key))
    throw new UnsupportedOperationException(
      `${arnOf(key)} is a multi-Region replica key, which is rotated with its primary key in ${key.primaryRegion}.`,
    );
}

/** Makes new material in the HSM, and lets the key seal with it from now on. */
export async function rotate(
  { keys, store }: { keys: KeyRing; store: Store },
  key: KeyRow,
  type: RotationType,
  now: number,
  set: KeyChanges = {},
): Promise<Rotation> {
  const versions = await store.backingKeys(key.region, key.keyId);
  const version = Math.max(...versions.map((each) => each.version)) + 1;
  const row = await keys.create({ ...key, version }, now);
  const changes = makeCurrent(key, row.materialId, set);
  changes.push({ insert: "backingKey", row: rotatedTo(row, type, now) });
  return { materialId: row.materialId, changes: await withReplicas({ keys, store }, key, changes) };
}

/** Lets the key seal with material that waits for it. */
export async function rotateTo(
  rooms: { keys: KeyRing; store: Store },
  key: KeyRow,
  waiting: BackingKeyRow,
  type: RotationType,
  now: number,
): Promise<Rotation> {
  const { region, keyId, materialId } = waiting;
  const set = { state: "CURRENT", rotatedAt: now, rotationType: type };
  const changes = makeCurrent(key, materialId, {});
  changes.push({ update: "backingKey", region, keyId, materialId, set });
  return { materialId, changes: await withReplicas(rooms, key, changes) };
}

const rotatedTo = (row: New<BackingKeyRow>, type: RotationType, now: number) => ({
  ...row,
  rotatedAt: now,
  rotationType: type,
});

/**
 * The one place that changes which material a key seals with. What it had stays to open with, found by its id. The
 * revision of the key sees to it that of two rotations at the same time one is a conflict.
 */
function makeCurrent(key: KeyRow, materialId: string, set: KeyChanges): Change[] {
  const { region, keyId, revision } = key;
  const changes: Change[] = [{ update: "key", region, keyId, revision, set: { ...set, materialId } }];
  if (key.materialId !== null)
    changes.push({
      update: "backingKey",
      region,
      keyId,
      materialId: key.materialId,
      set: { state: "NON_CURRENT" },
    });
  return changes;
}

/** When a key is rotated next: a period behind the day that it was due, unless that is over too. */
export function rotationAfter(due: number, periodInDays: number, now: number): number {
  const next = due + periodInDays * DAY;
  return next > now ? next : now + periodInDays * DAY;
}
