import { hash, randomBytes } from "node:crypto";
import type { Hsm } from "../hsm.ts";
import type { Secrets } from "../secrets.ts";

/** A new access key; the secret is for its owner, who is told it once. */
export interface AccessKey {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** The secret as it is kept. */
  readonly secret: Uint8Array;
}

interface Means {
  readonly hsm: Hsm;
  readonly secrets: Secrets;
}

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** AWS's prefixes: AIDA for users, AROA for roles. Unique, no secret. */
export function newPrincipalId(type: "User" | "Role"): string {
  const letters = [...randomBytes(17)].map((byte) => LETTERS[byte % LETTERS.length]);
  return `${type === "User" ? "AIDA" : "AROA"}${letters.join("")}`;
}

/** AWS's prefixes: AKIA for good, ASIA for a session. */
export async function newAccessKey({ hsm, secrets }: Means, prefix: "AKIA" | "ASIA"): Promise<AccessKey> {
  const letters = [...(await hsm.random(16))].map((byte) => LETTERS[byte % LETTERS.length]);
  const accessKeyId = `${prefix}${letters.join("")}`;
  // 30 bytes are 40 characters of base64, without padding.
  const secretAccessKey = Buffer.from(await hsm.random(30)).toString("base64");
  const secret = await secrets.seal(accessKeyId, Buffer.from(secretAccessKey));
  return { accessKeyId, secretAccessKey, secret };
}

/** What a session's requests name beside their signature; 384 bits at random. */
export async function sessionToken({ hsm }: Means): Promise<string> {
  return Buffer.from(await hsm.random(48)).toString("base64");
}

/** All that is kept of a session's token: enough to know it again, and too little to use it. */
export const hashOfToken = (token: string): string => hash("sha256", token, "hex");
