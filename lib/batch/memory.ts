/** Kept for the next batch: a larger one's memory is let go of. */
const KEPT = 8 << 20;

let spare: ArrayBufferLike | undefined;

/**
 * For what the engine writes in whole, or wipes: not cleared first, which takes the main thread 60 µs a MiB. Its buffer is
 * its own.
 */
export function unclearedMemory(size: number): Uint8Array {
  return new Uint8Array(Buffer.allocUnsafeSlow(size).buffer);
}

/**
 * For a copy of what a batch was given, not cleared either: the same memory for one batch after the other, since the
 * first touch of new memory takes longer than the copying.
 */
export function borrowMemory(size: number): Uint8Array {
  const buffer = spare !== undefined && spare.byteLength >= size ? spare : unclearedMemory(size).buffer;
  if (buffer === spare) spare = undefined;
  return new Uint8Array(buffer, 0, size);
}

/** Plaintexts must have been wiped from it. */
export function returnMemory({ buffer }: Uint8Array): void {
  if (buffer.byteLength <= KEPT && buffer.byteLength > (spare?.byteLength ?? 0)) spare = buffer;
}
