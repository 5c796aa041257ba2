import { ConflictException, KMSInvalidStateException, LimitExceededException } from "../errors.ts";
import {
  arnOf,
  awaitedBy,
  checkRotatable,
  checkRotationIsOwn,
  invalidOrigin,
  type RotationType,
  rotate,
  rotateTo,
  rotationAfter,
  withReplicas,
} from "../keys.ts";
import { operation, type Request, states, updateKey } from "../operation.ts";
import { integer, list, type Output, string, structure } from "../shape.ts";
import * as shapes from "../shapes.ts";
import type { BackingKeyRow, KeyRow } from "../store.ts";

const PERIOD = 365;
const ON_DEMAND_ROTATIONS = 25;
/** How long before an automatic rotation there is none on demand. */
const CLOSE = 20 * 60_000;

const RotationPeriodInDaysType = integer({ min: 90, max: 2560 });
const RotationsListEntry = structure({
  KeyId: shapes.KeyIdType,
  KeyMaterialId: shapes.BackingKeyIdType,
  KeyMaterialDescription: string({ min: 0, max: 256, pattern: String.raw`^[a-zA-Z0-9:/_\s.-]+$` }),
  ImportState: string({ enum: ["IMPORTED", "PENDING_IMPORT"] }),
  KeyMaterialState: string({
    enum: ["NON_CURRENT", "CURRENT", "PENDING_ROTATION", "PENDING_MULTI_REGION_IMPORT_AND_ROTATION"],
  }),
  ExpirationModel: shapes.ExpirationModelType,
  ValidTo: shapes.DateType,
  RotationDate: shapes.DateType,
  RotationType: string({ enum: ["AUTOMATIC", "ON_DEMAND"] }),
});
const KeyIdRequest = structure({ KeyId: shapes.KeyIdType }, ["KeyId"]);

const keyId = { member: "KeyId", aliases: false } as const;
const switching = [
  "NotFoundException",
  "DisabledException",
  "InvalidArnException",
  "DependencyTimeoutException",
  "KMSInternalException",
  "KMSInvalidStateException",
  "UnsupportedOperationException",
] as const;

export const enableKeyRotation = operation({
  name: "EnableKeyRotation",
  input: structure({ KeyId: shapes.KeyIdType, RotationPeriodInDays: RotationPeriodInDaysType }, ["KeyId"]),
  errors: switching,
  key: keyId,
  states: states.rotating,
  async decide(request, input, key) {
    const { now } = request;
    checkRotatable(key, ["AWS_KMS"]);
    checkRotationIsOwn(key);
    const rotationPeriod = input.RotationPeriodInDays ?? PERIOD;
    // Whoever asks again must not put the rotation off.
    if (rotationPeriod === key.rotationPeriod) return { output: {}, changes: [] };
    const nextRotationAt = rotationAfter(now, rotationPeriod, now);
    const change = updateKey(key, { rotationPeriod, nextRotationAt });
    return { output: {}, changes: await withReplicas(request, key, [change]) };
  },
});

export const disableKeyRotation = operation({
  name: "DisableKeyRotation",
  input: KeyIdRequest,
  errors: switching,
  key: keyId,
  states: states.rotating,
  async decide(request, _input, key) {
    checkRotatable(key, ["AWS_KMS"]);
    checkRotationIsOwn(key);
    const change = updateKey(key, { rotationPeriod: null, nextRotationAt: null });
    return { output: {}, changes: await withReplicas(request, key, [change]) };
  },
});

export const getKeyRotationStatus = operation({
  name: "GetKeyRotationStatus",
  input: KeyIdRequest,
  output: structure({
    KeyRotationEnabled: shapes.BooleanType,
    KeyId: shapes.KeyIdType,
    RotationPeriodInDays: RotationPeriodInDaysType,
    NextRotationDate: shapes.DateType,
    /** Of one that is in progress: here it is done when it is answered, so that there is never one. */
    OnDemandRotationStartDate: shapes.DateType,
  }),
  errors: [
    "NotFoundException",
    "InvalidArnException",
    "DependencyTimeoutException",
    "KMSInternalException",
    "KMSInvalidStateException",
    "UnsupportedOperationException",
  ],
  key: keyId,
  states: states.reading,
  run(_request, _input, key) {
    // Of keys that can have one material only, it is always off: so Terraform reads every key.
    if (key.origin !== "AWS_KMS" && key.origin !== "EXTERNAL") throw invalidOrigin(key);
    const { rotationPeriod, nextRotationAt } = key;
    const on = rotationPeriod !== null && nextRotationAt !== null && key.keyState !== "PendingDeletion";
    return {
      KeyId: key.keyId,
      KeyRotationEnabled: on,
      ...(on && { RotationPeriodInDays: rotationPeriod, NextRotationDate: new Date(nextRotationAt) }),
    };
  },
});

