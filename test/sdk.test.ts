import {
  constants,
  createHash,
  createHmac,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  randomBytes,
  randomUUID,
  verify,
} from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { operations as table } from "../lib/operations.ts";
import { ACCOUNT, REGION, text } from "./deployment.ts";
import {
  APP,
  ELSEWHERE,
  forImport,
  imported,
  keyOf,
  type Lab,
  MESSAGE,
  newAlias,
  newGrant,
  newKey,
  type Operation,
  openLab,
  stateOf,
  UUID,
  type Way,
  ways,
  withStore,
  wrapping,
} from "./sdk-lab.ts";

let lab: Lab;
beforeAll(async () => {
  lab = await openLab();
});
afterAll(() => lab?.close());

const NOW = () => expect.toSatisfy((date: Date) => Math.abs(date.getTime() - Date.now()) < 3 * 86_400_000);
const connectionOf = async ({ aws }: Way, CustomKeyStoreId: string) =>
  (await aws.describeCustomKeyStores({ CustomKeyStoreId })).CustomKeyStores?.[0]?.ConnectionState;
/** One row an operation: a missing one does not compile. */
const operations: Record<Operation, (way: Way) => Promise<void>> = {
  async CancelKeyDeletion({ aws }) {
    const { KeyId, Arn } = await newKey(aws);
    await aws.scheduleKeyDeletion({ KeyId });
    expect(await aws.cancelKeyDeletion({ KeyId })).toMatchObject({ KeyId: Arn });
    expect(await stateOf(aws, KeyId)).toBe("Disabled");
  },
  async ConnectCustomKeyStore(way) {
    await withStore(way, async (CustomKeyStoreId) => {
      await way.aws.connectCustomKeyStore({ CustomKeyStoreId });
      expect(await connectionOf(way, CustomKeyStoreId)).toBe("CONNECTED");
      const random = await way.aws.generateRandom({ CustomKeyStoreId, NumberOfBytes: 16 });
      expect(random.Plaintext).toHaveLength(16);
    });
  },
  async CreateAlias({ aws }) {
    const { KeyId, Arn } = await newKey(aws);
    const AliasName = await newAlias(aws, KeyId);
    expect((await aws.describeKey({ KeyId: AliasName })).KeyMetadata?.Arn).toBe(Arn);
  },
  async CreateCustomKeyStore(way) {
    await withStore(way, async (CustomKeyStoreId) => {
      expect(CustomKeyStoreId).toMatch(/^cks-[0-9a-f]{17}$/);
    });
  },
  async CreateGrant({ aws }) {
    const { KeyId } = await newKey(aws);
    const { GrantId, GrantToken } = await newGrant(aws, KeyId);
    expect(GrantId).toMatch(/^[0-9a-f]{64}$/);
    expect(GrantToken).toMatch(/^[\w-]{100,}$/);
  },
  async CreateKey({ aws }) {
    const Tags = [{ TagKey: "team", TagValue: "ä" }];
    const { KeyMetadata } = await aws.createKey({ Description: "of the SDK ሴ", Tags });
    expect(KeyMetadata).toMatchObject({
      AWSAccountId: ACCOUNT,
      Arn: `arn:aws:kms:${REGION}:${ACCOUNT}:key/${KeyMetadata?.KeyId}`,
      CreationDate: NOW(),
      Description: "of the SDK ሴ",
      Enabled: true,
      KeyManager: "CUSTOMER",
      KeySpec: "SYMMETRIC_DEFAULT",
      KeyState: "Enabled",
      KeyUsage: "ENCRYPT_DECRYPT",
      EncryptionAlgorithms: ["SYMMETRIC_DEFAULT"],
      MultiRegion: false,
      Origin: "AWS_KMS",
    });
    expect(KeyMetadata?.CreationDate).toBeInstanceOf(Date);
    expect(KeyMetadata?.KeyId).toMatch(UUID);
    expect((await aws.listResourceTags({ KeyId: KeyMetadata?.KeyId })).Tags).toEqual(Tags);
  },
  async Decrypt({ aws }) {
    const { KeyId, Arn } = await newKey(aws);
    const EncryptionContext = { tenant: "ü", "": "" };
    const { CiphertextBlob } = await aws.encrypt({ KeyId, Plaintext: MESSAGE, EncryptionContext });
    const answer = await aws.decrypt({ CiphertextBlob, EncryptionContext });
    expect(answer).toMatchObject({ KeyId: Arn, EncryptionAlgorithm: "SYMMETRIC_DEFAULT" });
    expect(answer.KeyMaterialId).toMatch(/^[0-9a-f]{64}$/);
    expect(answer.Plaintext).toBeInstanceOf(Uint8Array);
    expect(text(answer.Plaintext)).toBe(text(MESSAGE));
  },
  async DeleteAlias({ aws }) {
    const { KeyId } = await newKey(aws);
    await aws.deleteAlias({ AliasName: await newAlias(aws, KeyId) });
    expect((await aws.listAliases({ KeyId })).Aliases).toEqual([]);
  },
  async DeleteCustomKeyStore(way) {
    await withStore(way, async () => {});
    const { CustomKeyStores = [] } = await way.aws.describeCustomKeyStores({});
    const { CustomKeyStoreName } = way.cluster();
    expect(CustomKeyStores.map((store) => store.CustomKeyStoreName)).not.toContain(CustomKeyStoreName);
  },
  async DeleteImportedKeyMaterial({ aws }) {
    const { KeyId, Arn, KeyMaterialId } = await imported(aws);
    expect(await aws.deleteImportedKeyMaterial({ KeyId })).toMatchObject({ KeyId: Arn, KeyMaterialId });
    expect(await stateOf(aws, KeyId)).toBe("PendingImport");
  },
  async DeriveSharedSecret({ aws }) {
    const { KeyId, Arn } = await keyOf(aws, "ECC_NIST_P384", "KEY_AGREEMENT");
    const mine = generateKeyPairSync("ec", { namedCurve: "P-384" });
    const answer = await aws.deriveSharedSecret({
      KeyId,
      KeyAgreementAlgorithm: "ECDH",
      PublicKey: mine.publicKey.export({ format: "der", type: "spki" }),
    });
    expect(answer).toMatchObject({ KeyId: Arn, KeyAgreementAlgorithm: "ECDH", KeyOrigin: "AWS_KMS" });
    const { PublicKey } = await aws.getPublicKey({ KeyId });
    const publicKey = createPublicKey({
      key: Buffer.from(PublicKey as Uint8Array),
      format: "der",
      type: "spki",
    });
    const secret = diffieHellman({ privateKey: mine.privateKey, publicKey });
    expect(Buffer.from(answer.SharedSecret as Uint8Array)).toEqual(secret);
  },
  async DescribeCustomKeyStores(way) {
    await withStore(way, async (CustomKeyStoreId) => {
      const { KeyStorePassword: _, ...settings } = way.cluster();
      const { CustomKeyStores } = await way.aws.describeCustomKeyStores({ CustomKeyStoreId });
      const state = { ConnectionState: "DISCONNECTED", CustomKeyStoreType: "AWS_CLOUDHSM" };
      expect(CustomKeyStores).toEqual([
        { CustomKeyStoreId, ...settings, ...state, CreationDate: expect.any(Date) },
      ]);
    });
  },
  async DescribeKey({ aws }) {
    const { KeyMetadata } = await aws.createKey({ KeySpec: "HMAC_512", KeyUsage: "GENERATE_VERIFY_MAC" });
    expect((await aws.describeKey({ KeyId: KeyMetadata?.Arn })).KeyMetadata).toEqual(KeyMetadata);
    expect(KeyMetadata?.MacAlgorithms).toEqual(["HMAC_SHA_512"]);
  },
  async DisableKey({ aws }) {
    const { KeyId } = await newKey(aws);
    expect(await aws.disableKey({ KeyId })).toEqual({ $metadata: expect.anything() });
    expect(await stateOf(aws, KeyId)).toBe("Disabled");
  },
  async DisableKeyRotation({ aws }) {
    const { KeyId } = await newKey(aws);
    await aws.enableKeyRotation({ KeyId });
    await aws.disableKeyRotation({ KeyId });
    expect(await aws.getKeyRotationStatus({ KeyId })).toMatchObject({ KeyRotationEnabled: false });
  },
  async DisconnectCustomKeyStore(way) {
    await withStore(way, async (CustomKeyStoreId) => {
      await way.aws.connectCustomKeyStore({ CustomKeyStoreId });
      await way.aws.disconnectCustomKeyStore({ CustomKeyStoreId });
      expect(await connectionOf(way, CustomKeyStoreId)).toBe("DISCONNECTED");
    });
  },
  async EnableKey({ aws }) {
    const { KeyId } = await newKey(aws);
    await aws.disableKey({ KeyId });
    await aws.enableKey({ KeyId });
    expect(await stateOf(aws, KeyId)).toBe("Enabled");
  },
  async EnableKeyRotation({ aws }) {
    const { KeyId } = await newKey(aws);
    await aws.enableKeyRotation({ KeyId, RotationPeriodInDays: 180 });
    expect(await aws.getKeyRotationStatus({ KeyId })).toMatchObject({ RotationPeriodInDays: 180 });
  },
  async Encrypt({ aws }) {
    const { KeyId, Arn } = await keyOf(aws, "RSA_2048", "ENCRYPT_DECRYPT");
    const EncryptionAlgorithm = "RSAES_OAEP_SHA_1";
    const sealed = await aws.encrypt({ KeyId, Plaintext: MESSAGE, EncryptionAlgorithm });
    expect(sealed).toMatchObject({ KeyId: Arn, EncryptionAlgorithm });
    expect(sealed.CiphertextBlob).toBeInstanceOf(Uint8Array);
    expect(sealed.CiphertextBlob).toHaveLength(256);
    const { CiphertextBlob } = sealed;
    const { Plaintext } = await aws.decrypt({ KeyId, CiphertextBlob, EncryptionAlgorithm });
    expect(text(Plaintext)).toBe(text(MESSAGE));
  },
  async GenerateDataKey({ aws }) {
    const { KeyId, Arn } = await newKey(aws);
    const made = await aws.generateDataKey({ KeyId, NumberOfBytes: 64 });
    expect(made).toMatchObject({ KeyId: Arn, KeyMaterialId: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(made.Plaintext).toHaveLength(64);
    const { Plaintext } = await aws.decrypt({ CiphertextBlob: made.CiphertextBlob });
    expect(Plaintext).toEqual(made.Plaintext);
  },
  async GenerateDataKeyPair({ aws }) {
    const { KeyId, Arn } = await newKey(aws);
    const made = await aws.generateDataKeyPair({ KeyId, KeyPairSpec: "ECC_NIST_P256" });
    expect(made).toMatchObject({ KeyId: Arn, KeyPairSpec: "ECC_NIST_P256" });
    const { Plaintext } = await aws.decrypt({ CiphertextBlob: made.PrivateKeyCiphertextBlob });
    expect(Plaintext).toEqual(made.PrivateKeyPlaintext);
    const read = { key: Buffer.from(made.PublicKey as Uint8Array), format: "der", type: "spki" } as const;
    expect(createPublicKey(read).asymmetricKeyType).toBe("ec");
  },
  async GenerateDataKeyPairWithoutPlaintext({ aws }) {
    const { KeyId } = await newKey(aws);
    const made = await aws.generateDataKeyPairWithoutPlaintext({ KeyId, KeyPairSpec: "ECC_SECG_P256K1" });
    expect(made).not.toHaveProperty("PrivateKeyPlaintext");
    expect((await aws.decrypt({ CiphertextBlob: made.PrivateKeyCiphertextBlob })).Plaintext?.[0]).toBe(0x30);
  },
  async GenerateDataKeyWithoutPlaintext({ aws }) {
    const { KeyId } = await newKey(aws);
    const made = await aws.generateDataKeyWithoutPlaintext({ KeyId, KeySpec: "AES_128" });
    expect(made).not.toHaveProperty("Plaintext");
    expect((await aws.decrypt({ CiphertextBlob: made.CiphertextBlob })).Plaintext).toHaveLength(16);
  },
  async GenerateMac({ aws }) {
    const { KeyId, Arn } = await keyOf(aws, "HMAC_224", "GENERATE_VERIFY_MAC");
    const made = await aws.generateMac({ KeyId, Message: MESSAGE, MacAlgorithm: "HMAC_SHA_224" });
    expect(made).toMatchObject({ KeyId: Arn, MacAlgorithm: "HMAC_SHA_224" });
    expect(made.Mac).toHaveLength(28);
  },
  async GenerateRandom({ aws }) {
    const [one, two] = [
      await aws.generateRandom({ NumberOfBytes: 1024 }),
      await aws.generateRandom({ NumberOfBytes: 1024 }),
    ];
    expect(one.Plaintext).toHaveLength(1024);
    expect(one.Plaintext).not.toEqual(two.Plaintext);
  },
  async GetKeyLastUsage({ aws }) {
    const { KeyId } = await newKey(aws);
    expect((await aws.getKeyLastUsage({ KeyId })).KeyLastUsage).toEqual({});
    const { $metadata } = await aws.encrypt({ KeyId, Plaintext: MESSAGE });
    expect(await aws.getKeyLastUsage({ KeyId })).toMatchObject({
      KeyId,
      KeyCreationDate: expect.any(Date),
      TrackingStartDate: expect.any(Date),
      KeyLastUsage: {
        Operation: "Encrypt",
        Timestamp: expect.any(Date),
        CloudTrailEventId: expect.stringMatching(UUID),
        KmsRequestId: $metadata.requestId,
      },
    });
  },
  async GetKeyPolicy({ aws }) {
    const { KeyId } = await newKey(aws);
    const { Policy, PolicyName } = await aws.getKeyPolicy({ KeyId });
    expect(PolicyName).toBe("default");
    expect(JSON.parse(Policy as string).Statement).toHaveLength(1);
  },
  async GetKeyRotationStatus({ aws }) {
    const { KeyId } = await newKey(aws);
    expect(await aws.getKeyRotationStatus({ KeyId })).toMatchObject({ KeyId, KeyRotationEnabled: false });
    await aws.enableKeyRotation({ KeyId });
    const status = await aws.getKeyRotationStatus({ KeyId });
    expect(status).toMatchObject({ KeyRotationEnabled: true, RotationPeriodInDays: 365 });
    expect(status.NextRotationDate).toBeInstanceOf(Date);
  },
  async GetParametersForImport({ aws }) {
    const { KeyId, Arn } = await newKey(aws, { Origin: "EXTERNAL" });
    const given = await aws.getParametersForImport({ KeyId, ...wrapping });
    expect(given).toMatchObject({ KeyId: Arn, ParametersValidTo: expect.any(Date) });
    expect(given.ImportToken?.length).toBeGreaterThan(0);
    expect(given.PublicKey).toHaveLength(294);
  },
  async GetPublicKey({ aws }) {
    const { KeyId, Arn } = await keyOf(aws, "ECC_NIST_EDWARDS25519", "SIGN_VERIFY");
    const told = await aws.getPublicKey({ KeyId });
    expect(told).toMatchObject({
      KeyId: Arn,
      KeySpec: "ECC_NIST_EDWARDS25519",
      KeyUsage: "SIGN_VERIFY",
      SigningAlgorithms: expect.arrayContaining(["ED25519_SHA_512", "ED25519_PH_SHA_512"]),
    });
    const read = { key: Buffer.from(told.PublicKey as Uint8Array), format: "der", type: "spki" } as const;
    expect(createPublicKey(read).asymmetricKeyType).toBe("ed25519");
  },
  async ImportKeyMaterial({ aws }) {
    const { KeyId, KeyMaterialId } = await imported(aws);
    expect(KeyMaterialId).toMatch(/^[0-9a-f]{64}$/);
    expect((await aws.describeKey({ KeyId })).KeyMetadata).toMatchObject({
      KeyState: "Enabled",
      Origin: "EXTERNAL",
      ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE",
      CurrentKeyMaterialId: KeyMaterialId,
    });
    const ValidTo = new Date(Math.ceil(Date.now() / 1000) * 1000 + 20 * 86_400_000);
    const expiring = {
      ...(await forImport(aws, (await newKey(aws, { Origin: "EXTERNAL" })).KeyId, randomBytes(32))),
      ValidTo,
      ExpirationModel: "KEY_MATERIAL_EXPIRES",
    } as const;
    await aws.importKeyMaterial(expiring);
    expect((await aws.describeKey(expiring)).KeyMetadata?.ValidTo).toEqual(ValidTo);
  },
  async ListAliases({ aws }) {
    const { KeyId, Arn } = await newKey(aws);
    const AliasName = await newAlias(aws, KeyId);
    expect((await aws.listAliases({ KeyId })).Aliases).toEqual([
      {
        AliasName,
        AliasArn: Arn.replace(/key\/.*/, AliasName),
        TargetKeyId: KeyId,
        CreationDate: expect.any(Date),
        LastUpdatedDate: expect.any(Date),
      },
    ]);
  },
  async ListGrants({ aws }) {
    const { KeyId, Arn } = await newKey(aws);
    const { GrantId } = await newGrant(aws, KeyId, { Constraints: { EncryptionContextSubset: { a: "b" } } });
    expect((await aws.listGrants({ KeyId })).Grants).toEqual([
      {
        KeyId: Arn,
        GrantId,
        Name: "",
        CreationDate: expect.any(Date),
        GranteePrincipal: APP,
        IssuingAccount: `arn:aws:iam::${ACCOUNT}:root`,
        Operations: ["Encrypt"],
        Constraints: { EncryptionContextSubset: { a: "b" } },
      },
    ]);
  },
  async ListKeyPolicies({ aws }) {
    const { KeyId } = await newKey(aws);
    expect(await aws.listKeyPolicies({ KeyId })).toMatchObject({
      PolicyNames: ["default"],
      Truncated: false,
    });
  },
  async ListKeyRotations({ aws }) {
    const { KeyId } = await newKey(aws);
    await aws.rotateKeyOnDemand({ KeyId });
    const { Rotations } = await aws.listKeyRotations({ KeyId });
    expect(Rotations).toMatchObject([{ KeyId, RotationType: "ON_DEMAND", RotationDate: expect.any(Date) }]);
  },
  async ListKeys({ aws }) {
    const { KeyId, Arn } = await newKey(aws);
    expect((await aws.listKeys({ Limit: 1000 })).Keys).toContainEqual({ KeyId, KeyArn: Arn });
  },
  async ListResourceTags({ aws }) {
    const { KeyId } = await newKey(aws, { Tags: [{ TagKey: "a", TagValue: "" }] });
    const { Tags, Truncated } = await aws.listResourceTags({ KeyId });
    expect([Tags, Truncated]).toEqual([[{ TagKey: "a", TagValue: "" }], false]);
  },
  async ListRetirableGrants({ aws }) {
    const RetiringPrincipal = `arn:aws:iam::${ACCOUNT}:role/${randomUUID()}`;
    const { KeyId } = await newKey(aws);
    const { GrantId } = await newGrant(aws, KeyId, { RetiringPrincipal });
    const { Grants } = await aws.listRetirableGrants({ RetiringPrincipal });
    expect(Grants).toMatchObject([{ GrantId, RetiringPrincipal }]);
  },
  async PutKeyPolicy({ aws }) {
    const { KeyId } = await newKey(aws);
    const { Policy = "" } = await aws.getKeyPolicy({ KeyId });
    const changed = JSON.stringify({ ...JSON.parse(Policy), Id: "changed" });
    await aws.putKeyPolicy({ KeyId, Policy: changed });
    expect(JSON.parse((await aws.getKeyPolicy({ KeyId })).Policy as string).Id).toBe("changed");
  },
  async ReEncrypt({ aws }) {
    const [from, to] = [await newKey(aws), await newKey(aws)];
    const { CiphertextBlob } = await aws.encrypt({ KeyId: from.KeyId, Plaintext: MESSAGE });
    const DestinationEncryptionContext = { now: "there" };
    const moved = await aws.reEncrypt({
      CiphertextBlob,
      DestinationKeyId: to.KeyId,
      DestinationEncryptionContext,
    });
    expect(moved).toMatchObject({ KeyId: to.Arn, SourceKeyId: from.Arn });
    const opened = await aws.decrypt({
      CiphertextBlob: moved.CiphertextBlob,
      EncryptionContext: DestinationEncryptionContext,
    });
    expect([opened.KeyId, text(opened.Plaintext)]).toEqual([to.Arn, text(MESSAGE)]);
  },
  async ReplicateKey({ aws, elsewhere }) {
    const { KeyId } = await newKey(aws, { MultiRegion: true });
    const made = await aws.replicateKey({ KeyId, ReplicaRegion: ELSEWHERE });
    expect(made.ReplicaKeyMetadata).toMatchObject({
      KeyId,
      Arn: `arn:aws:kms:${ELSEWHERE}:${ACCOUNT}:key/${KeyId}`,
      MultiRegionConfiguration: { MultiRegionKeyType: "REPLICA", PrimaryKey: { Region: REGION } },
    });
    const { CiphertextBlob } = await aws.encrypt({ KeyId, Plaintext: MESSAGE });
    expect(text((await elsewhere.decrypt({ CiphertextBlob })).Plaintext)).toBe(text(MESSAGE));
  },
  async RetireGrant({ aws }) {
    const { KeyId, Arn } = await newKey(aws);
    const RetiringPrincipal = `arn:aws:iam::${ACCOUNT}:root`;
    const first = await newGrant(aws, KeyId, { RetiringPrincipal });
    await aws.retireGrant({ GrantToken: first.GrantToken });
    const second = await newGrant(aws, KeyId, { RetiringPrincipal });
    await aws.retireGrant({ KeyId: Arn, GrantId: second.GrantId });
    expect((await aws.listGrants({ KeyId })).Grants).toEqual([]);
  },
  async RevokeGrant({ aws }) {
    const { KeyId } = await newKey(aws);
    const { GrantId } = await newGrant(aws, KeyId);
    await aws.revokeGrant({ KeyId, GrantId });
    expect((await aws.listGrants({ KeyId })).Grants).toEqual([]);
  },
  async RotateKeyOnDemand({ aws }) {
    const { KeyId } = await newKey(aws);
    const { CiphertextBlob } = await aws.encrypt({ KeyId, Plaintext: MESSAGE });
    expect(await aws.rotateKeyOnDemand({ KeyId })).toMatchObject({ KeyId });
    const old = await aws.decrypt({ CiphertextBlob });
    expect(text(old.Plaintext)).toBe(text(MESSAGE));
    const { KeyMaterialId } = await aws.generateDataKey({ KeyId, KeySpec: "AES_256" });
    expect(KeyMaterialId).not.toBe(old.KeyMaterialId);
  },
  async ScheduleKeyDeletion({ aws }) {
    const { KeyId, Arn } = await newKey(aws);
    const answer = await aws.scheduleKeyDeletion({ KeyId, PendingWindowInDays: 7 });
    expect(answer).toMatchObject({ KeyId: Arn, KeyState: "PendingDeletion", PendingWindowInDays: 7 });
    expect(answer.DeletionDate).toBeInstanceOf(Date);
    expect((await aws.describeKey({ KeyId })).KeyMetadata?.DeletionDate).toEqual(answer.DeletionDate);
  },
  async Sign({ aws }) {
    const { KeyId, Arn } = await keyOf(aws, "RSA_2048", "SIGN_VERIFY");
    const SigningAlgorithm = "RSASSA_PSS_SHA_384";
    const Message = createHash("sha384").update(MESSAGE).digest();
    const signed = await aws.sign({ KeyId, Message, MessageType: "DIGEST", SigningAlgorithm });
    expect(signed).toMatchObject({ KeyId: Arn, SigningAlgorithm });
    const { PublicKey } = await aws.getPublicKey({ KeyId });
    const key = createPublicKey({ key: Buffer.from(PublicKey as Uint8Array), format: "der", type: "spki" });
    const pss = { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 48 };
    expect(verify("sha384", MESSAGE, pss, signed.Signature as Uint8Array)).toBe(true);
  },
  async TagResource({ aws }) {
    const { KeyId } = await newKey(aws, { Tags: [{ TagKey: "a", TagValue: "1" }] });
    const Tags = [
      { TagKey: "a", TagValue: "2" },
      { TagKey: "b", TagValue: "3" },
    ];
    await aws.tagResource({ KeyId, Tags });
    expect((await aws.listResourceTags({ KeyId })).Tags).toEqual(Tags);
  },
  async UntagResource({ aws }) {
    const { KeyId } = await newKey(aws, { Tags: [{ TagKey: "a", TagValue: "1" }] });
    await aws.untagResource({ KeyId, TagKeys: ["a"] });
    expect((await aws.listResourceTags({ KeyId })).Tags).toEqual([]);
  },
  async UpdateAlias({ aws }) {
    const [one, two] = [await newKey(aws), await newKey(aws)];
    const AliasName = await newAlias(aws, one.KeyId);
    await aws.updateAlias({ AliasName, TargetKeyId: two.KeyId });
    expect((await aws.encrypt({ KeyId: AliasName, Plaintext: MESSAGE })).KeyId).toBe(two.Arn);
  },
  async UpdateCustomKeyStore(way) {
    await withStore(way, async (CustomKeyStoreId) => {
      const NewCustomKeyStoreName = randomUUID();
      await way.aws.updateCustomKeyStore({ CustomKeyStoreId, NewCustomKeyStoreName });
      const named = await way.aws.describeCustomKeyStores({ CustomKeyStoreName: NewCustomKeyStoreName });
      expect(named.CustomKeyStores).toMatchObject([{ CustomKeyStoreId }]);
    });
  },
  async UpdateKeyDescription({ aws }) {
    const { KeyId } = await newKey(aws);
    await aws.updateKeyDescription({ KeyId, Description: "now told" });
    expect((await aws.describeKey({ KeyId })).KeyMetadata?.Description).toBe("now told");
  },
  async UpdatePrimaryRegion({ aws, elsewhere }) {
    const { KeyId } = await newKey(aws, { MultiRegion: true });
    await aws.replicateKey({ KeyId, ReplicaRegion: ELSEWHERE });
    await aws.updatePrimaryRegion({ KeyId, PrimaryRegion: ELSEWHERE });
    const { KeyMetadata } = await elsewhere.describeKey({ KeyId });
    expect(KeyMetadata?.MultiRegionConfiguration).toMatchObject({
      MultiRegionKeyType: "PRIMARY",
      ReplicaKeys: [{ Region: REGION }],
    });
  },
  async Verify({ aws }) {
    const { KeyId, Arn } = await keyOf(aws, "ECC_NIST_P521", "SIGN_VERIFY");
    const input = { KeyId, Message: MESSAGE, SigningAlgorithm: "ECDSA_SHA_512" } as const;
    const { Signature } = await aws.sign(input);
    const verified = await aws.verify({ ...input, Signature });
    expect(verified).toMatchObject({ KeyId: Arn, SignatureValid: true, SigningAlgorithm: "ECDSA_SHA_512" });
  },
  async VerifyMac({ aws }) {
    const secret = randomBytes(32);
    const { KeyId, Arn } = await newKey(aws, {
      KeySpec: "HMAC_256",
      KeyUsage: "GENERATE_VERIFY_MAC",
      Origin: "EXTERNAL",
    });
    await aws.importKeyMaterial(await forImport(aws, KeyId, secret));
    const Mac = createHmac("sha256", secret).update(MESSAGE).digest();
    const input = { KeyId, Message: MESSAGE, MacAlgorithm: "HMAC_SHA_256", Mac } as const;
    expect(await aws.verifyMac(input)).toMatchObject({ KeyId: Arn, MacValid: true });
  },
};

test("every operation of the table is one that the SDK knows", () => {
  expect(Object.keys(operations).toSorted()).toEqual(Object.keys(table).toSorted());
});

describe.each(ways)("%s: the AWS SDK %s", (name) => {
  test.each(Object.entries(operations))("%s", async (operation, use) => {
    const way = lab.ways[name];
    const before = way.ended.length;
    await use(way);
    const answered = way.ended.slice(before).filter(({ output }) => output);
    expect(answered.map(({ command }) => command)).toContain(operation);
    for (const { output } of answered)
      expect(output?.$metadata).toMatchObject({
        httpStatusCode: 200,
        requestId: expect.stringMatching(UUID),
        attempts: 1,
        totalRetryDelay: 0,
      });
  });
});
