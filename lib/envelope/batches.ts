import { untilAborted } from "./stream.ts";

/** Records that cross at once, by number and by bytes. */
const RECORDS = 4096;
const BYTES = 4 << 20;
/** Milliseconds that a record waits for company. */
const LINGER = 2;
/** Batches under way at the same time. */
const IN_FLIGHT = 3;

const WAKE = Symbol();

/**
 * What `work` makes of the records, in their order, in batches; no more is taken in than that. `close` is called at the end, and
 * again when work that nobody waited for is done.
 */
export async function* inBatches<Result>(
  source: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  work: (records: Uint8Array[]) => Promise<readonly Result[]>,
  close: () => void,
  signal: AbortSignal | undefined,
): AsyncGenerator<Result, void, void> {
  const running: Promise<readonly Result[]>[] = [];
  // A source that answers when it likes must not keep what is done already.
  const inFlight = Symbol.asyncIterator in source ? 1 : IN_FLIGHT;
  const first = () => untilAborted(running[0] as (typeof running)[0], signal);
  try {
    for await (const batch of Symbol.asyncIterator in source ? gathered(source, signal) : taken(source)) {
      signal?.throwIfAborted();
      running.push(work(batch));
      if (running.length < inFlight) continue;
      yield* await first();
      running.shift();
    }
    while (running.length > 0) {
      signal?.throwIfAborted();
      yield* await first();
      running.shift();
    }
  } finally {
    close();
    Promise.allSettled(running).then(close);
  }
}

function* taken(source: Iterable<Uint8Array>): Generator<Uint8Array[], void, void> {
  let batch: Uint8Array[] = [];
  let bytes = 0;
  for (const record of source) {
    batch.push(checked(record));
    bytes += record.length;
    if (batch.length < RECORDS && bytes < BYTES) continue;
    yield batch;
    batch = [];
    bytes = 0;
  }
  if (batch.length > 0) yield batch;
}

async function* gathered(
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array[], void, void> {
  const iterator = source[Symbol.asyncIterator]();
  let waiting = true;
  const ask = () => {
    waiting = true;
    const next = iterator.next().finally(() => {
      waiting = false;
    });
    next.catch(ignore);
    return next;
  };
  let abort: () => void = () => {};
  try {
    let next = ask();
    for (let ended = false; !ended; ) {
      const batch: Uint8Array[] = [];
      let bytes = 0;
      let timer: NodeJS.Timeout | undefined;
      let wake: (value: typeof WAKE) => void = () => {};
      const woken = new Promise<typeof WAKE>((resolve, reject) => {
        wake = resolve;
        abort = () => reject(signal?.reason);
      });
      woken.catch(ignore);
      if (signal?.aborted) abort();
      signal?.addEventListener("abort", abort, { once: true });
      try {
        while (batch.length < RECORDS && bytes < BYTES) {
          const step = await Promise.race([next, woken]);
          if (step === WAKE) break;
          if (step.done) {
            ended = true;
            break;
          }
          batch.push(checked(step.value));
          bytes += step.value.length;
          next = ask();
          timer ??= setTimeout(wake, LINGER, WAKE);
        }
      } finally {
        clearTimeout(timer);
        signal?.removeEventListener("abort", abort);
      }
      if (batch.length > 0) yield batch;
    }
  } finally {
    // A source that was left waiting lets go of itself once it answers: nobody may wait for that.
    const closing = Promise.resolve(iterator.return?.()).then(ignore, ignore);
    if (!waiting) await closing;
  }
}

function checked(record: Uint8Array): Uint8Array {
  if (record instanceof Uint8Array) return record;
  throw new TypeError("the source gave something else than a Uint8Array: a record is bytes");
}

function ignore(): void {}
