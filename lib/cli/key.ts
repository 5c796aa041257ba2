import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import type { KeySpec, KeyUsage } from "../algorithms.ts";
import type { Kms } from "../kms.ts";
import type { Action, Work } from "./action.ts";
import { aliasesByKey, aliasName, keyIdOf } from "./key-name.ts";
import { storeIdOf } from "./key-store.ts";
import { multiRegionCommands, regionsOf } from "./multi-region.ts";
import { collectPair, wholeNumber } from "./pairs.ts";
import { rotationCommands } from "./rotation.ts";
import { harmless, type Terminal } from "./terminal.ts";

type KeyMetadata = NonNullable<Awaited<ReturnType<Kms["describeKey"]>>["KeyMetadata"]>;

export function keyCommands(program: Command, action: Action): void {
  const key = program.command("key").description("make, list and change keys");
  key
    .command("create")
    .description("make a key")
    .option("--alias <name>", "give it this alias too")
    .option("--description <text>", "what it is for", "")
    .option("--policy <file>", "key policy, a JSON file (default: the account's root may do everything)")
    .option("--tag <name=value>", "tag; may be repeated", collectPair)
    .option(
      "--spec <spec>",
      "what it is, by AWS's name (default: SYMMETRIC_DEFAULT), such as RSA_3072 or HMAC_256",
    )
    .option(
      "--usage <usage>",
      "ENCRYPT_DECRYPT, SIGN_VERIFY, GENERATE_VERIFY_MAC or KEY_AGREEMENT; needed with --spec",
    )
    .option("--multi-region", "let it have replicas in other Regions")
    .option("--key-store <id>", "make it in this custom key store, named by its id or name")
    .option("--external-key <id>", "the key of the external key manager behind that store that it stands for")
    .action(action(create));
  key.command("list").description("list all keys").action(action(list));
  key
    .command("describe")
    .argument("<key>", "key id, ARN or alias")
    .description("tell all about a key")
    .action(action(describe));
  for (const [name, done] of [
    ["enable", "enabled"],
    ["disable", "disabled"],
  ] as const)
    key
      .command(name)
      .argument("<key>", "key id, ARN or alias")
      .description(`${name} a key`)
      .action(
        action((invocation, [reference]) =>
          invocation.withKms(async (kms) => {
            const KeyId = await keyIdOf(kms, reference);
            await (name === "enable" ? kms.enableKey({ KeyId }) : kms.disableKey({ KeyId }));
            invocation.answer({ KeyId }, (out) => out.line(`${KeyId} is ${done}`));
          }),
        ),
      );
  key
    .command("policy")
    .argument("<key>", "key id, ARN or alias")
    .description("show who may do what with a key")
    .option("--put <file>", "replace it by what this JSON file says")
    .action(action(policy));
  key
    .command("delete")
    .argument("<key>", "key id, ARN or alias")
    .description("schedule the destruction of a key and of all that it encrypted")
    .option("--days <number>", "days in which it can be cancelled", wholeNumber(7, 30), 30)
    .action(action(remove));
  key
    .command("cancel-delete")
    .argument("<key>", "key id, ARN or alias")
    .description("cancel a scheduled deletion; the key is disabled then")
    .action(action(cancelDelete));
  rotationCommands(key, action);
  multiRegionCommands(key, action);
}

const metadataOf = ({ KeyMetadata }: { KeyMetadata?: KeyMetadata | undefined }) => KeyMetadata as KeyMetadata;

const create: Work = (invocation, _, options) =>
  invocation.withKms(async (kms) => {
    const { alias, description, spec, usage, policy, tag, multiRegion, keyStore, externalKey } = options as {
      alias?: string;
      description: string;
      spec?: KeySpec;
      usage?: KeyUsage;
      policy?: string;
      tag?: Record<string, string>;
      multiRegion?: boolean;
      keyStore?: string;
      externalKey?: string;
    };
    const AliasName = alias === undefined ? undefined : aliasName(alias);
    const { KeyMetadata } = await kms.createKey({
      Description: description,
      KeySpec: spec,
      KeyUsage: usage,
      MultiRegion: multiRegion,
      ...(keyStore !== undefined && {
        CustomKeyStoreId: await storeIdOf(kms, keyStore),
        Origin: externalKey === undefined ? "AWS_CLOUDHSM" : "EXTERNAL_KEY_STORE",
      }),
      XksKeyId: externalKey,
      ...(policy !== undefined && { Policy: await readFile(policy, "utf8") }),
      ...(tag !== undefined && {
        Tags: Object.entries(tag).map(([TagKey, TagValue]) => ({ TagKey, TagValue })),
      }),
    });
    const metadata = metadataOf({ KeyMetadata });
    if (AliasName !== undefined)
      await kms.createAlias({ AliasName, TargetKeyId: metadata.KeyId as string }).catch((cause) => {
        invocation.note(`the key ${metadata.KeyId} was made, but not its alias`);
        throw cause;
      });
    invocation.answer({ KeyMetadata: metadata, ...(AliasName !== undefined && { AliasName }) }, (out) =>
      tell(out, metadata, AliasName === undefined ? [] : [AliasName]),
    );
  });

