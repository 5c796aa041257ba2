import { Readable } from "node:stream";
import { EnvelopeError } from "./error.ts";
import { type ByteSource, type Intake, isByteSource, StreamIntake } from "./intake.ts";

/**
 * A stream of what `pass` makes of the source; nothing runs before it is read. When it is destroyed, or `outer`
 * aborts, `pass` gets an aborted signal, and the stream closes once `pass` has cleaned up.
 */
export function readable(
  source: ByteSource,
  outer: AbortSignal | undefined,
  pass: (intake: Intake, signal: AbortSignal) => AsyncGenerator<Uint8Array, void, void>,
): Readable {
  if (!isByteSource(source)) throw new TypeError("the source must be a Uint8Array, or a stream of them");
  const destroyed = new AbortController();
  const signal = outer ? AbortSignal.any([outer, destroyed.signal]) : destroyed.signal;
  const intake = new StreamIntake(source, signal);
  const pieces = pass(intake, signal);
  return new Readable({
    signal: outer,
    read() {
      pieces.next().then(
        ({ done, value }) => this.push(done ? null : value),
        (error) => this.destroy(error),
      );
    },
    destroy(error, callback) {
      destroyed.abort(error ?? undefined);
      const closed = pieces.return().then(() => intake.close());
      closed.then(
        () => callback(error),
        () => callback(error),
      );
    },
  });
}

/** A KMS that does not answer keeps nobody who has given up; `late` gets what it answers then. */
export function untilAborted<T>(
  work: Promise<T>,
  signal: AbortSignal | undefined,
  late: (value: T) => void = () => {},
): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const abort = () => {
      reject(signal.reason);
      work.then(late, () => {});
    };
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/** What was taken from an iterator to look at it, and the rest. */
export async function* startingWith<T>(
  first: IteratorResult<T, void>,
  rest: AsyncIterable<T>,
): AsyncGenerator<T, void, void> {
  if (first.done) return;
  yield first.value;
  yield* rest;
}

export async function* watched(pieces: AsyncIterable<Uint8Array>, onPiece: (piece: Uint8Array) => void) {
  for await (const piece of pieces) {
    onPiece(piece);
    yield piece;
  }
}

export const MAX_HELD_LENGTH = 64 << 20;

/** All at once, when the last of it is there; of a message that is not signed, piece by piece. */
export async function* held(
  pieces: AsyncIterable<Uint8Array>,
  signed: () => boolean,
  limit: number,
): AsyncGenerator<Uint8Array, void, void> {
  const kept: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const piece of pieces) {
      if (!signed()) {
        yield piece;
        continue;
      }
      kept.push(piece);
      length += piece.length;
      if (length > limit) {
        throw new EnvelopeError(
          "LIMIT",
          `the message is signed, and more than ${limit} bytes would be held until its end: raise MaxHeldLength`,
        );
      }
    }
  } catch (error) {
    for (const piece of kept) piece.fill(0);
    throw error;
  }
  yield* kept;
}
