import { describe, expect, test } from "vitest";
import type { Kms } from "../lib/index.ts";
import { ACCOUNT, bytes, newKey, openTestDeployment, REGION } from "./deployment.ts";

const { kms, events, clock } = await openTestDeployment();
const APP = `arn:aws:iam::${ACCOUNT}:role/app`;
const app = kms.as(APP);
const Plaintext = bytes("x");

const root = { Effect: "Allow", Principal: { AWS: kms.principal }, Action: "kms:*", Resource: "*" };

/** A key that the application may do anything with, under a condition; and what it says when asked. */
async function keyFor(Condition: object, action = "kms:*", input: object = {}) {
  const statement = { Sid: "app", Effect: "Allow", Principal: { AWS: APP }, Action: action, Resource: "*" };
  const Policy = JSON.stringify({ Version: "2012-10-17", Statement: [root, { ...statement, Condition }] });
  return newKey(kms, { ...input, Policy } as Parameters<Kms["createKey"]>[0]);
}

const outcome = async (promise: Promise<unknown>) =>
  promise.then(
    () => "allowed",
    (error) => error.name,
  );
const denied = "AccessDeniedException";

describe("a condition sees", () => {
  test("the encryption context, of batches that of every entry", async () => {
    const { KeyId } = await keyFor({ StringEquals: { "kms:EncryptionContext:tenant": "7" } });
    const encrypt = (EncryptionContext?: Record<string, string>) =>
      outcome(app.encrypt({ KeyId, Plaintext, EncryptionContext }));
    expect(await encrypt({ tenant: "7" })).toBe("allowed");
    expect(await encrypt({ tenant: "7", more: "too" })).toBe("allowed");
    expect([await encrypt({ tenant: "8" }), await encrypt({}), await encrypt()]).toEqual([
      denied,
      denied,
      denied,
    ]);
    const [seven, eight] = [{ tenant: "7" }, { tenant: "8" }];
    const entries = (...contexts: (Record<string, string> | undefined)[]) =>
      contexts.map((EncryptionContext) => ({ Plaintext, EncryptionContext }));
    const batch = (input: object) => outcome(app.encryptBatch({ KeyId, ...input } as never));
    expect(await batch({ Entries: entries(seven, seven) })).toBe("allowed");
    expect(await batch({ Entries: entries(seven, eight) })).toBe(denied);
    expect(await batch({ Entries: entries(seven, undefined) })).toBe(denied);
    expect(await batch({ Entries: entries(seven, undefined), EncryptionContext: seven })).toBe("allowed");
    const packed = { Plaintexts: bytes("ab"), Lengths: Uint32Array.of(1, 1) };
    expect(await batch({ ...packed, EncryptionContexts: [seven, seven] })).toBe("allowed");
    expect(await batch({ ...packed, EncryptionContexts: [seven, eight] })).toBe(denied);
    expect(await batch({ ...packed, EncryptionContext: seven })).toBe("allowed");
  });

  test("both contexts and both keys of ReEncrypt, each for its own side", async () => {
    const { KeyId: from } = await keyFor({ StringEquals: { "kms:EncryptionContext:side": "from" } });
    const { KeyId: to } = await keyFor({ StringEquals: { "kms:EncryptionContext:side": "to" } });
    const { CiphertextBlob } = await kms.encrypt({
      KeyId: from,
      Plaintext,
      EncryptionContext: { side: "from" },
    });
    const reEncrypt = (source: string, destination: string) =>
      outcome(
        app.reEncrypt({
          CiphertextBlob,
          SourceEncryptionContext: { side: source },
          DestinationKeyId: to,
          DestinationEncryptionContext: { side: destination },
        }),
      );
    expect(await reEncrypt("from", "to")).toBe("allowed");
    expect(await reEncrypt("to", "to")).toBe(denied);
    expect(await reEncrypt("from", "from")).toBe(denied);
    const { KeyId: same } = await keyFor({ Bool: { "kms:ReEncryptOnSameKey": "true" } }, "kms:ReEncrypt*");
    const sealed = await kms.encrypt({ KeyId: same, Plaintext });
    const onto = (DestinationKeyId: string) =>
      outcome(app.reEncrypt({ CiphertextBlob: sealed.CiphertextBlob, DestinationKeyId }));
    expect(await onto(same)).toBe("allowed");
    expect(await onto((await keyFor({ Bool: { "kms:MultiRegion": "false" } })).KeyId)).toBe(denied);
  });

  test("the alias that the request names, and all that the key has", async () => {
    const { KeyId } = await keyFor({ StringEquals: { "kms:RequestAlias": "alias/named" } }, "kms:Encrypt");
    await kms.createAlias({ AliasName: "alias/named", TargetKeyId: KeyId });
    await kms.createAlias({ AliasName: "alias/other", TargetKeyId: KeyId });
    const encrypt = (name: string) => outcome(app.encrypt({ KeyId: name, Plaintext }));
    expect([await encrypt("alias/named"), await encrypt("alias/other"), await encrypt(KeyId)]).toEqual([
      "allowed",
      denied,
      denied,
    ]);
    const any = { "ForAnyValue:StringEquals": { "kms:ResourceAliases": "alias/has" } };
    const { KeyId: second } = await keyFor(any, "kms:Encrypt");
    expect(await encrypt(second)).toBe(denied);
    await kms.createAlias({ AliasName: "alias/has", TargetKeyId: second });
    expect(await encrypt(second)).toBe("allowed");
  });

  test("the tags of the key and the time", async () => {
    const Tags = [{ TagKey: "team", TagValue: "blue" }];
    const { KeyId } = await keyFor({ StringEquals: { "aws:ResourceTag/team": "blue" } }, "kms:*", { Tags });
    expect(await outcome(app.encrypt({ KeyId, Plaintext }))).toBe("allowed");
    await kms.tagResource({ KeyId, Tags: [{ TagKey: "team", TagValue: "red" }] });
    expect(await outcome(app.encrypt({ KeyId, Plaintext }))).toBe(denied);
    const tomorrow = new Date(clock.now + 86_400_000).toISOString();
    const { KeyId: later } = await keyFor({ DateGreaterThan: { "aws:CurrentTime": tomorrow } });
    expect(await outcome(app.encrypt({ KeyId: later, Plaintext }))).toBe(denied);
    clock.advance(2);
    expect(await outcome(app.encrypt({ KeyId: later, Plaintext }))).toBe("allowed");
  });

  test("what kind of key it is, also of one that is not yet made", async () => {
    const { KeyId } = await keyFor({ StringEquals: { "kms:KeySpec": "SYMMETRIC_DEFAULT" } }, "kms:Encrypt");
    expect(await outcome(app.encrypt({ KeyId, Plaintext }))).toBe("allowed");
    const only = (Condition: object) =>
      kms.as(APP, {
        policies: [
          JSON.stringify({
            Version: "2012-10-17",
            Statement: { Effect: "Allow", Action: "kms:CreateKey", Resource: "*", Condition },
          }),
        ],
      });
    const macs = only({ StringEquals: { "kms:KeyUsage": "GENERATE_VERIFY_MAC" } });
    expect(await outcome(macs.createKey())).toBe(denied);
    expect(await outcome(macs.createKey({ KeySpec: "HMAC_256", KeyUsage: "GENERATE_VERIFY_MAC" }))).toBe(
      "allowed",
    );
    const primaries = only({ StringEquals: { "kms:MultiRegionKeyType": "PRIMARY" } });
    expect(await outcome(primaries.createKey())).toBe(denied);
    expect(await outcome(primaries.createKey({ MultiRegion: true }))).toBe("allowed");
    const elsewhere = only({ StringNotEquals: { "aws:RequestedRegion": REGION } });
    expect(await outcome(elsewhere.createKey())).toBe(denied);
  });
});

