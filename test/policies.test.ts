import { beforeAll, describe, expect, test } from "vitest";
import type { Kms } from "../lib/index.ts";
import { operations } from "../lib/operations.ts";
import { ACCOUNT, newKey, openTestDeployment, REGION, refusal } from "./deployment.ts";

type OperationName = keyof typeof operations;

let kms: Kms;
let app: Kms;
let stranger: Kms;
const APP = `arn:aws:iam::${ACCOUNT}:role/app`;
const OTHER = "444455556666";
const Plaintext = new Uint8Array([1, 2, 3]);
const MISSING = "00000000-1111-4222-8333-444444444444";

beforeAll(async () => {
  ({ kms } = await openTestDeployment());
  app = kms.as(APP);
  stranger = kms.as(`arn:aws:iam::${OTHER}:user/eve`);
});

const policy = (...statements: object[]) =>
  JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      { Sid: "root", Effect: "Allow", Principal: { AWS: ACCOUNT }, Action: "kms:*", Resource: "*" },
      ...statements.map((statement) => ({ Effect: "Allow", Resource: "*", ...statement })),
    ],
  });

const denied = (who: string, action: string, resource: string, why: string) =>
  `AccessDeniedException: User: ${who} is not authorized to perform: ${action} on resource: ${resource} ${why}`;

