import { IncompleteSignatureException, MissingAuthenticationTokenException } from "../errors.ts";
import { queryPairs } from "./canonical.ts";
import type { HttpRequest } from "./message.ts";

/** What a request says of who signed it and how, in its Authorization header or in its query; nothing is checked yet. */
export interface Claim {
  readonly accessKeyId: string;
  /** YYYYMMDD. */
  readonly date: string;
  readonly region: string;
  readonly service: string;
  readonly terminator: string;
  /** In lower case, as they are named. */
  readonly signedHeaders: readonly string[];
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
  const space = authorization.indexOf(" ");
  const algorithm = space === -1 ? authorization : authorization.slice(0, space);
  if (algorithm !== ALGORITHM)
    throw new IncompleteSignatureException(`Authorization header requires the algorithm '${ALGORITHM}'.`);
  const parts = new Map<string, string>();
  for (const part of authorization.slice(space + 1).split(",")) {
    const at = part.indexOf("=");
    const name = part.slice(0, Math.max(at, 0)).trim();
    if (parts.has(name)) throw new IncompleteSignatureException(`'${name}' is in Authorization twice.`);
    parts.set(name, part.slice(at + 1).trim());
  }
  const time = fields.get("x-amz-date") ?? timeOfDate(fields.get("date"));
  const wanting = ["Credential", "Signature", "SignedHeaders"]
    .filter((name) => !parts.get(name))
    .map((name) => `Authorization header requires '${name}' parameter.`);
  if (time === undefined)
    wanting.push("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.");
  if (wanting.length > 0) throw new IncompleteSignatureException(wanting.join(" "));
  return {
    ...scopeOf(parts.get("Credential") as string),
    signedHeaders: (parts.get("SignedHeaders") as string).split(";"),
    signature: parts.get("Signature") as string,
    time: time as string,
    securityToken: fields.get("x-amz-security-token"),
    expires: undefined,
  };
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
    ...scopeOf(pairs.get("X-Amz-Credential") as string),
    signedHeaders: (pairs.get("X-Amz-SignedHeaders") as string).split(";"),
    signature: pairs.get("X-Amz-Signature") as string,
    time: pairs.get("X-Amz-Date") as string,
    securityToken: pairs.get("X-Amz-Security-Token"),
    expires,
  };
}

function scopeOf(credential: string) {
  const [accessKeyId, date, region, service, terminator, ...rest] = credential.split("/");
  if (!accessKeyId || date === undefined || region === undefined || service === undefined)
    throw badCredential();
  if (terminator === undefined || rest.length > 0) throw badCredential();
  return { accessKeyId, date, region, service, terminator };
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

/** Milliseconds as YYYYMMDDTHHMMSSZ. */
export const stamp = (milliseconds: number) =>
  new Date(milliseconds).toISOString().replace(/[-:]|\.\d+/g, "");