describe("a condition on a grant sees", () => {
  const GranteePrincipal = `${APP}2`;
  const Operations = ["Decrypt" as const];
  const granted = (KeyId: string, more: object = {}) =>
    app.createGrant({ KeyId, GranteePrincipal, Operations, ...more });

  test("what the grant asks for as its encryption context", async () => {
    const { KeyId } = await keyFor({
      StringEquals: { "kms:EncryptionContext:tenant": "7" },
      "ForAllValues:StringEquals": { "kms:EncryptionContextKeys": ["tenant", "more"] },
    });
    const asking = (pairs: Record<string, string>) =>
      outcome(granted(KeyId, { Constraints: { EncryptionContextSubset: pairs } }));
    expect(await asking({ tenant: "7", more: "x" })).toBe("allowed");
    expect(await asking({ tenant: "8" })).toBe(denied);
    expect(await asking({ tenant: "7", other: "x" })).toBe(denied);
    expect(await outcome(granted(KeyId))).toBe(denied);
    const equal = { Constraints: { EncryptionContextEquals: { tenant: "7" } } };
    expect(await outcome(granted(KeyId, equal))).toBe("allowed");
  });

  test("of what kind the constraints are, and the aliases of the key, when it is retired", async () => {
    const { KeyId } = await newKey(kms);
    await kms.createAlias({ AliasName: "alias/retired", TargetKeyId: KeyId });
    const Constraints = { EncryptionContextSubset: { tenant: "7" } };
    const retire = async (Condition: object, more: object) => {
      const { GrantId } = await kms.createGrant({ KeyId, GranteePrincipal, Operations, ...more });
      const statement = { Effect: "Allow", Action: "kms:RetireGrant", Resource: "*", Condition };
      const policies = [JSON.stringify({ Version: "2012-10-17", Statement: statement })];
      return outcome(kms.as(APP, { policies }).retireGrant({ KeyId, GrantId }));
    };
    for (const condition of [
      { StringEquals: { "kms:GrantConstraintType": "EncryptionContextSubset" } },
      { StringEquals: { "kms:EncryptionContext:Tenant": "7" } },
      { "ForAnyValue:StringEquals": { "kms:EncryptionContextKeys": "tenant" } },
    ])
      expect([await retire(condition, { Constraints }), await retire(condition, {})]).toEqual([
        "allowed",
        denied,
      ]);
    const named = { "ForAnyValue:StringEquals": { "kms:ResourceAliases": "alias/retired" } };
    expect(await retire(named, {})).toBe("allowed");
  });

  test("whether it is for a service", async () => {
    const { KeyId } = await keyFor({
      StringEquals: { "kms:GranteeServicePrincipal": "backup.amazonaws.com" },
    });
    expect(await outcome(granted(KeyId))).toBe(denied);
    expect(await outcome(granted(KeyId, { GranteePrincipal: "backup.amazonaws.com" }))).toBe("allowed");
  });
});

