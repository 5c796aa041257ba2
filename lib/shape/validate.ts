import { SerializationException, ValidationException } from "../errors.ts";
import type { Shape, StringShape, StructureShape, Valid } from "../shape.ts";

/** One thing wrong: where (from the inside out), and what. */
interface Failure {
  readonly path: string[];
  readonly constraint: string;
  /** The text to echo; left out for blobs and whatever is sensitive. */
  readonly shown?: string;
  /** The value is of another JavaScript type altogether: nothing else can be said of it. */
  readonly type?: true;
}

/** Says nothing, and allocates nothing, for a valid value. */
type Check = (value: unknown) => Failure[] | undefined;

const checks = new WeakMap<Shape, Check>();

/**
 * Returns `value` as what the shape describes, or throws a `ValidationException` that lists everything wrong with
 * it in AWS's words, or a `SerializationException` where a value is of the wrong JavaScript type. `null` counts as
 * absent and members that the shape does not know are ignored, as AWS does. The value is neither copied nor
 * frozen: callers must leave it alone until their promise settles.
 */
export function validate<S extends Shape>(shape: S, value: unknown): Valid<S> {
  let check = checks.get(shape);
  if (check === undefined) {
    check = compile(shape);
    checks.set(shape, check);
  }
  const failures = check(value);
  if (failures !== undefined) throw report(failures);
  return value as Valid<S>;
}

/** Bounds of what an error repeats, as it goes into the log as well. */
const LONGEST_ECHO = 2048;
const MOST_TEXTS = 20;

function report(failures: Failure[]): Error {
  const mistyped = failures.find((failure) => failure.type);
  if (mistyped !== undefined) {
    const place = mistyped.path.length === 0 ? "the input" : `'${mistyped.path.toReversed().join(".")}'`;
    return new SerializationException(`${mistyped.constraint} at ${place}`);
  }
  const count = failures.length;
  const texts = failures.slice(0, MOST_TEXTS).map(({ path, shown, constraint }) => {
    const value = shown === undefined ? "Value" : `Value ${shown}`;
    return `${value} at '${path.toReversed().join(".")}' failed to satisfy constraint: ${constraint}`;
  });
  if (count > MOST_TEXTS) texts.push(`and ${count - MOST_TEXTS} more`);
  return new ValidationException(
    `${count} validation error${count === 1 ? "" : "s"} detected: ${texts.join("; ")}`,
  );
}

function compile(shape: Shape): Check {
  switch (shape.type) {
    case "string":
      return compileString(shape);
    case "integer": {
      const size = compileSize(shape, "value");
      return (value) => {
        if (!Number.isInteger(value)) return mistyped(value, "an integer");
        const broken = size(value as number);
        return broken === undefined ? undefined : fail(broken, `'${value}'`);
      };
    }
    case "boolean":
      return (value) => (typeof value === "boolean" ? undefined : mistyped(value, "a boolean"));
    case "timestamp":
      return (value) =>
        value instanceof Date && !Number.isNaN(value.getTime()) ? undefined : mistyped(value, "a valid Date");
    case "blob": {
      const size = compileSize(shape, "length");
      return (value) => {
        if (!(value instanceof Uint8Array)) return mistyped(value, "a Uint8Array");
        const broken = size(value.length);
        return broken === undefined ? undefined : fail(broken);
      };
    }
    case "list": {
      const size = compileSize(shape, "length");
      const member = present(compile(shape.member));
      return (value) => {
        if (!Array.isArray(value)) return mistyped(value, "an array");
        const broken = size(value.length);
        let failures = broken === undefined ? undefined : fail(broken);
        for (let i = 0; i < value.length; i++) {
          const found = member(value[i]);
          if (found !== undefined) failures = join(failures, found, "member", `${i + 1}`);
        }
        return failures;
      };
    }
    case "map": {
      const key = compile(shape.key);
      const member = present(compile(shape.value));
      return (value) => {
        if (!isPlain(value)) return mistyped(value, "a plain object");
        let failures: Failure[] | undefined;
        for (const name in value) {
          const found = key(name) ?? member(value[name]);
          if (found !== undefined) failures = join(failures, found, name);
        }
        return failures;
      };
    }
    case "structure":
      return compileStructure(shape);
  }
}

