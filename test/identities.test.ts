import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { beforeAll, describe, expect, test } from "vitest";
import type { Kms } from "../lib/index.ts";
import { library } from "./child.ts";
import { ACCOUNT, newKey, openTestDeployment, refusal, type TestDeployment } from "./deployment.ts";

let deployment: TestDeployment;
let kms: Kms;
const OTHER = "444455556666";
const Plaintext = new Uint8Array([1, 2, 3]);
const user = (name: string, account = ACCOUNT) => `arn:aws:iam::${account}:user/${name}`;
const role = (name: string, account = ACCOUNT) => `arn:aws:iam::${account}:role/${name}`;

const document = (...statements: object[]) =>
  JSON.stringify({
    Version: "2012-10-17",
    Statement: statements.map((statement) => ({ Effect: "Allow", Resource: "*", ...statement })),
  });
const allow = (Action: string | string[], more: object = {}) => document({ Action, ...more });
const trusting = (...AWS: string[]) =>
  JSON.stringify({
    Version: "2012-10-17",
    Statement: { Effect: "Allow", Principal: { AWS }, Action: ["sts:AssumeRole", "sts:TagSession"] },
  });
const keyPolicy = (...statements: object[]) =>
  document({ Principal: { AWS: ACCOUNT }, Action: "kms:*" }, ...statements);

beforeAll(async () => {
  deployment = await openTestDeployment();
  ({ kms } = deployment);
});

describe("an account whose identities are kept elsewhere", () => {
  test("lets its users do what no key policy speaks for, and key policies name whom they like", async () => {
    const somebody = kms.as(user("somebody", OTHER));
    await somebody.createKey({
      Policy: document({ Principal: { AWS: [OTHER, user("nobody", OTHER)] }, Action: "kms:*" }),
      BypassPolicyLockoutSafetyCheck: true,
    });
    expect((await somebody.listKeys()).Keys).toHaveLength(1);
  });
});