describe("a key policy", () => {
  test("is the default one unless told, by the name of default", async () => {
    const { KeyId } = await newKey(kms);
    const { Policy, PolicyName } = await kms.getKeyPolicy({ KeyId });
    expect(PolicyName).toBe("default");
    expect(JSON.parse(Policy as string).Statement).toEqual([
      {
        Sid: "Enable IAM User Permissions",
        Effect: "Allow",
        Principal: { AWS: `arn:aws:iam::${ACCOUNT}:root` },
        Action: "kms:*",
        Resource: "*",
      },
    ]);
    expect(await kms.listKeyPolicies({ KeyId })).toMatchObject({
      PolicyNames: ["default"],
      Truncated: false,
    });
    expect(await refusal(kms.getKeyPolicy({ KeyId, PolicyName: "other" }))).toBe(
      "NotFoundException: No such policy exists",
    );
    expect(await refusal(kms.listKeyPolicies({ KeyId, Marker: "x" }))).toMatch(/^InvalidMarkerException/);
  });

  test("can be read as it was written, at once", async () => {
    const Policy = policy({ Principal: { AWS: APP }, Action: "kms:Encrypt" });
    const { KeyId } = await newKey(kms);
    await kms.putKeyPolicy({ KeyId, Policy });
    expect((await kms.getKeyPolicy({ KeyId })).Policy).toBe(Policy);
  });

  test("allows what it names, from the moment that it is put, and nothing else", async () => {
    const { KeyId, Arn } = await newKey(kms);
    const encrypt = () => app.encrypt({ KeyId, Plaintext });
    const refused = denied(
      APP,
      "kms:Encrypt",
      Arn,
      "because no identity-based policy allows the kms:Encrypt action",
    );
    expect(await refusal(encrypt())).toBe(refused);
    await kms.putKeyPolicy({ KeyId, Policy: policy({ Principal: { AWS: APP }, Action: "kms:Encrypt" }) });
    const { CiphertextBlob } = await encrypt();
    expect(await refusal(app.decrypt({ CiphertextBlob }))).toBe(
      denied(APP, "kms:Decrypt", Arn, "because no identity-based policy allows the kms:Decrypt action"),
    );
    const deny = { Effect: "Deny", Principal: "*", Action: "kms:Encrypt" };
    await kms.putKeyPolicy({ KeyId, Policy: policy({ Principal: { AWS: APP }, Action: "kms:*" }, deny) });
    const explicit = "with an explicit deny in a resource-based policy";
    expect(await refusal(encrypt())).toBe(denied(APP, "kms:Encrypt", Arn, explicit));
    expect(await refusal(kms.encrypt({ KeyId, Plaintext }))).toBe(
      denied(kms.principal, "kms:Encrypt", Arn, explicit),
    );
    expect((await app.decrypt({ CiphertextBlob })).Plaintext).toEqual(Plaintext);
  });

  test("leaves the rest to identity policies where it names the account", async () => {
    const { KeyId } = await newKey(kms);
    const identity = JSON.stringify({
      Version: "2012-10-17",
      Statement: { Effect: "Allow", Action: "kms:Encrypt", Resource: "*" },
    });
    const trusted = kms.as(APP, { policies: [identity] });
    const { CiphertextBlob } = await trusted.encrypt({ KeyId, Plaintext });
    expect(await refusal(trusted.decrypt({ CiphertextBlob }))).toMatch(/no identity-based policy allows/);
    expect(await refusal(trusted.createKey())).toMatch(/^AccessDeniedException.*kms:CreateKey/);
  });

  test.each([
    ["not JSON", "{"],
    ["without a statement", `{"Version":"2012-10-17"}`],
    ["with an empty condition", policy({ Principal: "*", Action: "kms:*", Condition: {} })],
  ])("is refused when it is %s", async (_, Policy) => {
    const { KeyId } = await newKey(kms);
    expect(await refusal(kms.putKeyPolicy({ KeyId, Policy }))).toMatch(/^MalformedPolicyDocumentException/);
    expect(await refusal(kms.createKey({ Policy }))).toMatch(/^MalformedPolicyDocumentException/);
  });

  test("that locks its author out is refused, unless he insists", async () => {
    const Policy = JSON.stringify({
      Version: "2012-10-17",
      Statement: [{ Effect: "Allow", Principal: { AWS: APP }, Action: "kms:*", Resource: "*" }],
    });
    expect(await refusal(kms.createKey({ Policy }))).toBe(
      "MalformedPolicyDocumentException: The new key policy will not allow you to update the key policy in the future.",
    );
    const { KeyId, Arn } = await newKey(kms, { Policy, BypassPolicyLockoutSafetyCheck: true });
    expect(await refusal(kms.describeKey({ KeyId }))).toBe(
      denied(
        kms.principal,
        "kms:DescribeKey",
        Arn,
        "because no resource-based policy allows the kms:DescribeKey action",
      ),
    );
    expect((await app.describeKey({ KeyId })).KeyMetadata?.Arn).toBe(Arn);
  });

  test("does not lock its author out where he is", async () => {
    const elsewhere = (region: string) =>
      policy({
        ...{ Effect: "Deny", Principal: "*", Action: "kms:PutKeyPolicy" },
        Condition: { StringNotEquals: { "aws:RequestedRegion": region } },
      });
    await newKey(kms, { Policy: elsewhere(REGION) });
    expect(await refusal(kms.createKey({ Policy: elsewhere("us-west-2") }))).toMatch(/will not allow you/);
  });

  test("is checked for lockout with what the key is", async () => {
    const Tags = [{ TagKey: "stage", TagValue: "test" }];
    const when = (Effect: string, Condition: object) =>
      policy({ Effect, Principal: "*", Action: "kms:PutKeyPolicy", Condition });
    const tagged = (stage: string) => ({ StringEquals: { "aws:ResourceTag/stage": stage } });
    const aliased = { "ForAnyValue:StringEquals": { "kms:ResourceAliases": "alias/locked" } };
    const symmetric = { StringEquals: { "kms:KeySpec": "SYMMETRIC_DEFAULT" } };
    const lockedOut = /will not allow you to update/;
    for (const Condition of [tagged("test"), symmetric])
      expect(await refusal(kms.createKey({ Tags, Policy: when("Deny", Condition) }))).toMatch(lockedOut);
    const { KeyId } = await newKey(kms, { Tags, Policy: when("Deny", tagged("production")) });
    for (const Condition of [tagged("test"), symmetric])
      expect(await refusal(kms.putKeyPolicy({ KeyId, Policy: when("Deny", Condition) }))).toMatch(lockedOut);
    await kms.putKeyPolicy({ KeyId, Policy: when("Deny", aliased) });
    const { KeyId: named } = await newKey(kms);
    await kms.createAlias({ AliasName: "alias/locked", TargetKeyId: named });
    expect(await refusal(kms.putKeyPolicy({ KeyId: named, Policy: when("Deny", aliased) }))).toMatch(
      lockedOut,
    );
  });

  test("of its own does not lock out who makes a key without one", async () => {
    const { KeyMetadata } = await app.createKey({ Description: "made by the app" });
    expect((await kms.describeKey({ KeyId: KeyMetadata?.KeyId })).KeyMetadata?.Description).toBe(
      "made by the app",
    );
  });
});

