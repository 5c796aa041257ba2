import { beforeAll, describe, expect, test } from "vitest";
import type { Kms } from "../lib/index.ts";
import { ACCOUNT, type Clock, newKey, openTestDeployment, REGION, refusal } from "./deployment.ts";

let kms: Kms;
let clock: Clock;
beforeAll(async () => {
  ({ kms, clock } = await openTestDeployment());
});

const arnOf = (name: string) => `arn:aws:kms:${REGION}:${ACCOUNT}:${name}`;

describe("an alias", () => {
  test("stands for its key until it is moved, and then for the other", async () => {
    const [one, two] = [await newKey(kms), await newKey(kms)];
    await kms.createAlias({ AliasName: "alias/moving", TargetKeyId: one.KeyId });
    const made = clock.now;
    const named = async () => (await kms.describeKey({ KeyId: "alias/moving" })).KeyMetadata?.KeyId;
    expect(await named()).toBe(one.KeyId);
    expect((await kms.describeKey({ KeyId: arnOf("alias/moving") })).KeyMetadata?.KeyId).toBe(one.KeyId);
    clock.advance(1);
    await kms.updateAlias({ AliasName: "alias/moving", TargetKeyId: two.Arn });
    expect(await named()).toBe(two.KeyId);
    expect((await kms.listAliases({ KeyId: two.KeyId })).Aliases).toEqual([
      {
        AliasName: "alias/moving",
        AliasArn: arnOf("alias/moving"),
        TargetKeyId: two.KeyId,
        CreationDate: new Date(made),
        LastUpdatedDate: new Date(clock.now),
      },
    ]);
    expect((await kms.listAliases({ KeyId: one.KeyId })).Aliases).toEqual([]);
    await kms.deleteAlias({ AliasName: "alias/moving" });
    expect(await refusal(kms.describeKey({ KeyId: "alias/moving" }))).toBe(
      `NotFoundException: Alias ${arnOf("alias/moving")} is not found.`,
    );
  });

  test("is there once", async () => {
    const { KeyId } = await newKey(kms);
    const make = () => kms.createAlias({ AliasName: "alias/once", TargetKeyId: KeyId });
    const made = await Promise.allSettled([make(), make(), make()]);
    expect(made.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected", "rejected"]);
    expect(await refusal(make())).toBe(
      `AlreadyExistsException: An alias with the name ${arnOf("alias/once")} already exists`,
    );
  });

  test.each([
    ["orders", /^ValidationException/],
    ["alias/", /^InvalidAliasNameException/],
    ["alias/aws/s3", /^InvalidAliasNameException/],
    ["alias/a b", /^ValidationException: 1 validation error detected: Value 'alias\/a b' at 'aliasName'/],
    [`alias/${"x".repeat(251)}`, /at 'aliasName' failed to satisfy constraint: Member must have length/],
  ])("cannot be called %s", async (AliasName, expected) => {
    const { KeyId } = await newKey(kms);
    expect(await refusal(kms.createAlias({ AliasName, TargetKeyId: KeyId }))).toMatch(expected);
  });

  test("is not moved or deleted when it is not there, and not made for what is not there", async () => {
    const { KeyId } = await newKey(kms);
    const missing = `NotFoundException: Alias ${arnOf("alias/never")} is not found.`;
    expect(await refusal(kms.updateAlias({ AliasName: "alias/never", TargetKeyId: KeyId }))).toBe(missing);
    expect(await refusal(kms.deleteAlias({ AliasName: "alias/never" }))).toBe(missing);
    const TargetKeyId = "00000000-1111-4222-8333-444444444444";
    expect(await refusal(kms.createAlias({ AliasName: "alias/never", TargetKeyId }))).toMatch(
      /^NotFoundException: Key 'arn.*' does not exist/,
    );
  });

  test("moves to keys of its type and usage, whatever their spec", async () => {
    const specs = {
      symmetric: { KeySpec: "SYMMETRIC_DEFAULT", KeyUsage: "ENCRYPT_DECRYPT" },
      rsa: { KeySpec: "RSA_2048", KeyUsage: "SIGN_VERIFY" },
      encrypting: { KeySpec: "RSA_2048", KeyUsage: "ENCRYPT_DECRYPT" },
      p256: { KeySpec: "ECC_NIST_P256", KeyUsage: "SIGN_VERIFY" },
      agreeing: { KeySpec: "ECC_NIST_P256", KeyUsage: "KEY_AGREEMENT" },
      ed25519: { KeySpec: "ECC_NIST_EDWARDS25519", KeyUsage: "SIGN_VERIFY" },
      mac256: { KeySpec: "HMAC_256", KeyUsage: "GENERATE_VERIFY_MAC" },
      mac512: { KeySpec: "HMAC_512", KeyUsage: "GENERATE_VERIFY_MAC" },
    } as const;
    const ids: Record<string, string> = {};
    for (const [name, input] of Object.entries(specs)) {
      ids[name] = (await newKey(kms, input)).KeyId;
      await kms.createAlias({ AliasName: `alias/at-${name}`, TargetKeyId: ids[name] });
    }
    const moves = (from: string, to: string) =>
      refusal(kms.updateAlias({ AliasName: `alias/at-${from}`, TargetKeyId: ids[to] }));
    for (const [from, to] of [
      ["symmetric", "encrypting"],
      ["encrypting", "symmetric"],
      ["symmetric", "mac256"],
      ["mac256", "symmetric"],
      ["rsa", "encrypting"],
      ["p256", "agreeing"],
    ] as const)
      expect(await moves(from, to)).toMatch(/^ValidationException: .* must keep a target of the same type/);
    for (const [from, to] of [
      ["rsa", "p256"],
      ["p256", "ed25519"],
      ["mac256", "mac512"],
    ] as const)
      await kms.updateAlias({ AliasName: `alias/at-${from}`, TargetKeyId: ids[to] });
  });

  test("can be deleted whatever the state of its key", async () => {
    const [off, pending] = [await newKey(kms), await newKey(kms)];
    await kms.createAlias({ AliasName: "alias/off", TargetKeyId: off.KeyId });
    await kms.createAlias({ AliasName: "alias/pending", TargetKeyId: pending.KeyId });
    await kms.disableKey({ KeyId: off.KeyId });
    await kms.scheduleKeyDeletion({ KeyId: pending.KeyId });
    await kms.deleteAlias({ AliasName: "alias/off" });
    await kms.deleteAlias({ AliasName: "alias/pending" });
  });

  test("has no more than 49 beside it", async () => {
    const { KeyId, Arn } = await newKey(kms);
    for (let i = 0; i < 50; i++) await kms.createAlias({ AliasName: `alias/many-${i}`, TargetKeyId: KeyId });
    expect(await refusal(kms.createAlias({ AliasName: "alias/many-50", TargetKeyId: KeyId }))).toBe(
      `LimitExceededException: ${Arn} has 50 aliases, the limit.`,
    );
    const from = await newKey(kms);
    await kms.createAlias({ AliasName: "alias/to-many", TargetKeyId: from.KeyId });
    const full = { AliasName: "alias/to-many", TargetKeyId: KeyId };
    expect(await refusal(kms.updateAlias(full))).toMatch(/^LimitExceededException/);
    await kms.updateAlias({ AliasName: "alias/many-0", TargetKeyId: KeyId });
    await kms.deleteAlias({ AliasName: "alias/many-0" });
    await kms.updateAlias(full);
  });
});

describe("ListAliases", () => {
  test("gives each alias once over pages", async () => {
    const { KeyId } = await newKey(kms);
    for (let i = 0; i < 5; i++) await kms.createAlias({ AliasName: `alias/page-${i}`, TargetKeyId: KeyId });
    const names: unknown[] = [];
    let Marker: string | undefined;
    do {
      const page = await kms.listAliases({ KeyId, Limit: 2, Marker });
      names.push(...(page.Aliases ?? []).map(({ AliasName }) => AliasName));
      Marker = page.NextMarker;
    } while (Marker);
    expect(names).toEqual([0, 1, 2, 3, 4].map((i) => `alias/page-${i}`));
  });

  test("goes on behind an alias that was deleted between two pages", async () => {
    const { KeyId } = await newKey(kms);
    for (let i = 0; i < 5; i++) await kms.createAlias({ AliasName: `alias/gone-${i}`, TargetKeyId: KeyId });
    const { NextMarker } = await kms.listAliases({ KeyId, Limit: 2 });
    for (const i of [1, 2]) await kms.deleteAlias({ AliasName: `alias/gone-${i}` });
    const rest = await kms.listAliases({ KeyId, Marker: NextMarker });
    expect(rest.Aliases?.map(({ AliasName }) => AliasName)).toEqual(["alias/gone-3", "alias/gone-4"]);
    expect([rest.Truncated, rest.NextMarker]).toEqual([false, undefined]);
  });

  test("gives 50 unless told, at most 100, and a marker for this key's list alone", async () => {
    const [one, two] = [await newKey(kms), await newKey(kms)];
    for (let i = 0; i < 30; i++) {
      await kms.createAlias({ AliasName: `alias/one-${i}`, TargetKeyId: one.KeyId });
      await kms.createAlias({ AliasName: `alias/two-${i}`, TargetKeyId: two.KeyId });
    }
    expect((await kms.listAliases()).Aliases).toHaveLength(50);
    expect((await kms.listAliases({ Limit: 100 })).Aliases?.length).toBeGreaterThan(50);
    expect(await refusal(kms.listAliases({ Limit: 101 }))).toMatch(
      /Value '101' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 100/,
    );
    const { NextMarker } = await kms.listAliases({ KeyId: one.KeyId, Limit: 3 });
    expect(await refusal(kms.listAliases({ KeyId: two.KeyId, Marker: NextMarker }))).toMatch(
      /^InvalidMarkerException/,
    );
  });
});
