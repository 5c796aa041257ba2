import { MalformedPolicyDocumentException } from "../errors.ts";

/** `at` is the place in the document: `Statement[0].Action[1]`. */
export const malformed = (at: string, what: string) => new MalformedPolicyDocumentException(`${at}: ${what}`);

/** Enough of a value to find it by. */
export function show(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length <= 100 ? text : `${text.slice(0, 100)}…`;
}

export function asObject(value: unknown, at: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw malformed(at, "must be an object");
  return value as Record<string, unknown>;
}

/** A string, or a list of them with at least one; each with its place. */
export function texts(value: unknown, at: string): [text: string, at: string][] {
  return items(value, at).map(([text, place]) => {
    if (typeof text !== "string") throw malformed(place, "must be a string");
    return [text, place];
  });
}

/** As {@link texts}, where numbers and booleans stand for how they are written. */
export function scalars(value: unknown, at: string): [text: string, at: string][] {
  return items(value, at).map(([item, place]) => {
    if (typeof item === "number" || typeof item === "boolean") return [String(item), place];
    if (typeof item !== "string") throw malformed(place, "must be a string, a number or a boolean");
    return [item, place];
  });
}

function items(value: unknown, at: string): [item: unknown, at: string][] {
  if (!Array.isArray(value)) return [[value, at]];
  if (value.length === 0) throw malformed(at, "is empty");
  return value.map((item, i) => [item, `${at}[${i}]`]);
}
