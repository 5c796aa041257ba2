import { compileGlob, unitsOf } from "./glob.ts";
import type { Circumstances } from "./question.ts";

/** Whether a text is what a pattern describes. */
export type Matcher = (text: string) => boolean;
/** As {@link Matcher}, where that may depend on the request. */
export type Test = (text: string, about: Circumstances) => boolean;

/** Compiles a pattern in which `*` stands for any run of characters and `?` for any one. */
export function compilePattern(pattern: string): Matcher {
  if (/^\*+$/.test(pattern)) return () => true;
  if (!/[*?]/.test(pattern)) return (text) => text === pattern;
  const prefix = pattern.slice(0, -1);
  if (pattern.endsWith("*") && !/[*?]/.test(prefix)) return (text) => text.startsWith(prefix);
  return compileGlob(unitsOf(pattern, true));
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
