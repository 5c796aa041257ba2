import type { Command } from "commander";
import type { Kms } from "../kms.ts";
import type { Action, Work } from "./action.ts";
import { usage } from "./exit.ts";
import { keyIdOf } from "./key-name.ts";
import { collectPair } from "./pairs.ts";
import { harmless } from "./terminal.ts";

export function grantCommands(program: Command, action: Action): void {
  const grant = program.command("grant").description("let others use a key, for as long as you like");
  grant
    .command("create")
    .argument("<key>", "key id, ARN or alias")
    .description("grant the use of a key")
    .requiredOption("--to <arn>", "who may: an account's root, user, role or session")
    .requiredOption("--allow <operation...>", "what they may, such as Decrypt or GenerateDataKey")
    .option("--retire-by <arn>", "who may retire the grant besides")
    .option("--name <name>", "makes no second grant that is the same")
    .option(
      "--context <name=value>",
      "only with this in the encryption context; may be repeated",
      collectPair,
    )
    .option("--exactly", "only with that and nothing else in the encryption context")
    .action(action(create));
  grant
    .command("list")
    .argument("[key]", "key id, ARN or alias")
    .description("list the grants on a key, or those that somebody may retire")
    .option("--to <arn>", "only those to this principal")
    .option("--retirable-by <arn>", "those on all keys that this principal of the account may retire")
    .action(action(list));
  grant
    .command("retire")
    .argument("[token]", "the token that grant create gave")
    .description("end a grant that one is a party to")
    .option("-k, --key <key>", "with --id in place of a token: key id, ARN or alias")
    .option("--id <id>", "the id of the grant")
    .action(action(retire));
  grant
    .command("revoke")
    .argument("<key>", "key id, ARN or alias")
    .argument("<id>", "the id of the grant")
    .description("end a grant that others hold")
    .action(
      action((invocation, [reference, GrantId]) =>
        invocation.withKms(async (kms) => {
          const KeyId = await keyIdOf(kms, reference);
          await kms.revokeGrant({ KeyId, GrantId });
          invocation.answer({ KeyId, GrantId }, (out) => out.line(`the grant ${GrantId} is revoked`));
        }),
      ),
    );
}

type GrantInput = Parameters<Kms["createGrant"]>[0];

const create: Work = (invocation, [reference], options) =>
  invocation.withKms(async (kms) => {
    const { to, allow, retireBy, name, context, exactly } = options as {
      to: string;
      allow: GrantInput["Operations"];
      retireBy?: string;
      name?: string;
      context?: Record<string, string>;
      exactly?: boolean;
    };
    if (exactly && context === undefined) throw usage("--exactly needs a --context", "for example tenant=7");
    const constraint = exactly ? "EncryptionContextEquals" : "EncryptionContextSubset";
    const KeyId = await keyIdOf(kms, reference);
    const { $metadata, ...made } = await kms.createGrant({
      KeyId,
      GranteePrincipal: to,
      Operations: allow,
      RetiringPrincipal: retireBy,
      Name: name,
      Constraints: context && { [constraint]: context },
    });
    invocation.answer({ KeyId, ...made }, (out) => {
      out.line(`granted; to end it: keystead grant revoke ${KeyId} ${made.GrantId}`);
      out.line(`token: ${made.GrantToken}`);
    });
  });

const list: Work = (invocation, [reference], options) =>
  invocation.withKms(async (kms) => {
    const { to, retirableBy } = options as { to?: string; retirableBy?: string };
    if ((reference === undefined) === (retirableBy === undefined))
      throw usage("either a key or --retirable-by says which grants", "give one of them");
    const KeyId = reference === undefined ? undefined : await keyIdOf(kms, reference);
    const grants: Entry[] = [];
    let Marker: string | undefined;
    do {
      const page =
        KeyId === undefined
          ? await kms.listRetirableGrants({ RetiringPrincipal: retirableBy, Limit: 100, Marker })
          : await kms.listGrants({ KeyId, GranteePrincipal: to, Limit: 100, Marker });
      grants.push(...(page.Grants ?? []));
      Marker = page.NextMarker;
    } while (Marker !== undefined);
    invocation.answer({ Grants: grants }, (out) => {
      if (grants.length === 0) return out.line("no grants");
      out.table(
        ["GRANT", "KEY", "TO", "ALLOWS", "ONLY WITH", "NAME"],
        grants.map((each) => [
          each.GrantId ?? "",
          each.KeyId?.split("/").at(-1) ?? "",
          each.GranteePrincipal ?? "",
          (each.Operations ?? []).join(" "),
          harmless(constraintsOf(each)),
          each.Name ?? "",
        ]),
      );
    });
  });

type Entry = NonNullable<Awaited<ReturnType<Kms["listGrants"]>>["Grants"]>[number];

function constraintsOf({ Constraints = {} }: Entry): string {
  const text = (pairs: Record<string, string> = {}) =>
    Object.entries(pairs).map(([name, value]) => `${name}=${value}`);
  const { EncryptionContextEquals: equal, EncryptionContextSubset: subset } = Constraints;
  return [...text(subset), ...(equal ? [...text(equal), "exactly"] : [])].join(" ");
}

const retire: Work = (invocation, [token], options) =>
  invocation.withKms(async (kms) => {
    const { key, id } = options as { key?: string; id?: string };
    const byId = key !== undefined && id !== undefined;
    if (token === undefined ? !byId : key !== undefined || id !== undefined)
      throw usage("a token says which grant, or --key and --id", "give either");
    const named = byId ? { KeyId: await keyIdOf(kms, key), GrantId: id } : { GrantToken: token };
    await kms.retireGrant(named);
    invocation.answer({}, (out) => out.line("the grant is retired"));
  });
