import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Command } from "commander";
import {
  type CommitmentPolicy,
  DirectoryError,
  type DirectoryOptions,
  type DirectoryResult,
  type Envelope,
  type FileResult,
  inParallel,
  MANIFEST,
  replaceFile,
  SUFFIX,
} from "../envelope.ts";
import type { Kms } from "../kms.ts";
import type { Action, Work } from "./action.ts";
import { CliError, usage } from "./exit.ts";
import { Located } from "./failure.ts";
import type { Invocation } from "./invocation.ts";
import { collectPair } from "./pairs.ts";
import { Progress } from "./progress.ts";
import { bytes, duration, many, rate } from "./quantity.ts";
import { count, harmless } from "./terminal.ts";
import {
  decryptedName,
  encryptedName,
  isDirectory,
  plan,
  type Renaming,
  read,
  type Transfer,
} from "./transfer.ts";

/** So many files are named one by one. */
const LISTED = 20;

interface Options {
  key?: string | string[];
  signed?: boolean;
  allowUncommitted?: boolean;
  hold?: boolean;
  context?: Record<string, string>;
  output?: string;
  force?: boolean;
  dryRun?: boolean;
}

/** What the options say of signatures and suites. */
interface Demands {
  Signed?: boolean;
  CommitmentPolicy?: CommitmentPolicy;
  SignedMessages?: "hold";
}

function demandsOf({ signed, allowUncommitted, hold }: Options): Demands {
  return {
    ...(signed && { Signed: true }),
    ...(allowUncommitted && { CommitmentPolicy: "REQUIRE_ENCRYPT_ALLOW_DECRYPT" }),
    ...(hold && { SignedMessages: "hold" }),
  };
}

/** One direction: how files and streams pass through the envelope, and what to call it. */
interface Way {
  verb: "encrypt" | "decrypt";
  done: "encrypted" | "decrypted";
  rename: Renaming;
  file(envelope: Envelope, transfer: Transfer, options: PassOptions): Promise<FileResult>;
  stream(envelope: Envelope, source: Readable, options: PassOptions): Readable;
  directory(
    envelope: Envelope,
    transfer: Omit<Transfer, "size">,
    options: PassOptions & DirectoryOptions,
  ): Promise<DirectoryResult>;
}

interface PassOptions extends Demands {
  key: string | string[] | undefined;
  context: Record<string, string> | undefined;
  signal: AbortSignal;
  onProgress?: (progress: { done: number; total?: number | undefined }) => void;
}

const encrypting: Way = {
  verb: "encrypt",
  done: "encrypted",
  rename: encryptedName,
  file: (envelope, { from, to }, { key, context, ...rest }) =>
    envelope.encryptFile(from, to, { KeyId: key as string[], EncryptionContext: context, ...rest }),
  stream: (envelope, source, { key, context, ...rest }) =>
    envelope.encrypt(source, { KeyId: key as string[], EncryptionContext: context, ...rest }),
  directory: (envelope, { from, to }, { key, context, ...rest }) =>
    envelope.encryptDirectory(from, to, { KeyId: key, EncryptionContext: context, ...rest }),
};

const decrypting: Way = {
  verb: "decrypt",
  done: "decrypted",
  rename: decryptedName,
  file: (envelope, { from, to }, { key, context, ...rest }) =>
    envelope.decryptFile(from, to, { KeyId: key, EncryptionContext: context, ...rest }),
  stream: (envelope, source, { key, context, ...rest }) =>
    envelope.decrypt(source, { KeyId: key, EncryptionContext: context, ...rest }),
  directory: (envelope, { from, to }, { key, context, ...rest }) =>
    envelope.decryptDirectory(from, to, { KeyId: key, EncryptionContext: context, ...rest }),
};

export function envelopeCommands(program: Command, action: Action): void {
  const common = (command: Command, of: string) =>
    command
      .argument("[path...]", "files and directories; - or nothing is standard input")
      .option("--context <name=value>", `${of}; may be repeated`, collectPair)
      .option("-o, --output <path>", "where it goes; - is standard output")
      .option("-f, --force", "replace files that exist")
      .option("--dry-run", "write nothing; say what would be done");
  common(program.command("encrypt"), "encryption context, bound to the ciphertext")
    .description(`encrypt files of any size; FILE becomes FILE${SUFFIX}`)
    .requiredOption("-k, --key <key>", "key id, ARN or alias; repeated, any one opens it", collectKey)
    .option("--signed", "end each message with a signature")
    .action(action(pass(encrypting)));
  common(program.command("decrypt"), "encryption context that must have been given")
    .description(`decrypt what encrypt wrote, or an AWS Encryption SDK; FILE${SUFFIX} becomes FILE`)
    .option("-k, --key <key>", "open only what is under this key")
    .option("--allow-uncommitted", "open old messages, which are not committed to their data key")
    .option("--hold", "give nothing of a signed message before its signature is verified")
    .action(action(pass(decrypting)));
}

