import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import type { Kms } from "../lib/index.ts";
import { KeyQuota } from "../lib/keys.ts";
import type { Operation } from "../lib/operation.ts";
import { extensions, operations } from "../lib/operations.ts";
import { openDatabase } from "../lib/store/binding.ts";
import { ACCOUNT, type Clock, newKey, openTestDeployment, REGION, refusal } from "./deployment.ts";

let kms: Kms;
let clock: Clock;
let directory: string;
beforeAll(async () => {
  ({ kms, clock, directory } = await openTestDeployment());
});

const MISSING = "00000000-1111-4222-8333-444444444444";
const arnOf = (keyId: string) => `arn:aws:kms:${REGION}:${ACCOUNT}:key/${keyId}`;

describe("CreateKey", () => {
  test("describes the key as AWS does", async () => {
    const { KeyMetadata } = await kms.createKey({ Description: "orders" });
    const KeyId = KeyMetadata?.KeyId as string;
    expect(KeyMetadata).toEqual({
      AWSAccountId: ACCOUNT,
      KeyId: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/),
      Arn: arnOf(KeyId),
      CreationDate: new Date(clock.now),
      Enabled: true,
      Description: "orders",
      KeyUsage: "ENCRYPT_DECRYPT",
      KeyState: "Enabled",
      Origin: "AWS_KMS",
      KeyManager: "CUSTOMER",
      CustomerMasterKeySpec: "SYMMETRIC_DEFAULT",
      KeySpec: "SYMMETRIC_DEFAULT",
      EncryptionAlgorithms: ["SYMMETRIC_DEFAULT"],
      MultiRegion: false,
      CurrentKeyMaterialId: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    const described = await kms.describeKey({ KeyId });
    expect(described.KeyMetadata).toEqual(KeyMetadata);
    expect(described.$metadata).toEqual({
      httpStatusCode: 200,
      requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      attempts: 1,
      totalRetryDelay: 0,
    });
  });

  test.each([
    [
      { KeySpec: "RSA_2048" },
      /^ValidationException: You must specify a KeyUsage value for all KMS keys except/,
    ],
    [{ KeySpec: "SM2" }, /^UnsupportedOperationException/],
    [{ KeyUsage: "SIGN_VERIFY" }, /^ValidationException: KeyUsage SIGN_VERIFY is not compatible/],
    [
      { KeySpec: "SYMMETRIC_DEFAULT", CustomerMasterKeySpec: "SYMMETRIC_DEFAULT" },
      /^ValidationException: You cannot specify KeySpec and CustomerMasterKeySpec/,
    ],
    [{ Origin: "AWS_CLOUDHSM" }, /^ValidationException/],
    [{ CustomKeyStoreId: "cks-1" }, /^CustomKeyStoreNotFoundException/],
    [{ KeySpec: "AES" }, /^ValidationException: 1 validation error detected: Value 'AES' at 'keySpec'/],
    [{ Tags: [{ TagKey: "aws:x", TagValue: "" }] }, /^TagException: Tags beginning with aws: are reserved/],
    [
      {
        Tags: [
          { TagKey: "a", TagValue: "1" },
          { TagKey: "a", TagValue: "2" },
        ],
      },
      /^TagException: Duplicate tag keys/,
    ],
    [
      { Tags: Array.from({ length: 51 }, (_, i) => ({ TagKey: `k${i}`, TagValue: "" })) },
      /^TagException: Too many tags/,
    ],
  ])("refuses %j", async (input, expected) => {
    expect(await refusal(kms.createKey(input as never))).toMatch(expected);
  });

  test("accepts a description of 8,192 characters and a policy of 32,768 bytes, and none longer", async () => {
    const Description = "é".repeat(8192);
    const { Policy: text = "" } = await kms.getKeyPolicy(await newKey(kms));
    const Policy = text + " ".repeat(32_768 - text.length);
    const { KeyId } = await newKey(kms, { Description, Policy });
    expect((await kms.describeKey({ KeyId })).KeyMetadata?.Description).toBe(Description);
    expect((await kms.getKeyPolicy({ KeyId })).Policy).toBe(Policy);
    const longerPolicy = { KeyId, Policy: `${Policy} ` };
    for (const refused of [kms.putKeyPolicy(longerPolicy), kms.createKey(longerPolicy)])
      expect(await refusal(refused)).toBe(
        "MalformedPolicyDocumentException: the policy: 32769 bytes are too many; at most 32768 are allowed",
      );
    const longer = { KeyId, Description: `${Description}é` };
    for (const refused of [kms.updateKeyDescription(longer), kms.createKey(longer)])
      expect(await refusal(refused)).toMatch(
        /^ValidationException: .* at 'description' failed .*: Member must have length less than or equal to 8192$/,
      );
    await kms.updateKeyDescription({ KeyId, Description: "" });
  });

  test("accepts 50 tags and the older name of the spec", async () => {
    const Tags = Array.from({ length: 50 }, (_, i) => ({ TagKey: `k${i}`, TagValue: "v" }));
    await kms.createKey({ Tags, CustomerMasterKeySpec: "SYMMETRIC_DEFAULT" });
  });
});

describe("the name of a key", () => {
  test("may be its id or its ARN", async () => {
    const { KeyId, Arn } = await newKey(kms);
    for (const name of [KeyId, Arn])
      expect((await kms.describeKey({ KeyId: name })).KeyMetadata?.KeyId).toBe(KeyId);
  });

  test.each([
    [MISSING, `NotFoundException: Key '${arnOf(MISSING)}' does not exist`],
    ["alias/none", `NotFoundException: Alias arn:aws:kms:${REGION}:${ACCOUNT}:alias/none is not found.`],
    ["nonsense", "NotFoundException: Invalid keyId 'nonsense'"],
    [`arn:aws:kms:us-west-2:${ACCOUNT}:key/${MISSING}`, "NotFoundException: Invalid arn us-west-2"],
  ])("that names nothing, %s, is not found", async (KeyId, expected) => {
    expect(await refusal(kms.describeKey({ KeyId }))).toBe(expected);
  });

  test("is no alias where the key itself is asked for", async () => {
    const { KeyId } = await newKey(kms);
    await kms.createAlias({ AliasName: "alias/state", TargetKeyId: KeyId });
    expect(await refusal(kms.disableKey({ KeyId: "alias/state" }))).toBe(
      "NotFoundException: Invalid keyId 'alias/state'",
    );
  });
});

describe("ListKeys", () => {
  test("gives each key once over pages, and no more", async () => {
    for (let i = 0; i < 7; i++) await newKey(kms);
    const { Keys: all, Truncated } = await kms.listKeys();
    expect(Truncated).toBe(false);
    const paged: unknown[] = [];
    let Marker: string | undefined;
    do {
      const page = await kms.listKeys({ Limit: 2, Marker });
      expect(page.Keys?.length).toBeLessThanOrEqual(2);
      expect(page.Truncated).toBe(page.NextMarker !== undefined);
      paged.push(...(page.Keys ?? []));
      Marker = page.NextMarker;
    } while (Marker);
    expect(paged).toEqual(all);
    expect(all?.[0]?.KeyArn).toBe(arnOf(all?.[0]?.KeyId as string));
  });

  test("goes on behind a key that was deleted between two pages", async () => {
    const before = (await kms.listKeys({ Limit: 1000 })).Keys?.map(({ KeyId }) => KeyId) ?? [];
    const first = await kms.listKeys({ Limit: 2 });
    await kms.scheduleKeyDeletion({ KeyId: before[1] as string, PendingWindowInDays: 7 });
    clock.advance(8);
    expect(await kms.runDue()).toBe(1);
    const rest = await kms.listKeys({ Limit: 1000, Marker: first.NextMarker });
    expect(rest.Keys?.map(({ KeyId }) => KeyId)).toEqual(before.slice(2));
    expect(rest.Truncated).toBe(false);
  });

  test("refuses a marker that it has not given", async () => {
    const { NextMarker } = await kms.listKeys({ Limit: 1 });
    const bent = `${NextMarker?.slice(0, -1)}${NextMarker?.endsWith("A") ? "B" : "A"}`;
    for (const Marker of ["x", bent, Buffer.from(MISSING).toString("base64url")])
      expect(await refusal(kms.listKeys({ Marker }))).toMatch(/^InvalidMarkerException/);
    expect(await refusal(kms.listAliases({ Marker: NextMarker }))).toMatch(/^InvalidMarkerException/);
  });

  test.each([0, 1001])("refuses a limit of %i", async (Limit) => {
    expect(await refusal(kms.listKeys({ Limit }))).toMatch(/Value '\d+' at 'limit' failed to satisfy/);
  });
});

describe("states", () => {
  const plaintext = new Uint8Array([1]);

  /** What each state answers, from the table of key states. */
  const X1 = (arn: string) => `DisabledException: ${arn} is disabled.`;
  const X3 = (arn: string) => `KMSInvalidStateException: ${arn} is pending deletion.`;
  const X4 = (arn: string) => `KMSInvalidStateException: ${arn} is not pending deletion.`;
  const X5 = (arn: string) => `KMSInvalidStateException: ${arn} is pending import.`;
  const X6 = (arn: string) =>
    `UnsupportedOperationException: ${arn} origin is EXTERNAL which is not valid for this operation.`;
  const ok: (arn: string) => string = () => "ok";
  /** What a symmetric key is not for, once its state allows it. */
  const notFor = (operation: string) => (arn: string) =>
    `InvalidKeyUsageException: ${arn} key usage is ENCRYPT_DECRYPT which is not valid for ${operation}.`;
  const mac = { Message: plaintext, MacAlgorithm: "HMAC_SHA_256" } as const;
  const signing = { Message: plaintext, SigningAlgorithm: "ECDSA_SHA_256" } as const;
  const agreeing = { PublicKey: plaintext, KeyAgreementAlgorithm: "ECDH" } as const;
  const pair = { KeyPairSpec: "ECC_NIST_P256" } as const;
  let GrantId: string | undefined;
  const granted = (KeyId: string) =>
    kms.createGrant({
      KeyId,
      GranteePrincipal: `arn:aws:iam::${ACCOUNT}:role/app`,
      Operations: ["Decrypt"],
    });
  const table: [
    string,
    (KeyId: string, blob: Uint8Array) => Promise<unknown>,
    ...((arn: string) => string)[],
  ][] = [
    ["Encrypt", (KeyId) => kms.encrypt({ KeyId, Plaintext: plaintext }), ok, X1, X3],
    ["Decrypt", (_, CiphertextBlob) => kms.decrypt({ CiphertextBlob }), ok, X1, X3],
    [
      "ReEncrypt",
      (DestinationKeyId, CiphertextBlob) => kms.reEncrypt({ CiphertextBlob, DestinationKeyId }),
      ok,
      X1,
      X3,
    ],
    ["GenerateDataKey", (KeyId) => kms.generateDataKey({ KeyId, KeySpec: "AES_256" }), ok, X1, X3],
    [
      "GenerateDataKeyWithoutPlaintext",
      (KeyId) => kms.generateDataKeyWithoutPlaintext({ KeyId, NumberOfBytes: 5 }),
      ok,
      X1,
      X3,
    ],
    ["GenerateDataKeyPair", (KeyId) => kms.generateDataKeyPair({ KeyId, ...pair }), ok, X1, X3],
    [
      "GenerateDataKeyPairWithoutPlaintext",
      (KeyId) => kms.generateDataKeyPairWithoutPlaintext({ KeyId, ...pair }),
      ok,
      X1,
      X3,
    ],
    ["Sign", (KeyId) => kms.sign({ KeyId, ...signing }), notFor("Sign"), X1, X3],
    ["Verify", (KeyId) => kms.verify({ KeyId, ...signing, Signature: plaintext }), notFor("Verify"), X1, X3],
    ["GenerateMac", (KeyId) => kms.generateMac({ KeyId, ...mac }), notFor("GenerateMac"), X1, X3],
    ["VerifyMac", (KeyId) => kms.verifyMac({ KeyId, ...mac, Mac: plaintext }), notFor("VerifyMac"), X1, X3],
    [
      "DeriveSharedSecret",
      (KeyId) => kms.deriveSharedSecret({ KeyId, ...agreeing }),
      notFor("DeriveSharedSecret"),
      X1,
      X3,
    ],
    [
      "GetPublicKey",
      (KeyId) => kms.getPublicKey({ KeyId }),
      (arn) =>
        `UnsupportedOperationException: ${arn} key spec is SYMMETRIC_DEFAULT, which has no public key.`,
      X1,
      X3,
    ],
    ["EncryptBatch", (KeyId) => kms.encryptBatch({ KeyId, Entries: [{ Plaintext: plaintext }] }), ok, X1, X3],
    [
      "SignBatch",
      (KeyId) => kms.signBatch({ KeyId, ...signing, Entries: [signing] }),
      notFor("Sign"),
      X1,
      X3,
    ],
    [
      "VerifyBatch",
      (KeyId) => kms.verifyBatch({ KeyId, ...signing, Entries: [signing] }),
      notFor("Verify"),
      X1,
      X3,
    ],
    [
      "CreateAlias",
      async (KeyId) => {
        await kms.createAlias({ AliasName: "alias/in-a-state", TargetKeyId: KeyId });
        await kms.deleteAlias({ AliasName: "alias/in-a-state" });
      },
      ok,
      ok,
      X3,
    ],
    [
      "UpdateAlias",
      async (KeyId) => {
        const from = await newKey(kms);
        await kms.createAlias({ AliasName: "alias/moved-to", TargetKeyId: from.KeyId });
        const moved = kms.updateAlias({ AliasName: "alias/moved-to", TargetKeyId: KeyId });
        await moved.finally(() => kms.deleteAlias({ AliasName: "alias/moved-to" }));
      },
      ok,
      ok,
      X3,
    ],
    [
      "ReEncrypt, to another",
      async (_, CiphertextBlob) =>
        kms.reEncrypt({ CiphertextBlob, DestinationKeyId: (await newKey(kms)).KeyId }),
      ok,
      X1,
      X3,
    ],
    [
      "DecryptBatch",
      async (_, CiphertextBlob) => {
        const [entry] = (await kms.decryptBatch({ Entries: [{ CiphertextBlob }] })).Entries;
        if (entry?.Error) throw `${entry.Error.name}: ${entry.Error.message}`;
      },
      ok,
      X1,
      X3,
    ],
    ["DescribeKey", (KeyId) => kms.describeKey({ KeyId }), ok, ok, ok],
    ["GetKeyPolicy", (KeyId) => kms.getKeyPolicy({ KeyId }), ok, ok, ok],
    [
      "PutKeyPolicy",
      async (KeyId) => kms.putKeyPolicy({ KeyId, Policy: (await kms.getKeyPolicy({ KeyId })).Policy }),
      ok,
      ok,
      ok,
    ],
    ["ListKeyPolicies", (KeyId) => kms.listKeyPolicies({ KeyId }), ok, ok, ok],
    ["ListAliases", (KeyId) => kms.listAliases({ KeyId }), ok, ok, ok],
    ["UpdateKeyDescription", (KeyId) => kms.updateKeyDescription({ KeyId, Description: "" }), ok, ok, X3],
    ["CreateGrant", (KeyId) => granted(KeyId), ok, X1, X3],
    ["ListGrants", (KeyId) => kms.listGrants({ KeyId }), ok, ok, ok],
    ["RevokeGrant", (KeyId) => kms.revokeGrant({ KeyId, GrantId }), ok, ok, ok],
    ["RetireGrant", (KeyId) => kms.retireGrant({ KeyId, GrantId }), ok, ok, ok],
    ["EnableKeyRotation", (KeyId) => kms.enableKeyRotation({ KeyId }), ok, X1, X3],
    ["DisableKeyRotation", (KeyId) => kms.disableKeyRotation({ KeyId }), ok, X1, X3],
    ["GetKeyRotationStatus", (KeyId) => kms.getKeyRotationStatus({ KeyId }), ok, ok, ok],
    ["ListKeyRotations", (KeyId) => kms.listKeyRotations({ KeyId }), ok, ok, ok],
    ["RotateKeyOnDemand", (KeyId) => kms.rotateKeyOnDemand({ KeyId }), ok, X1, X3],
    ["GetKeyLastUsage", (KeyId) => kms.getKeyLastUsage({ KeyId }), ok, ok, ok],
    ["TagResource", (KeyId) => kms.tagResource({ KeyId, Tags: [] }), ok, ok, X3],
    ["UntagResource", (KeyId) => kms.untagResource({ KeyId, TagKeys: ["team"] }), ok, ok, X3],
    ["ListResourceTags", (KeyId) => kms.listResourceTags({ KeyId }), ok, ok, ok],
    ["EnableKey", (KeyId) => kms.enableKey({ KeyId }), ok, ok, X3],
    ["DisableKey", (KeyId) => kms.disableKey({ KeyId }), ok, ok, X3],
    ["ScheduleKeyDeletion", (KeyId) => kms.scheduleKeyDeletion({ KeyId }), ok, ok, X3],
    ["CancelKeyDeletion", (KeyId) => kms.cancelKeyDeletion({ KeyId }), X4, X4, ok],
  ];

  const setUps: [string, (KeyId: string) => Promise<unknown>][] = [
    ["Enabled", async () => {}],
    ["Disabled", (KeyId) => kms.disableKey({ KeyId })],
    ["PendingDeletion", (KeyId) => kms.scheduleKeyDeletion({ KeyId })],
    ["PendingImport", async (KeyId) => awaitImport(KeyId)],
  ];

  /** As a key is whose imported material was deleted. */
  function awaitImport(KeyId: string): void {
    const database = openDatabase(join(directory, "keystead.db"), 5000);
    database.exec(`UPDATE keys SET origin = 'EXTERNAL', key_state = 'PendingImport' WHERE key_id = '${KeyId}';
      UPDATE meta SET value = value + 1 WHERE name = 'generation'`);
    database.close();
  }

  /** What the last column of the table says, where it does not follow from the others. */
  const importing: Readonly<Record<string, typeof ok>> = {
    EnableKey: X5,
    DisableKey: X5,
    EnableKeyRotation: X6,
    DisableKeyRotation: X6,
  };

  const cases = table.flatMap(([name, run, enabled, off, doomed]) => {
    const outcomes = [enabled, off, doomed, importing[name] ?? (off === X1 ? X5 : off)];
    return setUps.map(([state, setUp], i) => ({
      name,
      run,
      state,
      setUp,
      outcome: outcomes[i] as typeof ok,
    }));
  });

  test("has a row for each operation that is about a key", () => {
    // Those take multi-Region keys only: test/multi-region.test.ts.
    const { ReplicateKey: _1, UpdatePrimaryRegion: _2, ...single } = operations;
    // And those keys of origin EXTERNAL: test/import.test.ts.
    const {
      GetParametersForImport: _3,
      ImportKeyMaterial: _4,
      DeleteImportedKeyMaterial: _5,
      ...rest
    } = single;
    const about = Object.values<Operation>({ ...rest, ...extensions }).filter((row) => row.key !== undefined);
    // Those find their key by themselves. DeleteAlias is about an alias, whatever its key's state.
    const others = [
      "Decrypt",
      "DecryptBatch",
      "ReEncrypt",
      "ReEncrypt, to another",
      "ListAliases",
      "RetireGrant",
    ];
    const names = [...about.map(({ name }) => name), ...others];
    expect(table.map(([name]) => name as string).toSorted()).toEqual(names.toSorted());
  });

  test.each(cases)("$name on a key that is $state", async ({ run, setUp, outcome }) => {
    const { KeyId, Arn } = await newKey(kms);
    const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: plaintext });
    ({ GrantId } = await granted(KeyId));
    await setUp(KeyId);
    const answer = await run(KeyId, CiphertextBlob as Uint8Array).then(
      () => "ok",
      (error) => `${error}`,
    );
    expect(answer).toBe(outcome(Arn));
  });
});

