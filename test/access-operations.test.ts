import { beforeAll, describe, expect, test } from "vitest";
import type { Kms } from "../lib/index.ts";
import { operations } from "../lib/operations.ts";
import { ACCOUNT, newKey, openTestDeployment, REGION, refusal } from "./deployment.ts";

/**
 * What each operation asks of access: its IAM action, the resource that it is about, and condition keys that it supplies.
 * From AWS's "Actions, resources, and condition keys for AWS Key Management Service".
 */
type OperationName = keyof typeof operations;

const USER = `arn:aws:iam::${ACCOUNT}:user/ann`;
const Plaintext = new Uint8Array([1, 2, 3]);
const EncryptionContext = { tenant: "7" };
const ALIAS = "alias/asked";
const aliasArn = (name: string) => `arn:aws:kms:${REGION}:${ACCOUNT}:${name}`;

/** The keys that they are asked of, all with the tag `stage=test`. */
const kinds = {
  symmetric: {},
  rsa: { KeySpec: "RSA_2048", KeyUsage: "ENCRYPT_DECRYPT" },
  signing: { KeySpec: "ECC_NIST_P256", KeyUsage: "SIGN_VERIFY" },
  agreement: { KeySpec: "ECC_NIST_P256", KeyUsage: "KEY_AGREEMENT" },
  hmac: { KeySpec: "HMAC_256", KeyUsage: "GENERATE_VERIFY_MAC" },
  imported: { Origin: "EXTERNAL" },
  multiRegion: { MultiRegion: true },
} as const;

interface Target {
  KeyId: string;
  Arn: string;
  /** What `before` gave. */
  made: Record<string, unknown>;
}
/** The first is an action; the others a resource (of a key, unless told) and a condition that holds. */
interface Asked {
  action: string;
  resource?: string | ((target: Target) => string);
  condition: readonly [operator: string, key: string, value: string];
}
interface Row {
  /** None where it is about no key. */
  kind?: keyof typeof kinds;
  before?: (target: Target) => Promise<object>;
  input: (target: Target) => object;
  asks: readonly Asked[];
  /** What is refused once access has let it through: it is about what is not there. */
  fails?: RegExp;
}

let kms: Kms;

const tagged = ["StringEquals", "aws:ResourceTag/stage", "test"] as const;
const caller = ["StringEquals", "kms:CallerAccount", ACCOUNT] as const;
const inContext = ["StringEquals", "kms:EncryptionContext:tenant", "7"] as const;

/** An operation that is about one key. */
const onKey = (
  name: OperationName,
  condition: Asked["condition"] = tagged,
  more: object | ((target: Target) => object) = {},
  row: Partial<Row> = {},
): Row => ({
  kind: "symmetric",
  input: (target) => ({ KeyId: target.KeyId, ...(typeof more === "function" ? more(target) : more) }),
  asks: [{ action: `kms:${name}`, condition }],
  ...row,
});
/** One that is about the account. */
const onAccount = (
  name: OperationName,
  input: object = {},
  condition: Asked["condition"] = caller,
  fails?: RegExp,
): Row => ({
  input: () => input,
  asks: [{ action: `kms:${name}`, resource: "*", condition }],
  ...(fails && { fails }),
});

const encrypted = async ({ KeyId }: Target) => kms.encrypt({ KeyId, Plaintext, EncryptionContext });
const granted = async ({ KeyId }: Target) =>
  kms.createGrant({ KeyId, GranteePrincipal: USER, Operations: ["Decrypt"] });
const named = async ({ KeyId }: Target) => kms.createAlias({ AliasName: ALIAS, TargetKeyId: KeyId });
const missingStore = { CustomKeyStoreId: "cks-1234567890abcdef0" };
const noStore = /^CustomKeyStoreNotFoundException/;
const signing = { Message: Plaintext, SigningAlgorithm: "ECDSA_SHA_256" } as const;
const mac = { Message: Plaintext, MacAlgorithm: "HMAC_SHA_256" } as const;
const wrapping = { WrappingAlgorithm: "RSAES_OAEP_SHA_256", WrappingKeySpec: "RSA_2048" } as const;

