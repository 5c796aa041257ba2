import { type Grant, grantOperations, reachOf } from "./grants.ts";
import type { AccessRequest, Layer } from "./question.ts";
import { concerns, type Statement } from "./statement.ts";

export type PolicyPlace = "key policy" | "identity policy" | Layer["kind"];

export type Reason =
  | "key policy allows"
  | "key policy delegates and identity policy allows"
  | "key policy and identity policy allow"
  | "identity policy allows"
  | "account root"
  | "grant allows"
  | "grant delegates and identity policy allows"
  | `${PolicyPlace} denies`
  | `no ${PolicyPlace} statement allows`
  | "no part in the grant"
  | "not across accounts";

export interface Decision {
  readonly allowed: boolean;
  /** For the log and for administrators, not for the caller. */
  readonly reason: Reason;
  /** The statement that decided, of the policy that the reason names first. */
  readonly statement?: Statement;
  /** That of an identity policy, where the reason names one beside a key policy or grant. */
  readonly identityStatement?: Statement;
  readonly grant?: Grant;
}

/** All that speaks for a request, once nothing denies it. */
interface Voices {
  /** Of the key policy, by how it takes in the caller. */
  readonly precise: Statement | undefined;
  readonly included: Statement | undefined;
  readonly delegated: Statement | undefined;
  /** Of the identity policies. */
  readonly permitted: Statement | undefined;
  /** Why a layer that does not allow ends it, unless the key policy or a grant is precise. */
  readonly closed: Decision | undefined;
}

const refuse = (reason: Reason): Decision => ({ allowed: false, reason });
const unnamed = refuse("no key policy statement allows");
const unpermitted = refuse("no identity policy statement allows");
const noPart = refuse("no part in the grant");
const notAcross = refuse("not across accounts");
const isKey = /^arn:aws:kms:[^:]*:[^:]*:key\//;

/**
 * The order of AWS: a Deny anywhere; then the key policy by itself, or together with the caller's identity policies
 * where it only delegates to the caller's account or the caller is of another account (which few operations are open
 * to); then the grants. What has no
 * key policy (aliases, the account itself) is its account root's and of those whom identity policies allow.
 */
export function decide(request: AccessRequest): Decision {
  const { principal, resource, account, keyPolicy, identityPolicies, layers } = request;
  const action = request.action.toLowerCase();
  let precise: Statement | undefined;
  let included: Statement | undefined;
  let delegated: Statement | undefined;
  if (keyPolicy !== undefined) {
    for (const statement of keyPolicy.statements) {
      if (precise && statement.effect === "Allow") continue;
      const reach = statement.reach?.(principal);
      if (reach === undefined || !concerns(statement, action, resource, request)) continue;
      if (statement.effect === "Deny") return { allowed: false, reason: "key policy denies", statement };
      if (reach === "precisely") precise = statement;
      else if (reach === "among others") included ??= statement;
      else delegated ??= statement;
    }
  }
  let permitted: Statement | undefined;
  if (identityPolicies !== undefined) {
    for (const { statements } of identityPolicies) {
      for (const statement of statements) {
        if (permitted && statement.effect === "Allow") continue;
        if (!concerns(statement, action, resource, request)) continue;
        if (statement.effect === "Deny")
          return { allowed: false, reason: "identity policy denies", statement };
        permitted = statement;
      }
    }
  }
  let closed: Layer["kind"] | undefined;
  if (layers !== undefined) {
    for (const layer of layers) {
      const found = inLayer(layer, action, request);
      if (found?.effect === "Deny")
        return { allowed: false, reason: `${layer.kind} denies`, statement: found };
      if (found === undefined && (closed === undefined || layer.kind === "service control policy"))
        closed = layer.kind;
    }
    if (closed === "service control policy") return refuse(`no ${closed} statement allows`);
  }
  const shut = closed && refuse(`no ${closed} statement allows`);
  const voices: Voices = { precise, included, delegated, permitted, closed: shut };
  if (request.retiring !== undefined) return decideRetiring(request, request.retiring, voices);
  if (keyPolicy !== undefined || isKey.test(resource)) return decideKey(request, voices);
  if (principal.account !== account) return unnamed;
  if (voices.closed !== undefined) return voices.closed;
  if (principal.type === "Account") return { allowed: true, reason: "account root" };
  return permitted ? { allowed: true, reason: "identity policy allows", statement: permitted } : unpermitted;
}