describe("an account whose identities are kept here", () => {
  beforeAll(async () => {
    await kms.iam.createUser({ UserName: "ann", Tags: [{ Key: "team", Value: "orders" }] });
    await kms.iam.createUser({ UserName: "bob", Path: "/staff/" });
  });

  test("tells of them", async () => {
    const { Principal } = await kms.iam.getPrincipal({ Principal: user("ann") });
    expect(Principal).toEqual({
      Arn: user("ann"),
      PrincipalId: expect.stringMatching(/^AIDA[A-Z2-7]{17}$/),
      Type: "User",
      CreateDate: new Date(deployment.clock.now),
      Policies: {},
      Tags: [{ Key: "team", Value: "orders" }],
    });
    const pages: (string | undefined)[] = [];
    for (let Marker: string | undefined, first = true; first || Marker !== undefined; first = false) {
      const page = await kms.iam.listPrincipals({ Limit: 1, Marker });
      pages.push(...(page.Principals ?? []).map(({ Arn }) => Arn));
      Marker = page.NextMarker;
    }
    expect(pages).toEqual([`arn:aws:iam::${ACCOUNT}:root`, user("ann"), user("staff/bob")]);
  });

  test("gives a user what his policies say, from the next request on", async () => {
    const { KeyId } = await newKey(kms);
    const ann = kms.as(user("ann"));
    expect(await refusal(ann.encrypt({ KeyId, Plaintext }))).toMatch(/no identity-based policy allows/);
    expect(await refusal(ann.listKeys())).toMatch(/no identity-based policy allows the kms:ListKeys/);
    await kms.iam.putPolicy({
      Principal: user("ann"),
      PolicyName: "encrypts",
      PolicyDocument: allow("kms:Encrypt", {
        Condition: { StringEquals: { "aws:PrincipalTag/team": "orders" } },
      }),
    });
    await ann.encrypt({ KeyId, Plaintext });
    const [event] = await deployment.events(1);
    expect(event?.additionalEventData?.access).toBe(
      "key policy delegates and identity policy allows: Enable IAM User Permissions, encrypts",
    );
    await kms.iam.tagPrincipal({ Principal: user("ann"), Tags: [{ Key: "Team", Value: "billing" }] });
    expect(await refusal(ann.encrypt({ KeyId, Plaintext }))).toMatch(/no identity-based policy allows/);
    const told = kms.as(user("ann"), { tags: { team: "orders" } });
    await told.encrypt({ KeyId, Plaintext });
    await kms.iam.untagPrincipal({ Principal: user("ann"), TagKeys: ["TEAM"] });
    expect((await kms.iam.getPrincipal({ Principal: user("ann") })).Principal?.Tags).toEqual([]);
    await kms.iam.deletePolicy({ Principal: user("ann"), PolicyName: "encrypts" });
    expect(await refusal(told.encrypt({ KeyId, Plaintext }))).toMatch(/no identity-based policy allows/);
  });

  test("knows nothing of others: they may nothing by themselves, and no key policy may name them", async () => {
    const stranger = kms.as(user("zoe"));
    expect(await refusal(stranger.createKey())).toMatch(/no identity-based policy allows the kms:CreateKey/);
    const { KeyId } = await newKey(kms);
    for (const AWS of [
      user("zoe"),
      role("zoe"),
      `arn:aws:sts::${ACCOUNT}:assumed-role/zoe/session`,
      user("bob"),
    ]) {
      const Policy = keyPolicy({ Principal: { AWS }, Action: "kms:Encrypt" });
      const refused =
        "MalformedPolicyDocumentException: Policy contains a statement with one or more invalid principals.";
      expect(await refusal(kms.putKeyPolicy({ KeyId, Policy }))).toBe(refused);
      expect(await refusal(kms.createKey({ Policy }))).toBe(refused);
    }
    for (const parties of [
      { GranteePrincipal: user("zoe") },
      { GranteePrincipal: user("ann"), RetiringPrincipal: user("zoe") },
    ])
      expect(await refusal(kms.createGrant({ KeyId, Operations: ["Decrypt"], ...parties }))).toBe(
        `InvalidArnException: ARN does not refer to a valid principal: ${user("zoe")}`,
      );
    const Policy = keyPolicy({
      Principal: { AWS: [user("ann"), user("staff/bob"), user("anyone", OTHER)] },
      Action: "kms:Encrypt",
    });
    await kms.putKeyPolicy({ KeyId, Policy });
    await kms.as(user("staff/bob")).encrypt({ KeyId, Plaintext });
  });

  test("policies that kms.as is given stand in place of those that are kept", async () => {
    const { KeyId } = await newKey(kms);
    const ann = kms.as(user("ann"), { policies: [allow("kms:Encrypt")] });
    await ann.encrypt({ KeyId, Plaintext });
  });

  test("a permissions boundary narrows what policies allow", async () => {
    const Principal = user("carol");
    await kms.iam.createUser({ UserName: "carol", PermissionsBoundary: allow("kms:Encrypt") });
    await kms.iam.putPolicy({ Principal, PolicyName: "all", PolicyDocument: allow("kms:*") });
    const { KeyId } = await newKey(kms);
    const carol = kms.as(Principal);
    const { CiphertextBlob } = await carol.encrypt({ KeyId, Plaintext });
    expect(await refusal(carol.decrypt({ CiphertextBlob }))).toMatch(
      /because no permissions boundary allows/,
    );
    await kms.iam.putPermissionsBoundary({
      Principal,
      PermissionsBoundary: document({ Action: "kms:*" }, { Effect: "Deny", Action: "kms:Decrypt" }),
    });
    expect(await refusal(carol.decrypt({ CiphertextBlob }))).toMatch(
      /with an explicit deny in a permissions boundary/,
    );
    await kms.iam.deletePermissionsBoundary({ Principal });
    await carol.decrypt({ CiphertextBlob });
  });

  test("a user's end is the end of his access keys and of what he may", async () => {
    const Principal = user("dave");
    await kms.iam.createUser({ UserName: "dave" });
    await kms.iam.putPolicy({ Principal, PolicyName: "lists", PolicyDocument: allow("kms:ListKeys") });
    const { AccessKeyId } = await kms.createAccessKey({ Principal });
    const dave = kms.as(Principal);
    await dave.listKeys();
    await kms.iam.deletePrincipal({ Principal });
    expect(await refusal(dave.listKeys())).toMatch(/^AccessDeniedException/);
    const { AccessKeys } = await kms.listAccessKeys();
    expect(AccessKeys?.map((key) => key.AccessKeyId)).not.toContain(AccessKeyId);
    expect(await refusal(kms.iam.getPrincipal({ Principal }))).toBe(
      `NotFoundException: ${Principal} does not exist.`,
    );
    expect(await refusal(kms.createAccessKey({ Principal }))).toBe(
      `NotFoundException: ${Principal} does not exist.`,
    );
  });

  test("has each name once, whatever the path", async () => {
    expect(await refusal(kms.iam.createUser({ UserName: "bob" }))).toMatch(/^AlreadyExistsException/);
    await kms.iam.createRole({ RoleName: "bob", AssumeRolePolicyDocument: trusting(ACCOUNT) });
    expect(
      await refusal(
        kms.iam.createRole({ RoleName: "bob", Path: "/x/", AssumeRolePolicyDocument: trusting(ACCOUNT) }),
      ),
    ).toMatch(/^AlreadyExistsException/);
  });

  test.each([
    ["a name that is none", () => kms.iam.createUser({ UserName: "a/b" }), /^ValidationException/],
    ["a path that is none", () => kms.iam.createUser({ UserName: "e", Path: "x" }), /^ValidationException/],
    [
      "a policy that is none",
      () => kms.iam.putPolicy({ Principal: user("ann"), PolicyName: "p", PolicyDocument: "{}" }),
      /^MalformedPolicyDocumentException: Statement/,
    ],
    [
      "a boundary that is none",
      () => kms.iam.createUser({ UserName: "e", PermissionsBoundary: "x" }),
      /^MalformedPolicyDocumentException/,
    ],
    [
      "trust in nobody",
      () => kms.iam.createRole({ RoleName: "e", AssumeRolePolicyDocument: trusting(user("zoe")) }),
      /^MalformedPolicyDocumentException: Invalid principal in policy/,
    ],
    [
      "one tag twice",
      () =>
        kms.iam.createUser({
          UserName: "e",
          Tags: [
            { Key: "a", Value: "1" },
            { Key: "A", Value: "2" },
          ],
        }),
      /^TagException: Duplicate/,
    ],
    [
      "what is no principal",
      () => kms.iam.deletePrincipal({ Principal: "backup.amazonaws.com" }),
      /^ValidationException.*neither the ARN of a user or role/,
    ],
    [
      "too many policies",
      async () => {
        for (let i = 0; ; i++)
          await kms.iam.putPolicy({
            Principal: user("ann"),
            PolicyName: `p${i}`,
            PolicyDocument: allow("kms:None"),
          });
      },
      /^LimitExceededException.*20 policies/,
    ],
  ])("refuses %s", async (_, act, message) => {
    expect(await refusal(act())).toMatch(message);
  });

  test("is governed by its root and by whom a policy allows", async () => {
    await kms.iam.createUser({ UserName: "admin" });
    const admin = kms.as(user("admin"));
    expect(await refusal(admin.iam.createUser({ UserName: "friend" }))).toMatch(
      /not authorized to perform: iam:CreateUser on resource: arn:aws:iam::111122223333:user\/friend because no identity-based policy/,
    );
    await kms.iam.putPolicy({
      Principal: user("admin"),
      PolicyName: "admin",
      PolicyDocument: allow("iam:*User*", { Resource: `arn:aws:iam::${ACCOUNT}:user/f*` }),
    });
    await admin.iam.createUser({ UserName: "friend" });
    await admin.iam.putPolicy({
      Principal: user("friend"),
      PolicyName: "p",
      PolicyDocument: allow("kms:ListKeys"),
    });
    for (const act of [
      () => admin.iam.putPolicy({ Principal: user("ann"), PolicyName: "p", PolicyDocument: allow("kms:*") }),
      () => admin.iam.createRole({ RoleName: "f", AssumeRolePolicyDocument: trusting(ACCOUNT) }),
      () => admin.iam.listPrincipals(),
      () => admin.createAccessKey({ Principal: user("ann") }),
    ])
      expect(await refusal(act())).toMatch(/^AccessDeniedException/);
    expect(
      await refusal(kms.as(`arn:aws:iam::${OTHER}:root`).iam.deletePrincipal({ Principal: user("ann") })),
    ).toMatch(/^AccessDeniedException/);
  });

  test("has each change on record", async () => {
    await kms.iam.createUser({ UserName: "erin" });
    const [event] = await deployment.events(1);
    expect(event).toMatchObject({
      eventName: "CreateUser",
      readOnly: false,
      requestParameters: { userName: "erin" },
      resources: [{ ARN: user("erin"), type: "AWS::IAM::User" }],
      additionalEventData: { access: "account root" },
    });
  });
});

