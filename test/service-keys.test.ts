import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type Kms, Kms as Service } from "../lib/index.ts";
import { openStore } from "../lib/store.ts";
import { library, node } from "./child.ts";
import { ACCOUNT, bytes, newKey, openTestDeployment, REGION, refusal, text } from "./deployment.ts";

const OSAKA = "ap-northeast-3";
const OTHER = "444455556666";
const ROLE = `arn:aws:iam::${ACCOUNT}:role/app`;
const { kms, directory, clock, events } = await openTestDeployment({ regions: [OSAKA] });
const other = kms.as(`arn:aws:iam::${OTHER}:root`);

const seal = async (caller: Kms, KeyId: string, plain = "kept") =>
  (await caller.encrypt({ KeyId, Plaintext: bytes(plain) })).CiphertextBlob as Uint8Array;
const open = async (caller: Kms, CiphertextBlob: Uint8Array) =>
  text((await caller.decrypt({ CiphertextBlob })).Plaintext);
const aliases = async (caller: Kms) => (await caller.listAliases()).Aliases ?? [];
const allEvents = () => events(10_000);

describe("a key that a service manages", () => {
  test("is made in the account on first use, and is one however many ask", async () => {
    const backup = kms.service("backup");
    expect([backup.principal, backup.account]).toEqual(["backup.amazonaws.com", ACCOUNT]);
    const sealed = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        backup.encrypt({ KeyId: "alias/aws/backup", Plaintext: bytes(`${i}`) }),
      ),
    );
    expect(new Set(sealed.map(({ KeyId }) => KeyId)).size).toBe(1);
    for (const { CiphertextBlob } of sealed)
      expect(await open(backup, CiphertextBlob as Uint8Array)).toMatch(/^\d+$/);
    const made = (await allEvents()).filter(({ eventName }) => eventName === "CreateKey");
    expect(made).toHaveLength(1);
    expect(made[0]).toMatchObject({
      userIdentity: { type: "AWSService", invokedBy: "backup.amazonaws.com" },
      requestParameters: { aliasName: "alias/aws/backup" },
      recipientAccountId: ACCOUNT,
    });
    const named = (await aliases(kms)).filter(({ AliasName }) => AliasName === "alias/aws/backup");
    expect(named).toHaveLength(1);
    const KeyId = named[0]?.TargetKeyId as string;
    expect((await kms.listKeys()).Keys?.map((key) => key.KeyId)).toContain(KeyId);
    const { KeyMetadata } = await kms.describeKey({ KeyId: "alias/aws/backup" });
    expect(KeyMetadata).toMatchObject({
      KeyId,
      KeyManager: "AWS",
      KeyState: "Enabled",
      AWSAccountId: ACCOUNT,
    });
  });

  test("is one also when several processes ask at the same time", async () => {
    const program = `
      import { Kms } from ${library("index")};
      const kms = await Kms.open({ directory: process.argv[1] });
      const { KeyId } = await kms.service("racing").generateDataKey({ KeyId: "alias/aws/racing", KeySpec: "AES_256" });
      await kms.close();
      console.log(KeyId);`;
    const answers = await Promise.all([1, 2, 3].map(() => node(program, [directory])));
    const keys = new Set(answers.map(({ stdout }) => String(stdout).trim()));
    expect(keys.size).toBe(1);
    const { KeyMetadata } = await kms.describeKey({ KeyId: "alias/aws/racing" });
    expect([...keys]).toEqual([KeyMetadata?.Arn]);
    const managed = await Promise.all(
      ((await kms.listKeys()).Keys ?? []).map(
        async ({ KeyId = "" }) => (await kms.describeKey({ KeyId })).KeyMetadata,
      ),
    );
    expect(managed.filter((key) => key?.Description?.includes("racing"))).toHaveLength(1);
  });

  test("is used through its service, by the account that it is for", async () => {
    const blob = await seal(kms.service("vaults"), "alias/aws/vaults");
    expect(await open(kms.service("vaults"), blob)).toBe("kept");
    const denied = /^AccessDeniedException: .*not authorized to perform: kms:(Decrypt|Encrypt)/;
    for (const caller of [
      kms,
      kms.as(ROLE),
      kms.service("backup"),
      kms.service("vaults", { account: OTHER }),
      other,
    ])
      expect(await refusal(open(caller, blob))).toMatch(denied);
    expect(await refusal(seal(kms, "alias/aws/vaults"))).toMatch(denied);
    // What a role asks of the service, and the service of this one.
    const policies = [
      JSON.stringify({
        Version: "2012-10-17",
        Statement: { Effect: "Allow", Action: "kms:Decrypt", Resource: "*" },
      }),
    ];
    const via = `vaults.${REGION}.amazonaws.com`;
    expect(await open(kms.as(ROLE, { policies, via }), blob)).toBe("kept");
    expect(await refusal(open(kms.as(ROLE, { policies, via: `s3.${REGION}.amazonaws.com` }), blob))).toMatch(
      denied,
    );
    const theirs = await seal(kms.service("vaults", { account: OTHER }), "alias/aws/vaults");
    expect(await refusal(open(kms.service("vaults"), theirs))).toMatch(denied);
    expect((await aliases(other)).map(({ AliasName }) => AliasName)).toEqual(["alias/aws/vaults"]);
  });

  test("is of one Region, as the service is there", async () => {
    const blob = await seal(kms.service("regional").inRegion(OSAKA), "alias/aws/regional");
    expect(await open(kms.inRegion(OSAKA).service("regional"), blob)).toBe("kept");
    expect(await refusal(kms.describeKey({ KeyId: "alias/aws/regional" }))).toMatch(/^NotFoundException/);
  });

  test("lets nobody change, disable, name or delete it", async () => {
    const guard = kms.service("guard");
    const sealed = await guard.encrypt({ KeyId: "alias/aws/guard", Plaintext: bytes("kept") });
    const KeyId = sealed.KeyId as string;
    const spare = await newKey(kms);
    const { Policy = "" } = await kms.getKeyPolicy({ KeyId });
    expect(JSON.parse(Policy).Statement[0].Condition).toEqual({
      StringEquals: { "kms:CallerAccount": ACCOUNT, "kms:ViaService": `guard.${REGION}.amazonaws.com` },
    });
    for (const caller of [kms, guard])
      for (const refused of [
        caller.putKeyPolicy({ KeyId, Policy }),
        caller.disableKey({ KeyId }),
        caller.enableKey({ KeyId }),
        caller.scheduleKeyDeletion({ KeyId }),
        caller.updateKeyDescription({ KeyId, Description: "mine" }),
        caller.tagResource({ KeyId, Tags: [] }),
        caller.disableKeyRotation({ KeyId }),
        caller.rotateKeyOnDemand({ KeyId }),
        caller.createAlias({ AliasName: "alias/mine", TargetKeyId: KeyId }),
      ])
        expect(await refusal(refused)).toMatch(/^AccessDeniedException/);
    for (const refused of [
      kms.deleteAlias({ AliasName: "alias/aws/guard" }),
      kms.updateAlias({ AliasName: "alias/aws/guard", TargetKeyId: spare.KeyId }),
    ])
      expect(await refusal(refused)).toMatch(/^InvalidAliasNameException/);
  });

  test("is rotated every year", async () => {
    const yearly = kms.service("yearly");
    const blob = await seal(yearly, "alias/aws/yearly");
    const { KeyMetadata } = await kms.describeKey({ KeyId: "alias/aws/yearly" });
    const KeyId = KeyMetadata?.KeyId as string;
    const status = await kms.getKeyRotationStatus({ KeyId });
    expect(status).toMatchObject({ KeyRotationEnabled: true, RotationPeriodInDays: 365 });
    clock.advance(366);
    await kms.runDue();
    expect((await kms.listKeyRotations({ KeyId })).Rotations).toHaveLength(1);
    expect(await open(yearly, blob)).toBe("kept");
  });

  test("does not count towards the account's limit of keys", async () => {
    const store = await openStore({ file: `${directory}/keystead.db` });
    const count = () => store.countKeys(REGION, ACCOUNT);
    const before = await count();
    await newKey(kms);
    await seal(kms.service("uncounted"), "alias/aws/uncounted");
    expect(await count()).toBe(before + 1);
    await store.close();
  });

  test("is not made for others, nor under other names", async () => {
    const backup = kms.service("backup");
    for (const [caller, alias] of [
      [kms, "alias/aws/unused"],
      [backup, "alias/aws/unused"],
      [backup, "alias/aws/backups"],
      [backup, "alias/unused"],
      [kms.as("unused.amazonaws.com"), "alias/aws/unused"],
    ] as const)
      expect(await refusal(seal(caller, alias))).toMatch(/^NotFoundException: Alias .* is not found/);
    const elsewhere = `arn:aws:kms:${REGION}:${OTHER}:alias/aws/backup`;
    expect(await refusal(seal(backup, elsewhere))).toMatch(/^AccessDeniedException/);
    expect(await aliases(other)).toHaveLength(1);
  });
});

