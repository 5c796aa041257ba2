import { constants, createPublicKey, publicEncrypt, randomBytes } from "node:crypto";
import * as sdk from "@aws-sdk/client-kms";
import { expect, test } from "vitest";
import type { Kms } from "../lib/index.ts";
import { ACCOUNT, bytes, newKey, openTestDeployment, REGION, refusal, text } from "./deployment.ts";

const OSAKA = "ap-northeast-3";
const OHIO = "us-east-2";
const { kms, clock, events } = await openTestDeployment({ regions: [OSAKA, OHIO] });
const osaka = kms.inRegion(OSAKA);
const ohio = kms.inRegion(OHIO);

const arnIn = (region: string, KeyId: string) => `arn:aws:kms:${region}:${ACCOUNT}:key/${KeyId}`;
const described = async (where: Kms, KeyId: string) => (await where.describeKey({ KeyId })).KeyMetadata;

/** A multi-Region key with replicas in these Regions. */
async function keyWithReplicas(regions: string[], input: Parameters<Kms["createKey"]>[0] = {}) {
  const { KeyId } = await newKey(kms, { ...input, MultiRegion: true });
  for (const ReplicaRegion of regions) await kms.replicateKey({ KeyId, ReplicaRegion });
  return KeyId;
}

test("a primary key says what it is", async () => {
  const { KeyMetadata } = await kms.createKey({ MultiRegion: true });
  expect(KeyMetadata?.KeyId).toMatch(/^mrk-[0-9a-f]{32}$/);
  expect(KeyMetadata).toMatchObject({
    MultiRegion: true,
    MultiRegionConfiguration: {
      MultiRegionKeyType: "PRIMARY",
      PrimaryKey: { Arn: KeyMetadata?.Arn, Region: REGION },
      ReplicaKeys: [],
    },
  });
  const { KeyMetadata: single } = await kms.createKey();
  expect(single).toMatchObject({ MultiRegion: false });
  expect(single).not.toHaveProperty("MultiRegionConfiguration");
});

test("a replica has what is shared, and all else of its own", async () => {
  const { KeyId } = await newKey(kms, {
    MultiRegion: true,
    Description: "of the primary",
    Tags: [{ TagKey: "where", TagValue: "Ireland" }],
  });
  await kms.enableKeyRotation({ KeyId, RotationPeriodInDays: 100 });
  const answer = await kms.replicateKey({
    KeyId,
    ReplicaRegion: OSAKA,
    Description: "of the replica",
    Tags: [{ TagKey: "where", TagValue: "Osaka" }],
  });
  const primary = await described(kms, KeyId);
  const configuration = {
    PrimaryKey: { Arn: arnIn(REGION, KeyId), Region: REGION },
    ReplicaKeys: [{ Arn: arnIn(OSAKA, KeyId), Region: OSAKA }],
  };
  expect(answer.ReplicaKeyMetadata).toMatchObject({
    KeyId,
    Arn: arnIn(OSAKA, KeyId),
    Description: "of the replica",
    KeyState: "Enabled",
    CurrentKeyMaterialId: primary?.CurrentKeyMaterialId,
    MultiRegionConfiguration: { MultiRegionKeyType: "REPLICA", ...configuration },
  });
  expect(answer.ReplicaTags).toEqual([{ TagKey: "where", TagValue: "Osaka" }]);
  expect(JSON.parse(answer.ReplicaPolicy as string)).toMatchObject({ Id: "key-default-1" });
  expect(await described(osaka, KeyId)).toEqual(answer.ReplicaKeyMetadata);
  expect(primary).toMatchObject({
    Description: "of the primary",
    MultiRegionConfiguration: { MultiRegionKeyType: "PRIMARY", ...configuration },
  });
  expect(await osaka.getKeyRotationStatus({ KeyId })).toMatchObject({
    KeyRotationEnabled: true,
    RotationPeriodInDays: 100,
  });

  await osaka.disableKey({ KeyId });
  await osaka.createAlias({ AliasName: "alias/replica", TargetKeyId: KeyId });
  expect((await described(kms, KeyId))?.KeyState).toBe("Enabled");
  expect((await kms.listAliases({ KeyId })).Aliases).toEqual([]);
});