test("a key that was used of late can be kept from being disabled and deleted", async () => {
  const Condition = { NumericLessThanEquals: { "kms:TrailingDaysWithoutKeyUsage": "30" } };
  const statement = { Effect: "Allow", Principal: { AWS: ACCOUNT }, Action: "kms:*", Resource: "*" };
  const deny = { ...statement, Effect: "Deny", Principal: "*", Condition };
  const Policy = JSON.stringify({ Version: "2012-10-17", Statement: [statement, deny] });
  const { KeyId } = await newKey(kms, { Policy });
  const disable = () => outcome(kms.disableKey({ KeyId }));
  const remove = () => outcome(kms.scheduleKeyDeletion({ KeyId }));
  const told = () => kms.explain({ Principal: kms.principal, Operation: "DisableKey", Input: { KeyId } });
  // Never used: from the day that it was made.
  clock.advance(30.9);
  expect([await disable(), await remove(), (await told()).Allowed]).toEqual([denied, denied, false]);
  clock.advance(0.1);
  expect(await told()).toMatchObject({
    Allowed: true,
    Decisions: [{ statements: [{}, { conditions: [{ seen: ["31"], holds: false }] }] }],
  });
  await kms.encrypt({ KeyId, Plaintext });
  expect([await disable(), await remove()]).toEqual([denied, denied]);
  expect(await outcome(kms.enableKey({ KeyId }))).toBe("allowed");
  clock.advance(31);
  expect(await disable()).toBe("allowed");
  await kms.enableKey({ KeyId });
  expect(await remove()).toBe("allowed");
});

