import { hash, type KeyObject, timingSafeEqual } from "node:crypto";
import { canonicalRequest, signatureOf } from "../sigv4.ts";
import type { Claim } from "./claim.ts";
import type { HttpRequest } from "./message.ts";

/** Whether the signature is that of this very request, its body included. Takes as long wherever they differ. */
export function isSignedBy(key: KeyObject, claim: Claim, request: HttpRequest): boolean {
  const payloadHash = hash("sha256", request.body, "hex");
  const stated = request.fields.get("x-amz-content-sha256");
  if (stated !== undefined && stated !== payloadHash) return false;
  const { signer, signature, time } = claim;
  const canonical = canonicalRequest(request, signer.signedHeaders, payloadHash);
  const expected = signatureOf(key, time, signer.scope, canonical);
  const given = Buffer.from(signature, "hex");
  return signature.length === 64 && given.length === 32 && timingSafeEqual(expected, given);
}