test("what one encrypts the others decrypt", async () => {
  const KeyId = await keyWithReplicas([OSAKA, OHIO]);
  const EncryptionContext = { purpose: "travel" };
  for (const [from, to] of [
    [kms, osaka],
    [osaka, ohio],
    [ohio, kms],
  ] as const) {
    const { CiphertextBlob } = await from.encrypt({ KeyId, Plaintext: bytes("hello"), EncryptionContext });
    const opened = await to.decrypt({ CiphertextBlob, EncryptionContext });
    expect(text(opened.Plaintext)).toBe("hello");
    expect(opened.KeyId).toBe(arnIn(to.region, KeyId));
    expect(await refusal(to.decrypt({ CiphertextBlob }))).toBe("InvalidCiphertextException");
  }
});

test.each([
  ["RSA_2048", "RSASSA_PSS_SHA_256"],
  ["ECC_NIST_P256", "ECDSA_SHA_256"],
  ["ECC_NIST_EDWARDS25519", "ED25519_SHA_512"],
] as const)("what a %s key signs its replica verifies", async (KeySpec, SigningAlgorithm) => {
  const KeyId = await keyWithReplicas([OSAKA], { KeySpec, KeyUsage: "SIGN_VERIFY" });
  const Message = bytes("signed here and there");
  const here = await kms.sign({ KeyId, Message, SigningAlgorithm });
  const there = await osaka.sign({ KeyId, Message, SigningAlgorithm });
  const verify = (where: Kms, Signature: Uint8Array | undefined) =>
    where.verify({ KeyId, Message, SigningAlgorithm, Signature: Signature as Uint8Array });
  expect((await verify(osaka, here.Signature)).SignatureValid).toBe(true);
  expect((await verify(kms, there.Signature)).SignatureValid).toBe(true);
  expect((await osaka.getPublicKey({ KeyId })).PublicKey).toEqual(
    (await kms.getPublicKey({ KeyId })).PublicKey,
  );
});

test("an RSA key of two Regions decrypts, and an HMAC key agrees with itself", async () => {
  const rsa = await keyWithReplicas([OSAKA], { KeySpec: "RSA_2048", KeyUsage: "ENCRYPT_DECRYPT" });
  const EncryptionAlgorithm = "RSAES_OAEP_SHA_256";
  const sealed = await kms.encrypt({ KeyId: rsa, Plaintext: bytes("rsa"), EncryptionAlgorithm });
  const { CiphertextBlob } = sealed;
  const opened = await osaka.decrypt({ KeyId: rsa, CiphertextBlob, EncryptionAlgorithm });
  expect(text(opened.Plaintext)).toBe("rsa");

  const KeyId = await keyWithReplicas([OSAKA], { KeySpec: "HMAC_256", KeyUsage: "GENERATE_VERIFY_MAC" });
  const mac = { KeyId, Message: bytes("agreed"), MacAlgorithm: "HMAC_SHA_256" } as const;
  expect((await osaka.generateMac(mac)).Mac).toEqual((await kms.generateMac(mac)).Mac);
});

test("the primary is rotated, and its replicas with it", async () => {
  const KeyId = await keyWithReplicas([OSAKA]);
  const Plaintext = bytes("before and after");
  const before = await osaka.encrypt({ KeyId, Plaintext });
  await kms.rotateKeyOnDemand({ KeyId });
  const materialOf = async (where: Kms) => (await described(where, KeyId))?.CurrentKeyMaterialId;
  expect(await materialOf(osaka)).toBe(await materialOf(kms));
  const after = await osaka.encrypt({ KeyId, Plaintext });
  for (const { CiphertextBlob } of [before, after])
    for (const where of [kms, osaka])
      expect(text((await where.decrypt({ CiphertextBlob })).Plaintext)).toBe("before and after");
  const opened = await kms.decrypt({ CiphertextBlob: after.CiphertextBlob });
  expect(opened.KeyMaterialId).toBe(await materialOf(kms));

  // A later replica has all that came before it.
  await kms.replicateKey({ KeyId, ReplicaRegion: OHIO });
  const { CiphertextBlob } = before;
  expect(text((await ohio.decrypt({ CiphertextBlob })).Plaintext)).toBe("before and after");
  expect(await ohio.listKeyRotations({ KeyId })).toMatchObject({
    Rotations: [{ RotationType: "ON_DEMAND" }],
  });

  for (const refused of [osaka.rotateKeyOnDemand({ KeyId }), osaka.enableKeyRotation({ KeyId })])
    expect(await refusal(refused)).toMatch(/^UnsupportedOperationException: .*is a multi-Region replica key/);
});

