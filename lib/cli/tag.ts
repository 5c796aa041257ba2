import type { Command } from "commander";
import type { Kms } from "../kms.ts";
import type { Action, Work } from "./action.ts";
import { keyIdOf } from "./key-name.ts";
import { collectPair } from "./pairs.ts";
import { harmless } from "./terminal.ts";

export function tagCommands(program: Command, action: Action): void {
  const tag = program.command("tag").description("tag keys");
  tag
    .command("add")
    .argument("<key>", "key id, ARN or alias")
    .argument("<name=value...>", "tags; those that are there get the new value")
    .description("add tags to a key")
    .action(action(add));
  tag
    .command("remove")
    .argument("<key>", "key id, ARN or alias")
    .argument("<name...>", "names of tags")
    .description("take tags from a key")
    .action(action(remove));
  tag
    .command("list")
    .argument("<key>", "key id, ARN or alias")
    .description("list the tags of a key")
    .action(action(list));
}

/** What follows the key, which may be several. */
const others = (args: readonly unknown[]) => args[1] as readonly string[];

const add: Work = (invocation, args) =>
  invocation.withKms(async (kms) => {
    const pairs = others(args).reduce<Record<string, string>>((all, text) => collectPair(text, all), {});
    const KeyId = await keyIdOf(kms, args[0]);
    const Tags = Object.entries(pairs).map(([TagKey, TagValue]) => ({ TagKey, TagValue }));
    await kms.tagResource({ KeyId, Tags });
    invocation.answer({ KeyId, Tags: await tagsOf(kms, KeyId) }, (out) =>
      out.line(`${KeyId} is tagged with ${harmless(Object.keys(pairs).join(", "))}`),
    );
  });

const remove: Work = (invocation, args) =>
  invocation.withKms(async (kms) => {
    const KeyId = await keyIdOf(kms, args[0]);
    const TagKeys = others(args);
    await kms.untagResource({ KeyId, TagKeys });
    invocation.answer({ KeyId, Tags: await tagsOf(kms, KeyId) }, (out) =>
      out.line(`${KeyId} is not tagged with ${harmless(TagKeys.join(", "))}`),
    );
  });

const list: Work = (invocation, [reference]) =>
  invocation.withKms(async (kms) => {
    const KeyId = await keyIdOf(kms, reference);
    const Tags = await tagsOf(kms, KeyId);
    invocation.answer({ KeyId, Tags }, (out) => {
      if (Tags.length === 0)
        return out.line(`no tags yet; add one with keystead tag add ${KeyId} NAME=VALUE`);
      out.table(
        ["TAG", "VALUE"],
        Tags.map(({ TagKey, TagValue }) => [harmless(TagKey), harmless(TagValue)]),
      );
    });
  });

/** A key has no more than fit on a page. */
async function tagsOf(kms: Kms, KeyId: string) {
  return (await kms.listResourceTags({ KeyId })).Tags ?? [];
}
