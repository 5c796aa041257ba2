import type { Duty } from "../worker.ts";

/**
 * Destroys the keys whose waiting period has ended: their rows, wrapped material and aliases, and the handles of this
 * process. What they sealed can then be opened by nobody.
 */
export const deletion: Duty = {
  event: "DeleteKey",
  due: (store, now) => store.keysDue(now),
  decide(_service, { region, keyId, revision, deletionAt }, now) {
    if (deletionAt === null || deletionAt > now) return undefined;
    return {
      changes: [{ delete: "key", region, keyId, revision }],
      details: { keyId, deletionDate: new Date(deletionAt).toISOString() },
    };
  },
};
