import { createHmac, createSecretKey, hash, type KeyObject, timingSafeEqual } from "node:crypto";
import { canonicalRequest } from "./canonical.ts";
import type { Claim } from "./claim.ts";
import type { HttpRequest } from "./message.ts";

/** The arithmetic of Signature Version 4: keys and signatures. */

const TERMINATOR = "aws4_request";

type Scope = Pick<Claim, "date" | "region" | "service">;

export const scopeOf = ({ date, region, service }: Scope) => `${date}/${region}/${service}/${TERMINATOR}`;

/** The key for one day, Region and service. */
export function signingKey(secret: Uint8Array, { date, region, service }: Scope): KeyObject {
  let key = Buffer.concat([Buffer.from("AWS4"), secret]);
  for (const step of [date, region, service, TERMINATOR]) {
    const next = createHmac("sha256", key).update(step).digest();
    key.fill(0);
    key = next;
  }
  const object = createSecretKey(key);
  key.fill(0);
  return object;
}

/** Whether the signature is that of this very request, its body included. Takes as long wherever they differ. */
export function isSignedBy(key: KeyObject, claim: Claim, request: HttpRequest): boolean {
  const payloadHash = hash("sha256", request.body, "hex");
  const stated = request.fields.get("x-amz-content-sha256");
  if (stated !== undefined && stated !== payloadHash) return false;
  const canonical = canonicalRequest(request, claim.signedHeaders, payloadHash);
  const canonicalHash = hash("sha256", Buffer.from(canonical, "latin1"), "hex");
  const toSign = `AWS4-HMAC-SHA256\n${claim.time}\n${scopeOf(claim)}\n${canonicalHash}`;
  const expected = createHmac("sha256", key).update(toSign).digest();
  const given = Buffer.from(claim.signature, "hex");
  return claim.signature.length === 64 && given.length === 32 && timingSafeEqual(expected, given);
}
