import { expect, test } from "vitest";
import type { Kms } from "../lib/index.ts";
import { ACCOUNT, bytes, newKey, openTestDeployment, REGION, refusal, text } from "./deployment.ts";

const OTHER = "444455556666";
const THIRD = "777788889999";
const { kms, events } = await openTestDeployment();
const rootOf = (account: string) => `arn:aws:iam::${account}:root`;
const other = kms.as(rootOf(OTHER));
const third = kms.as(rootOf(THIRD));

/** A key of the deployment's account that these may use. */
async function sharedWith(...principals: string[]) {
  const statement = (AWS: unknown) => ({
    Effect: "Allow",
    Principal: { AWS },
    Action: "kms:*",
    Resource: "*",
  });
  const Statement = [statement(rootOf(ACCOUNT)), statement(principals)];
  return newKey(kms, { Policy: JSON.stringify({ Version: "2012-10-17", Statement }) });
}

const idsOf = async (caller: Kms) => (await caller.listKeys({ Limit: 1000 })).Keys?.map(({ KeyId }) => KeyId);

test("each account has keys and aliases of its own", async () => {
  expect([kms.account, other.account]).toEqual([ACCOUNT, OTHER]);
  const here = await newKey(kms);
  const there = await newKey(other);
  expect(there.Arn).toBe(`arn:aws:kms:${REGION}:${OTHER}:key/${there.KeyId}`);
  expect(await idsOf(other)).toEqual([there.KeyId]);
  expect(await idsOf(kms)).not.toContain(there.KeyId);
  expect(await idsOf(third)).toEqual([]);
  const { KeyMetadata } = await other.describeKey({ KeyId: there.KeyId });
  expect(KeyMetadata).toMatchObject({ AWSAccountId: OTHER, Arn: there.Arn });
  expect(JSON.parse((await other.getKeyPolicy({ KeyId: there.KeyId })).Policy as string)).toMatchObject({
    Statement: [{ Principal: { AWS: rootOf(OTHER) } }],
  });

  await kms.createAlias({ AliasName: "alias/orders", TargetKeyId: here.KeyId });
  await other.createAlias({ AliasName: "alias/orders", TargetKeyId: there.KeyId });
  const [alias] = (await other.listAliases()).Aliases ?? [];
  expect(alias).toMatchObject({
    AliasArn: `arn:aws:kms:${REGION}:${OTHER}:alias/orders`,
    TargetKeyId: there.KeyId,
  });
  for (const [caller, { Arn }] of [
    [kms, here],
    [other, there],
  ] as const) {
    const { KeyId, CiphertextBlob } = await caller.encrypt({
      KeyId: "alias/orders",
      Plaintext: bytes("order"),
    });
    expect(KeyId).toBe(Arn);
    expect(text((await caller.decrypt({ CiphertextBlob })).Plaintext)).toBe("order");
  }
});

test("what is another account's is closed, and cannot be told from what is not there", async () => {
  const { KeyId, Arn } = await newKey(other);
  const nowhere = Arn.replace(/.{12}$/, "0".repeat(12));
  for (const arn of [Arn, nowhere])
    expect(await refusal(kms.encrypt({ KeyId: arn, Plaintext: bytes("x") }))).toBe(
      `AccessDeniedException: User: ${rootOf(ACCOUNT)} is not authorized to perform: kms:Encrypt on resource: ${arn} because no resource-based policy allows the kms:Encrypt action`,
    );
  expect(await refusal(kms.describeKey({ KeyId }))).toMatch(/^NotFoundException/);
  const { CiphertextBlob } = await other.encrypt({ KeyId, Plaintext: bytes("theirs") });
  expect(await refusal(third.decrypt({ CiphertextBlob }))).toMatch(
    /^AccessDeniedException: .* on resource: the key associated with this ciphertext/,
  );
});

test("a key is used across accounts, as its policy says", async () => {
  const { KeyId, Arn } = await sharedWith(rootOf(OTHER));
  const sealed = await other.encrypt({ KeyId: Arn, Plaintext: bytes("shared") });
  expect(sealed.KeyId).toBe(Arn);
  const { CiphertextBlob } = sealed;
  expect(text((await other.decrypt({ CiphertextBlob })).Plaintext)).toBe("shared");
  expect(text((await kms.decrypt({ CiphertextBlob })).Plaintext)).toBe("shared");
  expect(await refusal(third.decrypt({ CiphertextBlob }))).toMatch(/^AccessDeniedException/);
  // Of another account, by its id alone it is not found.
  expect(await refusal(other.encrypt({ KeyId, Plaintext: bytes("x") }))).toMatch(/^NotFoundException/);
  // Its alias stays in its account.
  expect(await refusal(other.createAlias({ AliasName: "alias/theirs", TargetKeyId: Arn }))).toMatch(
    /^AccessDenied/,
  );

  const role = `arn:aws:iam::${OTHER}:role/reader`;
  const policies = [
    JSON.stringify({
      Version: "2012-10-17",
      Statement: { Effect: "Allow", Action: "kms:Decrypt", Resource: Arn },
    }),
  ];
  expect(text((await kms.as(role, { policies }).decrypt({ CiphertextBlob })).Plaintext)).toBe("shared");
  expect(await refusal(kms.as(role).decrypt({ CiphertextBlob }))).toMatch(/no identity-based policy allows/);
});

