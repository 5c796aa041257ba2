import { createHash } from "node:crypto";
import { mkdir, readdir, realpath, rm, stat } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { basename, join, relative, sep } from "node:path";
import { alone, appending, LOCK, MANIFEST, readManifest, UNFINISHED, writeManifest } from "./manifest.ts";
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
  /** Of the name of the file that is being written. */
  prefix: string;
}

/**
 * All regular files below `from`, each to its place below `to`. A file is done once it is whole, on the disk and in the
 * manifest; what the manifest has is not done again, as long as the file it was made from has the same size and time. The
 * first failure lets what is under way end, and rejects. One run at a time writes to a directory.
 */
export async function passDirectory(
  from: string,
  to: string,
  way: DirectoryWay,
  options: DirectoryOptions,
): Promise<DirectoryResult> {
  const { signal, DryRun = false } = options;
  checkConcurrency(options);
  signal?.throwIfAborted();
  if (relative(await realpath(from), await realpath(to).catch(() => to)) === "")
    throw new TypeError(`${to} cannot be read and written at once: give another directory to write to`);
  if (DryRun) return (await prepare(from, to, way, options)).result();
  await mkdir(to, { recursive: true });
  return alone(to, async () => {
    const { plans, folders, known, todo, entries, result } = await prepare(from, to, way, options);
    if (known.size > 0) await removeUnfinished(to);
    // What is planned is in it too: a run that is killed between a file and its line has still written that file.
    await writeManifest(to, [...entries.values(), ...todo.map(planned)], signal);
    for (const folder of folders) await mkdir(join(to, folder), { recursive: true });
    const told = telling(todo, options);
    await appending(to, (append) =>
      inParallel(todo, lanes(options), async (plan) => {
        const hash = createHash("sha256");
        const perFile = { ...told(), onPiece: (piece: Uint8Array) => void hash.update(piece) };
        const { read, written } = await way
          .file(join(from, plan.path), join(to, plan.to), perFile)
          .catch((cause) => {
            signal?.throwIfAborted();
            const so = { done: entries.size, total: plans.length, leftOut: result().LeftOut };
            throw new DirectoryError(join(from, plan.path), so, cause);
          });
        const entry = { ...planned(plan), Read: read, Written: written, Sha256: hash.digest("hex") };
        await append(entry);
        entries.set(plan.path, entry);
      }),
    );
    if (way.keepsManifest) await writeManifest(to, result().Files, signal);
    else await rm(join(to, MANIFEST));
    return result();
  });
}

/** One way through the envelope for files that stay where they are. */
export interface InPlace {
  ours(name: string): boolean;
  /** Undefined where the file stays as it is. */
  file(path: string, told: PerFile): Promise<{ read: number; written: number } | undefined>;
}

/** Each file below the directory that is `ours` is written anew in its place, and its line of the manifest too. */
export async function passInPlace(
  directory: string,
  way: InPlace,
  options: Pick<DirectoryOptions, "Concurrency" | "DryRun" | "signal" | "onProgress">,
): Promise<DirectoryResult> {
  checkConcurrency(options);
  options.signal?.throwIfAborted();
  const all = async () => {
    const rename = (name: string) => (way.ours(name) ? name : undefined);
    return walk(directory, undefined, { rename }, options.signal);
  };
  if (options.DryRun) {
    const { plans, left } = await all();
    return { Files: plans.map(planned), Resumed: 0, LeftOut: left };
  }
  return alone(directory, async () => {
    await removeUnfinished(directory);
    const { plans, left } = await all();
    const known = new Map([...(await readManifest(directory)).values()].map((entry) => [entry.To, entry]));
    const entries = new Map<string, DirectoryEntry>();
    const told = telling(plans, options);
    const pass = (append?: (entry: DirectoryEntry) => Promise<void>) =>
      inParallel(plans, lanes(options), async (plan) => {
        const before = known.get(plan.to);
        // Until its new digest is there, the file counts as not done.
        if (before) await append?.({ ...before, Sha256: "" });
        const hash = createHash("sha256");
        const perFile = { ...told(), onPiece: (piece: Uint8Array) => void hash.update(piece) };
        const passed = await way.file(join(directory, plan.path), perFile).catch(async (cause) => {
          if (before) await append?.(before);
          options.signal?.throwIfAborted();
          const so = { done: entries.size, total: plans.length, leftOut: left };
          throw new DirectoryError(join(directory, plan.path), so, cause);
        });
        if (passed === undefined) {
          left.push(plan.path);
          if (before) await append?.(before);
          return;
        }
        const { read, written } = passed;
        const Sha256 = hash.digest("hex");
        if (before) await append?.({ ...before, Written: written, Sha256 });
        entries.set(plan.path, { ...planned(plan), Read: read, Written: written, Sha256 });
      });
    if (known.size === 0) await pass();
    else {
      await appending(directory, pass);
      await writeManifest(directory, [...(await readManifest(directory)).values()], options.signal);
    }
    return { Files: [...entries.values()].sort(byPath), Resumed: 0, LeftOut: left.sort() };
  });
}

