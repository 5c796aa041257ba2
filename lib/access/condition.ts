import { type ConditionKey, conditionKey } from "./condition-keys.ts";
import { operators } from "./operators.ts";
import { anyOf } from "./pattern.ts";
import type { Circumstances } from "./question.ts";
import { asObject, malformed, scalars, show } from "./reading.ts";

/** One operator with one key: what the Condition element says of it. A statement applies where all of them hold. */
export interface Condition {
  /** As written, `ForAnyValue:StringLikeIfExists`. */
  readonly operator: string;
  readonly key: string;
  readonly values: readonly string[];
  readonly holds: (about: Circumstances) => boolean;
  /** The values of the key in the request. */
  readonly seen: (about: Circumstances) => readonly string[] | undefined;
}

/** What the rest of the document means for its conditions. */
export interface Terms {
  readonly effect: "Allow" | "Deny";
  /** Whether the version of the policy language has variables. */
  readonly variables: boolean;
}

export function compileConditions(value: unknown, at: string, terms: Terms): readonly Condition[] {
  const conditions: Condition[] = [];
  for (const [operator, keys] of members(value, at, "operator")) {
    const twice = new Set<string>();
    for (const [name, values] of members(keys, `${at}.${operator}`, "condition key")) {
      const place = `${at}.${operator}.${name}`;
      const condition = compileCondition(operator, name, scalars(values, place), place, terms);
      if (twice.has(name.toLowerCase()))
        throw malformed(place, "is there twice: the case of a key is ignored");
      twice.add(name.toLowerCase());
      conditions.push(condition);
    }
  }
  return conditions;
}

function members(value: unknown, at: string, what: string): [string, unknown][] {
  const entries = Object.entries(asObject(value, at));
  if (entries.length === 0) throw malformed(at, `names no ${what}`);
  return entries;
}

const form = /^(ForAllValues:|ForAnyValue:)?([A-Za-z]+?)(IfExists)?$/;

function compileCondition(
  operator: string,
  key: string,
  written: readonly [text: string, at: string][],
  at: string,
  terms: Terms,
): Condition {
  const [, quantifier, name = "", ifExists] = form.exec(operator) ?? [];
  const found = conditionKey(key);
  if (found === undefined) throw malformed(at, `${show(key)} is no condition key`);
  const values = written.map(([text]) => text);
  const holds =
    name === "Null" && quantifier === undefined && ifExists === undefined
      ? compileNull(found, written)
      : compileTests(found, operator, quantifier, name, ifExists !== undefined, written, at, terms);
  return { operator, key, values, holds, seen: found.values };
}

function compileNull(key: ConditionKey, written: readonly [text: string, at: string][]) {
  const wanted = written.map(([text, at]) => {
    const value = text.toLowerCase();
    if (value !== "true" && value !== "false") throw malformed(at, `${show(text)} is no boolean`);
    return value === "true";
  });
  return (about: Circumstances) => wanted.includes(!key.values(about)?.length);
}

function compileTests(
  key: ConditionKey,
  operator: string,
  quantifier: string | undefined,
  name: string,
  ifExists: boolean,
  written: readonly [text: string, at: string][],
  at: string,
  { effect, variables }: Terms,
): (about: Circumstances) => boolean {
  const row = operators.get(name);
  if (row === undefined) throw malformed(at, `${show(operator)} is no condition operator`);
  if (quantifier === "ForAllValues:" && /^(kms:encryptioncontext:|aws:requesttag\/)/.test(key.name))
    throw malformed(
      at,
      "OverlyPermissiveCondition: Using the ForAllValues set operator with a single-valued condition key matches " +
        "requests without the specified [encryption context or tag] or with an unspecified [encryption context or " +
        "tag]. To fix, remove ForAllValues.",
    );
  const tests = written.map(([text, place]) => {
    if (variables && !row.variables && text.includes("${"))
      throw malformed(place, `${name} takes no policy variables`);
    return row.compile(text, place, variables);
  });
  const negated = row.negated === true;
  const satisfied = anyOf(tests, negated);
  const { values } = key;
  // Where the request lacks the key: AWS's "Condition operators" and "Multivalued context keys".
  const absent = ifExists || (quantifier === undefined ? negated : quantifier === "ForAllValues:");
  // Without a quantifier several values are not foreseen: then an Allow wants all of them, a Deny any.
  const all = quantifier === undefined ? effect === "Allow" : quantifier === "ForAllValues:";
  return (about) => {
    const seen = values(about);
    if (seen === undefined || seen.length === 0) return absent;
    // Empty strings are no values to ForAllValues and ForAnyValue.
    if (quantifier !== undefined && seen.every((value) => value === "")) return absent;
    if (seen.length === 1) return satisfied(seen[0] as string, about);
    return all
      ? seen.every((value) => satisfied(value, about))
      : seen.some((value) => satisfied(value, about));
  };
}