const rows: Record<OperationName, Row> = {
  CreateKey: {
    input: () => ({
      KeySpec: "HMAC_256",
      KeyUsage: "GENERATE_VERIFY_MAC",
      Tags: [{ TagKey: "a", TagValue: "b" }],
    }),
    asks: [
      { action: "kms:CreateKey", resource: "*", condition: ["StringEquals", "kms:KeySpec", "HMAC_256"] },
      { action: "kms:TagResource", resource: "*", condition: ["StringEquals", "aws:RequestTag/a", "b"] },
    ],
  },
  DescribeKey: onKey(
    "DescribeKey",
    ["StringEquals", "kms:RequestAlias", ALIAS],
    { KeyId: ALIAS },
    { before: named },
  ),
  ListKeys: onAccount("ListKeys"),
  EnableKey: onKey("EnableKey", ["StringEquals", "kms:KeyOrigin", "AWS_KMS"]),
  DisableKey: onKey(
    "DisableKey",
    ["ForAnyValue:StringEquals", "kms:ResourceAliases", ALIAS],
    {},
    { before: named },
  ),
  UpdateKeyDescription: onKey("UpdateKeyDescription", ["StringEquals", "kms:KeyUsage", "ENCRYPT_DECRYPT"], {
    Description: "",
  }),
  ScheduleKeyDeletion: onKey(
    "ScheduleKeyDeletion",
    ["NumericEquals", "kms:ScheduleKeyDeletionPendingWindowInDays", "7"],
    { PendingWindowInDays: 7 },
  ),
  CancelKeyDeletion: onKey(
    "CancelKeyDeletion",
    tagged,
    {},
    {
      before: ({ KeyId }) => kms.scheduleKeyDeletion({ KeyId }),
    },
  ),
  CreateAlias: {
    kind: "symmetric",
    input: ({ KeyId }) => ({ AliasName: ALIAS, TargetKeyId: KeyId }),
    asks: [
      { action: "kms:CreateAlias", condition: tagged },
      { action: "kms:CreateAlias", resource: aliasArn(ALIAS), condition: caller },
    ],
  },
  UpdateAlias: {
    kind: "symmetric",
    before: async (target) => {
      await named(target);
      return { other: await newKey(kms, { Tags: [{ TagKey: "stage", TagValue: "test" }] }) };
    },
    input: ({ made }) => ({ AliasName: ALIAS, TargetKeyId: (made.other as Target).KeyId }),
    asks: [
      { action: "kms:UpdateAlias", condition: tagged },
      { action: "kms:UpdateAlias", resource: ({ made }) => (made.other as Target).Arn, condition: tagged },
      { action: "kms:UpdateAlias", resource: aliasArn(ALIAS), condition: caller },
    ],
  },
  DeleteAlias: {
    kind: "symmetric",
    before: named,
    input: () => ({ AliasName: ALIAS }),
    asks: [
      { action: "kms:DeleteAlias", condition: tagged },
      { action: "kms:DeleteAlias", resource: aliasArn(ALIAS), condition: caller },
    ],
  },
  ListAliases: onAccount("ListAliases"),
  GetKeyPolicy: onKey("GetKeyPolicy"),
  PutKeyPolicy: onKey(
    "PutKeyPolicy",
    ["Bool", "kms:BypassPolicyLockoutSafetyCheck", "true"],
    ({ made }) => ({ Policy: made.Policy, BypassPolicyLockoutSafetyCheck: true }),
    { before: ({ KeyId }) => kms.getKeyPolicy({ KeyId }) },
  ),
  ListKeyPolicies: onKey("ListKeyPolicies"),
  CreateGrant: onKey("CreateGrant", ["ForAllValues:StringEquals", "kms:GrantOperations", "Decrypt"], {
    GranteePrincipal: USER,
    Operations: ["Decrypt"],
  }),
  ListGrants: onKey("ListGrants", ["StringEquals", "kms:GranteePrincipal", USER], { GranteePrincipal: USER }),
  ListRetirableGrants: onAccount("ListRetirableGrants", { RetiringPrincipal: USER }),
  RetireGrant: onKey("RetireGrant", tagged, ({ made }) => ({ GrantId: made.GrantId }), { before: granted }),
  RevokeGrant: onKey("RevokeGrant", tagged, ({ made }) => ({ GrantId: made.GrantId }), { before: granted }),
  EnableKeyRotation: onKey("EnableKeyRotation", ["NumericEquals", "kms:RotationPeriodInDays", "90"], {
    RotationPeriodInDays: 90,
  }),
  DisableKeyRotation: onKey("DisableKeyRotation"),
  GetKeyRotationStatus: onKey("GetKeyRotationStatus"),
  ListKeyRotations: onKey("ListKeyRotations"),
  RotateKeyOnDemand: onKey("RotateKeyOnDemand"),
  TagResource: onKey("TagResource", ["StringEquals", "aws:RequestTag/a", "b"], {
    Tags: [{ TagKey: "a", TagValue: "b" }],
  }),
  UntagResource: onKey("UntagResource", ["ForAllValues:StringEquals", "aws:TagKeys", "a"], {
    TagKeys: ["a"],
  }),
  ListResourceTags: onKey("ListResourceTags"),
  GetKeyLastUsage: onKey("GetKeyLastUsage"),
  Encrypt: onKey("Encrypt", inContext, { Plaintext, EncryptionContext }),
  Decrypt: {
    kind: "symmetric",
    before: encrypted,
    input: ({ made }) => ({ CiphertextBlob: made.CiphertextBlob, EncryptionContext }),
    asks: [
      {
        action: "kms:Decrypt",
        condition: ["ForAllValues:StringEquals", "kms:EncryptionContextKeys", "tenant"],
      },
    ],
  },
  ReEncrypt: {
    kind: "symmetric",
    before: async (target) => ({
      ...(await encrypted(target)),
      other: await newKey(kms, kinds.rsa),
    }),
    input: ({ made }) => ({
      ...{ CiphertextBlob: made.CiphertextBlob, SourceEncryptionContext: EncryptionContext },
      ...{
        DestinationKeyId: (made.other as Target).KeyId,
        DestinationEncryptionAlgorithm: "RSAES_OAEP_SHA_256",
      },
    }),
    asks: [
      { action: "kms:ReEncryptFrom", condition: inContext },
      {
        action: "kms:ReEncryptTo",
        resource: ({ made }) => (made.other as Target).Arn,
        condition: ["StringEquals", "kms:EncryptionAlgorithm", "RSAES_OAEP_SHA_256"],
      },
    ],
  },
  GenerateDataKey: onKey("GenerateDataKey", inContext, { KeySpec: "AES_256", EncryptionContext }),
  GenerateDataKeyWithoutPlaintext: onKey("GenerateDataKeyWithoutPlaintext", inContext, {
    KeySpec: "AES_256",
    EncryptionContext,
  }),
  GenerateDataKeyPair: onKey(
    "GenerateDataKeyPair",
    ["StringEquals", "kms:DataKeyPairSpec", "ECC_NIST_P256"],
    {
      KeyPairSpec: "ECC_NIST_P256",
    },
  ),
  GenerateDataKeyPairWithoutPlaintext: onKey(
    "GenerateDataKeyPairWithoutPlaintext",
    ["StringEquals", "kms:DataKeyPairSpec", "ECC_NIST_P256"],
    { KeyPairSpec: "ECC_NIST_P256" },
  ),
  GetPublicKey: onKey("GetPublicKey", ["StringEquals", "kms:KeySpec", "RSA_2048"], {}, { kind: "rsa" }),
  DeriveSharedSecret: onKey(
    "DeriveSharedSecret",
    ["StringEquals", "kms:KeyAgreementAlgorithm", "ECDH"],
    ({ made }) => ({ KeyAgreementAlgorithm: "ECDH", PublicKey: made.PublicKey }),
    { kind: "agreement", before: ({ KeyId }) => kms.getPublicKey({ KeyId }) },
  ),
  Sign: onKey("Sign", ["StringEquals", "kms:SigningAlgorithm", "ECDSA_SHA_256"], signing, {
    kind: "signing",
  }),
  Verify: onKey(
    "Verify",
    ["StringEquals", "kms:MessageType", "RAW"],
    ({ made }) => ({ ...signing, Signature: made.Signature }),
    { kind: "signing", before: ({ KeyId }) => kms.sign({ KeyId, ...signing }) },
  ),
  GenerateMac: onKey("GenerateMac", ["StringEquals", "kms:MacAlgorithm", "HMAC_SHA_256"], mac, {
    kind: "hmac",
  }),
  VerifyMac: onKey(
    "VerifyMac",
    ["StringEquals", "kms:MacAlgorithm", "HMAC_SHA_256"],
    ({ made }) => ({ ...mac, Mac: made.Mac }),
    { kind: "hmac", before: ({ KeyId }) => kms.generateMac({ KeyId, ...mac }) },
  ),
  GenerateRandom: onAccount("GenerateRandom", { NumberOfBytes: 1 }),
  GetParametersForImport: onKey(
    "GetParametersForImport",
    ["StringEquals", "kms:WrappingAlgorithm", "RSAES_OAEP_SHA_256"],
    wrapping,
    { kind: "imported" },
  ),
  ImportKeyMaterial: onKey(
    "ImportKeyMaterial",
    ["StringEquals", "kms:ExpirationModel", "KEY_MATERIAL_DOES_NOT_EXPIRE"],
    ({ made }) => ({
      ...{ ImportToken: made.ImportToken, EncryptedKeyMaterial: Plaintext },
      ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE",
    }),
    {
      kind: "imported",
      before: ({ KeyId }) => kms.getParametersForImport({ KeyId, ...wrapping }),
      fails: /^InvalidCiphertextException/,
    },
  ),
  DeleteImportedKeyMaterial: onKey(
    "DeleteImportedKeyMaterial",
    ["StringEquals", "kms:KeyOrigin", "EXTERNAL"],
    {},
    {
      kind: "imported",
    },
  ),
  ReplicateKey: {
    kind: "multiRegion",
    input: ({ KeyId }) => ({ KeyId, ReplicaRegion: "us-west-2" }),
    asks: [
      { action: "kms:ReplicateKey", condition: ["StringEquals", "kms:ReplicaRegion", "us-west-2"] },
      {
        action: "kms:CreateKey",
        resource: "*",
        condition: ["StringEquals", "kms:MultiRegionKeyType", "REPLICA"],
      },
    ],
  },
  UpdatePrimaryRegion: {
    kind: "multiRegion",
    before: ({ KeyId }) => kms.replicateKey({ KeyId, ReplicaRegion: "us-west-2" }),
    input: ({ KeyId }) => ({ KeyId, PrimaryRegion: "us-west-2" }),
    asks: [
      { action: "kms:UpdatePrimaryRegion", condition: ["StringEquals", "kms:PrimaryRegion", "us-west-2"] },
      {
        action: "kms:UpdatePrimaryRegion",
        resource: ({ Arn }) => Arn.replace(REGION, "us-west-2"),
        condition: ["StringEquals", "kms:MultiRegionKeyType", "REPLICA"],
      },
    ],
  },
  CreateCustomKeyStore: onAccount(
    "CreateCustomKeyStore",
    { CustomKeyStoreName: "store", CustomKeyStoreType: "AWS_CLOUDHSM" },
    caller,
    /^(ValidationException|CloudHsmCluster\w+)/,
  ),
  ConnectCustomKeyStore: onAccount("ConnectCustomKeyStore", missingStore, caller, noStore),
  DeleteCustomKeyStore: onAccount("DeleteCustomKeyStore", missingStore, caller, noStore),
  DescribeCustomKeyStores: onAccount("DescribeCustomKeyStores"),
  DisconnectCustomKeyStore: onAccount("DisconnectCustomKeyStore", missingStore, caller, noStore),
  UpdateCustomKeyStore: onAccount(
    "UpdateCustomKeyStore",
    { ...missingStore, NewCustomKeyStoreName: "b" },
    caller,
    noStore,
  ),
};