describe("every operation", () => {
  /** As little as each needs to come to the question who may. */
  const inputs = (
    KeyId: string,
    CiphertextBlob: Uint8Array | undefined,
    GrantId: string | undefined,
  ): Record<OperationName, object> => ({
    CreateKey: {},
    DescribeKey: { KeyId },
    ListKeys: {},
    EnableKey: { KeyId },
    DisableKey: { KeyId },
    UpdateKeyDescription: { KeyId, Description: "" },
    ReplicateKey: { KeyId, ReplicaRegion: "sa-east-1" },
    UpdatePrimaryRegion: { KeyId, PrimaryRegion: "sa-east-1" },
    ScheduleKeyDeletion: { KeyId },
    CancelKeyDeletion: { KeyId },
    CreateAlias: { AliasName: "alias/asked", TargetKeyId: KeyId },
    UpdateAlias: { AliasName: "alias/asking", TargetKeyId: KeyId },
    DeleteAlias: { AliasName: "alias/asking" },
    ListAliases: {},
    GetKeyPolicy: { KeyId },
    PutKeyPolicy: { KeyId, Policy: policy() },
    ListKeyPolicies: { KeyId },
    CreateGrant: { KeyId, GranteePrincipal: APP, Operations: ["Decrypt"] },
    ListGrants: { KeyId },
    ListRetirableGrants: { RetiringPrincipal: APP },
    RetireGrant: { KeyId, GrantId },
    RevokeGrant: { KeyId, GrantId },
    EnableKeyRotation: { KeyId },
    DisableKeyRotation: { KeyId },
    GetKeyRotationStatus: { KeyId },
    ListKeyRotations: { KeyId },
    RotateKeyOnDemand: { KeyId },
    GetKeyLastUsage: { KeyId },
    TagResource: { KeyId, Tags: [] },
    UntagResource: { KeyId, TagKeys: [] },
    ListResourceTags: { KeyId },
    Encrypt: { KeyId, Plaintext },
    Decrypt: { CiphertextBlob },
    ReEncrypt: { CiphertextBlob, DestinationKeyId: KeyId },
    GenerateDataKey: { KeyId, KeySpec: "AES_256" },
    GenerateDataKeyWithoutPlaintext: { KeyId, KeySpec: "AES_256" },
    GenerateDataKeyPair: { KeyId, KeyPairSpec: "ECC_NIST_P256" },
    GenerateDataKeyPairWithoutPlaintext: { KeyId, KeyPairSpec: "ECC_NIST_P256" },
    GetPublicKey: { KeyId },
    DeriveSharedSecret: { KeyId, KeyAgreementAlgorithm: "ECDH", PublicKey: Plaintext },
    Sign: { KeyId, Message: Plaintext, SigningAlgorithm: "ECDSA_SHA_256" },
    Verify: { KeyId, Message: Plaintext, Signature: Plaintext, SigningAlgorithm: "ECDSA_SHA_256" },
    GenerateMac: { KeyId, Message: Plaintext, MacAlgorithm: "HMAC_SHA_256" },
    VerifyMac: { KeyId, Message: Plaintext, Mac: Plaintext, MacAlgorithm: "HMAC_SHA_256" },
    GenerateRandom: { NumberOfBytes: 1 },
    CreateCustomKeyStore: { CustomKeyStoreName: "store" },
    DescribeCustomKeyStores: {},
    UpdateCustomKeyStore: { CustomKeyStoreId: "cks-1" },
    ConnectCustomKeyStore: { CustomKeyStoreId: "cks-1" },
    DisconnectCustomKeyStore: { CustomKeyStoreId: "cks-1" },
    GetParametersForImport: { KeyId, WrappingAlgorithm: "RSAES_OAEP_SHA_256", WrappingKeySpec: "RSA_2048" },
    ImportKeyMaterial: { KeyId, ImportToken: Plaintext, EncryptedKeyMaterial: Plaintext },
    DeleteImportedKeyMaterial: { KeyId },
    DeleteCustomKeyStore: { CustomKeyStoreId: "cks-1" },
  });

  test.each(Object.keys(operations) as OperationName[])("asks who may: %s", async (name) => {
    const { KeyId } = await newKey(kms);
    const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext });
    await kms.createAlias({ AliasName: "alias/asking", TargetKeyId: KeyId });
    const { GrantId } = await kms.createGrant({ KeyId, GranteePrincipal: APP, Operations: ["DescribeKey"] });
    const nobody = kms.as(`${APP}2`, { policies: [] });
    const refused = await refusal(nobody.request(name, inputs(KeyId, CiphertextBlob, GrantId)[name]));
    expect(refused).toMatch(/^AccessDeniedException: User: .* no (identity|resource)-based policy allows/);
    await kms.deleteAlias({ AliasName: "alias/asking" });
  });
});

