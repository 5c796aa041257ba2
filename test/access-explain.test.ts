import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Scenario, simulate } from "../lib/access.ts";
import { MalformedPolicyDocumentException, ValidationException } from "../lib/errors.ts";

const ACCOUNT = "111122223333";
const KEY = `arn:aws:kms:us-east-1:${ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab`;
const BOB = `arn:aws:iam::${ACCOUNT}:user/bob`;
const APP = `arn:aws:iam::${ACCOUNT}:role/team/app`;

const statement = (more: object) => ({ Effect: "Allow", Action: "kms:*", Resource: "*", ...more });
const root = statement({ Sid: "root", Principal: { AWS: ACCOUNT } });
const policy = (...statements: object[]) => ({ Version: "2012-10-17", Statement: statements });
const ask = (more: Partial<Scenario>) =>
  simulate({ principal: BOB, action: "kms:Encrypt", resource: KEY, keyPolicy: policy(root), ...more });

describe("an explanation", () => {
  it("names what decided, and what each condition saw", () => {
    const aliased = statement({
      Sid: "Aliased",
      Condition: { "ForAnyValue:StringLike": { "kms:ResourceAliases": ["alias/app/*"] } },
    });
    const found = ask({
      identityPolicies: [policy(aliased)],
      context: { "kms:ResourceAliases": ["alias/app/x"] },
    });
    const ours = { place: "identity policy", policy: "identityPolicies[0]", index: 0, sid: "Aliased" };
    expect(found).toEqual({
      allowed: true,
      reason: "key policy delegates and identity policy allows",
      statement: { place: "key policy", policy: "keyPolicy", index: 0, sid: "root" },
      identityStatement: ours,
      grantId: null,
      statements: [
        {
          place: "key policy",
          policy: "keyPolicy",
          index: 0,
          sid: "root",
          effect: "Allow",
          principal: "through its account",
          action: true,
          resource: true,
          conditions: [],
          applies: true,
        },
        {
          ...ours,
          effect: "Allow",
          principal: "its own",
          action: true,
          resource: true,
          conditions: [
            {
              operator: "ForAnyValue:StringLike",
              key: "kms:ResourceAliases",
              values: ["alias/app/*"],
              seen: ["alias/app/x"],
              holds: true,
            },
          ],
          applies: true,
        },
      ],
      grants: [],
      wouldAllow: [],
    });
  });

  it("says which conditions a statement failed by, and what else would allow", () => {
    const tagged = statement({
      Sid: "Tagged",
      Condition: {
        StringEquals: { "aws:ResourceTag/team": "red" },
        Bool: { "aws:SecureTransport": true },
        Null: { "kms:ViaService": "true" },
      },
    });
    const elsewhere = statement({ Sid: "Elsewhere", Action: "s3:*" });
    const found = ask({
      identityPolicies: [policy(elsewhere), policy(tagged)],
      context: { "aws:ResourceTag/team": "blue" },
    });
    expect(found).toMatchObject({
      allowed: false,
      reason: "no identity policy statement allows",
      statement: null,
    });
    expect(found.wouldAllow).toEqual([
      {
        place: "identity policy",
        statement: { place: "identity policy", policy: "identityPolicies[1]", index: 0, sid: "Tagged" },
        what:
          'its conditions would have to hold (StringEquals aws:ResourceTag/team ["red"]: the request has ["blue"]; ' +
          'Bool aws:SecureTransport ["true"]: the request lacks it)',
      },
      {
        place: "identity policy",
        statement: null,
        what: `a statement would have to allow kms:Encrypt on ${KEY}`,
      },
      {
        place: "grant",
        statement: null,
        what: `a grant to ${BOB} would have to allow Encrypt as it was asked for`,
      },
    ]);
  });

  it("names each Deny that would have to go", () => {
    const never = (Sid: string) => statement({ Sid, Effect: "Deny", Action: "kms:E*" });
    const found = ask({
      keyPolicy: policy(root, { ...never("key"), Principal: "*" }),
      identityPolicies: [policy(never("Own"))],
      layers: [{ kind: "permissions boundary", policies: [policy(never("Bound"))] }],
    });
    expect(found).toMatchObject({ allowed: false, reason: "key policy denies", statement: { sid: "key" } });
    expect(found.wouldAllow.map(({ place, statement }) => [place, statement?.sid])).toEqual([
      ["key policy", "key"],
      ["identity policy", "Own"],
      ["permissions boundary", "Bound"],
    ]);
  });

  it("says what a key policy would have to allow to whom", () => {
    const found = ask({ principal: "backup.amazonaws.com", action: "kms:EnableKey" });
    expect(found.wouldAllow).toEqual([
      {
        place: "key policy",
        statement: null,
        what: `a statement would have to allow kms:EnableKey on ${KEY} to backup.amazonaws.com`,
      },
    ]);
  });

  it("says what a layer would have to allow", () => {
    const reading = policy(statement({ Action: "kms:Get*" }));
    const found = ask({
      identityPolicies: [policy(statement({}))],
      layers: [{ kind: "session policy", policies: [reading] }],
    });
    expect(found.wouldAllow).toEqual([
      {
        place: "session policy",
        statement: null,
        what: `a statement would have to allow kms:Encrypt on ${KEY}`,
      },
    ]);
  });

  it("lists the grants that name the caller, and what they lack", () => {
    const grant = (grantId: string, more: object) => ({
      ...{ grantId, granteePrincipal: APP, operations: ["Encrypt"] },
      ...more,
    });
    const found = ask({
      principal: `arn:aws:sts::${ACCOUNT}:assumed-role/app/s-1`,
      encryptionContext: { team: "red" },
      grants: [
        grant("other", { granteePrincipal: BOB }),
        grant("decrypt", { operations: ["Decrypt"] }),
        grant("blue", { constraints: { EncryptionContextSubset: { team: "blue" } } }),
        grant("red", { constraints: { EncryptionContextEquals: { team: "red" } } }),
      ],
    });
    const grantee = "among others";
    expect(found).toMatchObject({ allowed: true, reason: "grant allows", grantId: "red" });
    expect(found.grants).toEqual([
      { grantId: "decrypt", grantee, operation: false, constraints: true, applies: false },
      { grantId: "blue", grantee, operation: true, constraints: false, applies: false },
      { grantId: "red", grantee, operation: true, constraints: true, applies: true },
    ]);
  });

  it("says who could retire a grant", () => {
    const found = ask({
      action: "kms:RetireGrant",
      principal: `arn:aws:iam::444455556666:user/eve`,
      retiring: { granteePrincipal: APP, operations: [] },
    });
    expect(found).toMatchObject({ allowed: false, reason: "no part in the grant" });
    expect(found.wouldAllow).toMatchObject([{ place: "grant", statement: null }]);
  });
});