test("rotation that is due is done once for all Regions", async () => {
  const KeyId = await keyWithReplicas([OSAKA, OHIO]);
  await kms.enableKeyRotation({ KeyId, RotationPeriodInDays: 90 });
  const materialOf = async (where: Kms) => (await described(where, KeyId))?.CurrentKeyMaterialId;
  const before = await materialOf(kms);
  clock.advance(91);
  await kms.runDue();
  const after = await materialOf(kms);
  expect(after).not.toBe(before);
  expect([await materialOf(osaka), await materialOf(ohio)]).toEqual([after, after]);
  const nextOf = async (where: Kms) => (await where.getKeyRotationStatus({ KeyId })).NextRotationDate;
  expect(await nextOf(ohio)).toEqual(await nextOf(kms));
  expect((await ohio.listKeyRotations({ KeyId })).Rotations).toHaveLength(1);
  await kms.disableKeyRotation({ KeyId });
  expect(await osaka.getKeyRotationStatus({ KeyId })).toMatchObject({ KeyRotationEnabled: false });
});

test("what cannot be replicated is refused", async () => {
  const KeyId = await keyWithReplicas([OSAKA]);
  const single = await newKey(kms);
  const to = (ReplicaRegion: string, reference = KeyId, where = kms) =>
    refusal(where.replicateKey({ KeyId: reference, ReplicaRegion }));
  const twice =
    "AlreadyExistsException: You can create only one replica of each primary key in each AWS Region.";
  expect(await to(OSAKA)).toBe(twice);
  expect(await to(REGION)).toBe(twice);
  expect(await to("sa-east-1")).toMatch(
    /^UnsupportedOperationException: Region sa-east-1 is not served here/,
  );
  expect(await to(OHIO, KeyId, osaka)).toBe(
    `UnsupportedOperationException: ${arnIn(OSAKA, KeyId)} is not a multi-Region primary key.`,
  );
  expect(await to(OHIO, single.KeyId)).toMatch(/^UnsupportedOperationException: .*is not a multi-Region/);
  expect(await to(OHIO, arnIn(OSAKA, KeyId))).toBe(`NotFoundException: Invalid arn ${OSAKA}`);
  expect(await to("nowhere")).toMatch(/^ValidationException: .*'replicaRegion' failed to satisfy constraint/);
  await kms.disableKey({ KeyId });
  expect(await to(OHIO)).toBe(`DisabledException: ${arnIn(REGION, KeyId)} is disabled.`);
  expect(await refusal(ohio.describeKey({ KeyId }))).toMatch(/^NotFoundException/);
});

test("who replicates may do that to the key, and make keys there", async () => {
  const role = `arn:aws:iam::${ACCOUNT}:role/replicator`;
  const allow = (statement: object) =>
    JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: "Allow", Resource: "*", ...statement }] });
  const KeyId = await keyWithReplicas([]);
  const attempt = (...policies: string[]) =>
    kms.as(role, { policies }).replicateKey({ KeyId, ReplicaRegion: OSAKA });
  const replicate = allow({ Action: "kms:ReplicateKey" });
  const elsewhere = allow({
    Action: "kms:CreateKey",
    Condition: { StringEquals: { "aws:RequestedRegion": REGION } },
  });
  const there = allow({
    Action: "kms:CreateKey",
    Condition: {
      StringEquals: { "aws:RequestedRegion": OSAKA, "kms:MultiRegionKeyType": "REPLICA" },
      Bool: { "kms:MultiRegion": "true" },
    },
  });
  expect(await refusal(attempt(there))).toMatch(/^AccessDeniedException: .*perform: kms:ReplicateKey/);
  expect(await refusal(attempt(replicate))).toMatch(/^AccessDeniedException: .*perform: kms:CreateKey/);
  expect(await refusal(attempt(replicate, elsewhere))).toMatch(/perform: kms:CreateKey/);
  const { ReplicaKeyMetadata } = await attempt(replicate, there);
  expect(ReplicaKeyMetadata?.Arn).toBe(arnIn(OSAKA, KeyId));
});

