import type { Policy, Statement } from "./access/policy.ts";
import type { Principal, Reach } from "./access/principal.ts";
import { rootArn } from "./arn.ts";
import { AccessDeniedException, MalformedPolicyDocumentException } from "./errors.ts";

export { compilePolicy, LONGEST_POLICY, type Policy, type Statement } from "./access/policy.ts";
export { type Principal, parsePrincipal } from "./access/principal.ts";

/** May this caller do this, to this, now? */
export interface AccessRequest {
  readonly principal: Principal;
  /** Such as `kms:Encrypt`. */
  readonly action: string;
  /** The ARN of a key or of an alias, or `*` for what concerns the account as a whole. */
  readonly resource: string;
  /** The account that the resource belongs to. */
  readonly account: string;
  /** The policy of the key that `resource` names. A key without one is open to nobody. */
  readonly keyPolicy?: Policy;
  /** The policies of the caller. */
  readonly identityPolicies?: readonly Policy[];
}

export interface Decision {
  readonly allowed: boolean;
  /** For the log and for administrators, not for the caller. */
  readonly reason: Reason;
  /** The statement that decided, of the policy that the reason names. */
  readonly statement?: Statement;
}

export type Reason =
  | "key policy allows"
  | "key policy delegates and identity policy allows"
  | "key policy and identity policy allow"
  | "identity policy allows"
  | "account root"
  | "key policy denies"
  | "identity policy denies"
  | "no key policy statement allows"
  | "no identity policy statement allows";

/**
 * The order of AWS: a Deny anywhere; then the key policy by itself, or together with the caller's identity policies
 * where it only delegates to the caller's account or the caller is of another account. Grants will come last, as
 * one more way to be allowed. What has no key policy (aliases, the account itself) is its account root's and
 * of those whom identity policies allow.
 */
export function decide(request: AccessRequest): Decision {
  const { principal, resource, account, keyPolicy, identityPolicies = [] } = request;
  const action = request.action.toLowerCase();
  let named: Statement | undefined;
  let delegated: Statement | undefined;
  if (keyPolicy !== undefined) {
    for (const statement of keyPolicy.statements) {
      if (named && statement.effect === "Allow") continue;
      const reach = reaches(statement, principal, action, resource);
      if (reach === undefined) continue;
      if (statement.effect === "Deny") return { allowed: false, reason: "key policy denies", statement };
      if (reach === "named") named = statement;
      else delegated ??= statement;
    }
  }
  let permitted: Statement | undefined;
  for (const policy of identityPolicies) {
    for (const statement of policy.statements) {
      if (permitted && statement.effect === "Allow") continue;
      if (!statement.action(action) || !statement.resource(resource)) continue;
      if (statement.effect === "Deny") return { allowed: false, reason: "identity policy denies", statement };
      permitted = statement;
    }
  }
  if (keyPolicy === undefined && !isKey.test(resource)) {
    if (principal.account !== account) return unnamed;
    if (principal.type === "Account") return { allowed: true, reason: "account root" };
    return permitted
      ? { allowed: true, reason: "identity policy allows", statement: permitted }
      : unpermitted;
  }
  const byItself =
    principal.account === account || principal.type === "Account" || principal.type === "Service";
  if (named && byItself) return { allowed: true, reason: "key policy allows", statement: named };
  const statement = named ?? delegated;
  if (statement === undefined) return unnamed;
  if (permitted === undefined) return unpermitted;
  const reason = named
    ? "key policy and identity policy allow"
    : "key policy delegates and identity policy allows";
  return { allowed: true, reason, statement };
}

const isKey = /^arn:aws:kms:[^:]*:[^:]*:key\//;
const unnamed: Decision = { allowed: false, reason: "no key policy statement allows" };
const unpermitted: Decision = { allowed: false, reason: "no identity policy statement allows" };

function reaches(statement: Statement, principal: Principal, action: string, resource: string): Reach {
  const reach = statement.principals?.reach(principal);
  if (reach === undefined || !statement.action(action) || !statement.resource(resource)) return undefined;
  return reach;
}

/** What the caller is told: AWS's words, which name the kind of policy and nothing of its content. */
export function accessDenied(request: AccessRequest, decision: Decision): AccessDeniedException {
  const { principal, action, resource } = request;
  return new AccessDeniedException(
    `User: ${principal.arn} is not authorized to perform: ${action} on resource: ${resource} ${ending(decision.reason, action)}`,
  );
}

function ending(reason: Reason, action: string): string {
  switch (reason) {
    case "key policy denies":
      return "with an explicit deny in a resource-based policy";
    case "identity policy denies":
      return "with an explicit deny in an identity-based policy";
    case "no key policy statement allows":
      return `because no resource-based policy allows the ${action} action`;
    default:
      return `because no identity-based policy allows the ${action} action`;
  }
}

/** The policy of a key that was made without one: it leaves the key to the account. */
export function defaultKeyPolicy(account: string): string {
  const policy = {
    Version: "2012-10-17",
    Id: "key-default-1",
    Statement: [
      {
        Sid: "Enable IAM User Permissions",
        Effect: "Allow",
        Principal: { AWS: rootArn(account) },
        Action: "kms:*",
        Resource: "*",
      },
    ],
  };
  return JSON.stringify(policy, null, 2);
}

/** Throws unless the caller could change the policy again once it holds. */
export function lockoutCheck(request: Omit<AccessRequest, "action"> & { keyPolicy: Policy }): void {
  if (!decide({ ...request, action: "kms:PutKeyPolicy" }).allowed)
    throw new MalformedPolicyDocumentException(
      "The new key policy will not allow you to update the key policy in the future.",
    );
}