describe("switching a key", () => {
  test("off and on shows in its description", async () => {
    const { KeyId } = await newKey(kms);
    expect(await kms.disableKey({ KeyId })).toEqual({ $metadata: expect.anything() });
    const off = (await kms.describeKey({ KeyId })).KeyMetadata;
    expect([off?.KeyState, off?.Enabled]).toEqual(["Disabled", false]);
    await kms.enableKey({ KeyId });
    const on = (await kms.describeKey({ KeyId })).KeyMetadata;
    expect([on?.KeyState, on?.Enabled]).toEqual(["Enabled", true]);
  });

  test("takes turns, so that no change is lost", async () => {
    const { KeyId } = await newKey(kms);
    await Promise.all([
      kms.disableKey({ KeyId }),
      kms.updateKeyDescription({ KeyId, Description: "new" }),
      ...Array.from({ length: 20 }, (_, i) => (i % 2 ? kms.enableKey({ KeyId }) : kms.disableKey({ KeyId }))),
    ]);
    const { KeyMetadata } = await kms.describeKey({ KeyId });
    expect([KeyMetadata?.KeyState, KeyMetadata?.Description]).toEqual(["Enabled", "new"]);
  });
});

describe("ScheduleKeyDeletion", () => {
  test.each([
    [6, "greater than or equal to 7"],
    [31, "less than or equal to 30"],
    [0, "greater than or equal to 1"],
    [366, "less than or equal to 365"],
  ])("refuses a window of %i days", async (PendingWindowInDays, bound) => {
    const { KeyId } = await newKey(kms);
    expect(await refusal(kms.scheduleKeyDeletion({ KeyId, PendingWindowInDays }))).toBe(
      `ValidationException: 1 validation error detected: Value '${PendingWindowInDays}' at 'pendingWindowInDays' ` +
        `failed to satisfy constraint: Member must have value ${bound}`,
    );
  });

  test("names the day, which the description then has until it is cancelled", async () => {
    const { KeyId, Arn } = await newKey(kms);
    const DeletionDate = new Date(clock.now + 30 * 86_400_000);
    expect(await kms.scheduleKeyDeletion({ KeyId })).toMatchObject({
      KeyId: Arn,
      DeletionDate,
      KeyState: "PendingDeletion",
      PendingWindowInDays: 30,
    });
    const pending = (await kms.describeKey({ KeyId })).KeyMetadata;
    expect(pending).toMatchObject({ DeletionDate, KeyState: "PendingDeletion", Enabled: false });
    expect(await kms.cancelKeyDeletion({ KeyId })).toMatchObject({ KeyId: Arn });
    const rescued = (await kms.describeKey({ KeyId })).KeyMetadata;
    expect(rescued?.KeyState).toBe("Disabled");
    expect(rescued).not.toHaveProperty("DeletionDate");
  });
});

test("an account has a number of keys that is counted the closer the nearer it comes to the limit", async () => {
  let stored = 0;
  let counts = 0;
  const store = {
    countKeys: () => {
      counts++;
      return stored;
    },
  };
  const quota = new KeyQuota(store as never, 1000);
  for (; stored < 1000; stored++) await quota.take(REGION, ACCOUNT);
  expect(await refusal(quota.take(REGION, ACCOUNT))).toBe(
    `LimitExceededException: This account has 1000 keys in ${REGION}, which is the limit.`,
  );
  expect(counts).toBeLessThan(500);
  stored--;
  await quota.take(REGION, ACCOUNT);
});
