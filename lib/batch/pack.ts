import type { BatchError } from "../batch.ts";
import { type EncryptionContext, encodeContext } from "../ciphertext.ts";
import { ValidationException } from "../errors.ts";
import { CIPHERTEXT_OVERHEAD } from "../hsm.ts";
import { type BlobShape, type StructureShape, structure, validate } from "../shape.ts";
import * as shapes from "../shapes.ts";
import { type Column, checkCount, checkSize, concatenate, takeColumn } from "./column.ts";
import { errorOf } from "./material.ts";
import { borrowMemory } from "./memory.ts";

/** The entries of a batch as the engine takes them; those with an error are not among them. */
export interface Packed extends Column {
  /** How many entries the batch has, with or without errors. */
  readonly count: number;
  /** A private copy of what the caller gave in borrowed memory, to be wiped when it holds plaintext. */
  readonly copied: boolean;
  /** Canonical contexts: one for all, or one for each packed entry. */
  readonly contexts: Uint8Array;
  readonly contextLengths: Uint32Array;
  /** By the place of the entry in the batch; undefined while there is none. */
  readonly errors: Map<number, BatchError> | undefined;
}

/** What entries carry, and what one of them must look like. */
export interface EntryKind {
  readonly member: "Plaintext" | "CiphertextBlob";
  readonly packed: "Plaintexts" | "CiphertextBlobs";
  /** Reads the member: by its name it would take three times as long. */
  readonly read: (entry: Entry) => unknown;
  readonly blob: BlobShape;
  readonly entry: StructureShape;
}

export const plaintexts: EntryKind = {
  member: "Plaintext",
  packed: "Plaintexts",
  read: (entry) => entry?.Plaintext,
  blob: shapes.PlaintextType,
  entry: structure({ Plaintext: shapes.PlaintextType, EncryptionContext: shapes.EncryptionContextType }, [
    "Plaintext",
  ]),
};

export const ciphertexts: EntryKind = {
  member: "CiphertextBlob",
  packed: "CiphertextBlobs",
  read: (entry) => entry?.CiphertextBlob,
  blob: shapes.CiphertextType,
  entry: structure(
    { CiphertextBlob: shapes.CiphertextType, EncryptionContext: shapes.EncryptionContextType },
    ["CiphertextBlob"],
  ),
};

type Entry = { readonly [member: string]: unknown } | null | undefined;

/**
 * Copies the entries of an array into one buffer. Runs once for each of up to 100,000 entries on the main thread:
 * the shape is asked only where a glance does not show that the entry is right.
 */
export function packEntries(
  entries: unknown,
  kind: EntryKind,
  forAll: EncryptionContext | undefined,
): Packed {
  if (!Array.isArray(entries)) throw new ValidationException("Entries must be an array.");
  const count = checkCount(entries.length);
  const { read, blob, entry: shape } = kind;
  const { min = 0, max = 0 } = blob;
  const blobs: Uint8Array[] = [];
  const contexts = new Contexts(encodeContext(forAll));
  let errors: Map<number, BatchError> | undefined;
  let size = 0;
  for (let i = 0; i < count; i++) {
    const entry = entries[i] as Entry;
    const bytes = read(entry);
    const context = entry?.EncryptionContext as EncryptionContext | null | undefined;
    const plain = bytes instanceof Uint8Array && bytes.length >= min && bytes.length <= max;
    try {
      if (!plain || !contexts.knows(context)) validate(shape, entry);
      contexts.add(context);
    } catch (error) {
      errors ??= new Map();
      errors.set(i, errorOf(error));
      continue;
    }
    size += (bytes as Uint8Array).length;
    blobs.push(bytes as Uint8Array);
  }
  checkSize(size);
  const column = concatenate(blobs, size, borrowMemory(size));
  return { ...column, count, copied: true, ...contexts.pack(), errors };
}

/** Takes a packed buffer as it is. What is wrong with any entry refuses the whole batch. */
export function takePacked(
  packed: { readonly [member: string]: unknown },
  kind: EntryKind,
  forAll: EncryptionContext | undefined,
): Packed {
  const column = takeColumn(packed, kind.packed, "Lengths", kind.blob);
  const count = column.lengths.length;
  const contexts = new Contexts(encodeContext(forAll));
  const own = packed.EncryptionContexts;
  if (own !== undefined) {
    if (!Array.isArray(own) || own.length !== count)
      throw new ValidationException(
        `EncryptionContexts must be an array with one for each of ${count} entries.`,
      );
    for (const context of own) {
      if (!contexts.knows(context)) validate(shapes.EncryptionContextType, context);
      contexts.add(context);
    }
  }
  return { ...column, count, copied: false, ...contexts.pack(), errors: undefined };
}

/** The canonical contexts of a batch; encoded once where neighbours share the same object. */
class Contexts {
  readonly #forAll: Uint8Array;
  /** One for each entry so far, once any has its own. */
  #each: Uint8Array[] | undefined;
  #added = 0;
  #last: EncryptionContext | undefined;
  #lastBytes: Uint8Array;

  constructor(forAll: Uint8Array) {
    this.#forAll = forAll;
    this.#lastBytes = forAll;
  }

  /** Whether this very object was valid a moment ago, or there is none. */
  knows(context: EncryptionContext | null | undefined): boolean {
    return context === undefined || context === null || context === this.#last;
  }

  add(context: EncryptionContext | null | undefined): void {
    let bytes = this.#forAll;
    if (context !== undefined && context !== null) {
      if (context !== this.#last) {
        this.#lastBytes = encodeContext(context);
        this.#last = context;
      }
      bytes = this.#lastBytes;
      this.#each ??= new Array(this.#added).fill(this.#forAll);
    }
    this.#added++;
    this.#each?.push(bytes);
  }

  pack(): { contexts: Uint8Array; contextLengths: Uint32Array } {
    const each = this.#each;
    if (each === undefined)
      return { contexts: this.#forAll, contextLengths: Uint32Array.of(this.#forAll.length) };
    const size = each.reduce((sum, bytes) => sum + bytes.length, 0);
    checkSize(size);
    const { input: contexts, lengths: contextLengths } = concatenate(each, size);
    return { contexts, contextLengths };
  }
}

/** Of the plaintext in a ciphertext of this length. */
export const plaintextLength = (length: number) => Math.max(0, length - CIPHERTEXT_OVERHEAD);