test("an event is the caller's account's, and that of the key's account too", async () => {
  await newKey(other);
  expect(await events(1)).toMatchObject([{ eventName: "CreateKey", recipientAccountId: OTHER }]);
  expect((await events(1))[0]).not.toHaveProperty("sharedEventID");

  const { Arn } = await sharedWith(rootOf(OTHER));
  const { CiphertextBlob } = await other.encrypt({ KeyId: Arn, Plaintext: bytes("shared") });
  const [theirs, ours] = await events(2);
  const both = {
    eventName: "Encrypt",
    requestID: theirs?.requestID,
    sharedEventID: expect.stringMatching(/^[0-9a-f-]{36}$/),
    userIdentity: { accountId: OTHER },
    resources: [{ ARN: Arn, accountId: ACCOUNT }],
  };
  expect(theirs).toMatchObject({ ...both, recipientAccountId: OTHER });
  expect(ours).toMatchObject({ ...both, recipientAccountId: ACCOUNT });
  expect(ours?.sharedEventID).toBe(theirs?.sharedEventID);
  expect(ours).not.toMatchObject({ eventID: (theirs as unknown as { eventID: string }).eventID });

  // Also one that failed, and one about keys of several accounts.
  await refusal(other.decrypt({ CiphertextBlob, EncryptionContext: { a: "b" } }));
  const failed = await events(2);
  expect(failed.map(({ errorCode }) => errorCode)).toEqual(Array(2).fill("InvalidCiphertextException"));
  expect(failed.map(({ recipientAccountId }) => recipientAccountId)).toEqual([OTHER, ACCOUNT]);
  const own = await newKey(other);
  await other.reEncrypt({ CiphertextBlob, DestinationKeyId: own.KeyId });
  expect(
    (await events(2)).map(({ eventName, recipientAccountId }) => [eventName, recipientAccountId]),
  ).toEqual([
    ["ReEncrypt", OTHER],
    ["ReEncrypt", ACCOUNT],
  ]);
});

test("what is denied across accounts is an event of the caller's account alone", async () => {
  const { Arn } = await sharedWith(rootOf(OTHER));
  const { CiphertextBlob } = await other.encrypt({ KeyId: Arn, Plaintext: bytes("shared") });
  const shown = async () =>
    (await events(2)).map((event) => [event.errorCode, event.recipientAccountId, event.sharedEventID]);
  const before = ["AccessDenied", THIRD, undefined];
  await refusal(third.describeKey({ KeyId: Arn }));
  for (const ask of [
    () => third.decrypt({ CiphertextBlob }),
    () => third.encrypt({ KeyId: Arn, Plaintext: bytes("x") }),
    () => third.disableKey({ KeyId: Arn }),
    async () => third.reEncrypt({ CiphertextBlob, DestinationKeyId: (await newKey(third)).KeyId }),
  ]) {
    await refusal(ask());
    expect((await shown()).at(-1)).toEqual(before);
  }
  // What the account's own callers are denied stays its own.
  await refusal(kms.as(`arn:aws:iam::${ACCOUNT}:role/nobody`).describeKey({ KeyId: Arn }));
  expect(await shown()).toEqual([before, ["AccessDenied", ACCOUNT, undefined]]);
});

test("replicas and primaries are moved within their account only", async () => {
  const { KeyId, Arn } = await newKey(kms, {
    MultiRegion: true,
    Policy: JSON.stringify({
      Version: "2012-10-17",
      Statement: {
        Effect: "Allow",
        Principal: { AWS: [rootOf(ACCOUNT), rootOf(OTHER)] },
        Action: "kms:*",
        Resource: "*",
      },
    }),
  });
  for (const ask of [
    () => other.replicateKey({ KeyId: Arn, ReplicaRegion: "sa-east-1" }),
    () => other.updatePrimaryRegion({ KeyId: Arn, PrimaryRegion: "sa-east-1" }),
  ])
    expect(await refusal(ask())).toMatch(/^AccessDeniedException: .*because no resource-based policy allows/);
  expect(await refusal(kms.replicateKey({ KeyId, ReplicaRegion: "sa-east-1" }))).toMatch(/^Unsupported/);
});
