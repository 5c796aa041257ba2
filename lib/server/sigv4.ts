import { hash, type KeyObject, timingSafeEqual } from "node:crypto";
import type { Principal } from "../access.ts";
import {
  ExpiredTokenException,
  IncompleteSignatureException,
  InvalidSignatureException,
  UnrecognizedClientException,
} from "../errors.ts";
import { type Claim, claimOf, stamp } from "./claim.ts";
import type { HttpRequest } from "./message.ts";
import { isSignedBy, scopeOf, signingKey } from "./signature.ts";

/** An access key as the verifier needs it. The same object as long as nothing of it changes. */
export interface Credential {
  readonly principal: Principal;
  /** The secret access key, which the receiver wipes. */
  secret(): Promise<Uint8Array>;
  /** Of a role's session. */
  readonly session?: { readonly token: string; readonly expiresAt: number };
}

export interface Authority {
  readonly clock: () => number;
  /** Undefined when there is none with this id, or it may not be used. */
  credential(accessKeyId: string): Credential | undefined | Promise<Credential | undefined>;
  serves(region: string): boolean;
}

/** Who signed a request, and what for. */
export interface Identity {
  readonly accessKeyId: string;
  readonly principal: Principal;
  readonly region: string;
  readonly service: string;
}

/** How far a client's clock may be off: 5 minutes. */
const SKEW = 300_000;
const SERVICES = ["kms", "sts"];
/** How many scopes of one access key are remembered: a day has one for each Region and service. */
const SCOPES = 64;

/**
 * Verifies AWS Signature Version 4, in the header and in the query form, from AWS's documentation "Create a signed AWS
 * API request". The payload's hash is that of the body that came: a request says nothing about that which counts. As
 * in AWS, the same request may come again while its signature holds.
 */
export class Verifier {
  readonly #authority: Authority;
  readonly #keys = new WeakMap<Credential, Map<string, KeyObject>>();

  constructor(authority: Authority) {
    this.#authority = authority;
  }

  /** Rejects with the error that AWS answers with. */
  async verify(request: HttpRequest): Promise<Identity> {
    const claim = claimOf(request);
    this.#checkScope(claim);
    this.#checkTime(claim);
    checkSignedHeaders(claim, request);
    const found = this.#authority.credential(claim.accessKeyId);
    const credential = found instanceof Promise ? await found : found;
    if (credential === undefined || !sameToken(credential.session?.token, claim.securityToken))
      throw new UnrecognizedClientException("The security token included in the request is invalid.");
    const key =
      this.#keys.get(credential)?.get(scopeOf(claim)) ?? (await this.#signingKey(credential, claim));
    if (!isSignedBy(key, claim, request))
      throw new InvalidSignatureException(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.",
      );
    if (credential.session !== undefined && credential.session.expiresAt <= this.#authority.clock())
      throw new ExpiredTokenException("The security token included in the request is expired");
    const { accessKeyId, region, service } = claim;
    return { accessKeyId, principal: credential.principal, region, service };
  }

  #checkScope({ region, service, terminator, date, time }: Claim): void {
    if (terminator !== "aws4_request")
      throw new InvalidSignatureException(
        "Credential should be scoped with a valid terminator: 'aws4_request'.",
      );
    if (!SERVICES.includes(service))
      throw new InvalidSignatureException("Credential should be scoped to correct service: 'kms'. ");
    if (!this.#authority.serves(region))
      throw new InvalidSignatureException("Credential should be scoped to a valid region. ");
    if (date !== time.slice(0, 8))
      throw new InvalidSignatureException(
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP.",
      );
  }

  #checkTime({ time, expires }: Claim): void {
    const signed = parseStamp(time);
    const now = this.#authority.clock();
    if (signed > now + SKEW)
      throw new InvalidSignatureException(
        `Signature not yet current: ${time} is still later than ${stamp(now + SKEW)} (${stamp(now)} + 5 min.)`,
      );
    const age = expires === undefined ? SKEW : expires * 1000;
    if (signed < now - age)
      throw new InvalidSignatureException(
        `Signature expired: ${time} is now earlier than ${stamp(now - age)} (${stamp(now)} - ${expires === undefined ? "5 min." : `${expires} sec.`})`,
      );
  }

  async #signingKey(credential: Credential, claim: Claim): Promise<KeyObject> {
    const secret = await credential.secret();
    const key = signingKey(secret, claim);
    secret.fill(0);
    const known = this.#keys.get(credential) ?? new Map<string, KeyObject>();
    if (known.size >= SCOPES) known.clear();
    known.set(scopeOf(claim), key);
    this.#keys.set(credential, known);
    return key;
  }
}

/** Milliseconds; throws unless the text is a time in the one form that is signed. */
function parseStamp(text: string): number {
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text) ?? [];
  if (second === undefined)
    throw new IncompleteSignatureException(
      "Date must be in ISO-8601 'basic format', such as 20150830T123600Z.",
    );
  return Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second));
}

/** What is not signed could be changed on the way: the host and all that steers a service must be. */
function checkSignedHeaders({ signedHeaders }: Claim, { fields }: HttpRequest): void {
  for (let at = 1; at < signedHeaders.length; at++) {
    if ((signedHeaders[at - 1] as string) >= (signedHeaders[at] as string))
      throw new IncompleteSignatureException("SignedHeaders must be in lower case, sorted, each named once.");
  }
  if (!signedHeaders.includes("host") && !signedHeaders.includes(":authority"))
    throw new InvalidSignatureException(
      "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
    );
  for (const name of fields.keys()) {
    if (name.startsWith("x-amz-") && !signedHeaders.includes(name))
      throw new InvalidSignatureException(`'${name}' must be a 'SignedHeader' in the AWS Authorization.`);
  }
}

function sameToken(held: string | undefined, given: string | undefined): boolean {
  if (held === undefined || given === undefined) return held === given;
  return timingSafeEqual(digest(held), digest(given));
}

const digest = (text: string) => Buffer.from(hash("sha256", text, "hex"), "hex");