beforeAll(async () => {
  ({ kms } = await openTestDeployment({ regions: [REGION, "us-west-2"] }));
});

const document = (Statement: object[]) => JSON.stringify({ Version: "2012-10-17", Statement });

/** Makes what the operation is about, and gives what asks it as someone with these statements. */
async function prepare({ kind, before, input }: Row) {
  const tags = { Tags: [{ TagKey: "stage", TagValue: "test" }] };
  const target: Target = { KeyId: "", Arn: "", made: {} };
  if (kind !== undefined) Object.assign(target, await newKey(kms, { ...kinds[kind], ...tags }));
  if (before !== undefined) target.made = { ...(await before(target)) };
  const ask = (name: string, statements: object[]) =>
    kms.as(USER, { policies: [document(statements)] }).request(name, input(target));
  return { target, ask };
}

const resourceOf = ({ resource }: Asked, target: Target) =>
  typeof resource === "function" ? resource(target) : (resource ?? target.Arn);

/** Allows what one ask is, exactly so. */
const exactly = (
  asked: Asked,
  target: Target,
  change: Partial<Record<"value" | "resource", string>> = {},
) => {
  const [operator, key, value] = asked.condition;
  return {
    ...{ Effect: "Allow", Action: asked.action, Resource: change.resource ?? resourceOf(asked, target) },
    Condition: { [operator]: { [key]: change.value ?? value } },
  };
};