export const listKeyRotations = operation({
  name: "ListKeyRotations",
  input: structure(
    {
      KeyId: shapes.KeyIdType,
      IncludeKeyMaterial: string({ enum: ["ALL_KEY_MATERIAL", "ROTATIONS_ONLY"] }),
      Limit: shapes.LimitType,
      Marker: shapes.MarkerType,
    },
    ["KeyId"],
  ),
  output: structure({
    Rotations: list(RotationsListEntry),
    NextMarker: shapes.MarkerType,
    Truncated: shapes.BooleanType,
  }),
  errors: [
    "NotFoundException",
    "InvalidArnException",
    "InvalidMarkerException",
    "KMSInternalException",
    "KMSInvalidStateException",
    "UnsupportedOperationException",
  ],
  key: keyId,
  states: states.reading,
  async run({ store, markers }, input, key) {
    checkRotatable(key, ["AWS_KMS", "EXTERNAL"]);
    const { IncludeKeyMaterial: include = "ROTATIONS_ONLY", Limit: limit = 100 } = input;
    const list = `ListKeyRotations ${key.region} ${key.keyId} ${include}`;
    const after = Number(markers.read(list, input.Marker) ?? 0);
    const rest = (await store.backingKeys(key.region, key.keyId)).filter(
      ({ version, rotatedAt }) => version > after && (include === "ALL_KEY_MATERIAL" || rotatedAt !== null),
    );
    const { page, next } = markers.page(list, rest, limit, ({ version }) => String(version));
    const entries = page.map(async (row) => {
      const waits = row.state === "PENDING_ROTATION" && (await awaitedBy(store, key, row)).length > 0;
      return entry(key, waits ? { ...row, state: "PENDING_MULTI_REGION_IMPORT_AND_ROTATION" } : row);
    });
    return { Rotations: await Promise.all(entries), ...next };
  },
});

export const rotateKeyOnDemand = operation({
  name: "RotateKeyOnDemand",
  input: KeyIdRequest,
  output: structure({ KeyId: shapes.KeyIdType }),
  errors: [...switching, "LimitExceededException", "ConflictException"],
  key: keyId,
  states: states.using,
  async decide(request, _input, key) {
    const { store, now } = request;
    checkRotatable(key, ["AWS_KMS", "EXTERNAL"]);
    checkRotationIsOwn(key);
    if (key.nextRotationAt !== null && key.nextRotationAt - now <= CLOSE)
      throw new ConflictException(
        `An automatic rotation of ${arnOf(key)} is in progress or begins within the next 20 minutes.`,
      );
    const versions = await store.backingKeys(key.region, key.keyId);
    const onDemand = versions.filter(({ rotationType }) => rotationType === ("ON_DEMAND" as RotationType));
    if (onDemand.length >= ON_DEMAND_ROTATIONS)
      throw new LimitExceededException(
        `${arnOf(key)} was rotated on demand ${ON_DEMAND_ROTATIONS} times, which is the limit.`,
      );
    const { materialId, changes } = await rotationOf(request, key, versions);
    // What CloudTrail tells of a rotation in an event of its own.
    request.note("rotationType", "ON_DEMAND");
    request.note("previousKeyMaterialId", key.materialId as string);
    request.note("currentKeyMaterialId", materialId);
    return { output: { KeyId: key.keyId }, changes };
  },
});

/** Of imported material, the next must be there already. */
async function rotationOf(request: Request, key: KeyRow, versions: readonly BackingKeyRow[]) {
  if (key.origin === "AWS_KMS") return rotate(request, key, "ON_DEMAND", request.now);
  const waiting = versions.find(({ state, blob }) => state === "PENDING_ROTATION" && blob !== null);
  if (waiting === undefined)
    throw new KMSInvalidStateException(`${arnOf(key)} has no key material that is pending rotation.`);
  const awaited = await awaitedBy(request.store, key, waiting);
  if (awaited.length > 0)
    throw new KMSInvalidStateException(
      `${awaited.map(arnOf).join(", ")}: key material ${waiting.materialId} is not imported there yet.`,
    );
  return rotateTo(request, key, waiting, "ON_DEMAND", request.now);
}

/** The store has what the model names. */
type Entry = Output<typeof RotationsListEntry>;

function entry(key: KeyRow, row: BackingKeyRow): Entry {
  const { expirationModel, validTo, rotatedAt, rotationType, description } = row;
  const imported = key.origin === "EXTERNAL";
  return {
    KeyId: key.keyId,
    KeyMaterialId: row.materialId,
    ...(description !== null && { KeyMaterialDescription: description }),
    ...(imported && { ImportState: row.blob === null ? "PENDING_IMPORT" : "IMPORTED" }),
    KeyMaterialState: row.state as Entry["KeyMaterialState"],
    ...(expirationModel !== null && { ExpirationModel: expirationModel as Entry["ExpirationModel"] }),
    ...(validTo !== null && { ValidTo: new Date(validTo) }),
    ...(rotatedAt !== null && { RotationDate: new Date(rotatedAt) }),
    ...(rotationType !== null && { RotationType: rotationType as Entry["RotationType"] }),
  };
}
