import { parseAddress, parseRange } from "./address.ts";
import { parseMoment } from "./moment.ts";
import { arnParts, compileArn, compilePattern, type Test } from "./pattern.ts";
import { malformed, show } from "./reading.ts";
import {
  equalsTemplate,
  isConstant,
  likeTemplate,
  parseTemplate,
  splitTemplate,
  type Template,
} from "./template.ts";

export interface Operator {
  /** It asks that no value be so. */
  readonly negated?: true;
  /** Whether policy variables may stand in its values. */
  readonly variables?: true;
  /** Throws for a value that is not of its type. */
  readonly compile: (text: string, at: string, variables: boolean) => Test;
}

/** A value with variables is a template where the policy's version has them; without, the text is as it is. */
const textual =
  (constant: (text: string, at: string) => Test, templated: (template: Template, at: string) => Test) =>
  (text: string, at: string, variables: boolean): Test => {
    if (!variables || !text.includes("${")) return constant(text, at);
    const template = parseTemplate(text, at);
    return isConstant(template) ? constant(template.join(""), at) : templated(template, at);
  };

const equals = textual(
  (text) => (value) => value === text,
  (template) => (value, about) => equalsTemplate(template, value, about),
);

const lower = (text: string) => text.toLowerCase();
const equalsIgnoreCase = textual(
  (text) => {
    const folded = lower(text);
    return (value) => lower(value) === folded;
  },
  (template) => (value, about) => equalsTemplate(template, value, about, lower),
);

const like = textual(
  (text) => compilePattern(text),
  (template) => (value, about) => likeTemplate(template, value, about),
);

const notAnArn = (at: string, text: string) =>
  malformed(at, `${show(text)} is neither "*" nor an ARN, which has six parts between colons`);

/** ArnEquals and ArnLike are the same to AWS. */
const arn = textual(
  (text, at) => {
    if (text !== "*" && arnParts(text).length < 6) throw notAnArn(at, text);
    return compileArn(text);
  },
  (template, at) => {
    const parts = splitTemplate(template, 6);
    if (parts.length < 6) throw notAnArn(at, "this text");
    return arnTemplate(parts);
  },
);

/** Of each of the six parts, whether it is like the ARN's. */
export function arnTemplate(parts: readonly Template[]): Test {
  return (value, about) => {
    const values = arnParts(value);
    return values.length === 6 && parts.every((part, i) => likeTemplate(part, values[i] as string, about));
  };
}

/** The text last read: requests that follow each other often have the same. */
function remembering<T>(read: (text: string) => T): (text: string) => T {
  let text = "";
  let value = read(text);
  return (next) => {
    if (next !== text) {
      value = read(next);
      text = next;
    }
    return value;
  };
}

type Compare = (value: number, limit: number) => boolean;

/** Values that both sides read the same way; a value of the request that cannot be read is like none. */
function ordered(read: (text: string) => number | undefined, kind: string, compare: Compare): Operator {
  return {
    compile: (text, at) => {
      const limit = read(text);
      if (limit === undefined) throw malformed(at, `${show(text)} is no ${kind}`);
      const readValue = remembering(read);
      return (value) => {
        const number = readValue(value);
        return number !== undefined && compare(number, limit);
      };
    },
  };
}

/** At most 15 digits: beyond that, numbers that differ would be equal. */
function parseNumber(text: string): number | undefined {
  if (!/^[+-]?[0-9]+(?:\.[0-9]+)?$/.test(text) || text.length > 17) return undefined;
  return text.replace(/[^0-9]/g, "").length <= 15 ? Number(text) : undefined;
}

const same: Compare = (value, limit) => value === limit;
const comparisons: readonly [name: string, compare: Compare, negated?: true][] = [
  ["Equals", same],
  ["NotEquals", same, true],
  ["LessThan", (value, limit) => value < limit],
  ["LessThanEquals", (value, limit) => value <= limit],
  ["GreaterThan", (value, limit) => value > limit],
  ["GreaterThanEquals", (value, limit) => value >= limit],
];

function family(prefix: string, read: (text: string) => number | undefined, kind: string) {
  return comparisons.map(
    ([name, compare, negated]) => [`${prefix}${name}`, { ...ordered(read, kind, compare), negated }] as const,
  );
}

const bool: Operator = {
  compile: (text, at) => {
    const wanted = lower(text);
    if (wanted !== "true" && wanted !== "false") throw malformed(at, `${show(text)} is no boolean`);
    return (value) => lower(value) === wanted;
  },
};

const binary: Operator = {
  compile: (text, at) => {
    const bytes = decode(text);
    if (bytes === undefined) throw malformed(at, `${show(text)} is not Base64`);
    return (value) => decode(value)?.equals(bytes) ?? false;
  },
};

function decode(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64") === text ? bytes : undefined;
}

const readAddress = remembering(parseAddress);
const address = (text: string, at: string): Test => {
  const within = parseRange(text);
  if (within === undefined)
    throw malformed(at, `${show(text)} is no IP address, nor a range such as "192.0.2.0/24"`);
  return (value) => {
    const found = readAddress(value);
    return found !== undefined && within(found);
  };
};

/**
 * The condition operators, save Null, which looks at no value. From AWS's "IAM JSON policy elements: Condition
 * operators".
 */
export const operators: ReadonlyMap<string, Operator> = new Map<string, Operator>([
  ["StringEquals", { compile: equals, variables: true }],
  ["StringNotEquals", { compile: equals, variables: true, negated: true }],
  ["StringEqualsIgnoreCase", { compile: equalsIgnoreCase, variables: true }],
  ["StringNotEqualsIgnoreCase", { compile: equalsIgnoreCase, variables: true, negated: true }],
  ["StringLike", { compile: like, variables: true }],
  ["StringNotLike", { compile: like, variables: true, negated: true }],
  ...family("Numeric", parseNumber, "number of at most 15 digits"),
  ...family("Date", parseMoment, 'date, such as "2026-01-31T00:00:00Z", nor seconds since 1970'),
  ["Bool", bool],
  ["BinaryEquals", binary],
  ["IpAddress", { compile: address }],
  ["NotIpAddress", { compile: address, negated: true }],
  ["ArnEquals", { compile: arn, variables: true }],
  ["ArnLike", { compile: arn, variables: true }],
  ["ArnNotEquals", { compile: arn, variables: true, negated: true }],
  ["ArnNotLike", { compile: arn, variables: true, negated: true }],
]);
