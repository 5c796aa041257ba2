import { type FileHandle, open, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseFileName } from "./line.ts";

const CHUNK = 1 << 16;
/** How often a followed directory is looked at, in milliseconds. */
const PAUSE = 200;

interface LogName {
  path: string;
  modified: number;
}

async function logFiles(directory: string): Promise<LogName[]> {
  const names = (await readdir(directory)).filter((name) => parseFileName(name) !== undefined);
  const paths = names.sort().map((name) => join(directory, name));
  return Promise.all(paths.map(async (path) => ({ path, modified: (await stat(path)).mtimeMs })));
}

/** Events begin so; a file's header line does not. */
const isEvent = (line: string) => line.startsWith('{"eventVersion"');

/** CloudTrail's time of an event has a fixed place behind the caller, but not a fixed column. */
const timeOf = (line: string) => /"eventTime":"([^"]+)"/.exec(line)?.[1] ?? "";

function byTime(lines: string[]): string[] {
  return lines
    .map((line) => ({ line, time: timeOf(line) }))
    .sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0))
    .map(({ line }) => line);
}

/** The last `count` event lines of all streams, by their time. */
export async function lastEvents(directory: string, count: number): Promise<string[]> {
  let lines: string[] = [];
  const files = (await logFiles(directory)).sort((a, b) => b.modified - a.modified);
  for (const { path, modified } of files) {
    const oldest = lines.length < count ? Number.NEGATIVE_INFINITY : Date.parse(timeOf(lines[0] as string));
    // Events carry whole seconds: a file last written a second before the oldest has nothing newer.
    if (count === 0 || modified < oldest - 1_000) break;
    lines = byTime([...(await lastOf(path, count)), ...lines]).slice(-count);
  }
  return lines;
}

async function lastOf(path: string, count: number): Promise<string[]> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    for (let length = CHUNK; ; length *= 4) {
      const from = Math.max(0, size - length);
      const lines = wholeLines(await read(file, from, size - from));
      if (from > 0) lines.shift();
      const events = lines.filter(isEvent);
      if (events.length >= count || from === 0) return events.slice(-count);
    }
  } finally {
    await file.close();
  }
}

async function read(file: FileHandle, from: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  const { bytesRead } = await file.read(bytes, 0, length, from);
  return bytes.subarray(0, bytesRead);
}

function wholeLines(bytes: Buffer): string[] {
  return withoutFiller(bytes).toString().split("\n").slice(0, -1);
}

/** A file under way ends with zero bytes, which its next lines overwrite. */
function withoutFiller(bytes: Buffer): Buffer {
  const zero = bytes.indexOf(0);
  return zero < 0 ? bytes : bytes.subarray(0, zero);
}

/** Where the lines of a file end. */
async function endOfLines(path: string): Promise<number> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    for (let end = size; end > 0; ) {
      const from = Math.max(0, end - CHUNK);
      const newline = (await read(file, from, end - from)).lastIndexOf(10);
      if (newline >= 0) return from + newline + 1;
      end = from;
    }
    return 0;
  } finally {
    await file.close();
  }
}

/**
 * Event lines as they are written from now on, in whichever file, until the signal aborts: what was written before
 * the promise resolved does not come.
 */
export async function followEvents(
  directory: string,
  signal: AbortSignal,
): Promise<AsyncGenerator<string, void>> {
  const seen = new Map<string, number>();
  for (const { path } of await logFiles(directory)) seen.set(path, await endOfLines(path));
  return follow(directory, signal, seen);
}

/** `seen` says how far each file has been read. */
async function* follow(
  directory: string,
  signal: AbortSignal,
  seen: Map<string, number>,
): AsyncGenerator<string, void> {
  while (!signal.aborted) {
    const lines: string[] = [];
    for (const { path } of await logFiles(directory)) {
      const from = seen.get(path) ?? 0;
      const { size } = await stat(path);
      if (size <= from) continue;
      const bytes = await readFrom(path, from, size - from);
      const end = bytes.lastIndexOf(10) + 1;
      seen.set(path, from + end);
      lines.push(...wholeLines(bytes.subarray(0, end)).filter(isEvent));
    }
    yield* byTime(lines);
    await sleep(PAUSE, undefined, { signal }).catch(() => {});
  }
}

async function readFrom(path: string, from: number, length: number): Promise<Buffer> {
  const file = await open(path);
  try {
    const pieces: Buffer[] = [];
    for (let at = from, end = from + Math.min(length, 1 << 24); at < end; at += CHUNK) {
      const piece = await read(file, at, Math.min(CHUNK, end - at));
      pieces.push(withoutFiller(piece));
      if (piece.includes(0) || piece.length < CHUNK) break;
    }
    return Buffer.concat(pieces);
  } finally {
    await file.close();
  }
}
