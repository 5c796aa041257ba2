import { isAccount, rootArn } from "../arn.ts";
import { MalformedPolicyDocumentException } from "../errors.ts";
import { parseJson } from "../json.ts";
import { anyOf, arnParts, compileAction, compileArn, type Matcher, noneOf } from "./pattern.ts";
import { Principals, parsePrincipal } from "./principal.ts";

/** A policy document, ready to be asked. */
export interface Policy {
  readonly statements: readonly Statement[];
}

export interface Statement {
  readonly effect: "Allow" | "Deny";
  readonly sid?: string;
  /** Place in the document, from 0. */
  readonly index: number;
  /** In key policies only: an identity policy speaks of whoever it is attached to. */
  readonly principals?: Principals;
  /** Takes an action in lower case. */
  readonly action: Matcher;
  readonly resource: Matcher;
}

/** The longest policy, in bytes of UTF-8. */
export const LONGEST_POLICY = 32_768;

const policyMembers = new Set(["Version", "Id", "Statement"]);
const statementMembers = new Set([
  "Sid",
  "Effect",
  "Principal",
  "Action",
  "NotAction",
  "Resource",
  "NotResource",
]);
/** What the policy language has and this service does not evaluate: refused, since to ignore it would be to allow. */
const unserved = new Map([
  ["Condition", "conditions are not served yet"],
  ["NotPrincipal", "NotPrincipal is not served yet"],
]);

/**
 * Reads a policy strictly. Throws `MalformedPolicyDocumentException`, and nothing else, for whatever is not to be
 * evaluated exactly as written, saying what is wrong and where.
 */
export function compilePolicy(text: string, kind: "key" | "identity" = "key"): Policy {
  const bytes = Buffer.byteLength(text);
  if (bytes > LONGEST_POLICY)
    throw malformed("the policy", `${bytes} bytes are too many; at most ${LONGEST_POLICY} are allowed`);
  const document = asObject(parse(text), "the policy");
  for (const name of Object.keys(document))
    if (!policyMembers.has(name)) throw malformed(name, "is no member of a policy");
  const { Version, Id, Statement } = document;
  if (Version !== undefined && Version !== "2012-10-17" && Version !== "2008-10-17")
    throw malformed("Version", `${show(Version)} is neither "2012-10-17" nor "2008-10-17"`);
  if (Id !== undefined && typeof Id !== "string") throw malformed("Id", "must be a string");
  const list = Array.isArray(Statement) ? Statement : [Statement];
  if (Statement === undefined || list.length === 0)
    throw malformed("Statement", "there must be at least one statement");
  const statements = list.map((statement, index) =>
    compileStatement(statement, index, `Statement[${index}]`, kind),
  );
  const sids = new Set<string>();
  for (const { sid, index } of statements) {
    if (!sid) continue;
    if (sids.has(sid))
      throw malformed(`Statement[${index}].Sid`, `'${sid}' is the Sid of an earlier statement`);
    sids.add(sid);
  }
  return { statements };
}

function parse(text: string): unknown {
  try {
    return parseJson(text);
  } catch (error) {
    throw malformed("the policy", `is not JSON: ${(error as SyntaxError).message}`);
  }
}

function compileStatement(value: unknown, index: number, at: string, kind: "key" | "identity"): Statement {
  const statement = asObject(value, at);
  for (const name of Object.keys(statement)) {
    const reason = unserved.get(name);
    if (reason !== undefined) throw malformed(`${at}.${name}`, reason);
    if (!statementMembers.has(name)) throw malformed(`${at}.${name}`, "is no member of a statement");
  }
  const { Sid, Effect, Principal } = statement;
  if (Sid !== undefined && typeof Sid !== "string") throw malformed(`${at}.Sid`, "must be a string");
  if (Effect !== "Allow" && Effect !== "Deny")
    throw malformed(`${at}.Effect`, `${show(Effect)} is neither "Allow" nor "Deny"`);
  if (kind === "identity" && Principal !== undefined)
    throw malformed(`${at}.Principal`, "an identity policy names no principal");
  return {
    effect: Effect,
    sid: Sid,
    index,
    principals: kind === "key" ? compilePrincipals(Principal, `${at}.Principal`) : undefined,
    action: oneOf(statement, at, "Action", (text, place) => actionMatcher(text, place, kind)),
    resource: oneOf(statement, at, "Resource", resourceMatcher),
  };
}

