import { LIMITS } from "../batch.ts";
import { ValidationException } from "../errors.ts";
import type { BlobShape } from "../shape.ts";

/** One member of all entries. */
export interface Column {
  /** One behind the other. */
  readonly input: Uint8Array;
  readonly lengths: Uint32Array;
}

/** Copies parts of `size` bytes in all into `input`. */
export function concatenate(
  parts: readonly Uint8Array[],
  size: number,
  input: Uint8Array = new Uint8Array(size),
): Column {
  const lengths = new Uint32Array(parts.length);
  let at = 0;
  for (let i = 0; i < parts.length; i++) {
    const bytes = parts[i] as Uint8Array;
    input.set(bytes, at);
    lengths[i] = bytes.length;
    at += bytes.length;
  }
  // Shorter than was said, where a caller's buffer has shrunk meanwhile.
  return { input: input.subarray(0, at), lengths };
}

/** Takes a packed buffer as it is. What is wrong with any entry refuses the whole batch. */
export function takeColumn(
  packed: { readonly [member: string]: unknown },
  member: string,
  lengthsMember: string,
  { min = 0, max = 0 }: BlobShape,
): Column {
  const input = packed[member];
  const given = packed[lengthsMember];
  if (!(input instanceof Uint8Array)) throw new ValidationException(`${member} must be a Uint8Array.`);
  if (!(given instanceof Uint32Array))
    throw new ValidationException(`${lengthsMember} must be a Uint32Array.`);
  const count = checkCount(given.length);
  checkSize(input.length);
  // The engine goes by these lengths: they must not change under it.
  const lengths = given.slice();
  let size = 0;
  for (let i = 0; i < count; i++) {
    const length = lengths[i] as number;
    if (length < min || length > max)
      throw new ValidationException(
        `${lengthsMember}[${i}] is ${length}, and must be from ${min} to ${max}.`,
      );
    size += length;
  }
  if (size !== input.length)
    throw new ValidationException(
      `${lengthsMember} come to ${size} bytes, and ${member} has ${input.length}: they must be the same.`,
    );
  return { input, lengths };
}

export function checkCount(count: number): number {
  if (count >= 1 && count <= LIMITS.entries) return count;
  throw new ValidationException(`A batch has 1 to ${LIMITS.entries} entries; this one has ${count}.`);
}

export function checkSize(size: number): void {
  if (size > LIMITS.bytes)
    throw new ValidationException(
      `A batch has at most ${LIMITS.bytes} bytes; this one has ${size}: split it.`,
    );
}
