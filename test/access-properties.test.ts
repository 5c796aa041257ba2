import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type AccessRequest,
  compilePolicy,
  decide,
  explain,
  GrantIndex,
  type Layer,
  type PolicyKind,
  parsePrincipal,
} from "../lib/access.ts";
import {
  type NaiveGrant,
  type NaivePolicy,
  type NaiveRequest,
  type NaiveStatement,
  naiveDecide,
} from "./naive-access.ts";

/** What must be so of every decision, whatever the policies: tried on random ones, which meet the requests often. */
const ACCOUNT = "111122223333";
const OTHER = "444455556666";
const KEY = `arn:aws:kms:us-east-1:${ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab`;
const ALIAS = `arn:aws:kms:us-east-1:${ACCOUNT}:alias/bob/orders`;

const people = [
  `arn:aws:iam::${ACCOUNT}:root`,
  `arn:aws:iam::${ACCOUNT}:user/bob`,
  `arn:aws:iam::${ACCOUNT}:role/team/app`,
  `arn:aws:iam::${ACCOUNT}:role/app`,
  `arn:aws:sts::${ACCOUNT}:assumed-role/app/s-1`,
  `arn:aws:sts::${ACCOUNT}:federated-user/fred`,
  `arn:aws:iam::${OTHER}:root`,
  `arn:aws:iam::${OTHER}:role/app`,
  "backup.amazonaws.com",
];
const sometimes = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const some = <T>(values: readonly T[], maxLength = 3) =>
  fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength });

const principal = fc
  .record({
    arn: fc.constantFrom(...people),
    path: fc.constantFrom(undefined, "role/team/app", "role/app"),
    tags: sometimes(
      fc.dictionary(fc.constantFrom("team", "Team", "app"), fc.constantFrom("red", "blue", "")),
    ),
  })
  .map(({ arn, path, tags }) => {
    const session = arn.includes(":assumed-role/");
    return { arn, roleArn: session && path ? `arn:aws:iam::${ACCOUNT}:${path}` : undefined, tags };
  });

// Policies.

const texts = ["red", "blue", "RED", "r*", "?ed", "*", ""];
const templates = [
  "\u0024{aws:PrincipalTag/team}",
  "\u0024{aws:username}",
  "r\u0024{*}",
  "\u0024{aws:PrincipalTag/app, 'red'}",
];
const arns = ["arn:aws:s3:::a", "arn:aws:s3:::*", "arn:aws:*:::a", "arn:aws:s3:::\u0024{aws:username}", "*"];
const numbers = ["1", "2", "2.0", "-1", "90"];
const dates = ["2026-01-01T00:00:00Z", "2026", "1767225600", "2026-01-01T01:00:00+01:00", "2027-06"];
const addresses = ["10.0.0.0/8", "10.1.2.3", "::/0", "2001:db8::/32", "::ffff:10.0.0.0/104"];
const byFamily: readonly [operators: readonly string[], values: readonly string[]][] = [
  [
    [
      ...["StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"],
      ...["StringLike", "StringNotLike"],
    ],
    [...texts, ...templates],
  ],
  [["ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"], arns],
  [["NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericGreaterThanEquals"], numbers],
  [["DateEquals", "DateNotEquals", "DateLessThanEquals", "DateGreaterThan"], dates],
  [["Bool"], ["true", "false", "TRUE"]],
  [["IpAddress", "NotIpAddress"], addresses],
  [["BinaryEquals"], ["AA==", "AQ=="]],
];
const keys = [
  ...["aws:UserAgent", "kms:ViaService", "aws:TagKeys", "aws:PrincipalTag/team", "aws:PrincipalType"],
  ...["AWS:useragent", "kms:CallerAccount", "aws:PrincipalArn"],
];
const quantified = fc.constantFrom("", "", "", "ForAllValues:", "ForAnyValue:");
const compared = fc
  .constantFrom(...byFamily)
  .chain(([operators, values]) =>
    fc
      .tuple(quantified, fc.constantFrom(...operators), fc.constantFrom("", "", "IfExists"), some(values))
      .map(([set, operator, ifExists, list]) => [`${set}${operator}${ifExists}`, list] as const),
  );
const nullness = some(["true", "false"], 2).map((list) => ["Null", list] as const);
const condition = fc
  .array(fc.tuple(fc.oneof({ weight: 8, arbitrary: compared }, nullness), fc.constantFrom(...keys)), {
    maxLength: 2,
  })
  .map((list) =>
    list.length === 0
      ? undefined
      : Object.fromEntries(list.map(([[operator, values], key]) => [operator, { [key]: values }])),
  );

