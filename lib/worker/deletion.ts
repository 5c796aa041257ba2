import type { Duty } from "../worker.ts";

/**
 * Destroys the keys whose waiting period has ended: their rows, wrapped material and aliases, and the handles of this
 * process. What they sealed can then be opened by nobody.
 */
export const deletion: Duty = {
  event: "DeleteKey",
  due: (store, now) => store.keysDue(now),
  async decide({ keyStores }, key, now) {
    const { region, keyId, revision, deletionAt } = key;
    if (deletionAt === null || deletionAt > now) return undefined;
    return {
      changes: [
        { delete: "key", region, keyId, revision },
        ...(await keyStores.clusters.deleteKey(key, now)),
      ],
      details: { keyId, deletionDate: new Date(deletionAt).toISOString() },
    };
  },
};
