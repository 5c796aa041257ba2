import type { FileHandle } from "node:fs/promises";

/** Where the bytes of a message or of a plaintext come from, one after the other. */
export interface Intake {
  /** Resolves to how many bytes were put into `into`: fewer than it has room for only at the end. */
  fill(into: Uint8Array): Promise<number>;
}

/** Anything that gives bytes piece by piece: a Node or Web stream, an async generator, an array of pieces. */
export type ByteSource = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

export function isByteSource(source: unknown): source is ByteSource {
  return (
    typeof source === "object" &&
    source !== null &&
    (Symbol.asyncIterator in source || Symbol.iterator in source)
  );
}

export class StreamIntake implements Intake {
  readonly #iterator: AsyncIterator<Uint8Array> | Iterator<Uint8Array>;
  readonly #signal: AbortSignal | undefined;
  #rest: Uint8Array = new Uint8Array(0);
  #waiting = false;

  constructor(source: ByteSource, signal?: AbortSignal) {
    this.#iterator =
      Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
    this.#signal = signal;
  }

  async fill(into: Uint8Array): Promise<number> {
    let filled = 0;
    while (filled < into.length) {
      if (this.#rest.length === 0) {
        const next = await this.#next();
        if (next.done) break;
        if (!(next.value instanceof Uint8Array)) {
          throw new TypeError("the source gave something else than a Uint8Array: a stream must give bytes");
        }
        this.#rest = next.value;
        continue;
      }
      const piece = this.#rest.subarray(0, into.length - filled);
      into.set(piece, filled);
      filled += piece.length;
      this.#rest = this.#rest.subarray(piece.length);
    }
    return filled;
  }

  /** As the source's own `next`, but rejects as soon as the signal aborts, whatever the source does. */
  #next(): Promise<IteratorResult<Uint8Array>> {
    return new Promise((resolve, reject) => {
      const abort = () => reject(this.#signal?.reason);
      if (this.#signal?.aborted) return abort();
      this.#signal?.addEventListener("abort", abort, { once: true });
      this.#waiting = true;
      Promise.resolve(this.#iterator.next())
        // Before the taker is told: it may ask for the next piece at once.
        .finally(() => {
          this.#waiting = false;
          this.#signal?.removeEventListener("abort", abort);
        })
        .then(resolve, reject);
    });
  }

  /** Lets go of the source. */
  async close(): Promise<void> {
    // A source that was left waiting lets go of itself once it answers: nobody may wait for that.
    const closing = Promise.resolve(this.#iterator.return?.()).then(ignore, ignore);
    if (!this.#waiting) await closing;
  }
}

export class FileIntake implements Intake {
  readonly #file: FileHandle;
  readonly #signal: AbortSignal | undefined;
  #position = 0;

  /** Reads `file` from its beginning; whoever opened it closes it. */
  constructor(file: FileHandle, signal?: AbortSignal) {
    this.#file = file;
    this.#signal = signal;
  }

  /** How many bytes were read. */
  get position(): number {
    return this.#position;
  }

  async fill(into: Uint8Array): Promise<number> {
    let filled = 0;
    while (filled < into.length) {
      this.#signal?.throwIfAborted();
      const { bytesRead } = await this.#file.read(into, filled, into.length - filled, this.#position);
      if (bytesRead === 0) break;
      filled += bytesRead;
      this.#position += bytesRead;
    }
    return filled;
  }
}

function ignore(): void {}