describe("a key that a service owns", () => {
  test("serves all accounts, and no account sees it", async () => {
    const [here, there] = [kms.service("owner"), kms.service("owner", { account: OTHER })];
    const before = (await kms.listKeys()).Keys;
    const sealed = await here.encrypt({ KeyId: "alias/aws/owner/vault", Plaintext: bytes("for all") });
    expect(sealed.KeyId).toMatch(new RegExp(`^arn:aws:kms:${REGION}:owner.amazonaws.com:key/`));
    const CiphertextBlob = sealed.CiphertextBlob as Uint8Array;
    expect(await open(there, CiphertextBlob)).toBe("for all");
    const KeyId = sealed.KeyId as string;
    expect(text((await there.decrypt({ CiphertextBlob, KeyId })).Plaintext)).toBe("for all");
    expect((await kms.listKeys()).Keys).toEqual(before);
    for (const account of [kms, other])
      expect((await aliases(account)).map(({ AliasName }) => AliasName)).not.toContain(
        "alias/aws/owner/vault",
      );
    const { KeyMetadata } = await there.describeKey({ KeyId });
    expect(KeyMetadata).toMatchObject({ KeyManager: "AWS", AWSAccountId: "owner.amazonaws.com" });
    // Another name is another key.
    const second = await there.encrypt({ KeyId: "alias/aws/owner/second", Plaintext: bytes("x") });
    expect(second.KeyId).not.toBe(KeyId);
  });

  test("is closed to all others, by whatever name", async () => {
    const owner = kms.service("closed");
    const blob = await seal(owner, "alias/aws/closed/vault");
    const { KeyMetadata } = await owner.describeKey({ KeyId: "alias/aws/closed/vault" });
    const [id, arn] = [KeyMetadata?.KeyId as string, KeyMetadata?.Arn as string];
    for (const caller of [kms, other, kms.as(ROLE), kms.service("owner")]) {
      expect(await refusal(open(caller, blob))).toMatch(/^AccessDeniedException/);
      expect(await refusal(caller.describeKey({ KeyId: arn }))).toMatch(/^AccessDeniedException/);
      expect(await refusal(caller.describeKey({ KeyId: id }))).toMatch(/^(NotFound|AccessDenied)Exception/);
      expect(await refusal(seal(caller, "alias/aws/closed/vault"))).toMatch(/^NotFoundException/);
      expect(await refusal(caller.scheduleKeyDeletion({ KeyId: arn }))).toMatch(/^AccessDeniedException/);
    }
    expect(await open(owner, blob)).toBe("kept");
  });

  test("is in the service's trail alone", async () => {
    const hidden = kms.service("hidden", { account: OTHER });
    const blob = await seal(hidden, "alias/aws/hidden/vault");
    await open(hidden, blob);
    const { KeyMetadata } = await hidden.describeKey({ KeyId: "alias/aws/hidden/vault" });
    await refusal(open(other, blob));
    const arn = KeyMetadata?.Arn as string;
    const about = (await allEvents()).filter((event) => JSON.stringify(event).includes(arn));
    expect(about.map(({ eventName }) => eventName)).toEqual([
      "CreateKey",
      "Encrypt",
      "Decrypt",
      "DescribeKey",
    ]);
    expect(new Set(about.map((event) => event.recipientAccountId))).toEqual(
      new Set(["hidden.amazonaws.com"]),
    );
  });

  test("is not named in an account's event that it has part in", async () => {
    const mover = kms.service("mover");
    const { KeyId, Arn } = await newKey(kms, {
      Policy: JSON.stringify({
        Version: "2012-10-17",
        Statement: [
          {
            Effect: "Allow",
            Principal: { AWS: `arn:aws:iam::${ACCOUNT}:root` },
            Action: "kms:*",
            Resource: "*",
          },
          {
            Effect: "Allow",
            Principal: { Service: mover.principal },
            Action: "kms:ReEncrypt*",
            Resource: "*",
          },
        ],
      }),
    });
    const owned = await mover.encrypt({ KeyId: "alias/aws/mover/vault", Plaintext: bytes("moved") });
    const CiphertextBlob = owned.CiphertextBlob as Uint8Array;
    const moved = await mover.reEncrypt({ CiphertextBlob, DestinationKeyId: KeyId });
    expect(await open(kms, moved.CiphertextBlob as Uint8Array)).toBe("moved");
    const records = (await allEvents()).filter(({ eventName }) => eventName === "ReEncrypt");
    const shown = Object.fromEntries(
      records.map((event) => [event.recipientAccountId, event.resources.map(({ ARN }) => ARN).sort()]),
    );
    expect(shown).toEqual({ [ACCOUNT]: [Arn], "mover.amazonaws.com": [Arn, owned.KeyId].sort() });
  });

  test("is the service's to manage, and rotated every year", async () => {
    const owner = kms.service("manager");
    const blob = await seal(owner, "alias/aws/manager/vault");
    const { KeyMetadata } = await owner.describeKey({ KeyId: "alias/aws/manager/vault" });
    const KeyId = KeyMetadata?.Arn as string;
    expect(await owner.getKeyRotationStatus({ KeyId })).toMatchObject({ RotationPeriodInDays: 365 });
    await owner.disableKey({ KeyId });
    expect(await refusal(open(owner, blob))).toMatch(/^DisabledException/);
    await owner.scheduleKeyDeletion({ KeyId, PendingWindowInDays: 7 });
    clock.advance(8);
    await kms.runDue();
    expect(await refusal(owner.describeKey({ KeyId }))).toMatch(/^(NotFound|AccessDenied)Exception/);
    const again = await owner.encrypt({ KeyId: "alias/aws/manager/vault", Plaintext: bytes("x") });
    expect(again.KeyId).not.toBe(KeyId);
  });

  test("carries envelopes", async () => {
    const owner = kms.service("bulk");
    const message = await owner.envelope.encrypt(bytes("a long text"), { KeyId: "alias/aws/bulk/data" });
    expect(text(await kms.service("bulk", { account: OTHER }).envelope.decrypt(message))).toBe("a long text");
  });
});