const element = <N extends "Action" | "Resource">(name: N, values: readonly string[]) =>
  fc
    .tuple(fc.constantFrom(name, name, `Not${name}` as const), some(values))
    .map(([key, list]) => ({ [key]: list }) as Pick<NaiveStatement, N | `Not${N}`>);
const actions = [
  "kms:*",
  "kms:Encrypt",
  "KMS:decrypt",
  "kms:*crypt",
  "*",
  "kms:CreateGrant",
  "kms:RetireGrant",
];
const resources = [
  ...["*", KEY, "arn:aws:kms:*:*:key/*", "arn:aws:kms:us-east-1:*:alias/*"],
  `arn:aws:kms:us-east-1:${ACCOUNT}:alias/\u0024{aws:username}/*`,
];
const effect = fc.constantFrom("Allow" as const, "Allow" as const, "Deny" as const);
const body = (effects: fc.Arbitrary<"Allow" | "Deny">): fc.Arbitrary<NaiveStatement> =>
  fc
    .tuple(effects, element("Action", actions), element("Resource", resources), condition)
    .map(([Effect, action, resource, Condition]) => ({ Effect, ...action, ...resource, Condition }));

const group = (arn: string) => (arn.startsWith("arn:") ? { AWS: arn } : { Service: arn });
const Principal = fc.oneof(
  fc.constantFrom("*" as const, { AWS: ["*"] }, { AWS: ACCOUNT }, ...people.map(group)),
  some(people.filter((arn) => arn.startsWith("arn:"))).map((AWS) => ({ AWS })),
);
const inKey = (effects: fc.Arbitrary<"Allow" | "Deny">): fc.Arbitrary<NaiveStatement> =>
  fc
    .tuple(body(effects), Principal, fc.nat(5))
    .map(([rest, who, turn]) =>
      rest.Effect === "Deny" && turn === 0 ? { ...rest, NotPrincipal: who } : { ...rest, Principal: who },
    );
const Version = fc.constantFrom("2012-10-17", "2012-10-17", undefined);
const policyOf = (statement: fc.Arbitrary<NaiveStatement>, maxLength: number): fc.Arbitrary<NaivePolicy> =>
  fc.record({ Version, Statement: fc.array(statement, { minLength: 1, maxLength }) });
const identityPolicy = policyOf(body(effect), 2);

// Grants and requests.

const pairs = fc.dictionary(fc.constantFrom("team", "Team", "app"), fc.constantFrom("red", "blue"), {
  maxKeys: 2,
});
const operations = some(["Encrypt", "Decrypt", "CreateGrant", "RetireGrant", "DescribeKey"]);
const constraints = fc.oneof(
  fc.constant(null),
  pairs.map((EncryptionContextSubset) => ({ EncryptionContextSubset })),
  pairs.map((EncryptionContextEquals) => ({ EncryptionContextEquals })),
);
const grant: fc.Arbitrary<NaiveGrant> = fc.record({
  grantId: fc.uuid(),
  granteePrincipal: fc.constantFrom(...people, ACCOUNT),
  retiringPrincipal: fc.constantFrom(null, ...people),
  issuingAccount: fc.constantFrom(ACCOUNT, OTHER),
  operations,
  constraints,
});
const kinds: readonly Layer["kind"][] = ["service control policy", "permissions boundary", "session policy"];
const layer = fc.record({
  kind: fc.constantFrom(...kinds),
  policies: fc.array(identityPolicy, { minLength: 1, maxLength: 2 }),
});
const one = (...values: string[]) => fc.constantFrom(...values).map((value) => [value]);
const context = fc
  .record(
    {
      "aws:useragent": one("red", "blue", "", "AA==", "true"),
      "kms:viaservice": one("10.1.2.3", "2001:db8::1", "1", "2026-01-01T00:00:00Z", "arn:aws:s3:::a"),
      "aws:tagkeys": fc.array(fc.constantFrom("red", "blue", "2", "true", "10.9.9.9"), { maxLength: 3 }),
    },
    { requiredKeys: [] },
  )
  .map((values): Record<string, string[]> => ({ ...values }));