test("the check of lockout can be asked for by whether it is bypassed", async () => {
  const root = { Effect: "Allow", Principal: { AWS: ACCOUNT }, Action: "kms:*", Resource: "*" };
  const own = { ...root, Principal: { AWS: APP }, Action: ["kms:PutKeyPolicy", "kms:GetKeyPolicy"] };
  const Condition = { Null: { "kms:BypassPolicyLockoutSafetyCheck": true } };
  const Policy = JSON.stringify({ Version: "2012-10-17", Statement: [root, { ...own, Condition }] });
  const { KeyId } = await newKey(kms, { Policy });
  const put = (more: object) => outcome(app.putKeyPolicy({ KeyId, Policy, ...more }));
  expect([await put({}), await put({ BypassPolicyLockoutSafetyCheck: true })]).toEqual(["allowed", denied]);
});

describe("a grant", () => {
  test("allows its operations, within its constraints, from the next request to its end", async () => {
    const { KeyId, Arn } = await newKey(kms);
    const encrypt = (tenant: string) =>
      outcome(app.encrypt({ KeyId, Plaintext, EncryptionContext: { tenant, more: "x" } }));
    expect(await encrypt("7")).toBe(denied);
    const { GrantId } = await kms.createGrant({
      KeyId,
      GranteePrincipal: APP,
      Operations: ["Encrypt"],
      Constraints: { EncryptionContextSubset: { tenant: "7" } },
    });
    expect([await encrypt("7"), await encrypt("8")]).toEqual(["allowed", denied]);
    expect(await outcome(app.describeKey({ KeyId }))).toBe(denied);
    expect(
      await outcome(kms.as(`${APP}2`).encrypt({ KeyId, Plaintext, EncryptionContext: { tenant: "7" } })),
    ).toBe(denied);
    const entries = (tenants: string[]) =>
      tenants.map((tenant) => ({ Plaintext, EncryptionContext: { tenant } }));
    expect(await outcome(app.encryptBatch({ KeyId, Entries: entries(["7", "7"]) }))).toBe("allowed");
    expect(await outcome(app.encryptBatch({ KeyId, Entries: entries(["7", "8"]) }))).toBe(denied);
    const [, last] = await events(2);
    expect(last).toMatchObject({
      eventName: "EncryptBatch",
      errorCode: "AccessDenied",
      resources: [{ ARN: Arn }],
    });
    await kms.revokeGrant({ KeyId, GrantId });
    expect(await encrypt("7")).toBe(denied);
  });

  test("lets its grantee grant no more than it has itself", async () => {
    const { KeyId } = await newKey(kms);
    const Constraints = { EncryptionContextEquals: { a: "b" } };
    await kms.createGrant({
      KeyId,
      GranteePrincipal: APP,
      Operations: ["CreateGrant", "Decrypt"],
      Constraints,
    });
    const grant = (input: object) =>
      outcome(app.createGrant({ KeyId, GranteePrincipal: `${APP}2`, ...input } as never));
    expect(await grant({ Operations: ["Decrypt"], Constraints })).toBe("allowed");
    expect(await grant({ Operations: ["Decrypt"] })).toBe(denied);
    expect(await grant({ Operations: ["Encrypt"], Constraints })).toBe(denied);
  });
});

test("a key with very many grants is no slower for those who have one", async () => {
  const { KeyId } = await newKey(kms);
  const { KeyId: few } = await newKey(kms);
  for (const key of [KeyId, few])
    await kms.createGrant({ KeyId: key, GranteePrincipal: APP, Operations: ["Encrypt"] });
  for (let from = 0; from < 2000; from += 100)
    await Promise.all(
      Array.from({ length: 100 }, (_, i) =>
        kms.createGrant({ KeyId, GranteePrincipal: `${APP}-${from + i}`, Operations: ["Encrypt"] }),
      ),
    );
  expect(await outcome(app.encrypt({ KeyId, Plaintext }))).toBe("allowed");
  expect(await outcome(kms.as(`${APP}-1999`).encrypt({ KeyId, Plaintext }))).toBe("allowed");
  expect(await outcome(kms.as(`${APP}-2000`).encrypt({ KeyId, Plaintext }))).toBe(denied);
  const session = kms.as(`arn:aws:sts::${ACCOUNT}:assumed-role/app-7/session`);
  expect(await outcome(session.encrypt({ KeyId, Plaintext }))).toBe("allowed");
}, 60_000);
