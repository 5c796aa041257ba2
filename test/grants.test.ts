import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { Kms } from "../lib/index.ts";
import { operations } from "../lib/operations.ts";
import { openDatabase } from "../lib/store/binding.ts";
import {
  ACCOUNT,
  type AuditRecord,
  bytes,
  type Clock,
  newKey,
  openTestDeployment,
  REGION,
  refusal,
} from "./deployment.ts";

let kms: Kms;
let clock: Clock;
let directory: string;
let events: (count: number) => Promise<AuditRecord[]>;
beforeAll(async () => {
  ({ kms, clock, directory, events } = await openTestDeployment());
});

const ROOT = `arn:aws:iam::${ACCOUNT}:root`;
const APP = `arn:aws:iam::${ACCOUNT}:role/teams/app`;
const SESSION = `arn:aws:sts::${ACCOUNT}:assumed-role/app/worker`;
const ADMIN = `arn:aws:iam::${ACCOUNT}:user/admin`;
const PARTNER = "arn:aws:iam::444455556666:root";
const NONE = "0".repeat(64);
const DRY = "DryRunOperationException: The request would have succeeded, but the DryRun option is set.";

const toDecrypt = { GranteePrincipal: APP, Operations: ["Decrypt"] as const };
type Made = { GrantId: string; GrantToken: string };
const grant = async (KeyId: string, more: object = {}) =>
  (await kms.createGrant({ KeyId, ...toDecrypt, ...more })) as unknown as Made;
const grantsOf = async (KeyId: string) => (await kms.listGrants({ KeyId })).Grants ?? [];

