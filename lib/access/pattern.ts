/** Whether a text is what a pattern describes. */
export type Matcher = (text: string) => boolean;

/**
 * Compiles a pattern in which `*` stands for any run of characters and `?` for any one. The time to match grows
 * with the product of the two lengths and never faster, whatever the pattern.
 */
export function compilePattern(pattern: string): Matcher {
  if (/^\*+$/.test(pattern)) return () => true;
  if (!/[*?]/.test(pattern)) return (text) => text === pattern;
  const prefix = pattern.slice(0, -1);
  if (pattern.endsWith("*") && !/[*?]/.test(prefix)) return (text) => text.startsWith(prefix);
  const shortest = pattern.replaceAll("*", "").length;
  return (text) => text.length >= shortest && matches(pattern, text);
}

/** Only the last `*` is ever tried again: an earlier one that took more could match nothing that this cannot. */
function matches(pattern: string, text: string): boolean {
  let p = 0;
  let star = -1;
  let resume = 0;
  for (let t = 0; t < text.length; ) {
    if (pattern[p] === "*") {
      star = p++;
      resume = t;
    } else if (p < pattern.length && (pattern[p] === "?" || pattern[p] === text[t])) {
      p++;
      t++;
    } else if (star >= 0) {
      p = star + 1;
      t = ++resume;
    } else return false;
  }
  while (pattern[p] === "*") p++;
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

export const anyOf = (matchers: readonly Matcher[]): Matcher => {
  const [only] = matchers;
  if (matchers.length === 1 && only !== undefined) return only;
  return (text) => matchers.some((match) => match(text));
};

export const noneOf = (matchers: readonly Matcher[]): Matcher => {
  const match = anyOf(matchers);
  return (text) => !match(text);
};