/** Either the element or its `Not…`, never both. */
function oneOf(
  statement: Record<string, unknown>,
  at: string,
  name: "Action" | "Resource",
  compile: (text: string, at: string) => Matcher,
): Matcher {
  const negated = statement[`Not${name}`] !== undefined;
  if (negated === (statement[name] !== undefined))
    throw malformed(at, `there must be either ${name} or Not${name}`);
  const place = `${at}.${negated ? "Not" : ""}${name}`;
  const matchers = texts(statement[negated ? `Not${name}` : name], place).map(([text, where]) => {
    if (text.includes("${")) throw malformed(where, "policy variables are not served yet");
    return compile(text, where);
  });
  return negated ? noneOf(matchers) : anyOf(matchers);
}

function actionMatcher(text: string, at: string, kind: "key" | "identity"): Matcher {
  if (text !== "*" && !/^[a-zA-Z0-9-]+:[a-zA-Z0-9*?]+$/.test(text))
    throw malformed(at, `${show(text)} is no action; write "kms:" and a name, or "kms:*"`);
  if (kind === "key" && text !== "*" && !/^kms:/i.test(text))
    throw malformed(at, `${show(text)} is an action of another service; a key policy names those of kms`);
  return compileAction(text);
}

function resourceMatcher(text: string, at: string): Matcher {
  if (text !== "*" && (!text.startsWith("arn:") || arnParts(text).length < 6))
    throw malformed(at, `${show(text)} is neither "*" nor an ARN`);
  return compileArn(text);
}

function compilePrincipals(value: unknown, at: string): Principals {
  if (value === undefined) throw malformed(at, "is missing");
  const principals = new Principals();
  if (value === "*") {
    principals.addEveryone();
    return principals;
  }
  if (typeof value === "string")
    throw malformed(at, `${show(value)} must be "*", or stand in an object: {"AWS": ${show(value)}}`);
  const kinds = Object.entries(asObject(value, at));
  if (kinds.length === 0) throw malformed(at, "names nobody");
  for (const [type, names] of kinds) {
    if (type !== "AWS" && type !== "Service")
      throw malformed(`${at}.${type}`, 'only "AWS" and "Service" principals are served');
    for (const [text, where] of texts(names, `${at}.${type}`)) addPrincipal(principals, type, text, where);
  }
  return principals;
}

function addPrincipal(principals: Principals, type: "AWS" | "Service", text: string, at: string): void {
  if (type === "AWS" && text === "*") {
    principals.addEveryone();
    return;
  }
  const principal = parsePrincipal(type === "AWS" && isAccount(text) ? rootArn(text) : text);
  if (principal === undefined || (principal.type === "Service") !== (type === "Service"))
    throw malformed(
      at,
      type === "AWS"
        ? `${show(text)} is no account, nor the ARN of a root, user, role or role session`
        : `${show(text)} is not the name of a service, such as "backup.amazonaws.com"`,
    );
  principals.add(principal);
}

/** A string, or a list of them with at least one; each with its place. */
function texts(value: unknown, at: string): [text: string, at: string][] {
  const list = Array.isArray(value) ? value : [value];
  if (list.length === 0) throw malformed(at, "is empty");
  return list.map((text, i) => {
    const place = Array.isArray(value) ? `${at}[${i}]` : at;
    if (typeof text !== "string") throw malformed(place, "must be a string");
    return [text, place];
  });
}

function asObject(value: unknown, at: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw malformed(at, "must be an object");
  return value as Record<string, unknown>;
}

const malformed = (at: string, what: string) => new MalformedPolicyDocumentException(`${at}: ${what}`);

/** Enough of a value to find it by. */
function show(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length <= 100 ? text : `${text.slice(0, 100)}…`;
}
