import { newKey } from "../lib/keys.ts";
import type { BackingKeyRow, KeyRow } from "../lib/store.ts";

export const region = "eu-central-1";
export const account = "111122223333";

/** The row of a key that could be anybody's. */
export function keyRow(keyId: string, change: Partial<KeyRow> = {}): Omit<KeyRow, "revision"> {
  const { revision: _, ...row } = newKey({
    region,
    account,
    keyId,
    keySpec: "SYMMETRIC_DEFAULT",
    keyUsage: "ENCRYPT_DECRYPT",
    origin: "AWS_KMS",
    keyManager: "CUSTOMER",
    keyState: "Enabled",
    description: "orders",
    policy: '{"Version":"2012-10-17","Statement":[]}',
    createdAt: 1_700_000_000_123,
    deletionAt: null,
    multiRegion: false,
    tags: [{ TagKey: "team", TagValue: "sales" }],
    materialId: `m-${keyId}`,
    ...change,
  });
  return row;
}

/** The row of material that has nothing special. */
export function backingKeyRow(
  row: Pick<BackingKeyRow, "keyId" | "version" | "materialId" | "blob" | "createdAt">,
): BackingKeyRow {
  return {
    region,
    ...row,
    publicKey: null,
    state: "CURRENT",
    description: null,
    expirationModel: null,
    validTo: null,
    rotatedAt: null,
    rotationType: null,
  };
}