test("the primary moves, and all related keys know", async () => {
  const KeyId = await keyWithReplicas([OSAKA, OHIO]);
  await kms.updatePrimaryRegion({ KeyId, PrimaryRegion: OSAKA });
  for (const where of [kms, osaka, ohio])
    expect(await described(where, KeyId)).toMatchObject({
      KeyState: "Enabled",
      MultiRegionConfiguration: {
        MultiRegionKeyType: where === osaka ? "PRIMARY" : "REPLICA",
        PrimaryKey: { Arn: arnIn(OSAKA, KeyId), Region: OSAKA },
        ReplicaKeys: [{ Region: REGION }, { Region: OHIO }],
      },
    });
  const move = (where: Kms, PrimaryRegion: string) =>
    refusal(where.updatePrimaryRegion({ KeyId, PrimaryRegion }));
  expect(await move(kms, OHIO)).toMatch(
    /^UnsupportedOperationException: .*is not a multi-Region primary key/,
  );
  expect(await move(osaka, OSAKA)).toMatch(/^UnsupportedOperationException: .*is the primary key already/);
  expect(await move(osaka, "sa-east-1")).toBe(
    `NotFoundException: Key '${arnIn("sa-east-1", KeyId)}' does not exist`,
  );
  await ohio.disableKey({ KeyId });
  expect(await move(osaka, OHIO)).toBe(`DisabledException: ${arnIn(OHIO, KeyId)} is disabled.`);
  await osaka.rotateKeyOnDemand({ KeyId });
  const { CiphertextBlob } = await osaka.encrypt({ KeyId, Plaintext: bytes("moved") });
  expect(text((await kms.decrypt({ CiphertextBlob })).Plaintext)).toBe("moved");
});

test("a primary key waits for its last replica, and then its own time", async () => {
  const KeyId = await keyWithReplicas([OSAKA, OHIO]);
  const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: bytes("the last") });
  const answer = await kms.scheduleKeyDeletion({ KeyId, PendingWindowInDays: 8 });
  expect(answer).toMatchObject({ KeyState: "PendingReplicaDeletion", PendingWindowInDays: 8 });
  expect(answer).not.toHaveProperty("DeletionDate");
  expect(await described(kms, KeyId)).toMatchObject({
    KeyState: "PendingReplicaDeletion",
    PendingDeletionWindowInDays: 8,
  });
  const pending = `KMSInvalidStateException: ${arnIn(REGION, KeyId)} is pending replica deletion.`;
  for (const refused of [
    kms.encrypt({ KeyId, Plaintext: bytes("no") }),
    kms.replicateKey({ KeyId, ReplicaRegion: OHIO }),
    kms.updatePrimaryRegion({ KeyId, PrimaryRegion: OHIO }),
    kms.scheduleKeyDeletion({ KeyId }),
    kms.enableKey({ KeyId }),
    kms.tagResource({ KeyId, Tags: [] }),
  ])
    expect(await refusal(refused)).toBe(pending);
  clock.advance(100);
  await kms.runDue();
  expect((await described(kms, KeyId))?.KeyState).toBe("PendingReplicaDeletion");

  await osaka.scheduleKeyDeletion({ KeyId, PendingWindowInDays: 7 });
  await ohio.scheduleKeyDeletion({ KeyId, PendingWindowInDays: 9 });
  clock.advance(7);
  await kms.runDue();
  expect(await refusal(osaka.describeKey({ KeyId }))).toMatch(/^NotFoundException/);
  expect((await described(kms, KeyId))?.KeyState).toBe("PendingReplicaDeletion");
  clock.advance(2);
  await kms.runDue();
  expect(await refusal(ohio.describeKey({ KeyId }))).toMatch(/^NotFoundException/);
  const waiting = await described(kms, KeyId);
  expect(waiting).toMatchObject({
    KeyState: "PendingDeletion",
    DeletionDate: new Date(clock.now + 8 * 86_400_000),
    MultiRegionConfiguration: { ReplicaKeys: [] },
  });
  expect(waiting).not.toHaveProperty("PendingDeletionWindowInDays");

  await kms.cancelKeyDeletion({ KeyId });
  await kms.enableKey({ KeyId });
  await kms.replicateKey({ KeyId, ReplicaRegion: OSAKA });
  expect(text((await osaka.decrypt({ CiphertextBlob })).Plaintext)).toBe("the last");
  await osaka.scheduleKeyDeletion({ KeyId, PendingWindowInDays: 7 });
  clock.advance(7);
  await kms.runDue();
  expect((await described(kms, KeyId))?.KeyState).toBe("Enabled");
  expect(await kms.scheduleKeyDeletion({ KeyId, PendingWindowInDays: 7 })).toMatchObject({
    KeyState: "PendingDeletion",
  });
  clock.advance(7);
  await kms.runDue();
  expect(await refusal(kms.describeKey({ KeyId }))).toMatch(/^NotFoundException/);
});

