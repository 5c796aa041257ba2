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

interface Waiting {
  body: string;
  resolve: () => void;
  reject: (error: unknown) => void;
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
  signedSequence: number;
}

const DAY = 86_400_000;
/** So that a burst of callers does not hold the main thread in one piece. */
const LINES_A_COMMIT = 2048;

/**
 * A log with group commit: one write and sync is under way at a time, and what is recorded meanwhile goes with
 * the next. A failure ends the stream: its last durable line is signed, the lines in doubt are refused, and
 * the next ones wait for a new stream in a new file.
 */
export class Log {
  #options: LogOptions;
  #queue: Waiting[] = [];
  #running: Promise<void> | undefined;
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
    return new Promise((resolve, reject) => {
      this.#queue.push({ body, resolve, reject });
      // Starting after this turn of the event loop gathers all that the turn records.
      this.#running ??= new Promise<void>((done) => setImmediate(done)).then(() => this.#run());
    });
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
    await this.#running;
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

  async #run(): Promise<void> {
    while (this.#queue.length > 0) {
      const waiting = this.#queue.splice(0, LINES_A_COMMIT);
      try {
        await this.#commit(waiting);
        this.#failure = undefined;
        for (const { resolve } of waiting) resolve();
      } catch (cause) {
        this.#failure = cause;
        const reason = cause instanceof Error ? cause.message : String(cause);
        const error = new AuditError(`the audit log could not be written: ${reason}`, { cause });
        for (const { reject } of waiting) reject(error);
        await this.#abandon();
      }
    }
    this.#running = undefined;
  }

  async #commit(waiting: Waiting[]): Promise<void> {
    if (this.#stream === undefined) {
      this.#stream = await this.#begin();
      await this.#signAbandoned();
    }
    const stream = this.#stream;
    const now = this.#options.clock();
    if (stream.file.size >= this.#options.rotateAt || Math.floor(now / DAY) !== stream.day)
      await this.#rotate(stream, now);
    await write(
      stream,
      stream.file,
      waiting.map(({ body }) => body),
    );
    this.#signSoon();
  }

  async #begin(): Promise<Stream> {
    const now = this.#options.clock();
    const id = randomBytes(8).toString("hex");
    const name = fileName(now, { stream: id, number: 1 });
    const file = await LogFile.create(join(this.#options.directory, name), this.#options.journal);
    const day = Math.floor(now / DAY);
    const stream = { id, number: 1, name, file, day, sequence: 0, digest: ORIGIN, signedSequence: 0 };
    try {
      await write(stream, file, [header(stream, name, null, now)]);
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
    const next = await LogFile.create(join(this.#options.directory, name), this.#options.journal);
    const last = stream.file;
    try {
      await write(stream, next, [header(stream, name, stream.name, now)]);
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
  async #abandon(): Promise<void> {
    const stream = this.#stream;
    if (stream === undefined) return;
    this.#stream = undefined;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#abandoned.push(stream);
    await this.#signAbandoned();
    await stream.file.close().catch(() => {});
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
  await file.close();
  await rm(file.path, { force: true }).catch(() => {});
}

function header(stream: Stream, file: string, previousFile: string | null, now: number): string {
  const created = new Date(now).toISOString();
  const { id, digest: previousDigest } = stream;
  return headerBody({ auditVersion: 1, stream: id, file, previousFile, previousDigest, created });
}

/** Chains the bodies behind the stream's last line and makes them durable. */
async function write(stream: Stream, file: LogFile, bodies: string[]): Promise<void> {
  stream.digest = await file.append(stream, bodies);
  stream.sequence += bodies.length;
}