describe("a name that is given anew", () => {
  const make = {
    user: () => kms.iam.createUser({ UserName: "again" }),
    role: () =>
      kms.iam.createRole({ RoleName: "again", Path: "/x/", AssumeRolePolicyDocument: trusting(ACCOUNT) }),
  };
  const session = `arn:aws:sts::${ACCOUNT}:assumed-role/again/s-1`;
  const cases = [
    ["user", user("again"), user("again")],
    ["role", role("x/again"), role("x/again")],
    ["role", role("x/again"), session],
    ["role", session, session],
  ] as const;
  const anew = async (kind: keyof typeof make, arn: string) => {
    await kms.iam.deletePrincipal({ Principal: arn });
    await make[kind]();
  };
  const identity = (kind: keyof typeof make) => (kind === "user" ? user("again") : role("x/again"));

  test.each(cases)(
    "is not whom a key policy means: %s, %s named, %s calling",
    async (kind, named, caller) => {
      await make[kind]();
      const Policy = keyPolicy({ Principal: { AWS: named }, Action: "kms:Encrypt" });
      const { KeyId } = await newKey(kms, { Policy });
      const put = await newKey(kms);
      await kms.putKeyPolicy({ KeyId: put.KeyId, Policy });
      const encrypt = (id: string) => kms.as(caller).encrypt({ KeyId: id, Plaintext });
      await encrypt(KeyId);
      await encrypt(put.KeyId);
      await kms.iam.deletePrincipal({ Principal: identity(kind) });
      for (const id of [KeyId, put.KeyId]) expect(await refusal(encrypt(id))).toMatch(/^AccessDenied/);
      expect(await refusal(kms.putKeyPolicy({ KeyId, Policy }))).toMatch(/one or more invalid principals/);
      await make[kind]();
      for (const id of [KeyId, put.KeyId]) expect(await refusal(encrypt(id))).toMatch(/^AccessDenied/);
      // Until the policy is put again, which then means the new one.
      await kms.putKeyPolicy({ KeyId, Policy });
      await encrypt(KeyId);
      expect(await refusal(encrypt(put.KeyId))).toMatch(/^AccessDenied/);
      await kms.iam.deletePrincipal({ Principal: identity(kind) });
    },
  );

  test("is not spared by NotPrincipal", async () => {
    await make.user();
    const NotPrincipal = { AWS: [ACCOUNT, user("again")] };
    const deny = { Effect: "Deny", NotPrincipal, Action: "kms:Encrypt" };
    const statements = JSON.parse(keyPolicy({ Principal: "*", Action: "kms:Encrypt" }, deny));
    const { KeyId } = await newKey(kms, { Policy: JSON.stringify(statements) });
    await kms.as(user("again")).encrypt({ KeyId, Plaintext });
    await anew("user", user("again"));
    expect(await refusal(kms.as(user("again")).encrypt({ KeyId, Plaintext }))).toMatch(/explicit deny/);
    await kms.iam.deletePrincipal({ Principal: user("again") });
  });

  test.each(cases)("is not whom a grant means: %s, %s named, %s calling", async (kind, named, caller) => {
    await make[kind]();
    const { KeyId } = await newKey(kms);
    const terms = { KeyId, Operations: ["Encrypt" as const] };
    const own = await kms.createGrant({ ...terms, GranteePrincipal: named });
    const retired = await kms.createGrant({
      ...{ ...terms, GranteePrincipal: user("ann") },
      RetiringPrincipal: named,
    });
    const again = kms.as(caller);
    await again.encrypt({ KeyId, Plaintext });
    await anew(kind, identity(kind));
    expect(await refusal(again.encrypt({ KeyId, Plaintext }))).toMatch(/^AccessDenied/);
    expect(await refusal(again.retireGrant({ KeyId, GrantId: retired.GrantId as string }))).toMatch(
      /^AccessDenied/,
    );
    // A grant to the new one is another grant, also by the same name.
    const { GrantId } = await kms.createGrant({ ...terms, GranteePrincipal: named });
    expect(GrantId).not.toBe(own.GrantId);
    await again.encrypt({ KeyId, Plaintext });
    await kms.iam.deletePrincipal({ Principal: identity(kind) });
  });

  test("is not whom a role trusts", async () => {
    await make.user();
    const RoleArn = role("trusting");
    await kms.iam.createRole({ RoleName: "trusting", AssumeRolePolicyDocument: trusting(user("again")) });
    const assume = () => kms.as(user("again")).iam.assumeRole({ RoleArn, RoleSessionName: "s-1" });
    await assume();
    await anew("user", user("again"));
    expect(await refusal(assume())).toMatch(/^AccessDenied/);
    await kms.iam.updateAssumeRolePolicy({ Principal: RoleArn, PolicyDocument: trusting(user("again")) });
    await assume();
    await kms.iam.deletePrincipal({ Principal: user("again") });
    await kms.iam.deletePrincipal({ Principal: RoleArn });
  });

  test("has another aws:userid", async () => {
    const { Principal } = await make.role();
    const Condition = { StringEquals: { "aws:userid": `${Principal?.PrincipalId}:s-1` } };
    const everyone = { Principal: "*", Action: "kms:Encrypt", Condition };
    const { KeyId } = await newKey(kms, { Policy: keyPolicy(everyone) });
    await kms.as(session).encrypt({ KeyId, Plaintext });
    expect(await refusal(kms.as(`${session}2`).encrypt({ KeyId, Plaintext }))).toMatch(/^AccessDenied/);
    await anew("role", role("x/again"));
    expect(await refusal(kms.as(session).encrypt({ KeyId, Plaintext }))).toMatch(/^AccessDenied/);
    await kms.iam.deletePrincipal({ Principal: role("x/again") });
  });
});

