import { removeMaterial } from "../keys.ts";
import type { Duty } from "../worker.ts";

/** Deletes imported material whose time is over: its key is of no use until it is imported again. */
export const expiry: Duty = {
  event: "DeleteExpiredKeyMaterial",
  due: (store, now) => store.keysToExpire(now),
  async decide(service, key, now) {
    const ended = ({ validTo }: { validTo: number | null }) => validTo !== null && validTo <= now;
    const changes = await removeMaterial(service, key, ended);
    return changes.length === 0 ? undefined : { changes, details: { keyId: key.keyId } };
  },
};
