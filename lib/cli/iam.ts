import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import type { Kms } from "../kms.ts";
import type { Action, Work } from "./action.ts";
import { usage } from "./exit.ts";
import { collectPair, wholeNumber } from "./pairs.ts";
import { harmless, type Terminal } from "./terminal.ts";

const WHO = "user/NAME, role/NAME, an ARN, or an account";

export function iamCommands(program: Command, action: Action): void {
  const iam = program.command("iam").description("keep users, roles and their policies here");
  iam
    .command("create-user")
    .argument("<name>")
    .description("make a user; with the first identity of an account, unknown ones of it may nothing")
    .option("--boundary <file>", "permissions boundary, a JSON file")
    .option("--tag <name=value>", "tag; may be given several times", collectPair)
    .action(action(createUser));
  iam
    .command("create-role")
    .argument("<name>")
    .description("make a role")
    .requiredOption("--trust <file>", "who may assume it: a trust policy, a JSON file")
    .option("--boundary <file>", "permissions boundary, a JSON file")
    .option("--tag <name=value>", "tag; may be given several times", collectPair)
    .action(action(createRole));
  iam.command("list").description("list users and roles").action(action(list));
  iam
    .command("show")
    .argument("<who>", WHO)
    .description("show an identity: its policies, boundary, trust and tags")
    .action(action(show));
  iam
    .command("attach")
    .argument("<who>", WHO)
    .argument("<name>", "what the policy is called")
    .argument("<file>", "the policy, a JSON file")
    .description("give an identity a policy; on an account it is a service control policy")
    .action(action(attach));
  iam
    .command("detach")
    .argument("<who>", WHO)
    .argument("<name>", "what the policy is called")
    .description("take a policy away")
    .action(action(detach));
  iam
    .command("boundary")
    .argument("<who>", "user/NAME, role/NAME or an ARN")
    .argument("[file]", "a JSON file; none to take the boundary away")
    .description("set the permissions boundary")
    .action(action(boundary));
  iam
    .command("trust")
    .argument("<role>", "role/NAME or an ARN")
    .argument("<file>", "a trust policy, a JSON file")
    .description("set who may assume a role")
    .action(action(trust));
  iam
    .command("tag")
    .argument("<who>", "user/NAME, role/NAME or an ARN")
    .argument("[name=value...]", "tags; those that are there get the new value")
    .option("--remove <name...>", "take these away")
    .description("tag an identity")
    .action(action(tag));
  iam
    .command("delete")
    .argument("<who>", "user/NAME, role/NAME or an ARN")
    .description("end an identity, with its access keys and sessions")
    .action(action(remove));
  iam
    .command("assume-role")
    .argument("<role>", "role/NAME or an ARN")
    .description("get a session's credentials as the user or role that --as names; they are shown this once")
    .option("--session <name>", "what the session is called", "keystead")
    .option("--duration <seconds>", "how long they hold", wholeNumber(900, 43_200))
    .option("--policy <file>", "session policy: narrows what the role may, a JSON file")
    .option("--tag <name=value>", "session tag; may be given several times", collectPair)
    .action(action(assumeRole));
}

interface Options {
  boundary?: string;
  trust?: string;
  policy?: string;
  tag?: Record<string, string>;
  session?: string;
  duration?: number;
  remove?: string[];
}

type Identity = NonNullable<Awaited<ReturnType<Kms["iam"]["getPrincipal"]>>["Principal"]>;

/** The text of a file; undefined where none is named. */
const contents = async (file: string | undefined) =>
  file === undefined ? undefined : readFile(file, "utf8");

const tagsOf = (pairs: Readonly<Record<string, string>> = {}) =>
  Object.entries(pairs).map(([Key, Value]) => ({ Key, Value }));

const arnOf = ({ account }: Kms, who: string) =>
  /^(user|role)\//.test(who) ? `arn:aws:iam::${account}:${who}` : who;

const createUser: Work = (invocation, [UserName], given) =>
  invocation.withKms(async (kms) => {
    const options = given as Options;
    const { Principal } = await kms.iam.createUser({
      UserName,
      Tags: tagsOf(options.tag),
      PermissionsBoundary: await contents(options.boundary),
    });
    invocation.answer({ Principal }, (out) => out.line(`${Principal?.Arn} is made; it may nothing yet`));
  });

const createRole: Work = (invocation, [RoleName], given) =>
  invocation.withKms(async (kms) => {
    const options = given as Options;
    const { Principal } = await kms.iam.createRole({
      RoleName,
      Tags: tagsOf(options.tag),
      AssumeRolePolicyDocument: await contents(options.trust),
      PermissionsBoundary: await contents(options.boundary),
    });
    invocation.answer({ Principal }, (out) => out.line(`${Principal?.Arn} is made; it may nothing yet`));
  });

const list: Work = (invocation) =>
  invocation.withKms(async (kms) => {
    const all: Identity[] = [];
    let Marker: string | undefined;
    do {
      const page = await kms.iam.listPrincipals({ Limit: 1_000, Marker });
      all.push(...(page.Principals ?? []));
      Marker = page.NextMarker;
    } while (Marker !== undefined);
    invocation.answer({ Principals: all }, (out) => {
      if (all.length === 0)
        return out.line("no identities are kept here; make one with keystead iam create-user");
      out.table(
        ["IDENTITY", "POLICIES", "BOUNDARY", "MADE"],
        all.map((each) => [
          each.Arn ?? "",
          Object.keys(each.Policies ?? {}).join(", "),
          each.PermissionsBoundary === undefined ? "" : "yes",
          each.CreateDate?.toISOString().slice(0, 10) ?? "",
        ]),
      );
    });
  });

