import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { DirectoryError, inParallel } from "../envelope.ts";
import type { Action, Work } from "./action.ts";
import { collectKey, keyArnOf } from "./envelope.ts";
import { Located } from "./failure.ts";
import { collectPair } from "./pairs.ts";
import { Progress } from "./progress.ts";
import { many } from "./quantity.ts";
import { harmless } from "./terminal.ts";
import { statOf } from "./transfer.ts";

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
    .option("--from <key>", "open only what is under this key, and leave the rest of a directory as it is")
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
  const stats = (args[0] as unknown as string[]).map((path) => ({ path, stats: statOf(path) }));
  const files = stats.filter((one) => !one.stats.isDirectory());
  const directories = stats.filter((one) => one.stats.isDirectory());
  const done: string[] = [];
  const left: string[] = [];
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
    const shown = async (label: string, work: (progress: Progress) => Promise<void>) => {
      const progress = new Progress(invocation.err, `rewrapping ${label}`);
      await work(progress).finally(() => progress.end());
    };
    if (files.length > 0)
      await shown(many(files.length, "file"), async (progress) => {
        const total = files.reduce((sum, one) => sum + one.stats.size, 0);
        let sum = 0;
        await inParallel(files, Math.min(8, 2 * availableParallelism()), async ({ path }) => {
          let before = 0;
          const onProgress = (at: { done: number }) => {
            sum += at.done - before;
            before = at.done;
            progress.update(sum, total);
          };
          await kms.envelope.rewrapFile(path, path, { ...options, onProgress }).catch((cause) => {
            throw new Located(path, "; it is as it was", cause);
          });
          done.push(path);
        });
      });
    for (const { path } of directories)
      await shown(path, async (progress) => {
        const onProgress = (at: { done: number; total?: number | undefined }) =>
          progress.update(at.done, at.total);
        const result = await kms.envelope.rewrapDirectory(path, { ...options, onProgress }).catch((error) => {
          if (!(error instanceof DirectoryError)) throw error;
          const so = `; it is as it was (${error.done} of ${error.total} files were done before)`;
          throw new Located(error.path, so, error.cause);
        });
        done.push(...result.Files.map(({ Path }) => join(path, Path)));
        left.push(...result.LeftOut.map((one) => join(path, one)));
      });
    if (left.length > 0)
      invocation.note(
        `left ${many(left.length, "entry")} as ${left.length > 1 ? "they are" : "it is"}, e.g. ${harmless(left[0] as string)}`,
      );
    invocation.answer({ Files: done.sort(), LeftOut: left }, (out) =>
      out.line(`rewrapped ${many(done.length, "file")}`),
    );
  });
};
