#!/usr/bin/env node
import { Command, CommanderError, Option } from "commander";
import type { Work } from "./cli/action.ts";
import { aliasCommands } from "./cli/alias.ts";
import { auditCommands } from "./cli/audit.ts";
import { credentialCommands } from "./cli/credentials.ts";
import { dataKeyCommand } from "./cli/data-key.ts";
import { doctorCommand } from "./cli/doctor.ts";
import { envelopeCommands } from "./cli/envelope.ts";
import { EXIT, type ExitCode } from "./cli/exit.ts";
import { explainCommands } from "./cli/explain.ts";
import { failureOf } from "./cli/failure.ts";
import { grantCommands } from "./cli/grant.ts";
import { iamCommands } from "./cli/iam.ts";
import { initCommand } from "./cli/init.ts";
import { type GlobalOptions, Invocation } from "./cli/invocation.ts";
import { keyCommands } from "./cli/key.ts";
import { keyStoreCommands } from "./cli/key-store.ts";
import { manifest } from "./cli/manifest.ts";
import { recordCommands } from "./cli/records.ts";
import { rewrapCommand } from "./cli/rewrap.ts";
import { serveCommand } from "./cli/serve.ts";
import { startCommand } from "./cli/start.ts";
import { tagCommands } from "./cli/tag.ts";
import { Terminal } from "./cli/terminal.ts";
import { DEFAULT_DIRECTORY } from "./config.ts";

const interrupt = new AbortController();

/** The first Ctrl-C stops in good order; the second one at once. */
process.once("SIGINT", () => interrupt.abort());
process.once("SIGTERM", () => interrupt.abort());
// Whoever reads our output may have had enough of it, as `head` does.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") say(`standard output: ${error.message}`, undefined);
  process.exit(error.code === "EPIPE" ? EXIT.ok : EXIT.failure);
});

const action =
  (work: Work) =>
  async (...given: unknown[]) => {
    const command = given.at(-1) as Command;
    const invocation = new Invocation(command.optsWithGlobals<GlobalOptions>(), interrupt.signal);
    const args = given.slice(0, -2) as unknown as readonly [string, string];
    await work(invocation, args, command.opts());
    process.exitCode = invocation.exit;
  };

const program = new Command("keystead")
  .description(manifest.description)
  .version(manifest.version)
  .addOption(
    new Option("-d, --directory <path>", "data directory")
      .default(DEFAULT_DIRECTORY)
      .env("KEYSTEAD_DIRECTORY"),
  )
  .option("--json", "answer in JSON")
  .option("--as <arn>", "act as this user or role instead of the account's root")
  .option("--region <name>", "work in this Region (default: the first that is served)")
  .showHelpAfterError(false)
  .configureHelp({ showGlobalOptions: true })
  .configureOutput({ outputError: () => {} })
  .exitOverride();
startCommand(program, action);
initCommand(program, action);
keyCommands(program, action);
keyStoreCommands(program, action);
aliasCommands(program, action);
tagCommands(program, action);
grantCommands(program, action);
envelopeCommands(program, action);
recordCommands(program, action);
rewrapCommand(program, action);
dataKeyCommand(program, action);
credentialCommands(program, action);
iamCommands(program, action);
explainCommands(program, action);
serveCommand(program, action);
auditCommands(program, action);
doctorCommand(program, action);

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

function report(error: unknown): ExitCode {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return EXIT.ok;
    const [message = "", suggestion] = error.message.replace(/^error: /, "").split("\n");
    const hint = suggestion?.replace(/^\(D(.*)\)$/, "d$1") ?? "see keystead --help";
    if (error.code !== "commander.help") say(message, hint);
    return EXIT.usage;
  }
  if (interrupt.signal.aborted) {
    say("interrupted; nothing half done is left", undefined);
    return EXIT.interrupted;
  }
  const { exit, message, hint, name } = failureOf(error);
  if (process.argv.includes("--json"))
    process.stderr.write(`${JSON.stringify({ error: name, message, hint, exitCode: exit })}\n`);
  else say(message, hint);
  return exit;
}

function say(message: string, hint: string | undefined): void {
  const err = new Terminal(process.stderr);
  err.line(`keystead: ${err.paint("red", message)}${hint === undefined ? "" : `; ${hint}`}`);
}