/**
 * What can be done with a key of another account, if it is allowed: what grants can allow, and three more. From the model's
 * documentation of each operation ("Cross-account use").
 */
const acrossAccounts: ReadonlySet<string> = new Set(
  [...grantOperations, "GetKeyRotationStatus", "ListGrants", "RevokeGrant"].map((name) => `kms:${name}`),
);

/** The statement that decides within a layer: a Deny, else an Allow. */
function inLayer({ policies }: Layer, action: string, request: AccessRequest): Statement | undefined {
  let allowing: Statement | undefined;
  for (const { statements } of policies) {
    for (const statement of statements) {
      if (allowing && statement.effect === "Allow") continue;
      if (!concerns(statement, action, request.resource, request)) continue;
      if (statement.effect === "Deny") return statement;
      allowing = statement;
    }
  }
  return allowing;
}

function decideKey(request: AccessRequest, voices: Voices): Decision {
  const { principal, account } = request;
  const { precise, included, delegated, permitted, closed } = voices;
  const home = principal.account === account || principal.type === "Service";
  if (!home && request.action.startsWith("kms:") && !acrossAccounts.has(request.action)) return notAcross;
  const byItself = home || principal.type === "Account";
  if (precise && byItself) return { allowed: true, reason: "key policy allows", statement: precise };
  const named = precise ?? included;
  if (closed === undefined) {
    if (named && byItself) return { allowed: true, reason: "key policy allows", statement: named };
    const statement = named ?? delegated;
    const reason = named
      ? "key policy and identity policy allow"
      : "key policy delegates and identity policy allows";
    if (statement && permitted) return { allowed: true, reason, statement, identityStatement: permitted };
  }
  const granted = decideGrants(request, voices);
  if (granted !== undefined) return granted;
  if (named === undefined && delegated === undefined) return unnamed;
  const enough = permitted !== undefined || (named !== undefined && byItself);
  return enough && closed !== undefined ? closed : unpermitted;
}

/** A grantee needs nothing beside the grant, of whatever account it is; an account that is a grantee decides on. */
function decideGrants(request: AccessRequest, { permitted, closed }: Voices): Decision | undefined {
  const { grants } = request;
  if (grants === undefined || grants.size === 0) return undefined;
  let grant = grants.find(request, "precisely");
  if (grant === undefined && closed === undefined) grant = grants.find(request, "among others");
  if (grant !== undefined) return { allowed: true, reason: "grant allows", grant };
  if (permitted === undefined || closed !== undefined) return undefined;
  grant = grants.find(request, "through its account");
  return grant && delegatedBy(grant, permitted);
}

function delegatedBy(grant: Grant, identityStatement: Statement): Decision {
  const reason = "grant delegates and identity policy allows";
  return { allowed: true, reason, grant, identityStatement };
}

/**
 * The retiring principal, the grantee where the grant says so, and the account in which the grant was made; an
 * account stands for its root and for whom its identity policies allow. Key policies can only deny.
 */
function decideRetiring({ principal }: AccessRequest, grant: Grant, voices: Voices): Decision {
  const parties = [grant.retiringPrincipal ?? "", grant.issuingAccount];
  if (grant.operations.includes("RetireGrant")) parties.push(grant.granteePrincipal);
  const reaches = parties.map((party) => reachOf(party, grant, principal));
  const { permitted, closed } = voices;
  if (reaches.includes("precisely")) return { allowed: true, reason: "grant allows", grant };
  const included = reaches.includes("among others");
  if (!included && !reaches.includes("through its account")) return noPart;
  if (closed !== undefined) return closed;
  if (included) return { allowed: true, reason: "grant allows", grant };
  return permitted ? delegatedBy(grant, permitted) : unpermitted;
}