describe("a caller of another account", () => {
  const ours = user("partner", OTHER);
  const theirs = () => kms.as(`arn:aws:iam::${OTHER}:root`);

  test("needs the key policy and what its own account says", async () => {
    const { Arn } = await newKey(kms, {
      Policy: keyPolicy({ Principal: { AWS: ours }, Action: ["kms:Encrypt", "kms:Decrypt"] }),
    });
    const partner = kms.as(ours);
    expect(await refusal(partner.encrypt({ KeyId: Arn, Plaintext }))).toMatch(
      /no identity-based policy allows/,
    );
    await theirs().iam.createUser({ UserName: "partner" });
    expect(await refusal(partner.encrypt({ KeyId: Arn, Plaintext }))).toMatch(
      /no identity-based policy allows/,
    );
    await theirs().iam.putPolicy({
      Principal: ours,
      PolicyName: "p",
      PolicyDocument: allow("kms:Encrypt", { Resource: Arn }),
    });
    await partner.encrypt({ KeyId: Arn, Plaintext });
    await theirs().iam.deletePrincipal({ Principal: ours });
  });
});

describe("a service that asks on a caller's behalf", () => {
  test("is what kms:ViaService says", async () => {
    const Principal = user("via");
    await kms.iam.createUser({ UserName: "via" });
    const via = "s3.eu-west-1.amazonaws.com";
    await kms.iam.putPolicy({
      Principal,
      PolicyName: "via",
      PolicyDocument: allow("kms:GenerateDataKey", {
        Condition: { StringEquals: { "kms:ViaService": via } },
      }),
    });
    const { KeyId } = await newKey(kms);
    const ask = (caller: Kms) => caller.generateDataKey({ KeyId, KeySpec: "AES_256" });
    expect(await refusal(ask(kms.as(Principal)))).toMatch(/^AccessDeniedException/);
    expect(await refusal(ask(kms.as(Principal, { via: "ebs.eu-west-1.amazonaws.com" })))).toMatch(
      /^AccessDeniedException/,
    );
    await ask(kms.as(Principal, { via }));
    const Condition = {
      "ForAnyValue:StringEquals": { "aws:CalledVia": "s3.amazonaws.com" },
      Bool: { "aws:ViaAWSService": "true" },
    };
    const PolicyDocument = allow("kms:GenerateDataKey", { Condition });
    await kms.iam.putPolicy({ Principal, PolicyName: "via", PolicyDocument });
    await ask(kms.as(Principal, { via }));
    expect(await refusal(ask(kms.as(Principal)))).toMatch(/^AccessDeniedException/);
    expect(() => kms.as(Principal, { tags: { a: 1 as never } })).toThrow(/values of tags/);
    expect(() => kms.as(Principal, { via: "s3" })).toThrow(/give SERVICE.REGION.amazonaws.com/);
  });
});

