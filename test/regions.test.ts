import { expect, test } from "vitest";
import { Kms } from "../lib/index.ts";
import { ACCOUNT, bytes, newKey, openTestDeployment, REGION, refusal, text } from "./deployment.ts";

const OTHER = "ap-southeast-2";
const { kms, directory, events } = await openTestDeployment({ regions: [OTHER] });
const other = kms.inRegion(OTHER);

test("a key is found in its own Region only", async () => {
  const { KeyId, Arn } = await newKey(other, { Description: "there" });
  expect(Arn).toBe(`arn:aws:kms:${OTHER}:${ACCOUNT}:key/${KeyId}`);
  expect(await refusal(kms.describeKey({ KeyId: Arn }))).toBe(`NotFoundException: Invalid arn ${OTHER}`);
  expect(await refusal(kms.describeKey({ KeyId }))).toMatch(/NotFoundException: Key 'arn:.*' does not exist/);
  const { KeyMetadata } = await other.describeKey({ KeyId });
  expect(KeyMetadata).toMatchObject({ Arn, Description: "there" });
  const ids = async (where: Kms) => (await where.listKeys()).Keys?.map((key) => key.KeyId);
  expect(await ids(kms)).not.toContain(KeyId);
  expect(await ids(other)).toContain(KeyId);
});

test("an alias is its Region's, and so is what a ciphertext opens under", async () => {
  const here = await newKey(kms);
  const there = await newKey(other);
  await kms.createAlias({ AliasName: "alias/same", TargetKeyId: here.KeyId });
  await other.createAlias({ AliasName: "alias/same", TargetKeyId: there.KeyId });
  const sealed = await other.encrypt({ KeyId: "alias/same", Plaintext: bytes("over there") });
  expect(sealed.KeyId).toBe(there.Arn);
  const { CiphertextBlob } = sealed;
  expect(text((await other.decrypt({ CiphertextBlob })).Plaintext)).toBe("over there");
  expect(await refusal(kms.decrypt({ CiphertextBlob }))).toBe("InvalidCiphertextException");
});

test("each Region has a domain key of its own, and events name the Region", async () => {
  const { KeyId } = await newKey(other);
  const [event] = await events(1);
  expect(event).toMatchObject({ eventName: "CreateKey", awsRegion: OTHER });
  await other.encrypt({ KeyId, Plaintext: bytes("x") });
});

test("the Regions are kept in keystead.json, and one that is not served is refused", async () => {
  const again = await Kms.open({ directory });
  try {
    expect(again.region).toBe(REGION);
    expect(again.inRegion(OTHER).region).toBe(OTHER);
    expect(again.inRegion(OTHER).as(`arn:aws:iam::${ACCOUNT}:role/app`).region).toBe(OTHER);
    expect(() => again.inRegion("us-gov-east-1")).toThrow(
      /Region "us-gov-east-1" is not served here, but eu-west-1, ap-southeast-2/,
    );
  } finally {
    await again.close();
  }
  await expect(Kms.open({ directory, regions: ["nowhere"] })).rejects.toThrow(
    /regions\[0\] must be a Region/,
  );
});
