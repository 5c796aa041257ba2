import { existsSync, rmSync, statSync } from "node:fs";
import { mkdir, statfs } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { type Command, Option } from "commander";
import { lastEvents } from "../audit.ts";
import { SUFFIX } from "../envelope.ts";
import type { Kms } from "../kms.ts";
import type { Action, Work } from "./action.ts";
import { auditDirectory, printEvents, printReport, verifyDirectory } from "./audit.ts";
import { CliError, EXIT } from "./exit.ts";
import type { Invocation } from "./invocation.ts";
import { size, wholeNumber } from "./pairs.ts";
import { bytes, duration, many, rate } from "./quantity.ts";
import { makeSample, sameContent } from "./sample.ts";
import { type Done, fileRoundTrip, recordsRoundTrip } from "./showcase.ts";

interface Options {
  keep?: boolean;
  records: number;
  size: number;
}

const ALIAS = "alias/keystead-start";
/** Outputs beyond this are not left lying about. */
const LARGE = 64 << 20;

export function startCommand(program: Command, action: Action): void {
  program
    .command("start")
    .description("show the main job on real input: a key, a batch of records, a large file, the audit trail")
    .argument("[file...]", "files to encrypt and decrypt (default: a sample that is made)")
    .option("--records <number>", "records in the batch", wholeNumber(1, 10_000_000), 100_000)
    .addOption(
      new Option("--size <size>", "size of the sample file").argParser(size).default(1 << 30, "1 GiB"),
    )
    .option("--keep", "keep large outputs too")
    .action(action(start));
}

const start: Work = async (invocation, args, given) => {
  const options = given as Options;
  const paths = args[0] as unknown as string[];
  const { directory, err } = invocation;
  const began = performance.now();
  const folder = join(directory, "start");
  const say = (text: string) => {
    if (!invocation.json) err.line(text);
  };
  for (const path of paths)
    if (!existsSync(path) || !statSync(path).isFile())
      throw new CliError(`${path} is no file`, {
        exit: EXIT.usage,
        hint: "give files; keystead encrypt takes directories too",
      });
  const names = paths.map((path) => basename(path));
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined)
    throw new CliError(`two files are named ${twice}, and would overwrite each other's outputs`, {
      exit: EXIT.usage,
      hint: "give them one at a time",
    });

  const fresh = !existsSync(join(directory, "keystead.json"));
  say(
    fresh
      ? `making a token and a database in ${resolve(directory)}`
      : `using what is in ${resolve(directory)}`,
  );
  const kms = await invocation.open();
  const done: Done[] = [];
  const made: string[] = [];
  try {
    const keyId = await keyOf(kms, say);
    say(`token ${kms.hsm.label} (${kms.hsm.manufacturer} ${kms.hsm.model}), key ${ALIAS} = ${keyId}`);
    done.push(...(await recordsRoundTrip(invocation, kms, ALIAS, options.records)));
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const files = paths.length > 0 ? paths : [join(folder, "sample.bin")];
    await roomFor(files, paths.length > 0 ? 0 : options.size, folder);
    if (paths.length === 0) {
      const [sample] = files as [string];
      made.push(sample);
      await makeSample(sample, options.size, invocation);
    }
    for (const file of files) {
      const sealed = join(folder, `${basename(file)}${SUFFIX}`);
      const opened = join(folder, `${basename(file)}.decrypted`);
      made.push(sealed, opened);
      done.push(...(await fileRoundTrip(invocation, kms, ALIAS, { file, sealed, opened })));
      if (!(await sameContent(file, opened, invocation)))
        throw new CliError(`${opened} differs from ${file}`, { exit: EXIT.notVerified });
    }
  } finally {
    await kms.close();
    if (!options.keep) for (const path of made) removeLarge(path);
  }
  const { report, key } = await verifyDirectory(invocation);
  if (!report.ok) invocation.exit = EXIT.notVerified;
  const events = await lastEvents(auditDirectory(directory), 8);
  const left = made.filter((path) => existsSync(path));
  const elapsed = performance.now() - began;
  invocation.answer(
    {
      Done: done,
      Files: left.map((path) => resolve(path)),
      Audit: { ok: report.ok, lines: report.lines, key },
      Milliseconds: elapsed,
    },
    (out) => {
      out.line();
      out.line(out.paint("bold", "the last events of the audit trail"));
      printEvents(out, events);
      printReport(out, report, key);
      out.line();
      out.table(
        ["DONE", "AMOUNT", "TIME", "SPEED"],
        done.map(({ what, count, size, milliseconds }) => [
          what,
          count === undefined ? bytes(size) : `${many(count, "record")}, ${bytes(size)}`,
          duration(milliseconds),
          count === undefined
            ? rate(size, milliseconds)
            : `${many((count * 1_000) / milliseconds, "record")}/s`,
        ]),
      );
      out.line();
      out.table(undefined, [...places(invocation, left, options)]);
      out.line();
      out.line(`all of it decrypted to what it was, in ${duration(elapsed)}`);
    },
  );
};

/** The showcase's key, made on the first run. */
async function keyOf(kms: Kms, say: (text: string) => void): Promise<string> {
  try {
    const { KeyMetadata } = await kms.describeKey({ KeyId: ALIAS });
    return KeyMetadata?.KeyId as string;
  } catch (error) {
    if ((error as Error).name !== "NotFoundException") throw error;
  }
  say("making a key in the HSM");
  const { KeyMetadata } = await kms.createKey({ Description: "made by keystead start" });
  const TargetKeyId = KeyMetadata?.KeyId as string;
  await kms.createAlias({ AliasName: ALIAS, TargetKeyId });
  return TargetKeyId;
}

/** Everything is written twice, and a sample that is not there yet once more. */
async function roomFor(files: readonly string[], sample: number, folder: string): Promise<void> {
  const sizes = files.map((file) => statSync(file, { throwIfNoEntry: false })?.size);
  const needed = sizes.reduce<number>(
    (sum, each) => sum + (each === undefined ? 3 * sample : 2 * each),
    LARGE,
  );
  const { bavail, bsize } = await statfs(folder);
  if (bavail * bsize < needed)
    throw new CliError(
      `${bytes(needed)} are needed in ${resolve(folder)}, and ${bytes(bavail * bsize)} are free`,
      {
        hint: "make room, name a smaller file, or give --size 64M",
      },
    );
}

function removeLarge(path: string): void {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats !== undefined && stats.size > LARGE) rmSync(path);
}

function* places(
  { directory }: Invocation,
  left: readonly string[],
  { keep }: Options,
): Generator<[string, string]> {
  const at = (name: string) => resolve(directory, name);
  yield ["token and PINs", existsSync(at("token")) ? `${at("token")}, ${at("pin")}` : "on the HSM"];
  yield ["database", at("keystead.db")];
  yield ["audit trail", at("audit")];
  for (const path of left) yield ["file", resolve(path)];
  if (!keep) yield ["removed", `outputs larger than ${bytes(LARGE)}; --keep keeps them`];
}