const request: fc.Arbitrary<NaiveRequest> = fc
  .record({
    principal,
    action: fc.constantFrom(
      "kms:Encrypt",
      "kms:Decrypt",
      "kms:CreateGrant",
      "kms:RetireGrant",
      "kms:PutKeyPolicy",
    ),
    resource: fc.constantFrom(KEY, KEY, KEY, ALIAS, "*"),
    account: fc.constant(ACCOUNT),
    keyPolicy: policyOf(inKey(effect), 4),
    identityPolicies: fc.array(identityPolicy, { maxLength: 2 }),
    layers: fc.oneof(
      { weight: 3, arbitrary: fc.array(layer, { maxLength: 0 }) },
      fc.array(layer, { maxLength: 2 }),
    ),
    grants: fc.array(grant, { maxLength: 4 }),
    context,
    encryptionContext: sometimes(pairs),
    granting: sometimes(fc.record({ operations, constraints })),
    retiring: grant,
  })
  .map(({ keyPolicy, grants, retiring, ...rest }) => ({
    ...rest,
    keyPolicy: rest.resource === KEY ? keyPolicy : undefined,
    grants: rest.resource === KEY ? grants : [],
    retiring: rest.action === "kms:RetireGrant" ? retiring : undefined,
  }));

const compile = (policy: NaivePolicy, kind: PolicyKind) => compilePolicy(JSON.stringify(policy), kind);

function compiled(plain: NaiveRequest): AccessRequest {
  const found = parsePrincipal(plain.principal.arn);
  if (found === undefined) throw new Error(`no principal: ${plain.principal.arn}`);
  return {
    ...plain,
    principal: { ...found, ...plain.principal },
    keyPolicy: plain.keyPolicy && compile(plain.keyPolicy, "key"),
    identityPolicies: plain.identityPolicies.map((policy) => compile(policy, "identity")),
    layers: plain.layers.map(({ kind, policies }) => ({
      kind: kind as Layer["kind"],
      policies: policies.map((policy) => compile(policy, "identity")),
    })),
    grants: new GrantIndex(plain.grants),
    context: (key) => plain.context[key],
  };
}
const ask = (plain: NaiveRequest) => decide(compiled(plain));
const allowed = (plain: NaiveRequest) => ask(plain).allowed;

const listOf = (policy: NaivePolicy | undefined) => [policy?.Statement ?? []].flat();
/** The request with one more statement in its key policy, at a place. */
function withStatement(plain: NaiveRequest, statement: NaiveStatement, place: number): NaiveRequest {
  const list = listOf(plain.keyPolicy);
  const Statement = list.toSpliced(place % (list.length + 1), 0, statement);
  return { ...plain, keyPolicy: { ...plain.keyPolicy, Statement } };
}
const onKey = request.filter(({ resource }) => resource === KEY);
const runs = { numRuns: 2000 };