describe("a caller of another account", () => {
  const wanted = (action: string, resource: string) =>
    denied(
      stranger.principal,
      action,
      resource,
      `because no resource-based policy allows the ${action} action`,
    );

  test("cannot tell a key that is closed to it from one that is not there", async () => {
    const { KeyId, Arn } = await newKey(kms);
    await kms.disableKey({ KeyId });
    expect(await refusal(stranger.encrypt({ KeyId: Arn, Plaintext }))).toBe(wanted("kms:Encrypt", Arn));
    const none = Arn.replace(KeyId, MISSING);
    expect(await refusal(stranger.encrypt({ KeyId: none, Plaintext }))).toBe(wanted("kms:Encrypt", none));
  });

  test("nor an alias, nor learn what key an alias stands for", async () => {
    const { KeyId } = await newKey(kms);
    await kms.createAlias({ AliasName: "alias/closed", TargetKeyId: KeyId });
    for (const name of ["alias/closed", "alias/open"]) {
      const arn = `arn:aws:kms:${REGION}:${ACCOUNT}:${name}`;
      expect(await refusal(stranger.describeKey({ KeyId: arn }))).toBe(wanted("kms:DescribeKey", arn));
    }
  });

  test("nor whose key a ciphertext is under", async () => {
    const { KeyId } = await newKey(kms);
    const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext });
    const elsewhere = Uint8Array.from(CiphertextBlob as Uint8Array).fill(9, 2, 18);
    const texts = [CiphertextBlob, elsewhere].map((blob) =>
      refusal(stranger.decrypt({ CiphertextBlob: blob })),
    );
    const [closed, missing] = await Promise.all(texts);
    expect(closed).toBe(wanted("kms:Decrypt", "the key associated with this ciphertext"));
    expect(missing).toBe(closed);
  });

  test("finds nothing of this account by id or alias, since these are its own account's", async () => {
    const { KeyId } = await newKey(kms);
    expect(await refusal(stranger.describeKey({ KeyId }))).toBe(
      `NotFoundException: Key 'arn:aws:kms:${REGION}:${OTHER}:key/${KeyId}' does not exist`,
    );
    expect((await stranger.listKeys()).Keys).toEqual([]);
  });

  test("needs both the key policy and an identity policy", async () => {
    const { Arn } = await newKey(kms, {
      Policy: policy({ Principal: { AWS: stranger.principal }, Action: "kms:Encrypt" }),
    });
    expect(await refusal(stranger.encrypt({ KeyId: Arn, Plaintext }))).toMatch(
      /no identity-based policy allows/,
    );
    const allowed = kms.as(stranger.principal, {
      policies: ['{"Statement":{"Effect":"Allow","Action":"kms:Encrypt","Resource":"*"}}'],
    });
    expect((await allowed.encrypt({ KeyId: Arn, Plaintext })).KeyId).toBe(Arn);
  });
});
