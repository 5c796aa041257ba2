import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import {
  type AuditReport,
  fingerprint,
  followEvents,
  lastEvents,
  PUBLIC_KEY_FILE,
  publicKeyOf,
  verify,
} from "../audit.ts";
import { openStore } from "../store.ts";
import type { Action, Work } from "./action.ts";
import { CliError, EXIT } from "./exit.ts";
import type { Invocation } from "./invocation.ts";
import { wholeNumber } from "./pairs.ts";
import { many } from "./quantity.ts";
import { type Cell, count, harmless, type Terminal } from "./terminal.ts";

export function auditCommands(program: Command, action: Action): void {
  const audit = program.command("audit").description("read the audit trail and prove that it is whole");
  audit
    .command("tail")
    .description("show the last events")
    .option("-n, --lines <number>", "how many", wholeNumber(0, 1_000_000), 20)
    .option("-f, --follow", "go on with those that come")
    .action(action(tail));
  audit
    .command("verify")
    .description("find every line that was changed, removed, reordered or cut off")
    .option("--public-key <file>", "PEM of the key that signs (default: the one that the database knows)")
    .action(action(verifyTrail));
}

export const auditDirectory = (directory: string) => join(directory, "audit");

const tail: Work = async (invocation, _, options) => {
  const { lines, follow } = options as { lines: number; follow?: boolean };
  const directory = auditDirectory(invocation.directory);
  needDirectory(directory);
  const print = (events: string[]) => {
    if (invocation.json) for (const event of events) invocation.out.line(event);
    else printEvents(invocation.out, events);
  };
  // Followed from before, so that no event falls between; what is met twice is shown once.
  const coming = follow ? await followEvents(directory, invocation.signal) : undefined;
  const last = await lastEvents(directory, lines);
  if (last.length === 0 && coming === undefined) return invocation.note("no events yet");
  print(last);
  if (coming === undefined) return;
  const printed = new Set(last);
  for await (const event of coming) if (!printed.delete(event)) print([event]);
};

function needDirectory(directory: string): void {
  if (!existsSync(directory))
    throw new CliError(`there is no audit trail in ${directory}`, {
      exit: EXIT.notFound,
      hint: "set it up with keystead init, or name another --directory",
    });
}

interface EventRecord {
  eventTime: string;
  eventName: string;
  userIdentity: { principalId?: string; invokedBy?: string; type: string };
  resources: { ARN: string }[];
  errorCode?: string;
  additionalEventData?: Record<string, unknown>;
}

export function printEvents(out: Terminal, lines: readonly string[]): void {
  const rows = lines.map((line) => rowOf(out, JSON.parse(line) as EventRecord));
  // Widths of their own would make the lines of a followed trail dance.
  out.table(
    undefined,
    rows.map((row) => row.map((cell, at) => String(cell).padEnd([20, 12, 20, 36][at] ?? 0))),
  );
}

function rowOf(out: Terminal, event: EventRecord): Cell[] {
  const { type, principalId, invokedBy } = event.userIdentity;
  const caller = type === "Root" ? "root" : (principalId ?? invokedBy ?? type);
  const resource =
    event.resources[0]?.ARN.split(":")
      .at(-1)
      ?.replace(/^key\//, "") ?? "";
  const { entries, failed } = event.additionalEventData ?? {};
  const amount = typeof entries === "number" ? `, ${many(entries, "entry")}` : "";
  const failures = typeof failed === "number" && failed > 0 ? `, ${count(failed)} refused` : "";
  const result =
    event.errorCode === undefined
      ? out.paint("green", "ok") + amount + failures
      : out.paint("red", event.errorCode);
  return [event.eventTime, caller, event.eventName, resource, result].map(harmlessKeepingColour);
}

/** Colours are ours; whatever else could steer the terminal came from a caller. */
const harmlessKeepingColour = (cell: string) => (cell.startsWith("\x1b[") ? cell : harmless(cell));

const verifyTrail: Work = async (invocation, _, options) => {
  const { publicKey } = options as { publicKey?: string };
  const { report, key } = await verifyDirectory(invocation, publicKey);
  invocation.answer({ ...report, publicKey: key }, (out) => printReport(out, report, key));
  if (!report.ok) invocation.exit = EXIT.notVerified;
};

/** Verifies with what the database knows, where there is one. `key` is the fingerprint of the key that it was done with. */
export async function verifyDirectory(
  { directory, note }: Pick<Invocation, "directory" | "note">,
  publicKeyFile?: string,
): Promise<{ report: AuditReport; key: string }> {
  const audit = auditDirectory(directory);
  const known = await fromStore(join(directory, "keystead.db"));
  if (known === undefined || known.heads.length === 0) needDirectory(audit);
  if (known === undefined)
    note("there is no database here: a trail cut back together with its heads would look whole");
  const pem = join(audit, PUBLIC_KEY_FILE);
  const key =
    publicKeyFile === undefined && known?.key !== undefined
      ? publicKeyOf(Buffer.from(known.key, "base64"))
      : publicKeyOf(await readFile(publicKeyFile ?? pem, "utf8"));
  return { report: await verify(audit, key, known?.heads), key: fingerprint(key) };
}

async function fromStore(file: string) {
  if (!existsSync(file)) return undefined;
  const store = await openStore({ file });
  try {
    return { key: await store.meta("audit key"), heads: await store.auditHeads() };
  } finally {
    await store.close();
  }
}

export function printReport(out: Terminal, report: AuditReport, key: string): void {
  for (const { file, line, kind, message } of report.problems)
    out.line(`${out.paint("red", kind)}  ${file}${line > 0 ? `:${line}` : ""}  ${message}`);
  if (report.moreProblems > 0) out.line(`… and ${many(report.moreProblems, "more problem")}`);
  for (const note of report.notes) out.line(`${out.paint("yellow", "note")}  ${note}`);
  const amount = `${many(report.lines, "line")} in ${many(report.files, "file")} of ${many(report.streams.length, "stream")}`;
  const open =
    report.notYetSigned > 0 ? `, of which ${many(report.notYetSigned, "line")} not yet signed` : "";
  out.line(
    report.ok
      ? `${out.paint("green", "verified")}: ${amount}${open}`
      : `${out.paint("red", "not verified")}: ${many(report.problems.length + report.moreProblems, "problem")} in ${amount}`,
  );
  out.line(out.paint("dim", `signed by the key with SHA-256 fingerprint ${key}`));
}
