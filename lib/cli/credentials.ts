import type { Command } from "commander";
import type { Kms } from "../kms.ts";
import type { Action, Work } from "./action.ts";

export function credentialCommands(program: Command, action: Action): void {
  const credentials = program
    .command("credentials")
    .description("make, list and end the access keys of AWS's clients");
  credentials
    .command("create")
    .description("make an access key; its secret is shown this once")
    .option("--principal <arn>", "whose it is: a user or role (default: the account's root, or --as)")
    .action(action(create));
  credentials.command("list").description("list all access keys, without their secrets").action(action(list));
  credentials
    .command("disable")
    .argument("<access-key-id>")
    .description("let nobody use an access key")
    .action(
      action(
        change((kms, AccessKeyId) => kms.updateAccessKey({ AccessKeyId, Status: "Inactive" }), "is disabled"),
      ),
    );
  credentials
    .command("enable")
    .argument("<access-key-id>")
    .description("let a disabled access key be used again")
    .action(
      action(
        change((kms, AccessKeyId) => kms.updateAccessKey({ AccessKeyId, Status: "Active" }), "is enabled"),
      ),
    );
  credentials
    .command("delete")
    .argument("<access-key-id>")
    .description("end an access key for ever")
    .action(action(change((kms, AccessKeyId) => kms.deleteAccessKey({ AccessKeyId }), "is gone")));
}

const create: Work = (invocation, _, options) =>
  invocation.withKms(async (kms) => {
    const { principal } = options as { principal?: string };
    const { $metadata: _metadata, ...made } = await kms.createAccessKey({ Principal: principal });
    invocation.answer(made, (out) => {
      out.table(undefined, [
        ["access key", made.AccessKeyId ?? ""],
        ["secret", made.SecretAccessKey ?? ""],
        ["principal", made.Principal ?? ""],
      ]);
      out.line("the secret is not shown again");
    });
  });

const list: Work = (invocation) =>
  invocation.withKms(async (kms) => {
    const keys: NonNullable<Awaited<ReturnType<Kms["listAccessKeys"]>>["AccessKeys"]> = [];
    let Marker: string | undefined;
    do {
      const page = await kms.listAccessKeys({ Limit: 1_000, Marker });
      keys.push(...(page.AccessKeys ?? []));
      Marker = page.NextMarker;
    } while (Marker !== undefined);
    invocation.answer({ AccessKeys: keys }, (out) => {
      if (keys.length === 0) return out.line("no access keys yet; make one with keystead credentials create");
      out.table(
        ["ACCESS KEY", "STATUS", "PRINCIPAL", "MADE"],
        keys.map((key) => [
          key.AccessKeyId ?? "",
          out.paint(key.Status === "Active" ? "green" : "yellow", key.Status ?? ""),
          key.Principal ?? "",
          key.CreateDate?.toISOString().slice(0, 10) ?? "",
        ]),
      );
    });
  });

/** A command that changes one access key, and says what it is then. */
function change(work: (kms: Kms, accessKeyId: string) => Promise<unknown>, done: string): Work {
  return (invocation, [AccessKeyId]) =>
    invocation.withKms(async (kms) => {
      await work(kms, AccessKeyId);
      invocation.answer({ AccessKeyId }, (out) => out.line(`${AccessKeyId} ${done}`));
    });
}
