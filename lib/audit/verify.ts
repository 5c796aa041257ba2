import type { KeyObject } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { type AuditProblem, ChainCheck, type FoundHead } from "./chain.ts";
import { type AuditHead, headBytes, headName, isAuthentic, publicKeyOf, readHead } from "./head.ts";
import { parseFileName } from "./line.ts";

export type { AuditProblem, ProblemKind } from "./chain.ts";

export interface StreamReport {
  stream: string;
  files: number;
  lines: number;
  /** The last line that a head vouches for, and when it was signed (milliseconds). */
  signed: { sequence: number; time: number } | null;
  /** Lines behind it: in order, but nobody vouches for them yet. */
  notYetSigned: number;
  /** Whether the process closed its log in order. */
  closed: boolean;
}

export interface AuditReport {
  ok: boolean;
  files: number;
  lines: number;
  notYetSigned: number;
  streams: StreamReport[];
  problems: AuditProblem[];
  /** Problems beyond the first thousand. */
  moreProblems: number;
  /** What is not as usual yet proves nothing, e.g. the open end of a process that was killed. */
  notes: string[];
}

const MOST_PROBLEMS = 1_000;

/** What the directory and the store hold of one stream. */
interface Evidence {
  files: { name: string; number: number }[];
  headFile: boolean;
  heads: FoundHead[];
}

/**
 * Reads the whole trail and names every line that was changed, removed, reordered, repeated or cut off, and
 * every file and stream that is missing. `storeHeads` are the heads kept outside of the directory: without
 * them, a log that was cut back together with its head file looks whole.
 */
export async function verify(
  directory: string,
  publicKey: KeyObject | Uint8Array | string,
  storeHeads?: readonly AuditHead[],
): Promise<AuditReport> {
  const key =
    typeof publicKey === "string" || publicKey instanceof Uint8Array ? publicKeyOf(publicKey) : publicKey;
  const report: AuditReport = {
    ok: true,
    files: 0,
    lines: 0,
    notYetSigned: 0,
    streams: [],
    problems: [],
    moreProblems: 0,
    notes: [],
  };
  const say = (problem: AuditProblem) => {
    report.ok = false;
    if (report.problems.length < MOST_PROBLEMS) report.problems.push(problem);
    else report.moreProblems++;
  };
  const streams = await gather(directory, key, storeHeads ?? [], say);
  for (const [stream, evidence] of [...streams].sort(byFirstFile)) {
    const result = await verifyStream(directory, stream, evidence, say, report.notes);
    report.streams.push(result);
    report.files += result.files;
    report.lines += result.lines;
    report.notYetSigned += result.notYetSigned;
  }
  return report;
}

/** Heads before files: a running process then has written at least what its head states. */
async function gather(
  directory: string,
  key: KeyObject,
  storeHeads: readonly AuditHead[],
  say: (problem: AuditProblem) => void,
): Promise<Map<string, Evidence>> {
  const streams = new Map<string, Evidence>();
  const of = (stream: string) => {
    let evidence = streams.get(stream);
    if (evidence === undefined) {
      evidence = { files: [], headFile: false, heads: [] };
      streams.set(stream, evidence);
    }
    return evidence;
  };
  const admit = (stream: string, head: AuditHead | undefined, source: string) => {
    if (head !== undefined && head.stream === stream && isAuthentic(head, key)) {
      const { heads } = of(stream);
      const same = heads.find((found) => headBytes(found.head).equals(headBytes(head)));
      if (same === undefined) heads.push({ head, source });
      else same.source += ` and in ${source}`;
    } else
      say({
        kind: "forged",
        file: source,
        line: 0,
        message: `the head of stream ${stream} is not signed by this key`,
      });
  };
  for (const head of storeHeads) admit(head.stream, head, "store");
  // All of it may be gone: what the store knows of is missing then.
  const names = () =>
    readdir(directory).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT" && storeHeads.length > 0) return [];
      throw error;
    });
  for (const name of await names()) {
    const stream = /^([0-9a-f]{16})\.head$/.exec(name)?.[1];
    if (stream === undefined) continue;
    of(stream).headFile = true;
    admit(stream, await readHead(join(directory, name)), name);
  }
  for (const name of await names()) {
    const parsed = parseFileName(name);
    if (parsed !== undefined) of(parsed.stream).files.push({ name, number: parsed.number });
    else if (name.endsWith(".jsonl"))
      say({ kind: "unreadable", file: name, line: 0, message: "this is no name of a log file" });
  }
  for (const { files } of streams.values())
    files.sort((a, b) => a.number - b.number || (a.name < b.name ? -1 : 1));
  return streams;
}

function byFirstFile([, a]: [string, Evidence], [, b]: [string, Evidence]): number {
  return (a.files[0]?.name ?? "") < (b.files[0]?.name ?? "") ? -1 : 1;
}

async function verifyStream(
  directory: string,
  stream: string,
  { files, headFile, heads }: Evidence,
  say: (problem: AuditProblem) => void,
  notes: string[],
): Promise<StreamReport> {
  const chain = new ChainCheck(heads, say);
  let last = { name: null as string | null, number: 0 };
  for (const file of files) {
    const gap = file.number - last.number;
    if (gap === 0)
      say({ kind: "reordered", file: file.name, line: 0, message: `${last.name} has the same number` });
    if (gap > 1)
      say({
        kind: "missing",
        file: file.name,
        line: 0,
        message: `${gap - 1} of stream ${stream}'s files before this one (${last.number + 1} to ${file.number - 1}) missing`,
      });
    await chain.file(directory, file.name, stream, gap === 1 ? last.name : undefined);
    last = file;
  }
  const newest = heads.map(({ head }) => head).reduce<AuditHead | undefined>(newer, undefined);
  if (newest !== undefined && !files.some(({ name }) => name === newest.file))
    say({
      kind: "missing",
      file: newest.file,
      line: 0,
      message: `the file that held sequence ${newest.sequence} of stream ${stream}, the last one signed, is missing`,
    });
  if (files.length > 0) chain.finish();
  const killedAtStart = heads.length === 0 && files.length === 1 && chain.lines <= 1;
  if (!headFile && !killedAtStart)
    say({
      kind: "missing",
      file: headName(stream),
      line: 0,
      message: `the head file of stream ${stream} is missing`,
    });
  note(stream, chain, newest, killedAtStart, notes);
  return {
    stream,
    files: files.length,
    lines: chain.lines,
    signed: newest === undefined ? null : { sequence: newest.sequence, time: newest.time },
    notYetSigned: chain.unsigned,
    closed: newest?.closed ?? false,
  };
}

function newer(a: AuditHead | undefined, b: AuditHead): AuditHead {
  return a === undefined || b.sequence > a.sequence || (b.sequence === a.sequence && b.closed) ? b : a;
}

function note(
  stream: string,
  chain: ChainCheck,
  newest: AuditHead | undefined,
  killedAtStart: boolean,
  notes: string[],
): void {
  if (killedAtStart) notes.push(`stream ${stream} ended before its first event`);
  else if (newest !== undefined && !newest.closed && chain.unsigned > 0)
    notes.push(
      `stream ${stream}: ${chain.unsigned} lines after sequence ${newest.sequence} are not yet signed: ` +
        "its process still runs, or was killed",
    );
  if (chain.torn !== undefined && newest?.closed !== true)
    notes.push(
      `${chain.torn.file}: line ${chain.torn.line} is incomplete: its process is writing it, or was killed`,
    );
}