/** Of an option that may be repeated. */
export const collectKey = (key: string, keys: string[] = []): string[] => [...keys, key];

const pass =
  (way: Way): Work =>
  async (invocation, paths, given) => {
    const options = given as Options;
    const names = (paths as unknown as [string[]])[0];
    const fromInput = names.length === 0 || (names.length === 1 && names[0] === "-");
    if (fromInput) return passInput(invocation, way, options);
    if (names.includes("-")) throw usage("standard input goes alone, without files beside it");
    if (options.output === "-") {
      if (names.length > 1) throw usage("only one file can go to standard output");
      return passInput(invocation, way, options, read(names[0] as string));
    }
    const { output, force = false, dryRun = false } = options;
    const only = names.length === 1 ? (names[0] as string).replace(/(?<=[^/])\/+$/, "") : undefined;
    if (only !== undefined && isDirectory(only)) {
      const renamed = way.rename(basename(only));
      if (output === undefined && renamed === undefined)
        throw usage(
          `the name of ${only} does not end in ${SUFFIX}, so that of its plaintext is not known`,
          "give -o",
        );
      // A directory with a manifest is what a run before this one has written, and not where to put it.
      const into =
        output !== undefined &&
        (output.endsWith("/") || (isDirectory(output) && !existsSync(join(output, MANIFEST))));
      const to =
        output !== undefined && !into ? output : join(output ?? dirname(only), renamed ?? basename(only));
      return passDirectory(invocation, way, only, to, options);
    }
    if (dryRun) throw usage("--dry-run goes with one directory");
    const { transfers, skipped } = await plan({ paths: names, output, rename: way.rename, force });
    if (skipped.length > 0)
      invocation.note(
        `left out ${many(skipped.length, "entry")} that cannot be ${way.done}, e.g. ${harmless(skipped[0] as string)}`,
      );
    await invocation.withKms((caller) => passFiles(invocation, caller, way, options, transfers));
  };

async function passFiles(
  invocation: Invocation,
  caller: Kms,
  way: Way,
  { key, context, ...given }: Options,
  transfers: Transfer[],
): Promise<void> {
  const began = performance.now();
  const total = transfers.reduce((sum, { size }) => sum + size, 0);
  const progress = new Progress(invocation.err, `${way.verb}ing ${many(transfers.length, "file")}`);
  const done = new Map<Transfer, number>();
  let sum = 0;
  const results = new Map<Transfer, FileResult>();
  const resolved = way === decrypting ? await keyArnOf(caller, key as string | undefined) : key;
  const one = async (transfer: Transfer) => {
    const onProgress = (at: { done: number }) => {
      sum += at.done - (done.get(transfer) ?? 0);
      done.set(transfer, at.done);
      progress.update(sum, total);
    };
    const result = await way
      .file(caller.envelope, transfer, {
        key: resolved,
        context,
        ...demandsOf(given),
        signal: invocation.signal,
        onProgress,
      })
      .catch((cause) => {
        const before =
          transfers.length > 1 ? ` (${results.size} of ${transfers.length} files were done before)` : "";
        throw new Located(transfer.from, before, cause);
      });
    results.set(transfer, result);
  };
  try {
    await inParallel(transfers, Math.min(8, 2 * availableParallelism()), one);
  } finally {
    progress.end();
  }
  const elapsed = performance.now() - began;
  invocation.answer(
    {
      Files: transfers.map((transfer) => {
        const { read, written, header } = results.get(transfer) as FileResult;
        const { from, to } = transfer;
        return {
          From: from,
          To: to,
          Read: read,
          Written: written,
          EncryptionContext: header.EncryptionContext,
        };
      }),
    },
    (out) => {
      for (const transfer of transfers.slice(0, LISTED)) {
        const { written } = results.get(transfer) as FileResult;
        out.line(`${harmless(transfer.from)} → ${harmless(transfer.to)}  ${bytes(written)}`);
      }
      if (transfers.length > LISTED) out.line(`… and ${many(transfers.length - LISTED, "more file")}`);
      const speed = total > 1 << 20 ? `, ${rate(total, elapsed)}` : "";
      out.line(out.paint("dim", `${way.done} ${many(results.size, "file")} in ${duration(elapsed)}${speed}`));
    },
  );
}