describe("a service control policy", () => {
  const only = document({ Action: "*" }, { Effect: "Deny", Action: "kms:ScheduleKeyDeletion" });

  test("narrows all of an account, its root too", async () => {
    const { KeyId } = await newKey(kms);
    await kms.iam.putPolicy({ Principal: ACCOUNT, PolicyName: "no-deletion", PolicyDocument: only });
    expect(await refusal(kms.scheduleKeyDeletion({ KeyId }))).toMatch(
      /with an explicit deny in a service control policy/,
    );
    await kms.describeKey({ KeyId });
    const policies = [allow("kms:*")];
    const zoe = kms.as(user("zoe"), { policies });
    expect(await refusal(zoe.scheduleKeyDeletion({ KeyId }))).toMatch(/in a service control policy/);
    await kms.iam.putPolicy({
      Principal: ACCOUNT,
      PolicyName: "no-deletion",
      PolicyDocument: allow("kms:Describe*"),
    });
    await kms.describeKey({ KeyId });
    expect(await refusal(kms.encrypt({ KeyId, Plaintext }))).toMatch(
      /because no service control policy allows the kms:Encrypt action/,
    );
    expect(await refusal(kms.iam.createUser({ UserName: "x" }))).toMatch(/no service control policy allows/);
    // Else nobody could ever take it away.
    await kms.iam.deletePolicy({ Principal: ACCOUNT, PolicyName: "no-deletion" });
    await kms.encrypt({ KeyId, Plaintext });
  });

  test("is for the deployment's own account to put, on any", async () => {
    const root = kms.as(`arn:aws:iam::777788889999:root`);
    const KeyId = (await root.createKey()).KeyMetadata?.KeyId as string;
    const governed = { Principal: "777788889999", PolicyName: "p" };
    expect(await refusal(root.iam.putPolicy({ ...governed, PolicyDocument: only }))).toMatch(
      /^AccessDeniedException.*organizations:AttachPolicy/,
    );
    await kms.iam.putPolicy({ ...governed, PolicyDocument: only });
    expect(await refusal(root.scheduleKeyDeletion({ KeyId }))).toMatch(/service control policy/);
    expect(await refusal(root.iam.deletePolicy(governed))).toMatch(/^AccessDeniedException/);
    await kms.iam.deletePolicy(governed);
    await root.scheduleKeyDeletion({ KeyId });
  });
});