/** A value of the same kind that the condition does not hold for. */
const another = (value: string) => (value === "true" ? "false" : /^\d+$/.test(value) ? "1" : "another");

describe.each(Object.entries(rows))("%s", (name, row) => {
  const forget = async () => {
    await kms.deleteAlias({ AliasName: ALIAS }).catch(() => {});
  };

  test("is allowed by its action on its resource, under a condition that it meets", async () => {
    const { target, ask } = await prepare(row);
    const asking = ask(
      name,
      row.asks.map((asked) => exactly(asked, target)),
    );
    if (row.fails === undefined) await asking;
    else expect(await refusal(asking)).toMatch(row.fails);
    await forget();
  });

  test.each(row.asks.map((asked) => [asked.action, asked] as const))(
    "is refused without %s",
    async (_, asked) => {
      const { target, ask } = await prepare(row);
      const others = row.asks.filter((other) => other !== asked).map((other) => exactly(other, target));
      const denied = new RegExp(
        `^AccessDeniedException: .* ${asked.action} on resource: .*no identity-based policy`,
      );
      const elsewhere = resourceOf(asked, target).replace(/[^/*]+$/, "elsewhere");
      const wrong = [
        [],
        // Every other action.
        [{ Effect: "Allow", NotAction: asked.action, Resource: resourceOf(asked, target) }],
        [exactly(asked, target, { value: another(asked.condition[2]) })],
        ...(elsewhere === "*" ? [] : [[exactly(asked, target, { resource: elsewhere })]]),
        [{ ...exactly(asked, target), Condition: { Null: { [asked.condition[1]]: "true" } } }],
      ];
      for (const statements of wrong)
        expect(await refusal(ask(name, [...others, ...statements, never]))).toMatch(denied);
      await forget();
    },
  );
});

/** A policy has at least one statement. */
const never = { Effect: "Allow", Action: "kms:None", Resource: "*" };

test("every operation of AWS KMS is here", () => {
  expect(Object.keys(rows)).toHaveLength(54);
  expect(Object.keys(rows).toSorted()).toEqual(Object.keys(operations).toSorted());
});
