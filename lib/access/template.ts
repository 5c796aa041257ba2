import { type ConditionKey, conditionKey } from "./condition-keys.ts";
import { compileGlob, unitsOf } from "./glob.ts";
import type { Circumstances } from "./question.ts";
import { malformed, show } from "./reading.ts";

/** What a variable stands for is known at the decision only. */
interface Variable {
  readonly key: ConditionKey;
  readonly fallback: string | undefined;
}

/** A stretch of text as it is written, wildcards and all; a character that was escaped; a variable. */
type Piece = string | { readonly plain: string } | Variable;

/** A text with policy variables: `${aws:username}`, `${aws:PrincipalTag/team, 'none'}`, `${*}`, `${?}`, `${$}`. */
export type Template = readonly Piece[];

/** The key of a tag may have spaces. */
const variable = /\$\{(?:([*?$])|([^\s{}',$/]+(?:\/[^\s{}',$]+(?: [^\s{}',$]+)*)?)(?:\s*,\s*'([^']*)')?)\}/y;

/** Throws where a variable is not closed, names nothing, or a key that has several values. */
export function parseTemplate(text: string, at: string): Template {
  const pieces: Piece[] = [];
  let done = 0;
  for (let open = text.indexOf("${"); open >= 0; open = text.indexOf("${", done)) {
    if (open > done) pieces.push(text.slice(done, open));
    variable.lastIndex = open;
    const [whole, plain, name = "", fallback] = variable.exec(text) ?? [];
    if (whole === undefined)
      throw malformed(
        at,
        `${show(text.slice(open))} begins no variable: write \${key} or \${key, 'default'}`,
      );
    if (plain !== undefined) pieces.push({ plain });
    else {
      const key = conditionKey(name);
      if (key === undefined) throw malformed(at, `${show(name)} is no condition key`);
      if (key.many) throw malformed(at, `'${name}' has several values: it cannot be a variable`);
      pieces.push({ key, fallback });
    }
    done = open + whole.length;
  }
  if (done < text.length) pieces.push(text.slice(done));
  return pieces;
}

/**
 * What a variable stands for; undefined where the request has no value, or several, and there is no default. Then
 * the text that it is in is like nothing and equal to nothing.
 */
function readVariable({ key, fallback }: Variable, about: Circumstances): string | undefined {
  const values = key.values(about);
  return values?.length === 1 && values[0] !== "" ? values[0] : fallback;
}

/** A piece as it is at this decision. */
function textOf(piece: Piece, about: Circumstances): string | undefined {
  if (typeof piece === "string") return piece;
  return "plain" in piece ? piece.plain : readVariable(piece, about);
}

/** Whether a text equals the template. `fold` is applied to both, to compare without regard to case. */
export function equalsTemplate(
  template: Template,
  text: string,
  about: Circumstances,
  fold = (folded: string) => folded,
): boolean {
  const folded = fold(text);
  let at = 0;
  for (const piece of template) {
    const part = textOf(piece, about);
    if (part === undefined) return false;
    const next = fold(part);
    if (!folded.startsWith(next, at)) return false;
    at += next.length;
  }
  return at === folded.length;
}

/**
 * Whether a text is like the template; wildcards that a value brings along are none. What is longer than the text
 * is never put together, so that variables cannot blow up.
 */
export function likeTemplate(template: Template, text: string, about: Circumstances): boolean {
  const units: number[] = [];
  for (const piece of template) {
    const written = typeof piece === "string";
    const part = textOf(piece, about);
    // Runs are never two in a row: of more units than this too many are none.
    if (part === undefined || (!written && units.length + part.length > 2 * text.length + 1)) return false;
    unitsOf(part, written, units);
  }
  return compileGlob(units)(text);
}

/** Splits at the colons that are written, not at those that a value brings along: no value can leave its part. */
export function splitTemplate(template: Template, parts: number): Template[] {
  const split: Piece[][] = [[]];
  for (const piece of template) {
    if (typeof piece !== "string") {
      split.at(-1)?.push(piece);
      continue;
    }
    let from = 0;
    while (split.length < parts) {
      const colon = piece.indexOf(":", from);
      if (colon < 0) break;
      split.at(-1)?.push(piece.slice(from, colon));
      split.push([]);
      from = colon + 1;
    }
    split.at(-1)?.push(piece.slice(from));
  }
  return split;
}

/** Whether a template has neither variables nor escapes. */
export const isConstant = (template: Template): boolean =>
  template.every((piece) => typeof piece === "string");
