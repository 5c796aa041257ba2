import type { BackingKeyRow, Change, KeyChanges, KeyRow, New, Store } from "../store.ts";
import { isPrimary } from "./metadata.ts";
import type { KeyRing } from "./ring.ts";
import { updateKey } from "./row.ts";

const DAY = 86_400_000;

interface Rooms {
  readonly keys: KeyRing;
  readonly store: Store;
}

/** Members of a key's row that a primary key shares with its replicas. */
const SHARED = ["materialId", "rotationPeriod", "nextRotationAt"] as const;

/** Those of a primary key; of any other there are none. */
async function replicasOf(store: Store, key: KeyRow): Promise<KeyRow[]> {
  if (!isPrimary(key)) return [];
  return (await store.relatedKeys(key.keyId)).filter(({ region }) => region !== key.region);
}

/**
 * The changes of a primary key and its material, and behind them the same for its replicas, to be made together in
 * one transaction: they share material and rotation, and nothing else. The changes of any other key stay alone.
 */
export async function withReplicas(
  { keys, store }: Rooms,
  key: KeyRow,
  changes: readonly Change[],
): Promise<Change[]> {
  const replicas = await replicasOf(store, key);
  const followed = replicas.flatMap((replica) => changes.map((change) => follow(keys, key, change, replica)));
  return [...changes, ...(await Promise.all(followed))];
}

async function follow(keys: KeyRing, key: KeyRow, change: Change, replica: KeyRow): Promise<Change> {
  const { region } = replica;
  if ("update" in change && change.update === "key") return updateKey(replica, sharedOf(change.set));
  if ("update" in change && change.update === "backingKey") return { ...change, region };
  if ("insert" in change && change.insert === "backingKey")
    return { insert: "backingKey", row: await keys.replicate(key, change.row, region) };
  throw new TypeError("only changes of a key and its material concern replicas");
}

const sharedOf = (set: KeyChanges): KeyChanges =>
  Object.fromEntries(SHARED.filter((name) => set[name] !== undefined).map((name) => [name, set[name]]));

/** The replicas to which imported material that waits for a rotation has not come yet. */
export async function awaitedBy(
  store: Store,
  key: KeyRow,
  waiting: BackingKeyRow,
): Promise<readonly KeyRow[]> {
  const without: KeyRow[] = [];
  for (const replica of await replicasOf(store, key)) {
    const rows = await store.backingKeys(replica.region, replica.keyId);
    const there = rows.some(({ materialId, blob }) => materialId === waiting.materialId && blob !== null);
    if (!there || replica.materialId !== key.materialId) without.push(replica);
  }
  return without;
}

/** All material of a primary key, for a new replica in this Region. */
export async function materialFor(
  { keys, store }: Rooms,
  key: KeyRow,
  region: string,
): Promise<New<BackingKeyRow>[]> {
  const versions = await store.backingKeys(key.region, key.keyId);
  return Promise.all(versions.map((row) => keys.replicate(key, row, region)));
}

/**
 * The destruction of a key that is due at `now`. With the last replica the waiting period of its primary key begins,
 * if that waits for it.
 */
export async function destruction(store: Store, key: KeyRow, now: number): Promise<Change[]> {
  const { region, keyId, revision } = key;
  const gone: Change = { delete: "key", region, keyId, revision };
  if (!key.multiRegion || isPrimary(key)) return [gone];
  const related = await store.relatedKeys(keyId);
  const primary = related.find(isPrimary);
  if (primary === undefined) return [gone];
  const waits = primary.keyState === "PendingReplicaDeletion" && related.length === 2;
  // Its revision counts in any case: what is decided on it meanwhile was decided with this replica in mind.
  if (!waits) return [gone, updateKey(primary, {})];
  const deletionAt = now + (primary.pendingWindow as number) * DAY;
  return [gone, updateKey(primary, { keyState: "PendingDeletion", deletionAt, pendingWindow: null })];
}