const list: Work = (invocation) =>
  invocation.withKms(async (kms) => {
    const aliases = await aliasesByKey(kms);
    const keys: (KeyMetadata & { Aliases: string[] })[] = [];
    let Marker: string | undefined;
    do {
      const page = await kms.listKeys({ Limit: 1_000, ...(Marker !== undefined && { Marker }) });
      const described = (page.Keys ?? []).map(async ({ KeyId }) => {
        const metadata = await describedOrNot(kms, KeyId as string);
        return { ...metadata, Aliases: aliases.get(KeyId as string) ?? [] };
      });
      keys.push(...(await Promise.all(described)));
      Marker = page.NextMarker;
    } while (Marker !== undefined);
    invocation.answer({ Keys: keys }, (out) => {
      if (keys.length === 0) return out.line("no keys yet; make one with keystead key create");
      out.table(
        ["KEY", "STATE", "SPEC", "MADE", "ALIASES", "DESCRIPTION"],
        keys.map((each) => [
          each.KeyId ?? "",
          stateOf(out, each),
          each.KeySpec ?? "",
          dayOf(each.CreationDate),
          each.Aliases.join(" "),
          harmless(each.Description ?? ""),
        ]),
      );
    });
  });

/** Who may list keys may not see all of each. */
async function describedOrNot(kms: Kms, KeyId: string): Promise<KeyMetadata> {
  try {
    return metadataOf(await kms.describeKey({ KeyId }));
  } catch (error) {
    if ((error as Error).name === "AccessDeniedException") return { KeyId };
    throw error;
  }
}

const describe: Work = (invocation, [reference]) =>
  invocation.withKms(async (kms) => {
    const metadata = metadataOf(await kms.describeKey({ KeyId: reference }));
    const aliases = (await aliasesByKey(kms, metadata.KeyId)).get(metadata.KeyId as string) ?? [];
    invocation.answer({ KeyMetadata: metadata, Aliases: aliases }, (out) => tell(out, metadata, aliases));
  });

const policy: Work = (invocation, [reference], options) =>
  invocation.withKms(async (kms) => {
    const KeyId = await keyIdOf(kms, reference);
    const { put } = options as { put?: string };
    if (put !== undefined) await kms.putKeyPolicy({ KeyId, Policy: await readFile(put, "utf8") });
    const { Policy = "" } = await kms.getKeyPolicy({ KeyId });
    invocation.answer({ KeyId, Policy }, (out) => {
      for (const line of JSON.stringify(JSON.parse(Policy), null, 2).split("\n")) out.line(harmless(line));
    });
  });

const remove: Work = (invocation, [reference], options) =>
  invocation.withKms(async (kms) => {
    const KeyId = await keyIdOf(kms, reference);
    const { days } = options as { days: number };
    const output = await kms.scheduleKeyDeletion({ KeyId, PendingWindowInDays: days });
    invocation.answer(output, (out) => {
      out.line(
        output.DeletionDate === undefined
          ? `${KeyId} will be destroyed ${days} days after its last replica`
          : `${KeyId} will be destroyed on ${dayOf(output.DeletionDate)}, and what it encrypted is lost then`,
      );
      out.line(`until then: keystead key cancel-delete ${KeyId}`);
    });
  });

const cancelDelete: Work = (invocation, [reference]) =>
  invocation.withKms(async (kms) => {
    const KeyId = await keyIdOf(kms, reference);
    const output = await kms.cancelKeyDeletion({ KeyId });
    invocation.answer(output, (out) => {
      out.line(`${KeyId} stays; it is disabled`);
      out.line(`to use it: keystead key enable ${KeyId}`);
    });
  });

function tell(out: Terminal, metadata: KeyMetadata, aliases: string[]): void {
  out.table(undefined, [
    ["key", metadata.KeyId ?? ""],
    ["arn", metadata.Arn ?? ""],
    ["aliases", aliases.join(" ") || "none"],
    ["state", stateOf(out, metadata)],
    ["spec", `${metadata.KeySpec}, ${metadata.KeyUsage}`],
    ...(metadata.MultiRegionConfiguration === undefined
      ? []
      : [["regions", regionsOf(metadata.MultiRegionConfiguration)]]),
    ["made", metadata.CreationDate?.toISOString() ?? ""],
    ...(metadata.DeletionDate === undefined ? [] : [["destroyed", metadata.DeletionDate.toISOString()]]),
    ["description", harmless(metadata.Description ?? "") || "none"],
  ]);
}

function stateOf(out: Terminal, { KeyState }: KeyMetadata): string {
  return out.paint(KeyState === "Enabled" ? "green" : "yellow", KeyState ?? "");
}

const dayOf = (date: Date | undefined) => date?.toISOString().slice(0, 10) ?? "";