describe("a simulation", () => {
  it("fills in what follows from the encryption context", () => {
    const Condition = {
      StringEquals: { "kms:EncryptionContext:TEAM": "red" },
      "ForAllValues:StringEquals": { "kms:EncryptionContextKeys": "Team" },
    };
    const identityPolicies = [policy(statement({ Condition }))];
    expect(ask({ identityPolicies, encryptionContext: { Team: "red" } }).allowed).toBe(true);
    expect(ask({ identityPolicies, encryptionContext: { team: "red" } }).allowed).toBe(false);
    expect(ask({ identityPolicies }).allowed).toBe(false);
  });

  it("takes policies as texts, values as they are, and the caller's account where there is no resource", () => {
    const Condition = { NumericLessThan: { "kms:RotationPeriodInDays": 100 } };
    const text = JSON.stringify(policy(statement({ Condition })));
    const about = { principal: BOB, action: "kms:CreateKey", identityPolicies: [text] };
    expect(simulate({ ...about, context: { "kms:rotationperiodindays": 90 } }).reason).toBe(
      "identity policy allows",
    );
    expect(simulate({ principal: `arn:aws:iam::${ACCOUNT}:root`, action: "kms:CreateKey" }).reason).toBe(
      "account root",
    );
  });

  it.each<[Record<string, unknown>, string]>([
    [{ prinicpal: BOB }, "prinicpal: is no member of a scenario"],
    [{ action: 7 }, "action: must be a string, such as kms:Encrypt"],
    [
      { principal: "bob" },
      'principal: "bob" is not the ARN of a root, user, role or session, nor the name of a service',
    ],
    [{ role: BOB }, "role: must be the ARN of a role"],
    [{ tags: { a: 1 } }, "tags: must map texts to texts"],
    [{ resource: "key/1" }, 'resource: "key/1" is neither "*" nor the ARN of a key or alias'],
    [{ encryptionContext: [] }, "encryptionContext: must map texts to texts"],
    [{ context: "x" }, "context: must map condition keys to values"],
    [{ identityPolicies: {} }, "identityPolicies: must be a list"],
    [
      { layers: [{ kind: "boundary", policies: [] }] },
      "layers[0].kind: must be one of service control policy, permissions boundary, session policy",
    ],
    [{ grants: [{ granteePrincipal: APP }] }, "grants[0].operations: must be a list of texts"],
    [{ grants: [{ operations: [] }] }, "grants[0].granteePrincipal: must be a string"],
    [{ granting: { operations: [7] } }, "granting.operations: must be a list of texts"],
    [{ keyPolicy: { Statement: [] } }, "keyPolicy: Statement: there must be at least one statement"],
    [{ identityPolicies: [policy(statement({})), "{"] }, "identityPolicies[1]: the policy: is not JSON: "],
  ])("refuses %j", (wrong, message) => {
    const refused = () => ask(wrong as Partial<Scenario>);
    expect(refused).toThrow();
    try {
      refused();
    } catch (error) {
      expect((error as Error).message.slice(0, message.length)).toBe(message);
      expect(error).toBeInstanceOf(
        /Policies|keyPolicy/.test(message) && !message.endsWith("list")
          ? MalformedPolicyDocumentException
          : ValidationException,
      );
    }
  });

  it("fails in no other way, whatever it is given", () => {
    const names = [
      ...[
        "principal",
        "role",
        "tags",
        "action",
        "resource",
        "keyPolicy",
        "identityPolicies",
        "layers",
        "grants",
      ],
      ...["context", "encryptionContext", "granting", "retiring"],
    ];
    const anything = fc.anything({
      maxDepth: 2,
      withNullPrototype: true,
      withBigInt: true,
      withDate: true,
      withMap: true,
    });
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...names), anything, { maxKeys: 3 }), (wrong) => {
        try {
          expect(typeof ask(wrong as Partial<Scenario>).allowed).toBe("boolean");
        } catch (error) {
          if (!(error instanceof MalformedPolicyDocumentException))
            expect(error).toBeInstanceOf(ValidationException);
        }
      }),
      { numRuns: 5000 },
    );
  });
});
