import { withTags } from "../keys.ts";
import { operation, states, updateKey, within } from "../operation.ts";
import { list, structure } from "../shape.ts";
import * as shapes from "../shapes.ts";

const PAGE = 50;

const keyId = { member: "KeyId", aliases: false } as const;
const TagKeyList = list(shapes.TagKeyType);
const failures = [
  "KMSInternalException",
  "NotFoundException",
  "InvalidArnException",
  "KMSInvalidStateException",
  "TagException",
] as const;

export const tagResource = operation({
  name: "TagResource",
  input: structure({ KeyId: shapes.KeyIdType, Tags: shapes.TagList }, ["KeyId", "Tags"]),
  errors: [...failures, "LimitExceededException"],
  key: keyId,
  states: states.editing,
  decide: (_request, input, key) => ({
    output: {},
    changes: [updateKey(key, { tags: withTags(key.tags, input.Tags) })],
  }),
});

export const untagResource = operation({
  name: "UntagResource",
  input: structure({ KeyId: shapes.KeyIdType, TagKeys: TagKeyList }, ["KeyId", "TagKeys"]),
  errors: failures,
  key: keyId,
  states: states.editing,
  decide(_request, input, key) {
    const gone = new Set(input.TagKeys);
    const tags = key.tags.filter(({ TagKey }) => !gone.has(TagKey));
    return { output: {}, changes: [updateKey(key, { tags })] };
  },
});

export const listResourceTags = operation({
  name: "ListResourceTags",
  input: structure({ KeyId: shapes.KeyIdType, Limit: shapes.LimitType, Marker: shapes.MarkerType }, [
    "KeyId",
  ]),
  output: structure({
    Tags: shapes.TagList,
    NextMarker: shapes.MarkerType,
    Truncated: shapes.BooleanType,
  }),
  errors: ["KMSInternalException", "NotFoundException", "InvalidArnException", "InvalidMarkerException"],
  key: keyId,
  states: states.reading,
  run({ markers }, input, key) {
    const limit = within("limit", input.Limit ?? PAGE, 1, PAGE);
    const list = `ListResourceTags ${key.region} ${key.keyId}`;
    const after = markers.read(list, input.Marker) ?? "";
    const rest = key.tags.filter(({ TagKey }) => TagKey > after);
    rest.sort((one, other) => (one.TagKey < other.TagKey ? -1 : 1));
    const { page, next } = markers.page(list, rest, limit, ({ TagKey }) => TagKey);
    return { Tags: page.map(({ TagKey, TagValue }) => ({ TagKey, TagValue })), ...next };
  },
});
