import type { CustomKeyStoreRow, KeyRow } from "../store.ts";

/** Who uses a key, in which operation of AWS KMS and which request. */
export interface Use {
  /** The ARN. */
  readonly principal: string;
  readonly operation: string;
  readonly requestId: string;
}

/** A key of a custom key store, as one request meets it. Its state is `Unavailable` while the store is not connected. */
export interface HeldKey extends KeyRow {
  readonly heldBy: CustomKeyStoreRow;
  /** Unless it is only described. */
  readonly use: Use | undefined;
}

export const isHeld = (key: KeyRow): key is HeldKey => "heldBy" in key;

export function held(key: KeyRow, heldBy: CustomKeyStoreRow, use?: Use): HeldKey {
  // Pending deletion stays in sight, so that it can be cancelled meanwhile.
  const available = heldBy.connectionState === "CONNECTED" || key.keyState === "PendingDeletion";
  return { ...key, keyState: available ? key.keyState : "Unavailable", heldBy, use };
}
