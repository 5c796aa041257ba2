import { createHmac, createSecretKey, hash, type KeyObject } from "node:crypto";

/** The arithmetic of AWS Signature Version 4, for who verifies and for who signs. */

export { canonicalRequest, type Fields, queryPairs, type RequestHead } from "./sigv4/canonical.ts";

/** The key for one day, Region and service: `scope` is "YYYYMMDD/REGION/SERVICE/aws4_request". */
export function signingKey(secret: Uint8Array, { scope }: { readonly scope: string }): KeyObject {
  let key = Buffer.concat([Buffer.from("AWS4"), secret]);
  for (const step of scope.split("/")) {
    const next = createHmac("sha256", key).update(step).digest();
    key.fill(0);
    key = next;
  }
  const object = createSecretKey(key);
  key.fill(0);
  return object;
}

/** Almost every head: then its text need not be turned into bytes first, which takes longer than hashing it. */
const isAscii = /^[\0-\x7f]*$/;

/** The signature of a canonical request; `time` is YYYYMMDDTHHMMSSZ. */
export function signatureOf(key: KeyObject, time: string, scope: string, canonical: string): Buffer {
  const bytes = isAscii.test(canonical) ? canonical : Buffer.from(canonical, "latin1");
  const toSign = `AWS4-HMAC-SHA256\n${time}\n${scope}\n${hash("sha256", bytes, "hex")}`;
  return createHmac("sha256", key).update(toSign).digest();
}

/** Milliseconds as YYYYMMDDTHHMMSSZ. */
export const stamp = (milliseconds: number) =>
  new Date(milliseconds).toISOString().replace(/[-:]|\.\d+/g, "");
