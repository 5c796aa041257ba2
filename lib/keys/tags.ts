import { TagException } from "../errors.ts";
import type { Tag } from "../store.ts";

const TAGS_PER_KEY = 50;

type Tags = readonly Readonly<Tag>[];

/** Throws `TagException` unless a key may carry these tags together. */
export function checkTags(tags: readonly { readonly TagKey: string }[]): void {
  if (tags.length > TAGS_PER_KEY) throw new TagException("Too many tags");
  if (new Set(tags.map((tag) => tag.TagKey)).size < tags.length) throw new TagException("Duplicate tag keys");
  if (tags.some((tag) => tag.TagKey.toLowerCase().startsWith("aws:")))
    throw new TagException("Tags beginning with aws: are reserved");
}

/** The tags with more: those that are there already get the new value. Throws as {@link checkTags}. */
export function withTags(tags: Tags, more: Tags): Tags {
  checkTags(more);
  const values = new Map([...tags, ...more].map(({ TagKey, TagValue }) => [TagKey, TagValue]));
  const all = [...values].map(([TagKey, TagValue]) => ({ TagKey, TagValue }));
  checkTags(all);
  return all;
}
