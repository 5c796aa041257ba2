import { randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type Journal, LogFile } from "./file.ts";
import { type AuditHead, type HeadSigner, headName, signHead, writeHead } from "./head.ts";
import { fileName, headerBody, MAX_BODY, ORIGIN } from "./line.ts";

/** The event could not be made durable: the answer that it stands for must not leave. */
export class AuditError extends Error {
  override name = "AuditError";
}

export interface LogOptions {
  directory: string;
  signer: HeadSigner;
  journal: Journal;
  /** Keeps a copy of each head where whoever can change the directory cannot. */
  keepHead?: ((head: AuditHead) => unknown) | undefined;
  clock: () => number;
  /** Bytes after which a file is followed by the next. */
  rotateAt: number;
  /** Milliseconds between heads while there are new lines. */
  headInterval: number;
}

/** Lines that are written together. Whoever waits for one of them waits for this promise: one each takes 0.3 µs. */
class Commit {
  readonly bodies: string[] = [];
  readonly durable: Promise<void>;
  resolve!: () => void;
  reject!: (error: unknown) => void;

  constructor() {
    this.durable = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }
}

/** One process's own chain of lines over one or more files. */
interface Stream {
  id: string;
  number: number;
  name: string;
  file: LogFile;
  day: number;
  /** Of the last durable line. */
  sequence: number;
  digest: string;
  /** Of the last line that was handed to the journal. */
  handedIn: number;
  signedSequence: number;
}

const DAY = 86_400_000;
/** So that a burst of callers does not hold the main thread in one piece. */
const LINES_A_COMMIT = 2048;

/** The journal has one commit in hand and one ready behind it. */
const UNDER_WAY = 2;

/**
 * A log with group commit: what is recorded while commits are under way goes with the next. A failure ends the
 * stream: its last durable line is signed, the lines in doubt are refused, and the next ones wait for a new
 * stream in a new file.
 */
export class Log {
  #options: LogOptions;
  #queue: Commit[] = [];
  /** Set while the next commit is being put together. */
  #starting: Promise<void> | undefined;
  #underWay = 0;
  /** Resolves when all that is under way has been answered. */
  #landed: Promise<void> = Promise.resolve();
  #stream: Stream | undefined;
  /** Given up after a failure, while their last lines are not signed yet. */
  #abandoned: Stream[] = [];
  #signing: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #failure: unknown;
  #headFailure: unknown;
  #closed = false;

  constructor(options: LogOptions) {
    this.#options = options;
  }

  /** Starts the stream; rejects when no line could be written or no head be signed. */
  async open(): Promise<void> {
    this.#stream = await this.#begin();
  }

  append(body: string): Promise<void> {
    if (this.#closed) return Promise.reject(new AuditError("the audit log is closed"));
    if (body.length > MAX_BODY)
      return Promise.reject(
        new AuditError(`an event of ${body.length} characters is too long for the audit log`),
      );
    let commit = this.#queue.at(-1);
    if (commit === undefined || commit.bodies.length === LINES_A_COMMIT) {
      commit = new Commit();
      this.#queue.push(commit);
    }
    commit.bodies.push(body);
    this.#startSoon();
    return commit.durable;
  }

  status(): { stream?: string; file?: string; lines: number; failure?: unknown; headFailure?: unknown } {
    return {
      stream: this.#stream?.id,
      file: this.#stream?.file.path,
      lines: this.#stream?.sequence ?? 0,
      failure: this.#failure,
      headFailure: this.#headFailure,
    };
  }

  /** Writes what was recorded, signs the last head and lets go; nothing can be recorded afterwards. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    while (this.#starting !== undefined || this.#underWay > 0) {
      await Promise.all([this.#starting, this.#landed]);
    }
    clearTimeout(this.#timer);
    await this.#signAbandoned();
    const stream = this.#stream;
    if (stream === undefined) return;
    this.#stream = undefined;
    try {
      await this.#sign(stream, true);
    } catch (cause) {
      throw new AuditError("the audit log's last head could not be signed and kept", { cause });
    } finally {
      await stream.file.close();
    }
  }

  /**
   * Starting behind the promises that are going on now gathers what they record: those who were answered together by
   * the HSM, or by the commit before. Waiting for the end of the turn would gather more, but leaves the disk idle
   * until then: with 64 callers in flight there were 15 % fewer a second.
   */
  #startSoon(): void {
    if (this.#starting !== undefined || this.#underWay >= UNDER_WAY || this.#queue.length === 0) return;
    this.#starting = new Promise<void>((done) => process.nextTick(done)).then(() => this.#start());
  }

  async #start(): Promise<void> {
    const commit = this.#queue.shift() as Commit;
    try {
      const stream = await this.#ready();
      const writing = stream.file.append(stream.handedIn + 1, commit.bodies);
      stream.handedIn += commit.bodies.length;
      this.#underWay++;
      this.#landed = this.#land(stream, commit, stream.handedIn, writing, this.#landed);
    } catch (cause) {
      this.#refuse(commit, cause);
    }
    this.#starting = undefined;
    this.#startSoon();
  }

