import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  type AccessRequest,
  accessDenied,
  compilePolicy,
  conditionKeys,
  decide,
  explain,
  GrantIndex,
  type Layer,
  type PolicyKind,
  parsePrincipal,
} from "../lib/access.ts";
import { MalformedPolicyDocumentException } from "../lib/errors.ts";
import { type NaiveGrant, type NaivePolicy, naiveDecide } from "./naive-access.ts";

/**
 * The cases of `access-cases/`, a file for each family of rules. There are three forms: a request with its policies, by
 * name, and what decides; a Condition and whether it holds, asked in an Allow and in a Deny; and a policy that is
 * refused. Account and key are those below unless a case says otherwise.
 */
const ACCOUNT = "111122223333";
const KEY = `arn:aws:kms:us-east-1:${ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab`;

interface Caller {
  what: string;
  principal?: string;
  /** The ARN of the role behind a session. */
  role?: string;
  tags?: Record<string, string>;
  context?: Record<string, string[]>;
}
interface RequestCase extends Caller {
  principal: string;
  action: string;
  resource?: string;
  keyPolicy?: string;
  identityPolicies?: string[];
  layers?: { kind: Layer["kind"]; policies: string[] }[];
  grants?: NaiveGrant[];
  encryptionContext?: Record<string, string>;
  granting?: Pick<NaiveGrant, "operations" | "constraints">;
  retiring?: NaiveGrant;
  allowed: boolean;
  reason: string;
  /** The Sid of the statement that decides, or the id of the grant. */
  by?: string;
  /** The end of what the caller is told. */
  told?: string;
}
interface ConditionCase extends Caller {
  condition: object;
  version?: string | null;
  holds: boolean | { Allow: boolean; Deny: boolean };
}
interface MalformedCase {
  what: string;
  kind: PolicyKind;
  policy: object;
  message: string;
}
type Case = RequestCase | ConditionCase | MalformedCase;
interface Family {
  about: string;
  policies?: Record<string, NaivePolicy>;
  cases: Case[];
}

const folder = join(import.meta.dirname, "access-cases");
const families = readdirSync(folder).map((file) => {
  const family: Family = JSON.parse(readFileSync(join(folder, file), "utf8"));
  return [file.replace(/\.json$/, ""), family] as const;
});

const compile = (policy: unknown, kind: PolicyKind) => compilePolicy(JSON.stringify(policy), kind);

function named({ policies = {} }: Family, name: string): NaivePolicy {
  const policy = policies[name];
  if (policy === undefined) throw new Error(`there is no policy '${name}'`);
  return policy;
}

function callerOf({ principal = `arn:aws:iam::${ACCOUNT}:user/bob`, role, tags }: Caller) {
  const found = parsePrincipal(principal);
  if (found === undefined) throw new Error(`no principal: ${principal}`);
  return { ...found, roleArn: role, tags };
}

const lowered = (context: Caller["context"] = {}) =>
  Object.fromEntries(Object.entries(context).map(([key, values]) => [key.toLowerCase(), values]));

function checkRequest(family: Family, row: RequestCase): void {
  const { action, resource = KEY, encryptionContext, granting, retiring, grants = [] } = row;
  const context = lowered(row.context);
  const plain = {
    keyPolicy: row.keyPolicy === undefined ? undefined : named(family, row.keyPolicy),
    identityPolicies: (row.identityPolicies ?? []).map((name) => named(family, name)),
    layers: (row.layers ?? []).map(({ kind, policies }) => ({
      kind,
      policies: policies.map((name) => named(family, name)),
    })),
  };
  const rest = { action, resource, account: ACCOUNT, encryptionContext, granting, retiring };
  const request: AccessRequest = {
    ...rest,
    principal: callerOf(row),
    keyPolicy: plain.keyPolicy && compile(plain.keyPolicy, "key"),
    identityPolicies: plain.identityPolicies.map((policy) => compile(policy, "identity")),
    layers: plain.layers.map(({ kind, policies }) => ({
      kind,
      policies: policies.map((policy) => compile(policy, "identity")),
    })),
    grants: new GrantIndex(grants),
    context: (key) => context[key],
  };
  const decision = decide(request);
  expect({
    allowed: decision.allowed,
    reason: decision.reason,
    by: decision.grant?.grantId ?? decision.statement?.sid,
  }).toEqual({ allowed: row.allowed, reason: row.reason, by: row.by });
  expect(naiveDecide({ ...rest, ...plain, principal: callerOf(row), grants, context })).toBe(row.allowed);

  const explanation = explain(request);
  expect(explanation).toMatchObject({ allowed: row.allowed, reason: row.reason });
  expect(explanation.grantId ?? explanation.statement?.sid ?? undefined).toBe(row.by);
  expect(explanation.wouldAllow.length > 0).toBe(!row.allowed);
  expect(JSON.parse(JSON.stringify(explanation))).toEqual(explanation);

  const { name, message } = accessDenied(request, decision);
  expect(name).toBe("AccessDeniedException");
  const told = `User: ${row.principal} is not authorized to perform: ${action} on resource: ${resource} `;
  expect(message.slice(0, told.length)).toBe(told);
  if (row.told !== undefined) expect(message.slice(told.length)).toBe(row.told);
}