/** One directory, resumable: what a run before this one has done is in the manifest of the other side. */
async function passDirectory(
  invocation: Invocation,
  way: Way,
  from: string,
  to: string,
  { key, context, force = false, dryRun = false, ...given }: Options,
): Promise<void> {
  const began = performance.now();
  const progress = new Progress(invocation.err, `${way.verb}ing ${from}`);
  let total = 0;
  const noteLeftOut = (left: readonly string[]) => {
    if (left[0] === undefined) return;
    const example = harmless(join(from, left[0]));
    invocation.note(`left out ${many(left.length, "entry")} that cannot be ${way.done}, e.g. ${example}`);
  };
  await invocation.withKms(async (caller) => {
    const options = {
      key: way === decrypting ? await keyArnOf(caller, key as string | undefined) : key,
      context,
      ...demandsOf(given),
      signal: invocation.signal,
      Force: force,
      DryRun: dryRun,
      onProgress: (at: { done: number; total?: number | undefined }) => {
        total = at.total ?? 0;
        progress.update(at.done, at.total);
      },
    };
    const { Files, Resumed, LeftOut } = await way
      .directory(caller.envelope, { from, to }, options)
      .catch((error) => {
        if (!(error instanceof DirectoryError)) throw error;
        progress.end();
        noteLeftOut(error.leftOut);
        throw new Located(
          error.path,
          ` (${error.done} of ${error.total} files were done before)`,
          error.cause,
        );
      })
      .finally(() => progress.end());
    noteLeftOut(LeftOut);
    const elapsed = performance.now() - began;
    const named = Files.map(({ Path, To, ...rest }) => ({
      From: join(from, Path),
      To: join(to, To),
      ...rest,
    }));
    invocation.answer({ Files: named, Resumed, DryRun: dryRun }, (out) => {
      for (const { From, To, Written } of named.slice(0, LISTED))
        out.line(`${harmless(From)} → ${harmless(To)}${dryRun ? "" : `  ${bytes(Written)}`}`);
      if (named.length > LISTED) out.line(`… and ${many(named.length - LISTED, "more file")}`);
      const speed = total > 1 << 20 ? `, ${rate(total, elapsed)}` : "";
      const before = Resumed > 0 ? `, ${count(Resumed)} of them before` : "";
      const said = dryRun ? `would have ${way.done}` : way.done;
      out.line(
        out.paint("dim", `${said} ${many(named.length, "file")}${before} in ${duration(elapsed)}${speed}`),
      );
    });
  });
}

/** Standard input, or one file, to standard output or a file. */
async function passInput(
  invocation: Invocation,
  way: Way,
  { key, context, output, force = false, ...given }: Options,
  source: Readable = process.stdin,
): Promise<void> {
  const toOutput = output === undefined || output === "-";
  if (toOutput && invocation.json)
    throw usage("--json and the data would both go to standard output", "give -o FILE");
  if (toOutput && way === encrypting && invocation.out.interactive)
    throw usage("ciphertext would go to the terminal", "give -o FILE, or redirect it: > FILE");
  if (source === process.stdin && process.stdin.isTTY)
    invocation.note("reading from the terminal; end with Ctrl-D");
  if (!toOutput && !force && existsSync(output as string))
    throw new CliError(`${output} exists already`, {
      hint: "choose another name with -o, or replace it with --force",
    });
  const progress = new Progress(invocation.err, `${way.verb}ing`);
  await invocation.withKms(async (caller) => {
    const { signal } = invocation;
    const resolved = way === decrypting ? await keyArnOf(caller, key as string | undefined) : key;
    const onProgress = ({ done }: { done: number }) => progress.update(done);
    try {
      const through = way.stream(caller.envelope, source, {
        key: resolved,
        context,
        ...demandsOf(given),
        signal,
        onProgress,
      });
      if (toOutput) await pipeline(through, process.stdout, { end: false });
      else {
        const written = await replaceFile(output as string, through, signal);
        invocation.answer({ To: output, Written: written }, () => {});
      }
    } finally {
      progress.end();
      // A source that still waits for input would keep the process alive.
      source.destroy();
    }
  });
}

/** Messages name their keys by ARN; an alias is looked up. */
export async function keyArnOf(caller: Kms, reference: string | undefined): Promise<string | undefined> {
  if (reference === undefined || !/(^|:)alias\//.test(reference)) return reference;
  const { KeyMetadata } = await caller.describeKey({ KeyId: reference });
  return KeyMetadata?.Arn;
}
