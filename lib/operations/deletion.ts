import { arnOf, isPrimary } from "../keys.ts";
import { operation, states, updateKey, within } from "../operation.ts";
import { structure } from "../shape.ts";
import * as shapes from "../shapes.ts";

const DAY = 86_400_000;

const keyId = { member: "KeyId", aliases: false } as const;

const failures = [
  "NotFoundException",
  "InvalidArnException",
  "DependencyTimeoutException",
  "KMSInternalException",
  "KMSInvalidStateException",
] as const;

export const scheduleKeyDeletion = operation({
  name: "ScheduleKeyDeletion",
  input: structure({ KeyId: shapes.KeyIdType, PendingWindowInDays: shapes.PendingWindowInDaysType }, [
    "KeyId",
  ]),
  output: structure({
    KeyId: shapes.KeyIdType,
    DeletionDate: shapes.DateType,
    KeyState: shapes.KeyState,
    PendingWindowInDays: shapes.PendingWindowInDaysType,
  }),
  errors: failures,
  key: keyId,
  states: states.deleting,
  async decide({ now, store }, input, key) {
    const days = within("pendingWindowInDays", input.PendingWindowInDays ?? 30, 7, 30);
    const answer = { KeyId: arnOf(key), PendingWindowInDays: days };
    // The waiting period of a primary key begins when its last replica is gone: then the worker says so.
    if (isPrimary(key) && (await store.relatedKeys(key.keyId)).length > 1) {
      const waiting = { keyState: "PendingReplicaDeletion", pendingWindow: days } as const;
      return { output: { ...answer, KeyState: waiting.keyState }, changes: [updateKey(key, waiting)] };
    }
    const pending = { keyState: "PendingDeletion", deletionAt: now + days * DAY } as const;
    return {
      output: { ...answer, KeyState: pending.keyState, DeletionDate: new Date(pending.deletionAt) },
      changes: [updateKey(key, pending)],
    };
  },
});

export const cancelKeyDeletion = operation({
  name: "CancelKeyDeletion",
  input: structure({ KeyId: shapes.KeyIdType }, ["KeyId"]),
  output: structure({ KeyId: shapes.KeyIdType }),
  errors: failures,
  key: keyId,
  states: states.rescuing,
  async decide({ store }, _input, key) {
    const material = key.origin === "EXTERNAL" ? await store.backingKeys(key.region, key.keyId) : [];
    const gone = material.some(({ blob, state }) => blob === null && state !== "PENDING_ROTATION");
    const awaiting = gone || (key.origin === "EXTERNAL" && key.materialId === null);
    const keyState = awaiting ? "PendingImport" : "Disabled";
    return {
      output: { KeyId: arnOf(key) },
      changes: [updateKey(key, { keyState, deletionAt: null, pendingWindow: null })],
    };
  },
});