describe("whatever the policies", () => {
  it("the naive evaluator agrees", () => {
    let granted = 0;
    let asked = 0;
    fc.assert(
      fc.property(request, (plain) => {
        const { allowed, reason } = ask(plain);
        asked++;
        if (allowed) granted++;
        expect({ allowed, reason }).toEqual({ allowed: naiveDecide(plain), reason });
      }),
      { numRuns: 20_000 },
    );
    // Random requests that are all refused, or all allowed, would prove nothing.
    expect(granted / asked).toBeGreaterThan(0.1);
    expect(granted / asked).toBeLessThan(0.9);
  });

  it("a Deny that takes in the request wins, wherever it stands", () => {
    const deny = { Effect: "Deny", Action: "*", Resource: "*" } as const;
    fc.assert(
      fc.property(request, fc.nat(), (plain, place) => {
        if (plain.keyPolicy)
          expect(allowed(withStatement(plain, { ...deny, Principal: "*" }, place))).toBe(false);
        const denying = { Statement: [deny] };
        expect(allowed({ ...plain, identityPolicies: [...plain.identityPolicies, denying] })).toBe(false);
        for (const kind of kinds)
          expect(allowed({ ...plain, layers: [...plain.layers, { kind, policies: [denying] }] })).toBe(false);
      }),
      runs,
    );
  });

  it("one more Allow never takes away", () => {
    const allow = fc.constant("Allow" as const);
    fc.assert(
      fc.property(request, inKey(allow), body(allow), fc.nat(), (plain, more, own, place) => {
        if (!allowed(plain)) return;
        if (plain.keyPolicy) expect(allowed(withStatement(plain, more, place))).toBe(true);
        const identityPolicies = [...plain.identityPolicies, { Version: "2012-10-17", Statement: own }];
        expect(allowed({ ...plain, identityPolicies })).toBe(true);
      }),
      runs,
    );
  });

  it("one more Deny never gives", () => {
    const deny = fc.constant("Deny" as const);
    fc.assert(
      fc.property(request, inKey(deny), body(deny), fc.nat(), (plain, more, own, place) => {
        if (allowed(plain)) return;
        if (plain.keyPolicy) expect(allowed(withStatement(plain, more, place))).toBe(false);
        const identityPolicies = [...plain.identityPolicies, { Version: "2012-10-17", Statement: own }];
        expect(allowed({ ...plain, identityPolicies })).toBe(false);
      }),
      runs,
    );
  });

  it("one more layer never gives", () => {
    fc.assert(
      fc.property(request, layer, (plain, more) => {
        if (!allowed(plain)) expect(allowed({ ...plain, layers: [...plain.layers, more] })).toBe(false);
      }),
      runs,
    );
  });

  it("the order of statements, policies, layers and grants does not matter", () => {
    const turned = <T>(list: readonly T[], by: number) => {
      const at = by % Math.max(1, list.length);
      return [...list.slice(at), ...list.slice(0, at)].toReversed();
    };
    fc.assert(
      fc.property(request, fc.nat(), (plain, by) => {
        const { keyPolicy } = plain;
        const other = {
          ...plain,
          keyPolicy: keyPolicy && { ...keyPolicy, Statement: turned(listOf(keyPolicy), by) },
          identityPolicies: turned(plain.identityPolicies, by).map((policy) => ({
            ...policy,
            Statement: turned(listOf(policy), by),
          })),
          layers: turned(plain.layers, by),
          grants: turned(plain.grants, by),
        };
        expect(allowed(other)).toBe(allowed(plain));
      }),
      runs,
    );
  });

  it("without an Allow in the key policy or a grant nobody has a key", () => {
    fc.assert(
      fc.property(onKey, policyOf(inKey(fc.constant("Deny")), 3), (plain, keyPolicy) => {
        expect(allowed({ ...plain, keyPolicy, grants: [], retiring: undefined })).toBe(false);
      }),
      runs,
    );
  });

  it("a grant never exceeds its operations and constraints, nor whom it is to", () => {
    let granted = 0;
    fc.assert(
      fc.property(onKey, fc.array(grant, { minLength: 1, maxLength: 30 }), (plain, grants) => {
        const about = { ...plain, retiring: undefined, keyPolicy: { Statement: [neverAllows] }, grants };
        const { allowed, grant } = ask(about);
        if (!allowed) return;
        granted++;
        const operation = plain.action.slice("kms:".length);
        expect(grant?.operations).toContain(operation);
        const { EncryptionContextEquals: equal, EncryptionContextSubset: subset } = grant?.constraints ?? {};
        if (operation === "Encrypt" || operation === "Decrypt") {
          const given = plain.encryptionContext ?? {};
          if (equal) expect(given).toEqual(equal);
          if (subset) expect(given).toMatchObject(subset);
        }
        if (operation === "CreateGrant")
          expect(grant?.operations).toEqual(expect.arrayContaining(plain.granting?.operations ?? ["none"]));
        expect(naiveDecide({ ...about, grants: [grant as NaiveGrant] })).toBe(true);
      }),
      runs,
    );
    expect(granted).toBeGreaterThan(100);
  });

  it("an explanation says what the decision is, and how each statement comes to it", () => {
    fc.assert(
      fc.property(request, (plain) => {
        const about = compiled(plain);
        const decision = decide(about);
        const explanation = explain(about);
        const { statements, wouldAllow, statement, identityStatement, grantId } = explanation;
        expect(explanation).toMatchObject({ allowed: decision.allowed, reason: decision.reason });
        for (const { principal, action, resource, conditions, applies } of statements)
          expect(applies).toBe(
            principal !== null && action && resource && conditions.every(({ holds }) => holds),
          );
        const denied = statements.some(({ effect, applies }) => effect === "Deny" && applies);
        expect(decision.reason.endsWith(" denies")).toBe(denied);
        for (const place of [statement, identityStatement]) {
          if (place === null) continue;
          const same = statements.filter((one) => one.place === place.place && one.index === place.index);
          expect(same.some(({ applies }) => applies)).toBe(true);
        }
        expect(statement === null).toBe(decision.statement === undefined);
        expect(grantId).toBe(decision.grant?.grantId ?? null);
        expect(wouldAllow.length > 0).toBe(!decision.allowed);
      }),
      runs,
    );
  });
});

const neverAllows: NaiveStatement = {
  Effect: "Allow",
  Principal: { Service: "x.amazonaws.com" },
  Action: "kms:*",
  Resource: "*",
};
