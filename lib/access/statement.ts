import { isAccount, rootArn } from "../arn.ts";
import { type Condition, compileConditions } from "./condition.ts";
import { arnTemplate } from "./operators.ts";
import { anyOf, arnParts, compileAction, compileArn, type Matcher, type Test } from "./pattern.ts";
import type { PolicyKind } from "./policy.ts";
import { type Principal, Principals, parsePrincipal, type Reach } from "./principal.ts";
import type { Circumstances } from "./question.ts";
import { asObject, malformed, show, texts } from "./reading.ts";
import { isConstant, parseTemplate, splitTemplate } from "./template.ts";

export interface Statement {
  readonly effect: "Allow" | "Deny";
  readonly sid?: string;
  /** Place in the document, from 0. */
  readonly index: number;
  /** The name of the policy that it is of. */
  readonly policy?: string;
  /** In key and trust policies only: an identity policy speaks of whoever it is attached to. */
  readonly reach?: (principal: Principal) => Reach;
  /** Takes an action in lower case. */
  readonly action: Test;
  readonly resource: Test;
  readonly conditions: readonly Condition[];
}

/** Whether a statement is about this, whoever asks: an action in lower case, done to a resource. */
export function concerns(
  { action, resource, conditions }: Statement,
  asked: string,
  arn: string,
  about: Circumstances,
): boolean {
  if (!action(asked, about) || !resource(arn, about)) return false;
  for (const condition of conditions) if (!condition.holds(about)) return false;
  return true;
}

/** What the document means for its statements. */
export interface Document {
  readonly kind: PolicyKind;
  readonly variables: boolean;
  readonly policy: string | undefined;
  /** Takes whom the statements name. */
  readonly principals: Principal[];
  /** Their principal ids, by ARN, as far as they are known. */
  readonly ids: Readonly<Record<string, string>> | null;
}

const members = new Set([
  ...["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource"],
  "Condition",
]);

export function compileStatement(value: unknown, index: number, document: Document): Statement {
  const at = `Statement[${index}]`;
  const statement = asObject(value, at);
  for (const name of Object.keys(statement))
    if (!members.has(name)) throw malformed(`${at}.${name}`, "is no member of a statement");
  const { Sid, Effect, Condition } = statement;
  if (Sid !== undefined && typeof Sid !== "string") throw malformed(`${at}.Sid`, "must be a string");
  if (Effect !== "Allow" && Effect !== "Deny")
    throw malformed(`${at}.Effect`, `${show(Effect)} is neither "Allow" nor "Deny"`);
  const { kind, variables, policy } = document;
  return {
    effect: Effect,
    sid: Sid,
    index,
    policy,
    reach: compileReach(statement, at, Effect, document),
    action: oneOf(statement, at, "Action", (text, place) => actionMatcher(text, place, kind)),
    resource: compileResource(statement, at, document),
    conditions:
      Condition === undefined
        ? []
        : compileConditions(Condition, `${at}.Condition`, { effect: Effect, variables }),
  };
}

/** Either the element or its `Not…`, never both. */
function oneOf(
  statement: Record<string, unknown>,
  at: string,
  name: "Action" | "Resource",
  compile: (text: string, at: string) => Test,
): Test {
  const negated = statement[`Not${name}`] !== undefined;
  if (negated === (statement[name] !== undefined))
    throw malformed(at, `there must be either ${name} or Not${name}`);
  const place = `${at}.${negated ? "Not" : ""}${name}`;
  const written = texts(statement[negated ? `Not${name}` : name], place);
  return anyOf(
    written.map(([text, where]) => compile(text, where)),
    negated,
  );
}

function actionMatcher(text: string, at: string, kind: PolicyKind): Matcher {
  if (text !== "*" && !/^[a-zA-Z0-9-]+:[a-zA-Z0-9*?]+$/.test(text))
    throw malformed(at, `${show(text)} is no action; write "kms:" and a name, or "kms:*"`);
  if (kind === "key" && text !== "*" && !/^kms:/i.test(text))
    throw malformed(at, `${show(text)} is an action of another service; a key policy names those of kms`);
  return compileAction(text);
}

function compileResource(statement: Record<string, unknown>, at: string, document: Document): Test {
  const { kind, variables } = document;
  if (kind !== "trust")
    return oneOf(statement, at, "Resource", (text, place) => resourceTest(text, place, variables));
  for (const name of ["Resource", "NotResource"])
    if (statement[name] !== undefined) throw malformed(`${at}.${name}`, "a trust policy names no resource");
  return () => true;
}

function resourceTest(text: string, at: string, variables: boolean): Test {
  const noArn = () => malformed(at, `${show(text)} is neither "*" nor an ARN`);
  if (variables && text.includes("${")) {
    const parts = splitTemplate(parseTemplate(text, at), 6);
    if (parts.length < 6 || !text.startsWith("arn:")) throw noArn();
    if (!parts.slice(0, 5).every(isConstant))
      throw malformed(at, "policy variables may stand behind the fifth colon only");
    return arnTemplate(parts);
  }
  if (text !== "*" && (!text.startsWith("arn:") || arnParts(text).length < 6)) throw noArn();
  return compileArn(text);
}

function compileReach(
  statement: Record<string, unknown>,
  at: string,
  effect: "Allow" | "Deny",
  document: Document,
): ((principal: Principal) => Reach) | undefined {
  const { Principal, NotPrincipal } = statement;
  if (document.kind === "identity") {
    for (const name of ["Principal", "NotPrincipal"])
      if (statement[name] !== undefined)
        throw malformed(`${at}.${name}`, "an identity policy names no principal");
    return undefined;
  }
  if (NotPrincipal === undefined) {
    const named = compilePrincipals(Principal, `${at}.Principal`, document);
    return (principal) => named.reach(principal);
  }
  if (Principal !== undefined) throw malformed(at, "there must be either Principal or NotPrincipal");
  if (effect === "Allow")
    throw malformed(`${at}.NotPrincipal`, 'goes with "Deny" only: an Allow must say whom it allows');
  const spared = compilePrincipals(NotPrincipal, `${at}.NotPrincipal`, document);
  return (principal) => (spared.excepts(principal) ? undefined : "among others");
}

function compilePrincipals(value: unknown, at: string, document: Document): Principals {
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
    for (const [text, where] of texts(names, `${at}.${type}`)) {
      if (type === "AWS" && text === "*") principals.addEveryone();
      else {
        const principal = principalOf(type, text, where);
        principals.add(principal, document.ids?.[principal.arn]);
        document.principals.push(principal);
      }
    }
  }
  return principals;
}

function principalOf(type: "AWS" | "Service", text: string, at: string): Principal {
  const principal = parsePrincipal(type === "AWS" && isAccount(text) ? rootArn(text) : text);
  if (principal !== undefined && (principal.type === "Service") === (type === "Service")) return principal;
  throw malformed(
    at,
    type === "AWS"
      ? `${show(text)} is no account, nor the ARN of a root, user, role or role session`
      : `${show(text)} is not the name of a service, such as "backup.amazonaws.com"`,
  );
}
