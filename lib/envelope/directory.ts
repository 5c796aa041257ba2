import { createHash } from "node:crypto";
import { type FileHandle, mkdir, open, readdir, readFile, rm, stat } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { dirname, join, relative, sep } from "node:path";
import { replaceFile } from "./file.ts";
import type {
  DirectoryEntry,
  DirectoryOptions,
  DirectoryResult,
  EnvelopeProgress,
  FileResult,
} from "./options.ts";
import { inParallel } from "./parallel.ts";

/** What the names of encrypted files end in. */
export const SUFFIX = ".keystead";
/** In the directory that is written: one line of JSON for each file that is planned, and one more when it is done. */
export const MANIFEST = ".keystead-manifest";

/** Why a directory was not done to its end. What is done is in its manifest: the same call again goes on from there. */
export class DirectoryError extends Error {
  override readonly name = "DirectoryError";
  /** The file that failed, as the caller names its directory. */
  readonly path: string;
  /** How many files are done, of how many. */
  readonly done: number;
  readonly total: number;
  /** As in a result. */
  readonly leftOut: readonly string[];

  constructor(
    path: string,
    { done, total, leftOut }: { done: number; total: number; leftOut: readonly string[] },
    cause: unknown,
  ) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(`${path}: ${reason} (${done} of ${total} files are done)`, { cause });
    this.path = path;
    this.done = done;
    this.total = total;
    this.leftOut = leftOut;
  }
}

interface Plan {
  path: string;
  to: string;
  size: number;
  modified: number;
}

/** One way through the envelope, for one file after the other. */
export interface DirectoryWay {
  /** The name that a file gets; undefined where it is left out. */
  rename(name: string): string | undefined;
  /** Whether the manifest stays when all is done. */
  keepsManifest: boolean;
  file(from: string, to: string, told: PerFile): Promise<FileResult>;
}

export interface PerFile {
  signal: AbortSignal | undefined;
  onProgress: (progress: EnvelopeProgress) => void;
  onPiece: (piece: Uint8Array) => void;
}

/**
 * All regular files below `from`, each to its place below `to`. A file is done once it is whole, on the disk and in the
 * manifest; what the manifest has is not done again, as long as the file it was made from has the same size and time. The
 * first failure lets what is under way end, and rejects.
 */
export async function passDirectory(
  from: string,
  to: string,
  way: DirectoryWay,
  options: DirectoryOptions,
): Promise<DirectoryResult> {
  const { signal, DryRun = false, Force = false, onProgress } = options;
  signal?.throwIfAborted();
  const { plans, left } = await walk(from, to, way);
  const known = await readManifest(to);
  const entries = new Map<string, DirectoryEntry>();
  const todo: Plan[] = [];
  for (const plan of plans) {
    const entry = known.get(plan.path);
    const there = await stat(join(to, plan.to)).catch(() => undefined);
    const same = entry?.Read === plan.size && entry.ModifiedAt === plan.modified && entry.To === plan.to;
    if (same && entry.Sha256 !== "" && there?.size === entry.Written) entries.set(plan.path, entry);
    else if (there && !entry && !Force) {
      throw Object.assign(
        new Error(`${join(to, plan.to)} exists already, and no run before this one has written it`),
        {
          code: "EEXIST",
          path: join(to, plan.to),
        },
      );
    } else todo.push(plan);
  }
  const total = todo.reduce((sum, { size }) => sum + size, 0);
  const result = () => ({
    Files: [...entries.values()].sort((a, b) => (a.Path < b.Path ? -1 : 1)),
    Resumed: plans.length - todo.length,
    LeftOut: left,
  });
  const planned = todo.map(({ path, to: target, size, modified }) => {
    return { Path: path, To: target, Read: size, ModifiedAt: modified, Written: 0, Sha256: "" };
  });
  if (DryRun) {
    for (const entry of planned) entries.set(entry.Path, entry);
    return result();
  }
  await mkdir(to, { recursive: true });
  // What is planned is in it too: a run that is killed between a file and its line has still written that file.
  await writeManifest(to, [...entries.values(), ...planned], signal);
  const manifest = await open(join(to, MANIFEST), "a");
  let done = 0;
  const one = async (plan: Plan) => {
    let before = 0;
    const hash = createHash("sha256");
    const told: PerFile = {
      signal,
      onPiece: (piece) => void hash.update(piece),
      onProgress(at) {
        done += at.done - before;
        before = at.done;
        onProgress?.({ done, total });
      },
    };
    const target = join(to, plan.to);
    await mkdir(dirname(target), { recursive: true });
    const { read, written } = await way.file(join(from, plan.path), target, told).catch((cause) => {
      signal?.throwIfAborted();
      const so = { done: entries.size, total: plans.length, leftOut: left };
      throw new DirectoryError(join(from, plan.path), so, cause);
    });
    const entry = {
      Path: plan.path,
      To: plan.to,
      Read: read,
      ModifiedAt: plan.modified,
      Written: written,
      Sha256: hash.digest("hex"),
    };
    await append(manifest, entry);
    entries.set(plan.path, entry);
  };
  try {
    await inParallel(todo, options.Concurrency ?? Math.min(8, 2 * availableParallelism()), one);
  } finally {
    await manifest.close();
  }
  if (way.keepsManifest) await writeManifest(to, result().Files, signal);
  else await rm(join(to, MANIFEST));
  return result();
}

async function walk(from: string, to: string, way: DirectoryWay) {
  const plans: Plan[] = [];
  const left: string[] = [];
  const entries = await readdir(from, { recursive: true, withFileTypes: true });
  const inside = relative(from, to);
  for (const entry of entries) {
    const folder = relative(from, entry.parentPath);
    const path = join(folder, entry.name);
    // What is written into the directory that is read is not read.
    if (inside !== "" && (path === inside || path.startsWith(inside + sep))) continue;
    if (entry.isDirectory() || entry.name === MANIFEST) continue;
    const renamed = entry.isFile() ? way.rename(entry.name) : undefined;
    if (renamed === undefined) {
      left.push(path);
      continue;
    }
    const { size, mtimeMs } = await stat(join(from, path));
    plans.push({ path, to: join(folder, renamed), size, modified: mtimeMs });
  }
  const byPath = (a: Plan, b: Plan) => (a.path < b.path ? -1 : 1);
  return { plans: plans.sort(byPath), left: left.sort() };
}

async function readManifest(to: string): Promise<Map<string, DirectoryEntry>> {
  const text = await readFile(join(to, MANIFEST), "utf8").catch((error) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
  const known = new Map<string, DirectoryEntry>();
  for (const line of text.split("\n").slice(0, -1)) {
    const entry = JSON.parse(line) as DirectoryEntry;
    known.set(entry.Path, entry);
  }
  return known;
}

async function writeManifest(
  to: string,
  entries: readonly DirectoryEntry[],
  signal: AbortSignal | undefined,
) {
  const lines = entries.map((entry) => `${JSON.stringify(entry)}\n`).join("");
  await replaceFile(join(to, MANIFEST), one(Buffer.from(lines)), signal);
}

async function append(manifest: FileHandle, entry: DirectoryEntry) {
  await manifest.appendFile(`${JSON.stringify(entry)}\n`);
}

async function* one(piece: Uint8Array) {
  yield piece;
}
