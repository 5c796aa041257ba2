import { beforeAll, describe, expect, test } from "vitest";
import type { Kms } from "../lib/index.ts";
import { type AuditRecord, newKey, openTestDeployment, refusal } from "./deployment.ts";

let kms: Kms;
let events: (count: number) => Promise<AuditRecord[]>;
beforeAll(async () => {
  ({ kms, events } = await openTestDeployment());
});

const tag = (TagKey: string, TagValue = "") => ({ TagKey, TagValue });
const many = (count: number, prefix = "k") => Array.from({ length: count }, (_, i) => tag(`${prefix}${i}`));
const tagsOf = async (KeyId: string) => (await kms.listResourceTags({ KeyId })).Tags;

describe("the tags of a key", () => {
  test("are those it was made with, until others come and go", async () => {
    const { KeyId, Arn } = await newKey(kms, { Tags: [tag("team", "sales")] });
    expect(await kms.listResourceTags({ KeyId: Arn })).toMatchObject({
      Tags: [tag("team", "sales")],
      Truncated: false,
    });
    expect(await kms.tagResource({ KeyId, Tags: [tag("cost", "7"), tag("team", "legal")] })).toEqual({
      $metadata: expect.anything(),
    });
    expect(await tagsOf(KeyId)).toEqual([tag("cost", "7"), tag("team", "legal")]);
    await kms.untagResource({ KeyId, TagKeys: ["team", "never"] });
    expect(await tagsOf(KeyId)).toEqual([tag("cost", "7")]);
    await kms.untagResource({ KeyId, TagKeys: ["cost"] });
    expect(await tagsOf(KeyId)).toEqual([]);
  });

  test("are told apart by case, and may hold any character", async () => {
    const { KeyId } = await newKey(kms);
    const tags = [tag("Team", "a"), tag("team", "b"), tag("\u00fc\u{1f600}", " \u0000'\"\n")];
    await kms.tagResource({ KeyId, Tags: tags });
    expect(await tagsOf(KeyId)).toEqual(tags);
  });

  test("are 50 at most, of which those that are there already count once", async () => {
    const { KeyId } = await newKey(kms, { Tags: many(49) });
    await kms.tagResource({ KeyId, Tags: [tag("k0", "new"), tag("last")] });
    expect(await refusal(kms.tagResource({ KeyId, Tags: [tag("more")] }))).toBe(
      "TagException: Too many tags",
    );
    await kms.tagResource({ KeyId, Tags: many(49) });
    await kms.untagResource({ KeyId, TagKeys: ["last"] });
    await kms.tagResource({ KeyId, Tags: [tag("more")] });
    expect(await tagsOf(KeyId)).toHaveLength(50);
  });

  test.each([
    [many(51), "TagException: Too many tags"],
    [[tag("a", "1"), tag("a", "2")], "TagException: Duplicate tag keys"],
    [[tag("aws:x")], "TagException: Tags beginning with aws: are reserved"],
    [[tag("AWS:x")], "TagException: Tags beginning with aws: are reserved"],
    [
      [tag("ok"), tag("")],
      "ValidationException: 1 validation error detected: Value '' at 'tags.2.member.tagKey' failed to satisfy " +
        "constraint: Member must have length greater than or equal to 1",
    ],
    [
      [tag("x".repeat(128), "y".repeat(257))],
      `ValidationException: 1 validation error detected: Value '${"y".repeat(257)}' at 'tags.1.member.tagValue' ` +
        "failed to satisfy constraint: Member must have length less than or equal to 256",
    ],
  ])("are refused when they are not as they must be, %#", async (Tags, expected) => {
    const { KeyId } = await newKey(kms, { Tags: [tag("old")] });
    expect(await refusal(kms.tagResource({ KeyId, Tags }))).toBe(expected);
    expect(await tagsOf(KeyId)).toEqual([tag("old")]);
  });

  test("are all there when they are given at the same time", async () => {
    const { KeyId } = await newKey(kms);
    await Promise.all(many(20).map((each) => kms.tagResource({ KeyId, Tags: [each] })));
    expect(await tagsOf(KeyId)).toHaveLength(20);
    await Promise.all(many(20).map(({ TagKey }) => kms.untagResource({ KeyId, TagKeys: [TagKey] })));
    expect(await tagsOf(KeyId)).toEqual([]);
  });

  test("are in the trail", async () => {
    const { KeyId, Arn } = await newKey(kms);
    await kms.tagResource({ KeyId, Tags: [tag("Team", "sales")] });
    await kms.untagResource({ KeyId, TagKeys: ["Team"] });
    expect(await events(2)).toMatchObject([
      {
        eventName: "TagResource",
        requestParameters: { keyId: KeyId, tags: [{ tagKey: "Team", tagValue: "sales" }] },
        responseElements: null,
        readOnly: false,
        resources: [{ ARN: Arn }],
      },
      { eventName: "UntagResource", requestParameters: { keyId: KeyId, tagKeys: ["Team"] } },
    ]);
  });

  test("are nobody's who may not, and no alias has any", async () => {
    const { KeyId } = await newKey(kms);
    const stranger = kms.as("arn:aws:iam::111122223333:user/stranger");
    for (const refused of [
      () => stranger.tagResource({ KeyId, Tags: [] }),
      () => stranger.untagResource({ KeyId, TagKeys: [] }),
      () => stranger.listResourceTags({ KeyId }),
    ])
      expect(await refusal(refused())).toMatch(
        /^AccessDeniedException: User: .*\/stranger is not authorized/,
      );
    await kms.createAlias({ AliasName: "alias/tagged", TargetKeyId: KeyId });
    expect(await refusal(kms.tagResource({ KeyId: "alias/tagged", Tags: [] }))).toBe(
      "NotFoundException: Invalid keyId 'alias/tagged'",
    );
  });
});

describe("ListResourceTags", () => {
  test("gives each tag once over pages, in the order of their keys, also when some go between two", async () => {
    const { KeyId } = await newKey(kms, { Tags: many(7).toReversed() });
    const first = await kms.listResourceTags({ KeyId, Limit: 3 });
    expect([first.Tags?.length, first.Truncated]).toEqual([3, true]);
    await kms.untagResource({ KeyId, TagKeys: ["k2", "k3"] });
    const rest = await kms.listResourceTags({ KeyId, Marker: first.NextMarker });
    expect(rest.Tags?.map(({ TagKey }) => TagKey)).toEqual(["k4", "k5", "k6"]);
    expect([rest.Truncated, rest.NextMarker]).toEqual([false, undefined]);
  });

  test("takes a limit of 50 at most, and only markers that it gave for this key", async () => {
    const [one, two] = [await newKey(kms, { Tags: many(3) }), await newKey(kms, { Tags: many(3) })];
    expect(await refusal(kms.listResourceTags({ KeyId: one.KeyId, Limit: 51 }))).toMatch(
      /Value '51' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 50$/,
    );
    const { NextMarker } = await kms.listResourceTags({ KeyId: one.KeyId, Limit: 1 });
    for (const Marker of [NextMarker, "k0", Buffer.from("k0").toString("base64url")])
      expect(await refusal(kms.listResourceTags({ KeyId: two.KeyId, Marker }))).toMatch(
        /^InvalidMarkerException/,
      );
  });
});