describe("a grant", () => {
  test("is listed as it was made", async () => {
    const { KeyId, Arn } = await newKey(kms);
    const Constraints = { EncryptionContextSubset: { Department: "IT" }, EncryptionContextEquals: { a: "" } };
    const made = await kms.createGrant({
      KeyId: Arn,
      GranteePrincipal: APP,
      RetiringPrincipal: ADMIN,
      Operations: ["DescribeKey", "Decrypt", "Decrypt"],
      Constraints,
      Name: "orders",
    });
    expect(made).toEqual({
      GrantId: expect.stringMatching(/^[0-9a-f]{64}$/),
      GrantToken: expect.stringMatching(/^[A-Za-z0-9_-]{100,}$/),
      $metadata: expect.anything(),
    });
    expect(await kms.listGrants({ KeyId })).toMatchObject({
      Truncated: false,
      Grants: [
        {
          KeyId: Arn,
          GrantId: made.GrantId,
          Name: "orders",
          CreationDate: new Date(clock.now),
          GranteePrincipal: APP,
          RetiringPrincipal: ADMIN,
          IssuingAccount: ROOT,
          Operations: ["Decrypt", "DescribeKey"],
          Constraints,
        },
      ],
    });
    const [bare] = (await kms.listGrants({ KeyId, GrantId: (await grant(KeyId)).GrantId })).Grants ?? [];
    expect(bare?.Name).toBe("");
    expect(Object.keys(bare ?? {})).not.toContain("Constraints");
    expect(Object.keys(bare ?? {})).not.toContain("RetiringPrincipal");
  });

  test("that has a name is made once, and its tokens each time anew", async () => {
    const { KeyId } = await newKey(kms);
    const Constraints = { EncryptionContextEquals: { one: "1", two: "2" } };
    const input = {
      KeyId,
      GranteePrincipal: APP,
      Operations: ["Encrypt", "Decrypt"] as const,
      Name: "n",
      Constraints,
    };
    const first = await kms.createGrant(input);
    clock.advance(1);
    const again = await kms.createGrant({
      ...input,
      Operations: ["Decrypt", "Encrypt"],
      Constraints: { EncryptionContextEquals: { two: "2", one: "1" } },
    });
    expect(again.GrantId).toBe(first.GrantId);
    expect(again.GrantToken).not.toBe(first.GrantToken);
    for (const other of [
      { Name: "m" },
      { Operations: ["Encrypt"] as const },
      { RetiringPrincipal: ADMIN },
      { GranteePrincipal: ADMIN },
      { Constraints: undefined },
      { Constraints: { EncryptionContextSubset: { one: "1", two: "2" } } },
      { Constraints: { EncryptionContextEquals: { one: "1", two: "3" } } },
    ])
      expect((await kms.createGrant({ ...input, ...other })).GrantId).not.toBe(first.GrantId);
    expect(await grantsOf(KeyId)).toHaveLength(8);
  });

  test("without a name is another each time, and with one it is so on another key", async () => {
    const [one, two] = [await newKey(kms), await newKey(kms)];
    const made = [
      await grant(one.KeyId),
      await grant(one.KeyId),
      await grant(one.KeyId, { Name: "n" }),
      await grant(two.KeyId, { Name: "n" }),
    ];
    expect(new Set(made.map(({ GrantId }) => GrantId)).size).toBe(4);
  });

  test("is made once by two processes at the same time", async () => {
    const { KeyId } = await newKey(kms);
    const second = await Kms.open({ directory, clock: clock.read });
    const input = { KeyId, ...toDecrypt, Name: "race" };
    const made = await Promise.all([kms, second, kms, second].map((each) => each.createGrant(input)));
    expect(new Set(made.map(({ GrantId }) => GrantId)).size).toBe(1);
    expect(await grantsOf(KeyId)).toHaveLength(1);
    await second.close();
  });

  test.each([
    [
      { GranteePrincipal: "someone" },
      "InvalidArnException: ARN does not refer to a valid principal: someone",
    ],
    [
      { RetiringPrincipal: `arn:aws:iam::${ACCOUNT}:group/g` },
      `InvalidArnException: ARN does not refer to a valid principal: arn:aws:iam::${ACCOUNT}:group/g`,
    ],
    [
      { GranteePrincipal: "a b" },
      "ValidationException: 1 validation error detected: Value 'a b' at 'granteePrincipal' failed to satisfy " +
        "constraint: Member must satisfy regular expression pattern: ^[\\w+=,.@:/-]+$",
    ],
    [{ Operations: [] }, "ValidationException: Grants must contain at least one operation."],
    [
      { Operations: ["CreateGrant"] },
      "ValidationException: Grants must not contain only the CreateGrant operation.",
    ],
    [
      { Operations: ["Sign", "Decrypt", "GenerateMac"] },
      /^ValidationException: .*key\/.* SYMMETRIC_DEFAULT .* ENCRYPT_DECRYPT, for which a grant cannot allow Sign, GenerateMac\.$/,
    ],
    [
      { Operations: ["ScheduleKeyDeletion"] },
      /at 'operations.1.member' failed .* enum value set: \[Decrypt, /,
    ],
    [{ Name: "a b" }, /Value 'a b' at 'name' failed to satisfy constraint/],
    [
      { Constraints: { EncryptionContextEquals: pairs(9) } },
      "ValidationException: 1 validation error detected: Value at 'constraints.encryptionContextEquals' failed to " +
        "satisfy constraint: Member must have length less than or equal to 8",
    ],
    [
      { Constraints: { EncryptionContextSubset: { a: "x".repeat(385) } } },
      "ValidationException: 1 validation error detected: Value at 'constraints.encryptionContextSubset' failed to " +
        "satisfy constraint: Map value must satisfy constraint: [Member must have length less than or equal to 384]",
    ],
    [{ GrantTokens: Array(11).fill("x") }, /at 'grantTokens' failed .* less than or equal to 10$/],
    [{ KeyId: "alias/any" }, "NotFoundException: Invalid keyId 'alias/any'"],
  ])("is refused with %j", async (wrong, expected) => {
    const { KeyId } = await newKey(kms);
    const refused = await refusal(kms.createGrant({ KeyId, ...toDecrypt, ...(wrong as object) }));
    if (typeof expected === "string") expect(refused).toBe(expected);
    else expect(refused).toMatch(expected);
    expect(await grantsOf(KeyId)).toEqual([]);
  });

  test.each([APP, ADMIN, ROOT, PARTNER, SESSION, "dynamodb.eu-west-1.amazonaws.com"])(
    "may be for %s",
    async (GranteePrincipal) => {
      const { KeyId } = await newKey(kms);
      await grant(KeyId, { GranteePrincipal, Constraints: { EncryptionContextEquals: pairs(8) } });
      expect((await grantsOf(KeyId))[0]?.GranteePrincipal).toBe(GranteePrincipal);
    },
  );

  test("is not made by a dry run, which says what would hinder it", async () => {
    const { KeyId } = await newKey(kms);
    expect(await refusal(grant(KeyId, { DryRun: true }))).toBe(DRY);
    expect(await refusal(grant(KeyId, { DryRun: true, Operations: [] }))).toMatch(/^ValidationException/);
    expect(await grantsOf(KeyId)).toEqual([]);
  });

  test("is one of 50,000 at most", async () => {
    const { KeyId, Arn } = await newKey(kms);
    const { GrantId } = await grant(KeyId, { Name: "first" });
    const database = openDatabase(join(directory, "keystead.db"), 5000);
    database.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 49999)
      INSERT INTO grants SELECT region, key_id, printf('%064x', i), account, NULL, grantee_principal,
      retiring_principal, issuing_account, operations, constraints, principals, created_at
      FROM grants, n WHERE grant_id = '${GrantId}'`);
    database.close();
    expect(await refusal(grant(KeyId))).toBe(`LimitExceededException: ${Arn} has 50000 grants, the limit.`);
    expect((await grant(KeyId, { Name: "first" })).GrantId).toBe(GrantId);
    await kms.revokeGrant({ KeyId, GrantId });
    await grant(KeyId);
  });

  test("lets its grantee do what it allows, at once and until it is gone", async () => {
    const { KeyId } = await newKey(kms);
    const app = kms.as(SESSION);
    const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: bytes("x") });
    const denied = /^AccessDeniedException/;
    expect(await refusal(app.decrypt({ CiphertextBlob }))).toMatch(denied);
    const { GrantId, GrantToken } = await grant(KeyId);
    await app.decrypt({ CiphertextBlob, GrantTokens: [GrantToken] });
    await app.decrypt({ CiphertextBlob });
    expect(await refusal(app.encrypt({ KeyId, Plaintext: bytes("x") }))).toMatch(denied);
    await kms.revokeGrant({ KeyId, GrantId });
    expect(await refusal(app.decrypt({ CiphertextBlob, GrantTokens: [GrantToken] }))).toMatch(denied);
  });

  test("dies with its key", async () => {
    const { KeyId, Arn } = await newKey(kms);
    const { GrantToken } = await grant(KeyId, { RetiringPrincipal: ADMIN });
    await kms.scheduleKeyDeletion({ KeyId, PendingWindowInDays: 7 });
    clock.advance(8);
    await kms.runDue();
    expect(await refusal(kms.retireGrant({ GrantToken }))).toBe(
      `NotFoundException: Key '${Arn}' does not exist`,
    );
  });
});

describe("a grant token", () => {
  test("is taken by whatever takes any", async () => {
    const { KeyId } = await newKey(kms);
    const GrantTokens = Array(10).fill((await grant(KeyId)).GrantToken);
    const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: bytes("x"), GrantTokens });
    await kms.decrypt({ CiphertextBlob, GrantTokens });
    await kms.describeKey({ KeyId, GrantTokens });
    await grant(KeyId, { GrantTokens });
  });

  test("that is not ours is refused by each of them", async () => {
    const { KeyId } = await newKey(kms);
    const { GrantToken } = await grant(KeyId);
    const bent = `${GrantToken.slice(0, -1)}${GrantToken.endsWith("A") ? "B" : "A"}`;
    const taking = Object.values(operations).filter(({ input }) => "GrantTokens" in input.members);
    expect(taking.length).toBeGreaterThan(5);
    for (const { name } of taking) {
      const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: bytes("x") });
      const needed: Record<string, object> = {
        CreateGrant: toDecrypt,
        DescribeKey: {},
        Encrypt: { Plaintext: bytes("x") },
        Decrypt: { CiphertextBlob },
        ReEncrypt: { CiphertextBlob, DestinationKeyId: KeyId },
        GenerateDataKey: { KeySpec: "AES_256" },
        GenerateDataKeyWithoutPlaintext: { KeySpec: "AES_256" },
      };
      if (needed[name] === undefined) continue;
      for (const wrong of [bent, "x", NONE, `${GrantToken}A`])
        expect(
          await refusal(kms.request(name, { KeyId, ...needed[name], GrantTokens: [GrantToken, wrong] })),
        ).toMatch(/^InvalidGrantTokenException: The grant token is not one/);
    }
  });

  test("is no marker, and no marker is one", async () => {
    const { KeyId } = await newKey(kms);
    for (let i = 0; i < 2; i++) await grant(KeyId);
    const { NextMarker } = await kms.listGrants({ KeyId, Limit: 1 });
    const { GrantToken } = await grant(KeyId);
    expect(await refusal(kms.retireGrant({ GrantToken: NextMarker }))).toMatch(/^InvalidGrantTokenException/);
    expect(await refusal(kms.listGrants({ KeyId, Marker: GrantToken }))).toMatch(/^InvalidMarkerException/);
  });
});

describe("RetireGrant", () => {
  test("is for the retiring principal, by token or by id", async () => {
    const { KeyId, Arn } = await newKey(kms);
    const admin = kms.as(ADMIN);
    const { GrantToken } = await grant(KeyId, { RetiringPrincipal: ADMIN });
    const { GrantId } = await grant(KeyId, { RetiringPrincipal: ADMIN });
    expect(await refusal(admin.retireGrant({ GrantToken, DryRun: true }))).toBe(DRY);
    expect(await admin.retireGrant({ GrantToken })).toEqual({ $metadata: expect.anything() });
    expect((await grantsOf(KeyId)).map((each) => each.GrantId)).toEqual([GrantId]);
    await admin.retireGrant({ KeyId: Arn, GrantId });
    expect(await grantsOf(KeyId)).toEqual([]);
    expect(await refusal(admin.retireGrant({ KeyId, GrantId }))).toBe(
      `NotFoundException: Grant ID ${GrantId} not found`,
    );
    expect(await refusal(admin.retireGrant({ GrantToken }))).toMatch(
      /^NotFoundException: Grant ID .* not found$/,
    );
  });

  test("is for the grantee when the grant says so, be it a session of the role", async () => {
    const { KeyId } = await newKey(kms);
    const app = kms.as(SESSION);
    const { GrantToken: kept } = await grant(KeyId);
    expect(await refusal(app.retireGrant({ GrantToken: kept }))).toMatch(
      /^AccessDeniedException: User: .*assumed-role\/app\/worker is not authorized to perform: kms:RetireGrant on resource: .*:key\//,
    );
    const { GrantToken } = await grant(KeyId, { Operations: ["Decrypt", "RetireGrant"] });
    const other = kms.as(`arn:aws:sts::${ACCOUNT}:assumed-role/apple/worker`);
    expect(await refusal(other.retireGrant({ GrantToken }))).toMatch(/^AccessDeniedException/);
    await app.retireGrant({ GrantToken });
    expect(await grantsOf(KeyId)).toHaveLength(1);
  });

  test("is for the root of the account that the grant was made in, whatever the key policy allows", async () => {
    const { KeyId } = await newKey(kms);
    const { GrantToken } = await grant(KeyId);
    const { Policy = "" } = await kms.getKeyPolicy({ KeyId });
    await kms.putKeyPolicy({
      KeyId,
      Policy: Policy.replace(ROOT, ADMIN),
      BypassPolicyLockoutSafetyCheck: true,
    });
    await kms.retireGrant({ GrantToken });
  });

  test("is for nobody whom a policy denies it", async () => {
    const { KeyId } = await newKey(kms);
    const { GrantToken } = await grant(KeyId, { RetiringPrincipal: ADMIN });
    const statement = (Effect: string, AWS: string, Action: string) => ({
      Effect,
      Principal: { AWS },
      Action,
      Resource: "*",
    });
    const Policy = JSON.stringify({
      Version: "2012-10-17",
      Statement: [statement("Allow", ROOT, "kms:*"), statement("Deny", ADMIN, "kms:RetireGrant")],
    });
    await kms.putKeyPolicy({ KeyId, Policy });
    expect(await refusal(kms.as(ADMIN).retireGrant({ GrantToken }))).toMatch(
      /^AccessDeniedException: .* with an explicit deny in a resource-based policy$/,
    );
    await kms.retireGrant({ GrantToken });
  });

  test("is for a retiring principal of another account, who learns of no other grant", async () => {
    const { KeyId, Arn } = await newKey(kms);
    const { GrantId } = await grant(KeyId, { RetiringPrincipal: PARTNER });
    const partner = kms.as(PARTNER);
    const denied = /^AccessDeniedException: User: arn:aws:iam::444455556666:root is not authorized/;
    expect(await refusal(partner.retireGrant({ KeyId: Arn, GrantId: NONE }))).toMatch(denied);
    expect(
      await refusal(kms.as("arn:aws:iam::777788889999:root").retireGrant({ KeyId: Arn, GrantId })),
    ).toMatch(/^AccessDeniedException/);
    await partner.retireGrant({ KeyId: Arn, GrantId });
    expect(await refusal(partner.retireGrant({ KeyId: Arn, GrantId }))).toMatch(denied);
  });

  test.each([
    {},
    { KeyId: "x" },
    { GrantId: NONE },
    { GrantToken: "x", KeyId: "x" },
    { GrantToken: "x", GrantId: NONE },
  ])("must be told which grant, once: %j", async (input) => {
    expect(await refusal(kms.retireGrant(input))).toBe(
      "ValidationException: You must specify either a GrantToken, or a KeyId and a GrantId.",
    );
  });

  test("refuses ids and tokens that are none", async () => {
    const { KeyId } = await newKey(kms);
    const invalid = "InvalidGrantIdException: Invalid grant ID 'abc'";
    expect(await refusal(kms.retireGrant({ KeyId, GrantId: "abc" }))).toBe(invalid);
    expect(await refusal(kms.revokeGrant({ KeyId, GrantId: "abc" }))).toBe(invalid);
    expect(await refusal(kms.listGrants({ KeyId, GrantId: "abc" }))).toBe(invalid);
    expect(await refusal(kms.retireGrant({ GrantToken: "abc" }))).toMatch(/^InvalidGrantTokenException/);
    const GrantId = (await grant(KeyId)).GrantId;
    const KeyOfElsewhere = `arn:aws:kms:us-west-2:${ACCOUNT}:key/${KeyId}`;
    expect(await refusal(kms.retireGrant({ KeyId: KeyOfElsewhere, GrantId }))).toBe(
      "NotFoundException: Invalid arn us-west-2",
    );
  });
});

describe("RevokeGrant", () => {
  test("is for whom the key policy allows it", async () => {
    const { KeyId, Arn } = await newKey(kms);
    const { GrantId } = await grant(KeyId, { RetiringPrincipal: ADMIN });
    expect(await refusal(kms.as(ADMIN).revokeGrant({ KeyId, GrantId }))).toMatch(/^AccessDeniedException/);
    expect(await refusal(kms.revokeGrant({ KeyId, GrantId, DryRun: true }))).toBe(DRY);
    await kms.revokeGrant({ KeyId: Arn, GrantId });
    for (const DryRun of [false, true])
      expect(await refusal(kms.revokeGrant({ KeyId, GrantId, DryRun }))).toBe(
        `NotFoundException: Grant ID ${GrantId} not found`,
      );
  });

  test("takes a grant of this key only, and only once", async () => {
    const [one, two] = [await newKey(kms), await newKey(kms)];
    const { GrantId } = await grant(one.KeyId);
    expect(await refusal(kms.revokeGrant({ KeyId: two.KeyId, GrantId }))).toMatch(
      /^NotFoundException: Grant ID/,
    );
    const revoked = await Promise.allSettled(
      [1, 2, 3].map(() => kms.revokeGrant({ KeyId: one.KeyId, GrantId })),
    );
    expect(revoked.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected", "rejected"]);
  });
});

describe("ListGrants", () => {
  test("gives each grant once over pages, of one grantee or of all", async () => {
    const { KeyId } = await newKey(kms);
    for (let i = 0; i < 7; i++) await grant(KeyId, { GranteePrincipal: i % 2 ? APP : ADMIN, Name: `n${i}` });
    for (const [GranteePrincipal, count] of [
      [undefined, 7],
      [APP, 3],
      [ADMIN, 4],
      [PARTNER, 0],
    ] as const) {
      const seen: unknown[] = [];
      let Marker: string | undefined;
      do {
        const page = await kms.listGrants({ KeyId, GranteePrincipal, Limit: 2, Marker });
        expect(page.Truncated).toBe(page.NextMarker !== undefined);
        seen.push(...(page.Grants ?? []).map(({ Name }) => Name));
        Marker = page.NextMarker;
      } while (Marker);
      expect(new Set(seen).size).toBe(count);
      expect(seen).toHaveLength(count);
    }
  });

  test("finds one by its id", async () => {
    const { KeyId } = await newKey(kms);
    const { GrantId } = await grant(KeyId);
    const found = async (more: object) => (await kms.listGrants({ KeyId, ...more })).Grants?.length;
    expect(await found({ GrantId })).toBe(1);
    expect(await found({ GrantId, GranteePrincipal: APP })).toBe(1);
    expect(await found({ GrantId, GranteePrincipal: ADMIN })).toBe(0);
    expect(await found({ GrantId: NONE })).toBe(0);
  });

  test("gives 50 unless told, at most 100, and takes the markers of its own list alone", async () => {
    const [one, two] = [await newKey(kms), await newKey(kms)];
    for (let i = 0; i < 51; i++) await grant(one.KeyId);
    const { Grants, NextMarker } = await kms.listGrants(one);
    expect(Grants).toHaveLength(50);
    expect((await kms.listGrants({ ...one, Limit: 100 })).Grants).toHaveLength(51);
    expect(await refusal(kms.listGrants({ ...one, Limit: 101 }))).toMatch(/Value '101' at 'limit'/);
    for (const wrong of [
      { ...two, Marker: NextMarker },
      { ...one, Marker: NextMarker, GranteePrincipal: APP },
      { ...one, Marker: "x" },
    ])
      expect(await refusal(kms.listGrants(wrong))).toMatch(/^InvalidMarkerException/);
  });
});

describe("ListRetirableGrants", () => {
  test("gives what a principal may retire, on all keys, over pages", async () => {
    const RetiringPrincipal = `arn:aws:iam::${ACCOUNT}:role/retirer`;
    const made: string[] = [];
    for (let i = 0; i < 3; i++) {
      const { KeyId } = await newKey(kms);
      for (let j = 0; j < 2; j++) made.push((await grant(KeyId, { RetiringPrincipal })).GrantId);
      await grant(KeyId);
    }
    const seen: unknown[] = [];
    let Marker: string | undefined;
    do {
      const page = await kms.listRetirableGrants({ RetiringPrincipal, Limit: 2, Marker });
      seen.push(...(page.Grants ?? []).map(({ GrantId }) => GrantId));
      Marker = page.NextMarker;
    } while (Marker);
    expect(seen.toSorted()).toEqual(made.toSorted());
    expect(
      (await kms.listRetirableGrants({ RetiringPrincipal: PARTNER.replace("4444", "9999") }).catch((e) => e))
        .name,
    ).toBe("InvalidArnException");
    const { NextMarker } = await kms.listRetirableGrants({ RetiringPrincipal, Limit: 1 });
    for (const Marker of [NextMarker, "x"])
      expect(await refusal(kms.listRetirableGrants({ RetiringPrincipal: ADMIN, Marker }))).toMatch(
        /^InvalidMarkerException/,
      );
    expect(await refusal(kms.listRetirableGrants({ RetiringPrincipal: "x" }))).toMatch(
      /^InvalidArnException/,
    );
  });

  test("tells nobody of the grants of all accounts that a service may retire", async () => {
    const RetiringPrincipal = "vault.amazonaws.com";
    const { KeyId } = await newKey(kms);
    await grant(KeyId, { RetiringPrincipal });
    for (const caller of [kms, kms.as(PARTNER), kms.as(PARTNER.replace("root", "user/ann"))])
      expect(await refusal(caller.listRetirableGrants({ RetiringPrincipal }))).toMatch(
        /^InvalidArnException: vault.amazonaws.com is not a principal of account/,
      );
  });
});

test("grants are in the trail, their tokens are not", async () => {
  const { KeyId, Arn } = await newKey(kms);
  const Constraints = { EncryptionContextEquals: { Department: "IT" } };
  const { GrantId, GrantToken } = await grant(KeyId, { Constraints, Name: "trail" });
  await kms.encrypt({ KeyId, Plaintext: bytes("x"), GrantTokens: [GrantToken] });
  await kms.retireGrant({ GrantToken });
  const [created, used, retired] = await events(3);
  expect(created).toMatchObject({
    eventName: "CreateGrant",
    requestParameters: {
      granteePrincipal: APP,
      constraints: { encryptionContextEquals: { Department: "IT" } },
      name: "trail",
      operations: ["Decrypt"],
    },
    responseElements: { grantId: GrantId },
    resources: [{ ARN: Arn }],
  });
  expect(retired).toMatchObject({ eventName: "RetireGrant", readOnly: false, resources: [{ ARN: Arn }] });
  for (const event of [created, used, retired]) expect(JSON.stringify(event)).not.toContain(GrantToken);
});

test("a grant of one Region is none of another", async () => {
  expect(kms.region).toBe(REGION);
  const { KeyId } = await newKey(kms);
  const { GrantToken } = await grant(KeyId);
  const second = await Kms.open({ directory, clock: clock.read, regions: ["us-west-2"] });
  const west = second.inRegion("us-west-2");
  expect(await refusal(west.retireGrant({ GrantToken }))).toMatch(/^InvalidGrantTokenException/);
  await second.close();
});

function pairs(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, "x".repeat(384)]));
}