/** What there is to do, and what was done before. */
async function prepare(from: string, to: string, way: DirectoryWay, options: DirectoryOptions) {
  const { plans, folders, left } = await walk(from, to, way, options.signal);
  const known = await readManifest(to);
  const entries = new Map<string, DirectoryEntry>();
  const todo: Plan[] = [];
  for (const plan of plans) {
    const entry = known.get(plan.path);
    const there = await stat(join(to, plan.to)).catch(() => undefined);
    const same = entry?.Read === plan.size && entry.ModifiedAt === plan.modified && entry.To === plan.to;
    if (same && entry.Sha256 !== "" && there?.size === entry.Written) entries.set(plan.path, entry);
    else if (there && !entry && !options.Force) {
      const path = join(to, plan.to);
      const message = `${path} exists already, and no run before this one has written it`;
      throw Object.assign(new Error(message), { code: "EEXIST", path });
    } else todo.push(plan);
  }
  const result = (): DirectoryResult => ({
    Files: [...entries.values(), ...(options.DryRun ? todo.map(planned) : [])].sort(byPath),
    Resumed: plans.length - todo.length,
    LeftOut: left,
  });
  return { plans, folders, known, todo, entries, result };
}

const planned = ({ path, to, size, modified }: Plan): DirectoryEntry => ({
  Path: path,
  To: to,
  Read: size,
  ModifiedAt: modified,
  Written: 0,
  Sha256: "",
});

const byPath = (a: DirectoryEntry, b: DirectoryEntry) => (a.Path < b.Path ? -1 : 1);

/** What each file is told, of which the caller hears in sum. */
function telling(
  plans: readonly Plan[],
  { signal, onProgress }: Pick<DirectoryOptions, "signal" | "onProgress">,
) {
  const total = plans.reduce((sum, { size }) => sum + size, 0);
  let done = 0;
  return () => {
    let before = 0;
    return {
      signal,
      prefix: UNFINISHED,
      onProgress(at: EnvelopeProgress) {
        done += at.done - before;
        before = at.done;
        onProgress?.({ done, total });
      },
    };
  };
}

function checkConcurrency({ Concurrency = 1 }: Pick<DirectoryOptions, "Concurrency">) {
  if (!Number.isInteger(Concurrency) || Concurrency < 1)
    throw new TypeError("Concurrency: must be a whole number from 1 on");
}

const lanes = ({ Concurrency }: Pick<DirectoryOptions, "Concurrency">) =>
  Concurrency ?? Math.min(8, 2 * availableParallelism());

async function walk(
  from: string,
  to: string | undefined,
  way: Pick<DirectoryWay, "rename">,
  signal: AbortSignal | undefined,
) {
  const plans: Plan[] = [];
  const folders: string[] = [];
  const left: string[] = [];
  const entries = await readdir(from, { recursive: true, withFileTypes: true });
  const inside = to === undefined ? "" : relative(from, to);
  for (const entry of entries) {
    signal?.throwIfAborted();
    const folder = relative(from, entry.parentPath);
    const path = join(folder, entry.name);
    // What is written into the directory that is read is not read.
    if (inside !== "" && (path === inside || path.startsWith(inside + sep))) continue;
    if (entry.name === MANIFEST || entry.name.startsWith(LOCK)) continue;
    if (entry.isDirectory()) {
      folders.push(path);
      continue;
    }
    const renamed = entry.isFile() ? way.rename(entry.name) : undefined;
    // Not found: removed since, or of a name that is not UTF-8.
    const there = renamed === undefined ? undefined : await stat(join(from, path)).catch(unlessAbsent);
    if (renamed === undefined || there === undefined) left.push(path);
    else plans.push({ path, to: join(folder, renamed), size: there.size, modified: there.mtimeMs });
  }
  return { plans: plans.sort((a, b) => (a.path < b.path ? -1 : 1)), folders, left: left.sort() };
}

function unlessAbsent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
}

/** What a run that was killed was at: part of a file, perhaps of a plaintext. */
async function removeUnfinished(directory: string) {
  for (const path of await readdir(directory, { recursive: true })) {
    if (basename(path).startsWith(UNFINISHED)) await rm(join(directory, path), { force: true });
  }
}
