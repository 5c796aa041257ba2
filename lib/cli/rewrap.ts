import { availableParallelism } from "node:os";
import type { Command } from "commander";
import { inParallel, SUFFIX } from "../envelope.ts";
import type { Action, Work } from "./action.ts";
import { collectKey, keyArnOf } from "./envelope.ts";
import { Located } from "./failure.ts";
import { collectPair } from "./pairs.ts";
import { Progress } from "./progress.ts";
import { many } from "./quantity.ts";
import { plan } from "./transfer.ts";

interface Options {
  key: string[];
  from?: string;
  context?: Record<string, string>;
  allowUncommitted?: boolean;
  keepBody?: boolean;
}

export function rewrapCommand(program: Command, action: Action): void {
  program
    .command("rewrap")
    .description("put encrypted files under other keys, in their place; no plaintext is written")
    .argument("<path...>", "files, and directories of them")
    .requiredOption("-k, --key <key>", "key id, ARN or alias; repeated, any one opens the files", collectKey)
    .option("--from <key>", "open only what is under this key")
    .option(
      "--context <name=value>",
      "encryption context that must have been given; may be repeated",
      collectPair,
    )
    .option("--allow-uncommitted", "take old messages, which are not committed to their data key")
    .option("--keep-body", "replace the encrypted data keys alone: only where no copy of the old files stays")
    .action(action(rewrap));
}

const rewrap: Work = async (invocation, args, given) => {
  const { key, from, context, allowUncommitted, keepBody = false } = given as Options;
  const paths = args[0] as unknown as string[];
  const { transfers } = await plan({ paths, output: undefined, rename: (name) => name, force: true });
  // In a directory, what encrypt has written there.
  const files = transfers.filter(({ from: file }) => paths.includes(file) || file.endsWith(SUFFIX));
  const total = files.reduce((sum, { size }) => sum + size, 0);
  const progress = new Progress(invocation.err, `rewrapping ${many(files.length, "file")}`);
  await invocation.withKms(async (kms) => {
    const options = {
      From: {
        KeyId: await keyArnOf(kms, from),
        EncryptionContext: context,
        ...(allowUncommitted && { CommitmentPolicy: "REQUIRE_ENCRYPT_ALLOW_DECRYPT" as const }),
      },
      To: { KeyId: key },
      Body: keepBody ? ("keep" as const) : ("reseal" as const),
      signal: invocation.signal,
    };
    let done = 0;
    try {
      await inParallel(files, Math.min(8, 2 * availableParallelism()), async ({ from: file, size }) => {
        await kms.envelope.rewrapFile(file, file, options).catch((cause) => {
          throw new Located(file, "; it is as it was", cause);
        });
        done += size;
        progress.update(done, total);
      });
    } finally {
      progress.end();
    }
    invocation.answer({ Files: files.map((one) => one.from) }, (out) =>
      out.line(`rewrapped ${many(files.length, "file")}`),
    );
  });
};
