import { destruction } from "../keys.ts";
import type { Duty } from "../worker.ts";

/**
 * Destroys the keys whose waiting period has ended: their rows, wrapped material and aliases, and the handles of this
 * process. What they sealed can then be opened by nobody, unless a related key in another Region is left.
 */
export const deletion: Duty = {
  event: "DeleteKey",
  due: (store, now) => store.keysDue(now),
  async decide({ store, keyStores }, key, now) {
    const { keyId, deletionAt } = key;
    if (deletionAt === null || deletionAt > now) return undefined;
    const changes = [
      ...(await destruction(store, key, now)),
      ...(await keyStores.clusters.deleteKey(key, now)),
    ];
    return { changes, details: { keyId, deletionDate: new Date(deletionAt).toISOString() } };
  },
};
