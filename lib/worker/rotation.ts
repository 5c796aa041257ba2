import { isReplica, rotate, rotationAfter } from "../keys.ts";
import type { Duty } from "../worker.ts";

/** Rotates keys whose period is over. One that is disabled by then is rotated once it is enabled again. */
export const rotation: Duty = {
  event: "RotateKey",
  due: (store, now) => store.keysToRotate(now),
  async decide(service, key, now) {
    const { keyId, origin, keyState, rotationPeriod, nextRotationAt } = key;
    if (rotationPeriod === null || nextRotationAt === null || nextRotationAt > now) return undefined;
    if (keyState !== "Enabled" || isReplica(key) || !service.regions.has(key.region)) return undefined;
    const next = { nextRotationAt: rotationAfter(nextRotationAt, rotationPeriod, now) };
    const { materialId, changes } = await rotate(service, key, "AUTOMATIC", now, next);
    const details = {
      rotationType: "AUTOMATIC",
      keyOrigin: origin,
      previousKeyMaterialId: key.materialId as string,
      currentKeyMaterialId: materialId,
      keyId,
    };
    return { changes, details };
  },
};