describe("another process on the same store", () => {
  test("heeds a change within a second", { timeout: 30_000 }, async () => {
    const Principal = user("remote");
    await kms.iam.createUser({ UserName: "remote" });
    const child = spawn(process.execPath, [
      ...["--input-type=module", "-e", ASKING],
      ...[deployment.directory, Principal],
    ]);
    try {
      const answers = createInterface(child.stdout)[Symbol.asyncIterator]();
      const next = async () => (await answers.next()).value as string | undefined;
      /** Resolves to how long it took the other process to answer otherwise. */
      const turned = async (to: string) => {
        const began = performance.now();
        expect(await next()).toBe(to);
        return performance.now() - began;
      };
      expect(await next()).toBe("refused");
      const lists = { Principal, PolicyName: "lists" };
      await kms.iam.putPolicy({ ...lists, PolicyDocument: allow("kms:ListKeys") });
      expect(await turned("allowed")).toBeLessThan(1000);
      await kms.iam.putPermissionsBoundary({ Principal, PermissionsBoundary: allow("kms:Encrypt") });
      expect(await turned("refused")).toBeLessThan(1000);
      await kms.iam.deletePermissionsBoundary({ Principal });
      expect(await turned("allowed")).toBeLessThan(1000);
      await kms.iam.deletePrincipal({ Principal });
      expect(await turned("refused")).toBeLessThan(1000);
    } finally {
      child.kill();
      await once(child, "exit");
    }
  });
});

/** Asks for the same thing again and again, and says each answer that is another than the one before. */
const ASKING = `
  import { Kms } from ${library("index")};
  const [, directory, arn] = process.argv;
  const caller = (await Kms.open({ directory })).as(arn);
  for (let last; ; ) {
    const answer = await caller.listKeys().then(() => "allowed", () => "refused");
    if (answer !== last) console.log((last = answer));
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
`;