test("a deletion that waits for replicas is cancelled", async () => {
  const KeyId = await keyWithReplicas([OSAKA]);
  await kms.scheduleKeyDeletion({ KeyId });
  await kms.cancelKeyDeletion({ KeyId });
  const metadata = await described(kms, KeyId);
  expect(metadata).toMatchObject({ KeyState: "Disabled" });
  expect(metadata).not.toHaveProperty("PendingDeletionWindowInDays");
});

test("changes of related keys at the same time leave them related", async () => {
  const KeyId = await keyWithReplicas([]);
  const outcomes = await Promise.allSettled([
    kms.replicateKey({ KeyId, ReplicaRegion: OSAKA }),
    kms.rotateKeyOnDemand({ KeyId }),
    kms.replicateKey({ KeyId, ReplicaRegion: OHIO }),
    kms.replicateKey({ KeyId, ReplicaRegion: OHIO }),
    kms.enableKeyRotation({ KeyId }),
  ]);
  expect(outcomes.map(({ status }) => status).filter((status) => status === "rejected")).toHaveLength(1);
  const { CurrentKeyMaterialId } = (await described(kms, KeyId)) ?? {};
  for (const where of [osaka, ohio]) {
    expect(await described(where, KeyId)).toMatchObject({ CurrentKeyMaterialId });
    expect(await where.getKeyRotationStatus({ KeyId })).toMatchObject({ KeyRotationEnabled: true });
  }
});

test("the event of a replication names the replica", async () => {
  const KeyId = await keyWithReplicas([OSAKA]);
  const [event] = await events(1);
  expect(event).toMatchObject({
    eventName: "ReplicateKey",
    requestParameters: { replicaRegion: OSAKA },
    additionalEventData: { replicaArn: arnIn(OSAKA, KeyId) },
  });
});

test("what is imported is imported in each Region, and is the same", async () => {
  const KeyId = await keyWithReplicas([], { Origin: "EXTERNAL" });
  const importInto = async (where: Kms, material: Uint8Array, ImportType?: "NEW_KEY_MATERIAL") => {
    const given = await where.getParametersForImport({
      KeyId,
      WrappingAlgorithm: "RSAES_OAEP_SHA_256",
      WrappingKeySpec: "RSA_2048",
    });
    const key = createPublicKey({
      key: Buffer.from(given.PublicKey as Uint8Array),
      format: "der",
      type: "spki",
    });
    const padding = constants.RSA_PKCS1_OAEP_PADDING;
    return where.importKeyMaterial({
      KeyId,
      ImportToken: given.ImportToken as Uint8Array,
      EncryptedKeyMaterial: publicEncrypt({ key, padding, oaepHash: "sha256" }, material),
      ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE",
      ImportType,
    });
  };
  const [first, second] = [randomBytes(32), randomBytes(32)];
  await importInto(kms, first);
  const { ReplicaKeyMetadata } = await kms.replicateKey({ KeyId, ReplicaRegion: OSAKA });
  expect(ReplicaKeyMetadata).toMatchObject({ Origin: "EXTERNAL", KeyState: "PendingImport" });
  expect(await refusal(importInto(osaka, second))).toMatch(/^IncorrectKeyMaterialException/);
  await importInto(osaka, first);
  const before = await kms.encrypt({ KeyId, Plaintext: bytes("brought along") });
  const { CiphertextBlob } = before;
  expect(text((await osaka.decrypt({ CiphertextBlob })).Plaintext)).toBe("brought along");

  await importInto(kms, second, "NEW_KEY_MATERIAL");
  const waiting = async (where: Kms) =>
    (await where.listKeyRotations({ KeyId, IncludeKeyMaterial: "ALL_KEY_MATERIAL" })).Rotations?.at(-1);
  const pending = "PENDING_MULTI_REGION_IMPORT_AND_ROTATION";
  expect(await waiting(kms)).toMatchObject({ KeyMaterialState: pending });
  expect(await refusal(kms.rotateKeyOnDemand({ KeyId }))).toMatch(
    new RegExp(
      `^KMSInvalidStateException: ${arnIn(OSAKA, KeyId)}: key material [0-9a-f]{64} is not imported`,
    ),
  );
  await importInto(osaka, second);
  expect(await waiting(kms)).toMatchObject({ KeyMaterialState: "PENDING_ROTATION" });
  await kms.rotateKeyOnDemand({ KeyId });
  const { CurrentKeyMaterialId } = (await described(kms, KeyId)) ?? {};
  expect(await described(osaka, KeyId)).toMatchObject({ CurrentKeyMaterialId, KeyState: "Enabled" });
  const after = await osaka.encrypt({ KeyId, Plaintext: bytes("brought later") });
  const opened = await kms.decrypt({ CiphertextBlob: after.CiphertextBlob });
  expect([text(opened.Plaintext), opened.KeyMaterialId]).toEqual(["brought later", CurrentKeyMaterialId]);
  expect(text((await osaka.decrypt({ CiphertextBlob })).Plaintext)).toBe("brought along");

  // Taken away while the key waits for its replica, it is awaited again when that is cancelled.
  await kms.scheduleKeyDeletion({ KeyId });
  await kms.cancelKeyDeletion({ KeyId });
  expect((await described(kms, KeyId))?.KeyState).toBe("Disabled");
  await osaka.deleteImportedKeyMaterial({ KeyId });
  await osaka.scheduleKeyDeletion({ KeyId });
  await osaka.cancelKeyDeletion({ KeyId });
  expect((await described(osaka, KeyId))?.KeyState).toBe("PendingImport");
});

