import { checkMessage, type SigningTerms } from "../algorithms.ts";
import type { BatchError } from "../batch.ts";
import { ValidationException } from "../errors.ts";
import { type StructureShape, structure, validate } from "../shape.ts";
import * as shapes from "../shapes.ts";
import { type Column, checkCount, checkSize, concatenate, takeColumn } from "./column.ts";
import { errorOf } from "./material.ts";

/** The messages of a batch as the engine takes them; those of entries with an error are not among them. */
export interface Messages {
  /** How many entries the batch has, with or without errors. */
  readonly count: number;
  readonly messages: Column;
  /** Where they are verified: one a message. */
  readonly signatures: Column;
  /** Whether the batch is an array of entries, and no packed buffers. */
  readonly entries: boolean;
  /** By the place of the entry in the batch; undefined while there is none. */
  readonly errors: Map<number, BatchError> | undefined;
}

/** What is done with the messages, and what an entry must look like for it. */
export interface MessageUse {
  readonly entry: StructureShape;
  readonly signatures: boolean;
}

const members = { Message: shapes.PlaintextType, Signature: shapes.CiphertextType };

export const signed: MessageUse = {
  entry: structure({ Message: members.Message }, ["Message"]),
  signatures: false,
};
export const verified: MessageUse = {
  entry: structure(members, ["Message", "Signature"]),
  signatures: true,
};

const none: Column = { input: new Uint8Array(), lengths: new Uint32Array() };

type Input = { readonly [member: string]: unknown };

/** Either the entries, or the packed buffers. */
export function packMessages(input: Input, use: MessageUse, terms: SigningTerms): Messages {
  if ((input.Entries === undefined) === (input.Messages === undefined))
    throw new ValidationException("Give either Entries, or Messages with Lengths.");
  return input.Entries === undefined
    ? takeMessages(input, use, terms)
    : packMessageEntries(input.Entries, use, terms);
}

/** As `packEntries`: the shape is asked only where a glance does not show that the entry is right. */
function packMessageEntries(entries: unknown, use: MessageUse, terms: SigningTerms): Messages {
  if (!Array.isArray(entries)) throw new ValidationException("Entries must be an array.");
  const count = checkCount(entries.length);
  const messages: Uint8Array[] = [];
  const signatures: Uint8Array[] = [];
  let errors: Map<number, BatchError> | undefined;
  let size = 0;
  let signaturesSize = 0;
  for (let i = 0; i < count; i++) {
    const { Message, Signature } = (entries[i] ?? {}) as { Message?: unknown; Signature?: unknown };
    try {
      if (!fits(Message, members.Message) || (use.signatures && !fits(Signature, members.Signature)))
        validate(use.entry, entries[i]);
      checkMessage(terms, Message as Uint8Array);
    } catch (error) {
      errors ??= new Map();
      errors.set(i, errorOf(error));
      continue;
    }
    size += (Message as Uint8Array).length;
    messages.push(Message as Uint8Array);
    if (!use.signatures) continue;
    signaturesSize += (Signature as Uint8Array).length;
    signatures.push(Signature as Uint8Array);
  }
  checkSize(size);
  checkSize(signaturesSize);
  return {
    count,
    messages: concatenate(messages, size),
    signatures: concatenate(signatures, signaturesSize),
    entries: true,
    errors,
  };
}

function fits(bytes: unknown, { min = 0, max = 0 }: typeof shapes.PlaintextType): boolean {
  return bytes instanceof Uint8Array && bytes.length >= min && bytes.length <= max;
}

function takeMessages(input: Input, use: MessageUse, { name, bytes }: SigningTerms): Messages {
  const lengths = bytes === undefined ? members.Message : { ...members.Message, min: bytes, max: bytes };
  const messages = takeColumn(input, "Messages", "Lengths", lengths);
  const count = messages.lengths.length;
  const signatures = use.signatures
    ? takeColumn(input, "Signatures", "SignatureLengths", members.Signature)
    : none;
  if (use.signatures && signatures.lengths.length !== count)
    throw new ValidationException(
      `There are ${count} messages for ${name}, and ${signatures.lengths.length} signatures: give one for each.`,
    );
  return { count, messages, signatures, entries: false, errors: undefined };
}
