import type { Operation } from "../operation.ts";
import type { Shape } from "../shape.ts";

type Members = Readonly<Record<string, unknown>>;

/**
 * The members of a valid input that the operation knows and that are there, as they are now: what the caller does
 * to its objects afterwards changes neither what is done nor what is recorded. Bytes are not copied, and
 * neither are the members that the operation reads by itself.
 */
export function snapshot(operation: Operation, valid: object, input: object): Members {
  const copy: Record<string, unknown> = {};
  const members = operation.input.members as Readonly<Record<string, Shape>>;
  for (const name in members) {
    const value = (valid as Members)[name];
    if (value === undefined || value === null) continue;
    copy[name] = copyOf(members[name] as Shape, value);
  }
  for (const name of operation.unchecked ?? []) copy[name] = (input as Members)[name];
  return copy;
}

function copyOf(shape: Shape, value: unknown): unknown {
  if (shape.type === "map") return { ...(value as object) };
  return shape.type === "list" || shape.type === "structure" ? structuredClone(value) : value;
}
