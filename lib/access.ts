import { type Decision, decide, type Reason } from "./access/decision.ts";
import type { Policy } from "./access/policy.ts";
import type { AccessRequest } from "./access/question.ts";
import { rootArn } from "./arn.ts";
import { AccessDeniedException, MalformedPolicyDocumentException } from "./errors.ts";

export type { Condition } from "./access/condition.ts";
export { byLowerCase, conditionKeys, type KeyType } from "./access/condition-keys.ts";
export { type Decision, decide, type Reason } from "./access/decision.ts";
export { type Explanation, explain } from "./access/explain.ts";
export { contextAskedBy, type Grant, GrantIndex, granteesOf } from "./access/grants.ts";
export { compilePolicy, LONGEST_POLICY, type Policy, type PolicyKind } from "./access/policy.ts";
export { type Principal, parsePrincipal } from "./access/principal.ts";
export type { AccessRequest, Context, Layer } from "./access/question.ts";
export { managedKeyPolicy, ownedKeyPolicy } from "./access/service-policies.ts";
export { type PolicyDocument, type Scenario, type ScenarioGrant, simulate } from "./access/simulate.ts";
export type { Statement } from "./access/statement.ts";

/** What the caller is told: AWS's words, which name the kind of policy and nothing of its content. */
export function accessDenied(request: AccessRequest, decision: Decision): AccessDeniedException {
  const { principal, action, resource } = request;
  return new AccessDeniedException(
    `User: ${principal.arn} is not authorized to perform: ${action} on resource: ${resource} ${ending(decision.reason, action)}`,
  );
}

/** What AWS calls the kinds of policies when it refuses. */
const kinds = {
  "key policy": "resource-based policy",
  "identity policy": "identity-based policy",
  "service control policy": "service control policy",
  "permissions boundary": "permissions boundary",
  "session policy": "session policy",
} as const;

function ending(reason: Reason, action: string): string {
  for (const [place, kind] of Object.entries(kinds)) {
    if (reason === `${place} denies`)
      return `with an explicit deny in ${kind.startsWith("identity") ? "an" : "a"} ${kind}`;
    if (reason === `no ${place} statement allows`) return `because no ${kind} allows the ${action} action`;
  }
  const kind = reason === "not across accounts" ? kinds["key policy"] : kinds["identity policy"];
  return `because no ${kind} allows the ${action} action`;
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

/**
 * Throws unless the caller could change the policy again once it holds, in the same circumstances. Grants do not count:
 * none allows that.
 */
export function lockoutCheck(request: Omit<AccessRequest, "action"> & { keyPolicy: Policy }): void {
  const { principal, account, resource, keyPolicy, identityPolicies, layers } = request;
  const context: AccessRequest["context"] = (key) => request.context?.(key);
  const policies = { keyPolicy, identityPolicies, layers };
  const question = { principal, account, resource, action: "kms:PutKeyPolicy", ...policies, context };
  if (!decide(question).allowed)
    throw new MalformedPolicyDocumentException(
      "The new key policy will not allow you to update the key policy in the future.",
    );
}
