import { createReadStream, existsSync, openSync, type ReadStream, type Stats, statSync } from "node:fs";
import { mkdir, readdir } from "node:fs/promises";
import { basename, dirname, join, relative, resolve } from "node:path";
import { LOCK, MANIFEST, SUFFIX } from "../envelope.ts";
import { CliError, usage } from "./exit.ts";

/** One file that becomes another. */
export interface Transfer {
  from: string;
  to: string;
  size: number;
}

/** Which way names go; `undefined` where the new name cannot be told from the old. */
export type Renaming = (name: string) => string | undefined;

export const encryptedName: Renaming = (name) => name + SUFFIX;
export const decryptedName: Renaming = (name) =>
  name.endsWith(SUFFIX) && name.length > SUFFIX.length ? name.slice(0, -SUFFIX.length) : undefined;

interface Request {
  paths: readonly string[];
  /** Of the only path, or the directory of the results of several. */
  output: string | undefined;
  rename: Renaming;
  /** Whether files that exist may be replaced. */
  force: boolean;
}

/**
 * The files that the paths mean, and where each goes: beside the original, or to `output`; a directory becomes a
 * directory of the same layout. Files of a directory that cannot be renamed are in `skipped`.
 */
export async function plan({ paths, output, rename, force }: Request) {
  const transfers: Transfer[] = [];
  const skipped: string[] = [];
  const intoDirectory =
    output !== undefined && (paths.length > 1 || output.endsWith("/") || isDirectory(output));
  for (const path of paths) {
    const clean = path.replace(/(?<=[^/])\/+$/, "");
    const stats = statOf(clean);
    const renamed = rename(basename(clean));
    const to =
      output !== undefined && !intoDirectory
        ? output
        : renamed && join(intoDirectory ? (output as string) : dirname(clean), renamed);
    if (to === undefined)
      throw usage(
        `the name of ${path} does not end in ${SUFFIX}, so that of its plaintext is not known`,
        "give -o",
      );
    if (stats.isDirectory()) await walk(clean, to, rename, transfers, skipped);
    else if (stats.isFile()) transfers.push({ from: clean, to, size: stats.size });
    else throw usage(`${path} is neither a file nor a directory`, `give it on standard input: … < ${path}`);
  }
  const sources = new Map<string, string>();
  for (const { from, to } of transfers) {
    const other = sources.get(resolve(to));
    if (other !== undefined)
      throw usage(`${other} and ${from} would both become ${to}`, "give them in runs of their own");
    sources.set(resolve(to), from);
  }
  const existing = force ? undefined : transfers.find(({ to }) => existsSync(to));
  if (existing !== undefined)
    throw new CliError(`${existing.to} exists already`, {
      hint: "choose another name with -o, or replace it with --force",
    });
  for (const folder of new Set(transfers.map(({ to }) => dirname(to))))
    await mkdir(folder, { recursive: true });
  return { transfers, skipped };
}

async function walk(
  root: string,
  to: string,
  rename: Renaming,
  transfers: Transfer[],
  skipped: string[],
): Promise<void> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  for (const entry of entries.sort((a, b) =>
    join(a.parentPath, a.name) < join(b.parentPath, b.name) ? -1 : 1,
  )) {
    if (entry.isDirectory() || entry.name === MANIFEST || entry.name.startsWith(LOCK)) continue;
    const from = join(entry.parentPath, entry.name);
    const renamed = rename(entry.name);
    if (!entry.isFile() || renamed === undefined) skipped.push(from);
    else
      transfers.push({
        from,
        to: join(to, relative(root, entry.parentPath), renamed),
        size: statSync(from).size,
      });
  }
}

export const isDirectory = (path: string) =>
  statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

export function statOf(path: string): Stats {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) throw new CliError(`no such file or directory: ${path}`);
  return stats;
}

/** One file as a stream. Opened at once: a stream that fails before anybody listens ends the process. */
export function read(path: string): ReadStream {
  if (statOf(path).isDirectory()) throw usage(`${path} is a directory`, "give one file");
  return createReadStream(path, { fd: openSync(path, "r") });
}
