import { createHash } from "node:crypto";
import { isSymmetric, type KeySpec, type KeyUsage } from "../algorithms.ts";
import type { GrantRow, KeyRow } from "../store.ts";

const always = ["CreateGrant", "RetireGrant", "DescribeKey"] as const;

const byUsage: Readonly<Record<KeyUsage, readonly string[]>> = {
  ENCRYPT_DECRYPT: ["Decrypt", "Encrypt", "ReEncryptFrom", "ReEncryptTo"],
  SIGN_VERIFY: ["Sign", "Verify", "GetPublicKey"],
  GENERATE_VERIFY_MAC: ["GenerateMac", "VerifyMac"],
  KEY_AGREEMENT: ["DeriveSharedSecret", "GetPublicKey"],
};

const ofSymmetricKeys = [
  "GenerateDataKey",
  "GenerateDataKeyWithoutPlaintext",
  "GenerateDataKeyPair",
  "GenerateDataKeyPairWithoutPlaintext",
];

/** The operations that a grant on this key can allow: those that can be done with the key, and three more. */
export function grantable(key: KeyRow): ReadonlySet<string> {
  const usage = key.keyUsage as KeyUsage;
  const more = isSymmetric(key.keySpec as KeySpec) ? ofSymmetricKeys : [];
  const encrypting = usage === "ENCRYPT_DECRYPT" && more.length === 0 ? ["GetPublicKey"] : [];
  return new Set([...byUsage[usage], ...more, ...encrypting, ...always]);
}

/**
 * The id of a grant that has a name: the same for the same parameters, so that whoever asks again, at the same time
 * or by another process too, gets the grant that is there.
 */
export function grantIdOf(grant: Omit<GrantRow, "grantId" | "createdAt">): string {
  const { constraints, operations, ...rest } = grant;
  const { EncryptionContextEquals: equal, EncryptionContextSubset: subset } = constraints ?? {};
  const parameters = [sorted(rest), [...operations].sort(), equal && sorted(equal), subset && sorted(subset)];
  return createHash("sha256").update(JSON.stringify(parameters)).digest("hex");
}

const sorted = (members: object) => Object.entries(members).sort(([one], [other]) => (one < other ? -1 : 1));