  /** The stream to write to: a new one or a new file only when nothing is under way in the old. */
  async #ready(): Promise<Stream> {
    const now = this.#options.clock();
    let stream = this.#stream;
    const full = stream !== undefined && stream.file.size >= this.#options.rotateAt;
    if (stream !== undefined && !full && Math.floor(now / DAY) === stream.day) return stream;
    await this.#landed;
    stream = this.#stream;
    if (stream !== undefined) {
      try {
        await this.#rotate(stream, now);
      } catch (error) {
        await this.#abandon(stream);
        throw error;
      }
      return stream;
    }
    this.#stream = await this.#begin();
    await this.#signAbandoned();
    return this.#stream;
  }

  /** Answers those who wait for a commit, in the order of the commits. Never rejects. */
  async #land(
    stream: Stream,
    commit: Commit,
    sequence: number,
    writing: Promise<string>,
    before: Promise<void>,
  ): Promise<void> {
    try {
      const [digest] = await Promise.all([writing, before]);
      stream.digest = digest;
      stream.sequence = sequence;
      this.#failure = undefined;
      commit.resolve();
      this.#signSoon();
    } catch (cause) {
      this.#refuse(commit, cause);
      await before;
      await this.#abandon(stream);
    }
    this.#underWay--;
    this.#startSoon();
  }

  #refuse(commit: Commit, cause: unknown): void {
    this.#failure = cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    commit.reject(new AuditError(`the audit log could not be written: ${reason}`, { cause }));
  }

  async #begin(): Promise<Stream> {
    const now = this.#options.clock();
    const id = randomBytes(8).toString("hex");
    const name = fileName(now, { stream: id, number: 1 });
    const file = await LogFile.create(join(this.#options.directory, name), this.#options.journal, ORIGIN);
    const day = Math.floor(now / DAY);
    const start = { sequence: 0, digest: ORIGIN, handedIn: 0, signedSequence: 0 };
    const stream = { id, number: 1, name, file, day, ...start };
    try {
      await write(stream, file, header(stream, name, null, now));
      // A stream is known by its head before it holds the first event, so that it cannot vanish unseen.
      await this.#sign(stream, false);
    } catch (error) {
      await discard(file);
      await rm(join(this.#options.directory, headName(id)), { force: true }).catch(() => {});
      throw error;
    }
    return stream;
  }

  async #rotate(stream: Stream, now: number): Promise<void> {
    const number = stream.number + 1;
    const name = fileName(now, { stream: stream.id, number });
    const { directory, journal } = this.#options;
    const next = await LogFile.create(join(directory, name), journal, stream.digest);
    const last = stream.file;
    try {
      await write(stream, next, header(stream, name, stream.name, now));
    } catch (error) {
      await discard(next);
      throw error;
    }
    Object.assign(stream, { number, name, file: next, day: Math.floor(now / DAY) });
    await last.close();
    // Without a head the lines are durable all the same, and the next one signs for them too.
    await this.#sign(stream, false).catch((error) => {
      this.#headFailure = error;
    });
  }

  /** Gives the stream up where it stands, its last durable line signed. */
  async #abandon(stream: Stream): Promise<void> {
    if (this.#stream !== stream) return;
    this.#stream = undefined;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#abandoned.push(stream);
    await this.#signAbandoned();
    await stream.file.leave().catch(() => {});
  }

  /** What stops the lines, a full disk for one, often stops the head too: so it is tried again later. */
  async #signAbandoned(): Promise<void> {
    for (const stream of this.#abandoned.splice(0)) {
      await this.#sign(stream, false).catch((error) => {
        this.#headFailure = error;
        this.#abandoned.push(stream);
      });
    }
  }

  #signSoon(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      const stream = this.#stream;
      if (stream === undefined) return;
      this.#sign(stream, false).then(
        () => {
          this.#headFailure = undefined;
        },
        (error) => {
          this.#headFailure = error;
          if (!this.#closed) this.#signSoon();
        },
      );
    }, this.#options.headInterval).unref();
  }

  /** Heads are made one after the other, so that an older one never replaces a newer. */
  #sign(stream: Stream, closed: boolean): Promise<void> {
    const { directory, signer, keepHead, clock } = this.#options;
    const signing = this.#signing.then(async () => {
      const { id, sequence, digest, name: file } = stream;
      if (sequence === stream.signedSequence && !closed) return;
      const head = await signHead(signer, { stream: id, sequence, digest, file, time: clock(), closed });
      await writeHead(directory, head);
      await keepHead?.(head);
      stream.signedSequence = sequence;
    });
    this.#signing = signing.catch(() => {});
    return signing;
  }
}

/** Takes back a file that holds no event, so that a full disk does not fill with attempts. */
async function discard(file: LogFile): Promise<void> {
  await file.leave();
  await rm(file.path, { force: true }).catch(() => {});
}

function header(stream: Stream, file: string, previousFile: string | null, now: number): string {
  const created = new Date(now).toISOString();
  const { id, digest: previousDigest } = stream;
  return headerBody({ auditVersion: 1, stream: id, file, previousFile, previousDigest, created });
}

/** A line that nothing else is under way with: a file's first. */
async function write(stream: Stream, file: LogFile, body: string): Promise<void> {
  stream.digest = await file.append(stream.sequence + 1, [body]);
  stream.handedIn = ++stream.sequence;
}
