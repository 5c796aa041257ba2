import type { Circumstances } from "./question.ts";

/** Whether a text is what a pattern describes. */
export type Matcher = (text: string) => boolean;
/** As {@link Matcher}, where that may depend on the request. */
export type Test = (text: string, about: Circumstances) => boolean;

/** What stands in a pattern for any run of characters, and for any one; all else is a UTF-16 code unit. */
export const RUN = -1;
export const ANY = -2;

/** The units of a text; `*` and `?` become {@link RUN} and {@link ANY} where they are wildcards. */
export function unitsOf(text: string, wild: boolean, units: number[] = []): number[] {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (wild && unit === 42) {
      if (units.at(-1) !== RUN) units.push(RUN);
    } else units.push(wild && unit === 63 ? ANY : unit);
  }
  return units;
}

/**
 * Compiles a pattern in which `*` stands for any run of characters and `?` for any one. The time to match grows
 * with the product of the two lengths and never faster, whatever the pattern.
 */
export function compilePattern(pattern: string): Matcher {
  if (/^\*+$/.test(pattern)) return () => true;
  if (!/[*?]/.test(pattern)) return (text) => text === pattern;
  const prefix = pattern.slice(0, -1);
  if (pattern.endsWith("*") && !/[*?]/.test(prefix)) return (text) => text.startsWith(prefix);
  const units = unitsOf(pattern, true);
  const shortest = units.filter((unit) => unit !== RUN).length;
  return (text) => text.length >= shortest && matches(units, text);
}

/** Only the last run is ever tried again: an earlier one that took more could match nothing that this cannot. */
export function matches(pattern: ArrayLike<number>, text: string): boolean {
  let p = 0;
  let star = -1;
  let resume = 0;
  for (let t = 0; t < text.length; ) {
    const unit = pattern[p];
    if (unit === RUN) {
      star = p++;
      resume = t;
    } else if (unit === ANY || unit === text.charCodeAt(t)) {
      p++;
      t++;
    } else if (star >= 0) {
      p = star + 1;
      t = ++resume;
    } else return false;
  }
  while (pattern[p] === RUN) p++;
  return p === pattern.length;
}

/** For actions in lower case: their case does not matter, and callers lower it once for all patterns. */
export const compileAction = (pattern: string): Matcher => compilePattern(pattern.toLowerCase());

/** A wildcard stays within its part of the ARN, save in the last part, which has colons of its own. */
export function compileArn(pattern: string): Matcher {
  if (pattern === "*") return () => true;
  if (!/[*?]/.test(pattern)) return (arn) => arn === pattern;
  const matchers = arnParts(pattern).map(compilePattern);
  return (arn) => {
    const parts = arnParts(arn);
    return parts.length === matchers.length && matchers.every((match, i) => match(parts[i] as string));
  };
}

/** The text last taken apart: all patterns of a decision ask for the same. */
let latest: { readonly arn: string; readonly parts: readonly string[] } = { arn: "", parts: [""] };

/** `arn`, partition, service, Region, account and resource; fewer where the text is no ARN. */
export function arnParts(arn: string): readonly string[] {
  if (arn !== latest.arn) {
    const parts = arn.split(":");
    latest = { arn, parts: parts.length <= 6 ? parts : [...parts.slice(0, 5), parts.slice(5).join(":")] };
  }
  return latest.parts;
}

/** One of the tests, or, negated, none. */
export function anyOf(tests: readonly Test[], negated: boolean): Test {
  const [only] = tests;
  if (only !== undefined && tests.length === 1) return negated ? (text, about) => !only(text, about) : only;
  return (text, about) => {
    for (const test of tests) if (test(text, about)) return !negated;
    return negated;
  };
}
