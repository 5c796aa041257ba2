import type { KeyRow } from "../lib/store.ts";

export const region = "eu-central-1";
export const account = "111122223333";

/** The row of a key that could be anybody's. */
export function keyRow(keyId: string, change: Partial<KeyRow> = {}): Omit<KeyRow, "revision"> {
  return {
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
  };
}
