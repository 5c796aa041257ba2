import { type KeyObject, timingSafeEqual } from "node:crypto";
import type { Principal } from "../access.ts";
import {
  ExpiredTokenException,
  IncompleteSignatureException,
  InvalidSignatureException,
  UnrecognizedClientException,
} from "../errors.ts";
import { hashOfToken } from "../identities.ts";
import { signingKey, stamp } from "../sigv4.ts";
import type { Soon } from "../store.ts";
import { type Claim, claimOf, type Signer } from "./claim.ts";
import type { HttpRequest } from "./message.ts";
import { isSignedBy } from "./signature.ts";

/** An access key as the verifier needs it. The same object as long as nothing of it changes. */
export interface Credential {
  readonly principal: Principal;
  /** The secret access key, which the receiver wipes. */
  secret(): Promise<Uint8Array>;
  /** Of a role's session. */
  readonly session?: { readonly tokenHash: string; readonly expiresAt: number };
}

export interface Authority {
  readonly clock: () => number;
  /** Undefined when there is none with this id, or it may not be used. */
  credential(accessKeyId: string): Soon<Credential | undefined>;
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

  /** Throws, or rejects with, the error that AWS answers with. At once where nothing has to be waited for. */
  verify(request: HttpRequest): Soon<Identity> {
    const claim = claimOf(request);
    this.#checkScope(claim);
    this.#checkTime(claim);
    checkSignedHeaders(claim.signer, request);
    const credential = this.#authority.credential(claim.signer.accessKeyId);
    if (credential instanceof Promise) return credential.then((found) => this.#check(claim, request, found));
    return this.#check(claim, request, credential);
  }

  #check(claim: Claim, request: HttpRequest, credential: Credential | undefined): Soon<Identity> {
    const { signer, securityToken } = claim;
    if (credential === undefined || !isToken(credential.session?.tokenHash, securityToken))
      throw new UnrecognizedClientException("The security token included in the request is invalid.");
    const check = (key: KeyObject): Identity => {
      if (!isSignedBy(key, claim, request))
        throw new InvalidSignatureException(
          "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.",
        );
      if (credential.session !== undefined && credential.session.expiresAt <= this.#authority.clock())
        throw new ExpiredTokenException("The security token included in the request is expired");
      const { accessKeyId, region, service } = signer;
      return { accessKeyId, principal: credential.principal, region, service };
    };
    const known = this.#keys.get(credential)?.get(signer.scope);
    return known === undefined ? this.#signingKey(credential, signer).then(check) : check(known);
  }

  #checkScope({ signer: { region, service, date }, time }: Claim): void {
    if (!SERVICES.includes(service))
      throw new InvalidSignatureException("Credential should be scoped to correct service: 'kms'. ");
    if (!this.#authority.serves(region))
      throw new InvalidSignatureException("Credential should be scoped to a valid region. ");
    if (!time.startsWith(date) || date.length !== 8)
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

  async #signingKey(credential: Credential, signer: Signer): Promise<KeyObject> {
    const secret = await credential.secret();
    const key = signingKey(secret, signer);
    secret.fill(0);
    const known = this.#keys.get(credential) ?? new Map<string, KeyObject>();
    if (known.size >= SCOPES) known.clear();
    known.set(signer.scope, key);
    this.#keys.set(credential, known);
    return key;
  }
}

let lastStamp = "";
let lastTime = Number.NaN;

/** Milliseconds; throws unless the text is a time in the one form that is signed. The last one is remembered. */
function parseStamp(text: string): number {
  if (text !== lastStamp) {
    const [, year, month, day, hour, minute, second] =
      /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text)?.map(Number) ?? [];
    if (second === undefined)
      throw new IncompleteSignatureException(
        "Date must be in ISO-8601 'basic format', such as 20150830T123600Z.",
      );
    lastTime = Date.UTC(year as number, (month as number) - 1, day, hour, minute, second);
    lastStamp = text;
  }
  return lastTime;
}

/** What is not signed could be changed on the way: all that steers a service must be. */
function checkSignedHeaders({ signedHeaders }: Signer, { fields }: HttpRequest): void {
  for (const name of fields.keys()) {
    if (name.startsWith("x-amz-") && !signedHeaders.includes(name))
      throw new InvalidSignatureException(`'${name}' must be a 'SignedHeader' in the AWS Authorization.`);
  }
}

function isToken(held: string | undefined, given: string | undefined): boolean {
  if (held === undefined || given === undefined) return held === given;
  return timingSafeEqual(Buffer.from(held), Buffer.from(hashOfToken(given)));
}
