import { LimitExceededException, TagException } from "../errors.ts";

/** Tags as IAM and STS take them. */
export type GivenTags = readonly { readonly Key: string; readonly Value: string }[];
export type Tags = Readonly<Record<string, string>>;

const MOST = 50;

/** The tags with more. The case of a key does not matter, as in IAM; a key that is there already gets the new value. */
export function withTags(tags: Tags, more: Tags): Tags {
  const given = new Set(Object.keys(more).map((key) => key.toLowerCase()));
  const others = Object.entries(tags).filter(([key]) => !given.has(key.toLowerCase()));
  return { ...Object.fromEntries(others), ...more };
}

/** Throws `TagException` or `LimitExceededException` unless an identity or a session may have these tags together. */
export function checkedTags(given: GivenTags): Tags {
  const tags = Object.fromEntries(given.map(({ Key, Value }) => [Key, Value]));
  const keys = new Set(given.map(({ Key }) => Key.toLowerCase()));
  if (keys.size < given.length) throw new TagException("Duplicate tag keys found.");
  if ([...keys].some((key) => key.startsWith("aws:")))
    throw new TagException("Tag keys beginning with aws: are reserved.");
  if (keys.size > MOST)
    throw new LimitExceededException(`There are ${keys.size} tags; ${MOST} is the limit.`);
  return tags;
}