const show: Work = (invocation, [who]) =>
  invocation.withKms(async (kms) => {
    const { Principal } = await kms.iam.getPrincipal({ Principal: arnOf(kms, who) });
    invocation.answer({ Principal }, (out) => print(out, Principal as Identity));
  });

function print(out: Terminal, identity: Identity): void {
  const tags = (identity.Tags ?? []).map(({ Key, Value }) => harmless(`${Key}=${Value}`));
  out.table(undefined, [
    ["identity", identity.Arn ?? ""],
    ["id", identity.PrincipalId ?? ""],
    ["made", identity.CreateDate?.toISOString() ?? ""],
    ["tags", tags.join(", ") || "none"],
  ]);
  const documents = Object.entries(identity.Policies ?? {}).map(([name, text]) => [`policy ${name}`, text]);
  if (identity.PermissionsBoundary !== undefined)
    documents.push(["permissions boundary", identity.PermissionsBoundary]);
  if (identity.AssumeRolePolicyDocument !== undefined)
    documents.push(["who may assume it", identity.AssumeRolePolicyDocument]);
  for (const [title = "", text = ""] of documents) {
    out.line(out.paint("bold", title));
    for (const line of text.trimEnd().split(/\r?\n/)) out.line(harmless(line));
  }
}

const attach: Work = (invocation, args) =>
  invocation.withKms(async (kms) => {
    const [who, PolicyName, file] = args as unknown as [string, string, string];
    const Principal = arnOf(kms, who);
    await kms.iam.putPolicy({ Principal, PolicyName, PolicyDocument: await readFile(file, "utf8") });
    invocation.answer({ Principal, PolicyName }, (out) => out.line(`${PolicyName} holds for ${Principal}`));
  });

const detach: Work = (invocation, [who, PolicyName]) =>
  invocation.withKms(async (kms) => {
    const Principal = arnOf(kms, who);
    await kms.iam.deletePolicy({ Principal, PolicyName });
    invocation.answer({ Principal, PolicyName }, (out) =>
      out.line(`${PolicyName} holds for ${Principal} no more`),
    );
  });

const boundary: Work = (invocation, [who, file]) =>
  invocation.withKms(async (kms) => {
    const Principal = arnOf(kms, who);
    const PermissionsBoundary = await contents(file);
    if (PermissionsBoundary === undefined) await kms.iam.deletePermissionsBoundary({ Principal });
    else await kms.iam.putPermissionsBoundary({ Principal, PermissionsBoundary });
    const state = PermissionsBoundary === undefined ? "has no boundary" : "stays within the boundary";
    invocation.answer({ Principal, PermissionsBoundary }, (out) => out.line(`${Principal} ${state}`));
  });

const trust: Work = (invocation, [role, file]) =>
  invocation.withKms(async (kms) => {
    const Principal = arnOf(kms, role);
    await kms.iam.updateAssumeRolePolicy({ Principal, PolicyDocument: await readFile(file, "utf8") });
    invocation.answer({ Principal }, (out) => out.line(`whom ${file} names may assume ${Principal}`));
  });

const tag: Work = (invocation, args, given) =>
  invocation.withKms(async (kms) => {
    const [who, texts] = args as unknown as [string, string[]];
    const { remove: TagKeys = [] } = given as Options;
    const pairs = texts.reduce<Record<string, string>>((all, text) => collectPair(text, all), {});
    if (texts.length + TagKeys.length === 0) throw usage("no tags are given", "for example team=orders");
    const Principal = arnOf(kms, who);
    if (TagKeys.length > 0) await kms.iam.untagPrincipal({ Principal, TagKeys });
    if (texts.length > 0) await kms.iam.tagPrincipal({ Principal, Tags: tagsOf(pairs) });
    invocation.answer({ Principal, Tags: tagsOf(pairs), TagKeys }, (out) =>
      out.line(`the tags of ${Principal} are changed`),
    );
  });

const remove: Work = (invocation, [who]) =>
  invocation.withKms(async (kms) => {
    const Principal = arnOf(kms, who);
    await kms.iam.deletePrincipal({ Principal });
    invocation.answer({ Principal }, (out) => out.line(`${Principal} is gone, with its access keys`));
  });

const assumeRole: Work = (invocation, [role], given) =>
  invocation.withKms(async (kms) => {
    const options = given as Options;
    const { $metadata: _metadata, ...made } = await kms.iam.assumeRole({
      RoleArn: arnOf(kms, role),
      RoleSessionName: options.session,
      DurationSeconds: options.duration,
      Policy: await contents(options.policy),
      Tags: tagsOf(options.tag),
    });
    const { Credentials } = made;
    invocation.answer(made, (out) =>
      out.table(undefined, [
        ["session", made.AssumedRoleUser?.Arn ?? ""],
        ["access key", Credentials?.AccessKeyId ?? ""],
        ["secret", Credentials?.SecretAccessKey ?? ""],
        ["token", Credentials?.SessionToken ?? ""],
        ["holds until", Credentials?.Expiration?.toISOString() ?? ""],
      ]),
    );
  });