function compileString(shape: StringShape): Check {
  const size = compileSize(shape, "length");
  const allowed = shape.enum === undefined ? undefined : new Set<string>(shape.enum);
  // The model's patterns hold for the whole value, whether or not they say so.
  const pattern = shape.pattern === undefined ? undefined : new RegExp(`^(?:${shape.pattern})$`);
  const echo = (value: string) => {
    if (shape.sensitive) return undefined;
    return value.length <= LONGEST_ECHO ? `'${value}'` : `'${value.slice(0, LONGEST_ECHO)}…'`;
  };
  return (value) => {
    if (typeof value !== "string") return mistyped(value, "a string");
    // A lone surrogate has no UTF-8: in bytes it would be the same as every other one.
    if (!value.isWellFormed()) return [{ path: [], constraint: "text with a lone surrogate", type: true }];
    if (allowed !== undefined) {
      if (allowed.has(value)) return undefined;
      return fail(`Member must satisfy enum value set: [${shape.enum?.join(", ")}]`, echo(value));
    }
    const broken = size(value.length);
    let failures = broken === undefined ? undefined : fail(broken, echo(value));
    if (pattern !== undefined && !pattern.test(value)) {
      const mismatch = `Member must satisfy regular expression pattern: ${shape.pattern}`;
      failures = join(failures, fail(mismatch, echo(value)));
    }
    return failures;
  };
}

function compileStructure(shape: StructureShape): Check {
  const members = Object.entries(shape.members as Record<string, Shape>).map(([name, member]) => {
    const check = compile(member);
    return {
      name,
      path: name[0]?.toLowerCase() + name.slice(1),
      check: shape.required.includes(name) ? present(check) : optional(check),
    };
  });
  return (value) => {
    if (typeof value !== "object" || value === null || Array.isArray(value))
      return mistyped(value, "an object");
    let failures: Failure[] | undefined;
    for (const { name, path, check } of members) {
      const found = check((value as Record<string, unknown>)[name]);
      if (found !== undefined) failures = join(failures, found, path);
    }
    return failures;
  };
}

/** A text where the quantity is out of bounds. */
function compileSize(shape: { min?: number; max?: number }, noun: "length" | "value") {
  const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = shape;
  return (quantity: number): string | undefined => {
    if (quantity < min) return `Member must have ${noun} greater than or equal to ${min}`;
    if (quantity > max) return `Member must have ${noun} less than or equal to ${max}`;
    return undefined;
  };
}

const absent = (value: unknown) => value === undefined || value === null;

const optional =
  (check: Check): Check =>
  (value) =>
    absent(value) ? undefined : check(value);

const present =
  (check: Check): Check =>
  (value) =>
    absent(value) ? fail("Member must not be null", "null") : check(value);

function fail(constraint: string, shown?: string): Failure[] {
  return [{ path: [], constraint, shown }];
}

function mistyped(value: unknown, wanted: string): Failure[] {
  return [{ path: [], constraint: `${kind(value)} can not be converted to ${wanted}`, type: true }];
}

/** What a value is, in words that give nothing of it away. */
function kind(value: unknown): string {
  if (typeof value === "number")
    return Number.isInteger(value) ? "an integer" : "a number that is not an integer";
  if (typeof value !== "object") return `a value of type ${typeof value}`;
  if (value === null) return "null";
  return Array.isArray(value) ? "an array" : "an object of another class";
}

/** Adds what was found at a place within, wrapped in that place's name (innermost part first). */
function join(failures: Failure[] | undefined, found: Failure[], ...place: string[]): Failure[] {
  for (const failure of found) {
    failure.path.push(...place);
    failures?.push(failure);
  }
  return failures ?? found;
}

/** Made by `{}`, `JSON.parse` or `Object.create(null)`, in whatever realm. */
function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
