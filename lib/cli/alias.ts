import type { Command } from "commander";
import type { Action, Work } from "./action.ts";
import { aliasName, allAliases, keyIdOf } from "./key-name.ts";

export function aliasCommands(program: Command, action: Action): void {
  const alias = program.command("alias").description("give keys names");
  alias
    .command("create")
    .argument("<alias>", "name; alias/ in front may be left out")
    .argument("<key>", "key id, ARN or another alias")
    .description("name a key")
    .action(
      action((invocation, [name, key]) =>
        invocation.withKms(async (kms) => {
          const AliasName = aliasName(name);
          const TargetKeyId = await keyIdOf(kms, key);
          await kms.createAlias({ AliasName, TargetKeyId });
          invocation.answer({ AliasName, TargetKeyId }, (out) =>
            out.line(`${AliasName} names ${TargetKeyId}`),
          );
        }),
      ),
    );
  alias
    .command("update")
    .argument("<alias>", "name; alias/ in front may be left out")
    .argument("<key>", "key id, ARN or another alias")
    .description("let a name stand for another key")
    .action(
      action((invocation, [name, key]) =>
        invocation.withKms(async (kms) => {
          const AliasName = aliasName(name);
          const TargetKeyId = await keyIdOf(kms, key);
          await kms.updateAlias({ AliasName, TargetKeyId });
          invocation.answer({ AliasName, TargetKeyId }, (out) =>
            out.line(`${AliasName} now names ${TargetKeyId}`),
          );
        }),
      ),
    );
  alias
    .command("delete")
    .argument("<alias>", "name; alias/ in front may be left out")
    .description("take a name away; the key stays")
    .action(
      action((invocation, [name]) =>
        invocation.withKms(async (kms) => {
          const AliasName = aliasName(name);
          await kms.deleteAlias({ AliasName });
          invocation.answer({ AliasName }, (out) => out.line(`${AliasName} is gone; its key stays`));
        }),
      ),
    );
  alias.command("list").description("list all aliases").action(action(list));
}

const list: Work = (invocation) =>
  invocation.withKms(async (kms) => {
    const aliases = await allAliases(kms);
    invocation.answer({ Aliases: aliases }, (out) => {
      if (aliases.length === 0) return out.line("no aliases yet; make one with keystead alias create");
      out.table(
        ["ALIAS", "KEY", "CHANGED"],
        aliases.map(({ AliasName = "", TargetKeyId = "", LastUpdatedDate }) => [
          AliasName,
          TargetKeyId,
          LastUpdatedDate?.toISOString().slice(0, 10) ?? "",
        ]),
      );
    });
  });