test("AWS's clients find each Region by their signatures", async () => {
  const { AccessKeyId, SecretAccessKey } = await kms.createAccessKey();
  const credentials = { accessKeyId: AccessKeyId as string, secretAccessKey: SecretAccessKey as string };
  const server = await kms.listen({ port: 0 });
  const here = new sdk.KMSClient({ region: REGION, endpoint: server.url, credentials });
  const there = new sdk.KMSClient({ region: OSAKA, endpoint: server.url, credentials });
  // The client signs with the time of day, and the service's clock stands elsewhere.
  const now = clock.now;
  clock.now = Date.now();
  try {
    const { KeyMetadata } = await here.send(new sdk.CreateKeyCommand({ MultiRegion: true }));
    const KeyId = KeyMetadata?.KeyId as string;
    await here.send(new sdk.ReplicateKeyCommand({ KeyId, ReplicaRegion: OSAKA }));
    const { CiphertextBlob } = await here.send(
      new sdk.EncryptCommand({ KeyId, Plaintext: bytes("over HTTP") }),
    );
    expect(text((await there.send(new sdk.DecryptCommand({ CiphertextBlob }))).Plaintext)).toBe("over HTTP");
    await here.send(new sdk.UpdatePrimaryRegionCommand({ KeyId, PrimaryRegion: OSAKA }));
    const { MultiRegionConfiguration } =
      (await there.send(new sdk.DescribeKeyCommand({ KeyId }))).KeyMetadata ?? {};
    expect(MultiRegionConfiguration).toEqual({
      MultiRegionKeyType: "PRIMARY",
      PrimaryKey: { Arn: arnIn(OSAKA, KeyId), Region: OSAKA },
      ReplicaKeys: [{ Arn: arnIn(REGION, KeyId), Region: REGION }],
    });
  } finally {
    clock.now = now;
    await server.close();
  }
});

test("an envelope opens in each Region of its key", async () => {
  const KeyId = await keyWithReplicas([OSAKA]);
  const message = await kms.envelope.encrypt(bytes("a long text"), { KeyId });
  expect(text(await osaka.envelope.decrypt(message))).toBe("a long text");
  for (const named of [KeyId, arnIn(OSAKA, KeyId), arnIn(REGION, KeyId)])
    expect(text(await osaka.envelope.decrypt(message, { KeyId: named }))).toBe("a long text");
  expect(await refusal(ohio.envelope.decrypt(message))).toMatch(
    /no data key of the message can be decrypted/,
  );
  const other = await keyWithReplicas([OSAKA]);
  expect(await refusal(osaka.envelope.decrypt(message, { KeyId: arnIn(OSAKA, other) }))).toMatch(
    /the message has no data key under a key that was given/,
  );
  const single = await newKey(kms);
  const local = await kms.envelope.encrypt(bytes("asked for at home"), { KeyId: single.KeyId });
  expect(text(await osaka.envelope.decrypt(local))).toBe("asked for at home");
});
