import { Readable } from "node:stream";
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