test("a service says for whom and for what it asks, and a key policy can ask that", async () => {
  const vault = (account: string) => `arn:aws:backup:${REGION}:${account}:backup-vault:daily`;
  const root = { Effect: "Allow", Principal: { AWS: ACCOUNT }, Action: "kms:*", Resource: "*" };
  const Condition = {
    StringEquals: { "aws:SourceAccount": ACCOUNT },
    ArnLike: { "aws:SourceArn": `arn:aws:backup:*:${ACCOUNT}:backup-vault:*` },
  };
  const service = { ...root, Principal: { Service: "backup.amazonaws.com" }, Condition };
  const Policy = JSON.stringify({ Version: "2012-10-17", Statement: [root, service] });
  const { Arn: KeyId } = await newKey(kms, { Policy });
  const asked = (options: object) => kms.service("backup", options);
  await seal(asked({ sourceArn: vault(ACCOUNT) }), KeyId);
  for (const options of [{}, { sourceArn: vault(OTHER) }, { account: OTHER, sourceArn: vault(ACCOUNT) }])
    expect(await refusal(seal(asked(options), KeyId))).toMatch(/^AccessDeniedException/);
  // It is the service's word, not that of whoever it asks for next.
  const { KeyId: open } = await newKey(kms, {
    Policy: JSON.stringify({ Statement: [root, { ...root, Principal: { AWS: ROLE }, Condition }] }),
  });
  expect(await refusal(seal(asked({ sourceArn: vault(ACCOUNT) }).as(ROLE), open))).toMatch(/^AccessDenied/);
  expect(() => asked({ sourceArn: "vault" })).toThrow(/sourceArn must be the ARN of a resource, not "vault"/);
});

test("a service has a name, and acts for an account", () => {
  expect(() => kms.service("Bad Name")).toThrow(/"Bad Name" is no name of a service, such as "backup"/);
  expect(() => kms.service("backup", { account: "1" })).toThrow(/account must be a string of 12 digits/);
  expect(other.service("backup").account).toBe(OTHER);
});

test("service keys are there when the deployment is opened again", async () => {
  const blob = await seal(kms.service("lasting"), "alias/aws/lasting");
  const owned = await seal(kms.service("lasting"), "alias/aws/lasting/vault");
  const again = await Service.open({ directory, clock: clock.read });
  try {
    expect(await open(again.service("lasting"), blob)).toBe("kept");
    expect(await open(again.service("lasting", { account: OTHER }), owned)).toBe("kept");
  } finally {
    await again.close();
  }
  expect(readFileSync(`${directory}/keystead.json`, "utf8")).toContain(ACCOUNT);
});
