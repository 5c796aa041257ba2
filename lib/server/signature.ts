import { createHmac, createSecretKey, hash, type KeyObject, timingSafeEqual } from "node:crypto";
import { canonicalRequest } from "./canonical.ts";
import type { Claim, Signer } from "./claim.ts";
import type { HttpRequest } from "./message.ts";

/** The arithmetic of Signature Version 4: keys and signatures. */

/** The key for one day, Region and service. */
export function signingKey(secret: Uint8Array, { scope }: Pick<Signer, "scope">): KeyObject {
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

/** Whether the signature is that of this very request, its body included. Takes as long wherever they differ. */
export function isSignedBy(key: KeyObject, claim: Claim, request: HttpRequest): boolean {
  const payloadHash = hash("sha256", request.body, "hex");
  const stated = request.fields.get("x-amz-content-sha256");
  if (stated !== undefined && stated !== payloadHash) return false;
  const { signer, signature, time } = claim;
  const canonical = canonicalRequest(request, signer.signedHeaders, payloadHash);
  const canonicalHash = hash(
    "sha256",
    isAscii.test(canonical) ? canonical : Buffer.from(canonical, "latin1"),
    "hex",
  );
  const toSign = `AWS4-HMAC-SHA256\n${time}\n${signer.scope}\n${canonicalHash}`;
  const expected = createHmac("sha256", key).update(toSign).digest();
  const given = Buffer.from(signature, "hex");
  return signature.length === 64 && given.length === 32 && timingSafeEqual(expected, given);
}
