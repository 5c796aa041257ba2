import {
  IncompleteSignatureException,
  InvalidSignatureException,
  MissingAuthenticationTokenException,
} from "../errors.ts";
import { queryPairs, stamp } from "../sigv4.ts";
import type { HttpRequest } from "./message.ts";

/** What stays the same in all requests that a client signs in one day. */
export interface Signer {
  readonly accessKeyId: string;
  /** YYYYMMDD. */
  readonly date: string;
  readonly region: string;
  readonly service: string;
  /** Date, Region and service, as they are signed. */
  readonly scope: string;
  /** In lower case, sorted. */
  readonly signedHeaders: readonly string[];
}

/** What a request says of who signed it and how, in its Authorization header or in its query; nothing is checked yet. */
export interface Claim {
  readonly signer: Signer;
  /** 64 hex digits, if it is one at all. */
  readonly signature: string;
  /** YYYYMMDDTHHMMSSZ. */
  readonly time: string;
  readonly securityToken: string | undefined;
  /** Seconds that a signed query holds for. */
  readonly expires: number | undefined;
}

const ALGORITHM = "AWS4-HMAC-SHA256";
/** AWS's bound of X-Amz-Expires: a week. */
const LONGEST = 604_800;
const TERMINATOR = "aws4_request";

/** By Authorization up to the signature: reading one anew takes 8 µs, as long as all hashing together. */
const signers = new Map<string, Signer>();
const SIGNERS = 1024;
/** What is longer is not remembered. */
const LONGEST_SIGNER = 1024;

/** Throws `MissingAuthenticationTokenException` or `IncompleteSignatureException`. */
export function claimOf(request: HttpRequest): Claim {
  const { fields, query } = request;
  const authorization = fields.get("authorization");
  const signedQuery = query.includes("X-Amz-");
  if (authorization === undefined) return signedQuery ? claimOfQuery(queryPairs(query)) : missing();
  if (signedQuery && queryPairs(query).some(([name]) => name === "X-Amz-Signature"))
    throw new IncompleteSignatureException("A request is signed in its header or in its query, not in both.");
  return claimOfHeader(request, authorization);
}

function missing(): never {
  throw new MissingAuthenticationTokenException("Missing Authentication Token");
}

function claimOfHeader({ fields }: HttpRequest, authorization: string): Claim {
  const time = fields.get("x-amz-date") ?? timeOfDate(fields.get("date"));
  const securityToken = fields.get("x-amz-security-token");
  const at = authorization.length - 64;
  const known = signers.get(authorization.slice(0, at));
  if (known !== undefined && time !== undefined)
    return { signer: known, signature: authorization.slice(at), time, securityToken, expires: undefined };
  const parts = partsOf(authorization);
  const wanting = ["Credential", "Signature", "SignedHeaders"]
    .filter((name) => !parts.get(name))
    .map((name) => `Authorization header requires '${name}' parameter.`);
  if (time === undefined)
    wanting.push("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.");
  if (wanting.length > 0) throw new IncompleteSignatureException(wanting.join(" "));
  const signature = parts.get("Signature") as string;
  const signer = signerOf(parts.get("Credential") as string, parts.get("SignedHeaders") as string);
  if (authorization.endsWith(`Signature=${signature}`) && signature.length === 64 && at <= LONGEST_SIGNER) {
    if (signers.size >= SIGNERS) signers.clear();
    signers.set(authorization.slice(0, at), signer);
  }
  return { signer, signature, time: time as string, securityToken, expires: undefined };
}

function partsOf(authorization: string): Map<string, string> {
  const space = authorization.indexOf(" ");
  if ((space === -1 ? authorization : authorization.slice(0, space)) !== ALGORITHM)
    throw new IncompleteSignatureException(`Authorization header requires the algorithm '${ALGORITHM}'.`);
  const parts = new Map<string, string>();
  for (const part of authorization.slice(ALGORITHM.length).split(",")) {
    const at = part.indexOf("=");
    const name = part.slice(0, Math.max(at, 0)).trim();
    if (parts.has(name)) throw new IncompleteSignatureException(`'${name}' is in Authorization twice.`);
    parts.set(name, part.slice(at + 1).trim());
  }
  return parts;
}

function claimOfQuery(all: readonly [name: string, value: string][]): Claim {
  const ours = all.filter(([name]) => name.startsWith("X-Amz-"));
  const pairs = new Map(ours);
  if (ours.length !== pairs.size)
    throw new IncompleteSignatureException("A signed query may name each parameter X-Amz-* once only.");
  if (!pairs.has("X-Amz-Signature") && !pairs.has("X-Amz-Credential")) return missing();
  if (pairs.get("X-Amz-Algorithm") !== ALGORITHM)
    throw new IncompleteSignatureException(`X-Amz-Algorithm must be '${ALGORITHM}'.`);
  const wanting = ["Credential", "Signature", "SignedHeaders", "Date", "Expires"]
    .filter((name) => !pairs.get(`X-Amz-${name}`))
    .map((name) => `AWS query-string parameters must include 'X-Amz-${name}'.`);
  if (wanting.length > 0) throw new IncompleteSignatureException(wanting.join(" "));
  const expires = Number(pairs.get("X-Amz-Expires"));
  if (!Number.isInteger(expires) || expires < 1 || expires > LONGEST)
    throw new IncompleteSignatureException(
      `X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than ${LONGEST} seconds`,
    );
  return {
    signer: signerOf(pairs.get("X-Amz-Credential") as string, pairs.get("X-Amz-SignedHeaders") as string),
    signature: pairs.get("X-Amz-Signature") as string,
    time: pairs.get("X-Amz-Date") as string,
    securityToken: pairs.get("X-Amz-Security-Token"),
    expires,
  };
}

function signerOf(credential: string, headers: string): Signer {
  const [accessKeyId, date, region, service, terminator, ...rest] = credential.split("/");
  if (!accessKeyId || date === undefined || region === undefined || service === undefined)
    throw badCredential();
  if (terminator === undefined || rest.length > 0) throw badCredential();
  if (terminator !== TERMINATOR)
    throw new InvalidSignatureException(
      `Credential should be scoped with a valid terminator: '${TERMINATOR}'.`,
    );
  const signedHeaders = headers.split(";");
  for (let at = 1; at < signedHeaders.length; at++) {
    if ((signedHeaders[at - 1] as string) >= (signedHeaders[at] as string))
      throw new IncompleteSignatureException("SignedHeaders must be in lower case, sorted, each named once.");
  }
  if (!signedHeaders.includes("host") && !signedHeaders.includes(":authority"))
    throw new InvalidSignatureException(
      "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
    );
  const scope = `${date}/${region}/${service}/${TERMINATOR}`;
  return { accessKeyId, date, region, service, scope, signedHeaders };
}

const badCredential = () =>
  new IncompleteSignatureException(
    "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.",
  );

/** An HTTP date in the form of X-Amz-Date. */
function timeOfDate(date: string | undefined): string | undefined {
  if (date === undefined) return undefined;
  if (/^\d{8}T\d{6}Z$/.test(date)) return date;
  const milliseconds = Date.parse(date);
  return Number.isNaN(milliseconds) ? date : stamp(milliseconds);
}