function checkCondition({ condition, holds, version = "2012-10-17", ...row }: ConditionCase): void {
  const context = lowered(row.context);
  const principal = callerOf(row);
  const about = { principal, action: "kms:Encrypt", resource: KEY, account: ACCOUNT };
  const statement = { Principal: "*", Action: "*", Resource: "*" } as const;
  const Version = version ?? undefined;
  const allowing = { ...statement, Effect: "Allow" } as const;
  const conditioned = { ...statement, Sid: "asked", Condition: condition as Record<string, never> };
  // Everyone is let in by identity as well, so that other accounts' callers show what the condition says.
  const everything: NaivePolicy = { Statement: { Effect: "Allow", Action: "*", Resource: "*" } };
  const ask = (policy: NaivePolicy) => {
    const keyPolicy = compile(policy, "key");
    const identityPolicies = [compile(everything, "identity")];
    const request = { ...about, keyPolicy, identityPolicies, context: (key: string) => context[key] };
    const { allowed } = decide(request);
    const naive = {
      ...about,
      keyPolicy: policy,
      identityPolicies: [everything],
      layers: [],
      grants: [],
      context,
    };
    expect(naiveDecide(naive)).toBe(allowed);
    const examined = explain(request).statements.find(({ sid }) => sid === "asked");
    expect(examined?.applies).toBe(examined?.conditions.every((one) => one.holds));
    expect(examined?.effect === "Allow" ? examined.applies : !examined?.applies).toBe(allowed);
    return allowed;
  };
  const wanted = typeof holds === "boolean" ? { Allow: holds, Deny: holds } : holds;
  expect({
    Allow: ask({ Version, Statement: [{ ...conditioned, Effect: "Allow" }] }),
    Deny: !ask({ Version, Statement: [allowing, { ...conditioned, Effect: "Deny" }] }),
  }).toEqual(wanted);
}

function checkMalformed({ kind, policy, message }: MalformedCase): void {
  const refused = () => compile(policy, kind);
  expect(refused).toThrow(MalformedPolicyDocumentException);
  expect(refused).toThrow(expect.objectContaining({ message }));
}

describe.each(families)("%s", (_, family) => {
  it.each(family.cases.map((row) => [row.what, row] as const))("%s", (_what, row) => {
    if ("message" in row) checkMalformed(row);
    else if ("condition" in row) checkCondition(row);
    else checkRequest(family, row);
  });

  it("uses each of its policies, and says nothing twice", () => {
    const used = new Set<string>();
    for (const row of family.cases) {
      if (!("allowed" in row)) continue;
      for (const name of [row.keyPolicy, ...(row.identityPolicies ?? [])]) if (name) used.add(name);
      for (const { policies } of row.layers ?? []) for (const name of policies) used.add(name);
    }
    expect(Object.keys(family.policies ?? {}).filter((name) => !used.has(name))).toEqual([]);
    const titles = family.cases.map(({ what }) => what);
    expect(titles.filter((what, i) => titles.indexOf(what) !== i)).toEqual([]);
  });
});

describe("the cases", () => {
  const all = families.flatMap(([, { cases }]) => cases);
  const text = JSON.stringify(all);

  it("are several hundred", () => {
    expect(all.length).toBeGreaterThan(600);
  });

  it("have each condition key", () => {
    const missing = Object.keys(conditionKeys).filter(
      (key) => !text.includes(`"${key}`) && !text.includes(`{${key}`),
    );
    expect(missing).toEqual([
      "aws:CalledVia",
      "aws:PrincipalOrgPaths",
      "aws:PrincipalServiceNamesList",
      "aws:ResourceOrgPaths",
    ]);
  });

  it("have each reason", () => {
    const reasons = new Set(all.flatMap((row) => ("reason" in row ? [row.reason] : [])));
    expect([...reasons].sort()).toEqual(
      [
        "key policy allows",
        "key policy delegates and identity policy allows",
        "key policy and identity policy allow",
        "identity policy allows",
        "account root",
        "grant allows",
        "grant delegates and identity policy allows",
        "no part in the grant",
        "not across accounts",
        ...[
          "key policy",
          "identity policy",
          "service control policy",
          "permissions boundary",
          "session policy",
        ].flatMap((place) => [`${place} denies`, `no ${place} statement allows`]),
      ].sort(),
    );
  });
});
