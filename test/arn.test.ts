import { describe, expect, it } from "vitest";
import { checkAliasName, isKeyId, parseKeyOnly, parseKeyReference, referenceNotFound } from "../lib/arn.ts";

const home = { region: "eu-central-1", account: "111122223333" };
const uuid = "1234abcd-12ab-34cd-56ef-1234567890ab";
const multiRegion = "mrk-1234abcd12ab34cd56ef1234567890ab";
const arn = (resource: string, { region, account } = home) => `arn:aws:kms:${region}:${account}:${resource}`;

describe("a key reference", () => {
  it.each([uuid, multiRegion])("may be the key id %s, or its ARN", (keyId) => {
    const key = { type: "key", account: home.account, keyId };
    expect(parseKeyReference(keyId, home)).toEqual(key);
    expect(parseKeyReference(arn(`key/${keyId}`), home)).toEqual(key);
    expect(parseKeyOnly(keyId, home)).toEqual(key);
  });

  it.each(["alias/orders", "alias/a:b/c", "alias/aws/s3"])("may be the alias %s, or its ARN", (name) => {
    const alias = { type: "alias", account: home.account, name };
    expect(parseKeyReference(name, home)).toEqual(alias);
    expect(parseKeyReference(arn(name), home)).toEqual(alias);
  });

  it("may name another account", () => {
    const account = "999988887777";
    expect(parseKeyReference(arn(`key/${uuid}`, { ...home, account }), home)).toMatchObject({ account });
    expect(parseKeyReference(arn("alias/a", { ...home, account }), home)).toMatchObject({ account });
  });

  it("leads nowhere in another Region", () => {
    expect(() => parseKeyReference(arn(`key/${uuid}`, { ...home, region: "us-east-1" }), home)).toThrow(
      expect.objectContaining({ name: "NotFoundException", message: "Invalid arn us-east-1" }),
    );
  });

  it.each([
    "",
    "x",
    "orders",
    "Alias/orders",
    uuid.toUpperCase(),
    `${uuid} `,
    `${uuid}\n`,
    uuid.replaceAll("-", ""),
    multiRegion.slice(0, -1),
    `mrk-${uuid}`,
    arn(uuid),
    arn("key/"),
    arn("key/x"),
    arn(`key/${uuid}/x`),
    arn(`Key/${uuid}`),
    arn(`key/${uuid}`, { ...home, account: "1" }),
    `arn:aws:kms:${home.region}`,
    `arn:aws:s3:${home.region}:${home.account}:key/${uuid}`,
    `arn:aws-cn:kms:${home.region}:${home.account}:key/${uuid}`,
    ":::::",
  ])("is not %j", (text) => {
    expect(() => parseKeyReference(text, home)).toThrow(
      expect.objectContaining({ name: "NotFoundException", message: `Invalid keyId '${text}'` }),
    );
  });

  it.each(["alias/orders", arn("alias/orders")])("is no alias where the key itself is wanted: %s", (text) => {
    expect(() => parseKeyOnly(text, home)).toThrow(
      expect.objectContaining({ name: "NotFoundException", message: `Invalid keyId '${text}'` }),
    );
  });

  it("is named in full when there is nothing", () => {
    const key = parseKeyReference(uuid, home);
    expect(`${referenceNotFound(key, home.region)}`).toBe(
      `NotFoundException: Key '${arn(`key/${uuid}`)}' does not exist`,
    );
    const alias = parseKeyReference("alias/a", home);
    expect(`${referenceNotFound(alias, home.region)}`).toBe(
      `NotFoundException: Alias ${arn("alias/a")} is not found.`,
    );
  });

  it("is read in linear time", () => {
    for (const text of ["arn:".repeat(500), ":".repeat(2000), `mrk-${"0".repeat(2000)}`, "0".repeat(2048)]) {
      const start = performance.now();
      for (let i = 0; i < 100; i++) expect(() => parseKeyReference(text, home)).toThrow();
      expect(performance.now() - start).toBeLessThan(500);
    }
  });
});

describe("an alias name", () => {
  it.each(["alias/a", "alias/a:b/c_d-e", "alias/aws", "alias/awsome", `alias/${"a".repeat(250)}`])(
    "may be %s",
    (name) => {
      expect(() => checkAliasName(name)).not.toThrow();
    },
  );

  it.each([
    ["orders", "ValidationException"],
    ["ALIAS/orders", "ValidationException"],
    ["alias/", "InvalidAliasNameException"],
    ["alias/a b", "InvalidAliasNameException"],
    ["alias/é", "InvalidAliasNameException"],
    ["alias/a\n", "InvalidAliasNameException"],
    [`alias/${"a".repeat(251)}`, "InvalidAliasNameException"],
    ["alias/aws/", "InvalidAliasNameException"],
    ["alias/aws/s3", "InvalidAliasNameException"],
  ])("may not be %j", (name, error) => {
    expect(() => checkAliasName(name)).toThrow(expect.objectContaining({ name: error }));
  });
});

it("a key id is a UUID in lower case or mrk- and 32 hex digits", () => {
  expect([uuid, multiRegion].every(isKeyId)).toBe(true);
  expect(isKeyId(`x${uuid}`) || isKeyId(multiRegion.toUpperCase())).toBe(false);
});
