import { TagException } from "../errors.ts";

const TAGS_PER_KEY = 50;

/** Throws `TagException` unless a key may carry these tags together. */
export function checkTags(tags: readonly { readonly TagKey: string }[]): void {
  if (tags.length > TAGS_PER_KEY) throw new TagException("Too many tags");
  if (new Set(tags.map((tag) => tag.TagKey)).size < tags.length) throw new TagException("Duplicate tag keys");
  if (tags.some((tag) => tag.TagKey.toLowerCase().startsWith("aws:")))
    throw new TagException("Tags beginning with aws: are reserved");
}
