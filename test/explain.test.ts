import { beforeAll, describe, expect, test } from "vitest";
import type { Kms } from "../lib/index.ts";
import { operations } from "../lib/operations.ts";
import { ACCOUNT, type AuditRecord, newKey, openTestDeployment, refusal } from "./deployment.ts";

const Principal = `arn:aws:iam::${ACCOUNT}:role/app`;
const Plaintext = new Uint8Array([1, 2, 3]);

let kms: Kms;
let events: (count: number) => Promise<AuditRecord[]>;
let KeyId: string;
let Arn: string;

beforeAll(async () => {
  ({ kms, events } = await openTestDeployment());
  const Policy = JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      { Sid: "root", Effect: "Allow", Principal: { AWS: ACCOUNT }, Action: "kms:*", Resource: "*" },
      {
        ...{
          Sid: "app",
          Effect: "Allow",
          Principal: { AWS: Principal },
          Action: ["kms:Encrypt", "kms:ReEncrypt*"],
        },
        ...{ Resource: "*", Condition: { StringEquals: { "kms:EncryptionContext:tenant": "7" } } },
      },
    ],
  });
  ({ KeyId, Arn } = await newKey(kms, { Policy }));
});

describe("an explanation", () => {
  test("has the statement that allows, and the values that its conditions saw", async () => {
    const Input = { KeyId, EncryptionContext: { tenant: "7" } };
    const { Decisions, ...rest } = await kms.explain({ Principal, Operation: "Encrypt", Input });
    expect(rest).toMatchObject({ Allowed: true });
    expect(rest).not.toHaveProperty("Error");
    expect(Decisions).toMatchObject([
      {
        ...{ action: "kms:Encrypt", resource: Arn, reason: "key policy allows", wouldAllow: [] },
        statement: { place: "key policy", index: 1, sid: "app" },
      },
    ]);
    expect(Decisions[0]?.statements[1]?.conditions).toEqual([
      {
        ...{ operator: "StringEquals", key: "kms:EncryptionContext:tenant", values: ["7"] },
        ...{ seen: ["7"], holds: true },
      },
    ]);
  });

  test("says what would allow", async () => {
    const Input = { KeyId, EncryptionContext: { tenant: "8" } };
    const { Allowed, Decisions } = await kms.explain({ Principal, Operation: "Encrypt", Input });
    expect(Allowed).toBe(false);
    const [only] = Decisions;
    expect(only?.reason).toBe("no identity policy statement allows");
    expect(only?.wouldAllow.map(({ what }) => what).join("\n")).toContain(
      `a statement would have to allow kms:Encrypt on ${Arn}`,
    );
  });

  test("names the grant that allows", async () => {
    const { GrantId } = await kms.createGrant({
      KeyId,
      GranteePrincipal: Principal,
      Operations: ["Decrypt"],
    });
    const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext });
    await kms.as(Principal).decrypt({ CiphertextBlob });
    const [event] = await events(1);
    expect(event?.additionalEventData?.access).toBe(`grant allows: ${GrantId}`);
    for (const Input of [{ KeyId }, { CiphertextBlob }, { CiphertextBlob, KeyId }]) {
      const { Allowed, Decisions } = await kms.explain({ Principal, Operation: "Decrypt", Input });
      expect(Allowed).toBe(true);
      expect(Decisions).toMatchObject([{ reason: "grant allows", grantId: GrantId }]);
    }
  });

  test("has both decisions of what is about two keys, up to the one that refuses", async () => {
    const Input = {
      ...{ SourceKeyId: KeyId, DestinationKeyId: KeyId },
      DestinationEncryptionContext: { tenant: "7" },
    };
    const { Decisions } = await kms.explain({ Principal, Operation: "ReEncrypt", Input });
    expect(Decisions.map(({ action, allowed }) => [action, allowed])).toEqual([
      ["kms:ReEncryptTo", true],
      ["kms:ReEncryptFrom", false],
    ]);
    const alias = { AliasName: "alias/x", TargetKeyId: KeyId };
    const root = { Principal: kms.principal, Operation: "CreateAlias", Input: alias };
    expect((await kms.explain(root)).Decisions.map(({ resource }) => resource)).toEqual([
      Arn,
      Arn.replace(`key/${KeyId}`, "alias/x"),
    ]);
  });

  test("says what else refuses", async () => {
    const disabled = await newKey(kms);
    await kms.disableKey({ KeyId: disabled.KeyId });
    const ask = (Input: object) => kms.explain({ Principal: kms.principal, Operation: "Encrypt", Input });
    expect(await ask({ KeyId: disabled.KeyId })).toMatchObject({
      Allowed: true,
      Error: expect.stringMatching(/^DisabledException/),
    });
    expect(await ask({ KeyId: "alias/none" })).toMatchObject({
      ...{ Allowed: false, Decisions: [] },
      Error: expect.stringMatching(/^NotFoundException/),
    });
  });

  test("takes in tags, a service and an address", async () => {
    const guarded = await newKey(kms, {
      Policy: JSON.stringify({
        Version: "2012-10-17",
        Statement: [
          { Effect: "Allow", Principal: { AWS: kms.principal }, Action: "kms:*", Resource: "*" },
          {
            ...{ Effect: "Allow", Principal: { AWS: Principal }, Action: "kms:Decrypt", Resource: "*" },
            Condition: {
              StringEquals: { "kms:ViaService": "s3.eu-west-1.amazonaws.com", "aws:PrincipalTag/a": "b" },
              IpAddress: { "aws:SourceIp": "192.0.2.0/24" },
            },
          },
        ],
      }),
    });
    const asked = { Principal, Operation: "Decrypt", Input: { KeyId: guarded.KeyId } };
    expect((await kms.explain(asked)).Allowed).toBe(false);
    const more = { Tags: { a: "b" }, Via: "s3.eu-west-1.amazonaws.com", SourceIp: "192.0.2.7" };
    expect((await kms.explain({ ...asked, ...more })).Allowed).toBe(true);
  });

  test.each(Object.keys(operations))("does nothing of %s", async (Operation) => {
    const before = (await kms.listKeys({ Limit: 1000 })).Keys?.length;
    const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext });
    const key = await kms.describeKey({ KeyId });
    // All that any of them takes to go on as far as it can.
    const Input = {
      ...{ KeyId, TargetKeyId: KeyId, DestinationKeyId: KeyId, CiphertextBlob, Plaintext, NumberOfBytes: 8 },
      ...{
        KeySpec: Operation === "CreateKey" ? "SYMMETRIC_DEFAULT" : "AES_256",
        KeyPairSpec: "ECC_NIST_P256",
      },
      ...{ AliasName: "alias/made", Description: "changed", Operations: ["Decrypt"], Tags: [] },
      ...{ GranteePrincipal: Principal, ReplicaRegion: "us-west-2", TagKeys: ["a"] },
    };
    const explained = await kms.explain({ Principal: kms.principal, Operation, Input });
    expect(explained.Decisions.length > 0 || explained.Error !== undefined).toBe(true);
    expect((await kms.listKeys({ Limit: 1000 })).Keys?.length).toBe(before);
    expect((await kms.describeKey({ KeyId })).KeyMetadata).toEqual(key.KeyMetadata);
    expect((await kms.listAliases({ KeyId })).Aliases).toEqual([]);
  });

  test("is for administrators, and on record", async () => {
    const asked = { Principal, Operation: "Encrypt", Input: { KeyId, Plaintext } };
    expect(await refusal(kms.as(Principal).explain(asked))).toMatch(
      /^AccessDeniedException.*iam:SimulatePrincipalPolicy on resource: arn:aws:iam::111122223333:role\/app/,
    );
    expect(await refusal(kms.as("arn:aws:iam::444455556666:root").explain(asked))).toMatch(
      /^AccessDeniedException/,
    );
    const [refused] = await events(1);
    expect(refused).toMatchObject({ eventName: "Explain", errorCode: "AccessDenied" });
    await kms.explain(asked);
    const [event] = await events(1);
    expect(event).toMatchObject({
      ...{ eventName: "Explain", readOnly: true, resources: [{ ARN: Principal }] },
      requestParameters: { principal: Principal, operation: "Encrypt" },
    });
    const policies = [
      '{"Statement":{"Effect":"Allow","Action":"iam:SimulatePrincipalPolicy","Resource":"*"}}',
    ];
    await kms.as(`arn:aws:iam::${ACCOUNT}:user/admin`, { policies }).explain(asked);
    expect(await refusal(kms.explain({ ...asked, Operation: "Nothing" }))).toMatch(/^UnknownOperation/);
    expect(await refusal(kms.explain({ ...asked, Principal: "nobody" }))).toMatch(/^ValidationException/);
  });
});
