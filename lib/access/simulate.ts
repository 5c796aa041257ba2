import { isAccount } from "../arn.ts";
import { MalformedPolicyDocumentException, ValidationException } from "../errors.ts";
import { byLowerCase } from "./condition-keys.ts";
import { type Explanation, explain } from "./explain.ts";
import { contextAskedBy, type Grant, GrantIndex } from "./grants.ts";
import { arnParts } from "./pattern.ts";
import { compilePolicy, type Policy, type PolicyKind } from "./policy.ts";
import { type Principal, parsePrincipal } from "./principal.ts";
import type { Layer } from "./question.ts";
import { show } from "./reading.ts";

/** A policy document as an object, or as its text. */
export type PolicyDocument = object | string;

/** A request and all that decides on it, in plain data: for tests of policies before they are put to use. */
export interface Scenario {
  /** The caller: the ARN of a root, user, role, session or federated user, or the name of a service. */
  readonly principal: string;
  /** The ARN of the role behind a session. */
  readonly role?: string;
  /** The caller's. */
  readonly tags?: Readonly<Record<string, string>>;
  /** Such as `kms:Encrypt`. */
  readonly action: string;
  /** The ARN of a key or alias; `*`, as it is without it, for the account as a whole. */
  readonly resource?: string;
  readonly keyPolicy?: PolicyDocument;
  readonly identityPolicies?: readonly PolicyDocument[];
  readonly layers?: readonly { readonly kind: Layer["kind"]; readonly policies: readonly PolicyDocument[] }[];
  readonly grants?: readonly ScenarioGrant[];
  /** By condition key. What follows from the caller, the resource and the encryption context need not be said. */
  readonly context?: Readonly<Record<string, Scalar | readonly Scalar[]>>;
  readonly encryptionContext?: Readonly<Record<string, string>>;
  /** For CreateGrant: what is to be granted. */
  readonly granting?: Pick<ScenarioGrant, "operations" | "constraints">;
  /** For RetireGrant: the grant. */
  readonly retiring?: ScenarioGrant;
}

export type ScenarioGrant = Partial<Grant> & Pick<Grant, "granteePrincipal" | "operations">;
type Scalar = string | number | boolean;

const members: ReadonlySet<string> = new Set<keyof Scenario>([
  ...(["principal", "role", "tags", "action", "resource", "keyPolicy", "identityPolicies"] as const),
  ...(["layers", "grants", "context", "encryptionContext", "granting", "retiring"] as const),
]);
const kinds: ReadonlySet<string> = new Set<Layer["kind"]>([
  ...(["service control policy", "permissions boundary", "session policy"] as const),
]);
const constraintNames: ReadonlySet<string> = new Set(["EncryptionContextEquals", "EncryptionContextSubset"]);

/**
 * What would be decided, and why. Throws `ValidationException` for a scenario that is none, and
 * `MalformedPolicyDocumentException` for a policy, both saying where.
 */
export function simulate(scenario: Scenario): Explanation {
  check(isRecord(scenario), "the scenario", "must be an object");
  for (const name of Object.keys(scenario)) check(members.has(name), name, "is no member of a scenario");
  const { action, resource = "*", keyPolicy, layers = [], grants = [], granting, retiring } = scenario;
  const { encryptionContext } = scenario;
  check(isText(action), "action", "must be a string, such as kms:Encrypt");
  check(
    encryptionContext === undefined || isPairs(encryptionContext),
    "encryptionContext",
    "must map texts to texts",
  );
  const principal = callerOf(scenario);
  const account = resource === "*" ? principal.account : accountOf(resource);
  const completed = (grant: ScenarioGrant, at: string): Grant => {
    const rest = { retiringPrincipal: null, issuingAccount: account, constraints: null };
    const whole = { grantId: at, ...rest, ...grant };
    checkGrant(grant, at);
    for (const name of ["grantId", "granteePrincipal", "issuingAccount"] as const)
      check(typeof whole[name] === "string", `${at}.${name}`, "must be a string");
    const { retiringPrincipal } = whole;
    check(
      retiringPrincipal === null || isText(retiringPrincipal),
      `${at}.retiringPrincipal`,
      "must be a string",
    );
    return whole;
  };
  if (granting !== undefined) checkGrant(granting, "granting");
  return explain({
    ...{ principal, account, action, resource, encryptionContext },
    keyPolicy: keyPolicy === undefined ? undefined : read(keyPolicy, "key", "keyPolicy"),
    identityPolicies: identities(scenario.identityPolicies ?? [], "identityPolicies"),
    layers: list(layers, "layers").map((layer, i) => {
      const at = `layers[${i}]`;
      check(kinds.has(layer?.kind), `${at}.kind`, `must be one of ${[...kinds].join(", ")}`);
      return { kind: layer.kind, policies: identities(layer.policies, `${at}.policies`) };
    }),
    grants: new GrantIndex(list(grants, "grants").map((grant, i) => completed(grant, `grants[${i}]`))),
    granting: granting === undefined ? undefined : { constraints: null, ...granting },
    retiring: retiring === undefined ? undefined : completed(retiring, "retiring"),
    context: contextOf(
      encryptionContext ?? contextAskedBy((retiring ?? granting)?.constraints),
      scenario.context,
    ),
  });
}

function check(good: boolean, at: string, what: string): void {
  if (!good) throw new ValidationException(`${at}: ${what}`);
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isText = (value: unknown) => typeof value === "string";
/** Texts by name, unless other values are wanted. */
const isPairs = (value: unknown, wanted: (inner: unknown) => boolean = isText) =>
  isRecord(value) && Object.values(value).every((inner) => wanted(inner));

const isScalar = (value: unknown) => ["string", "number", "boolean"].includes(typeof value);

function list<T>(value: readonly T[], at: string): readonly T[] {
  check(Array.isArray(value), at, "must be a list");
  return value;
}

function checkGrant(grant: unknown, at: string): void {
  check(isRecord(grant), at, "must be an object");
  const { operations, constraints = null } = grant as Partial<Grant>;
  check(Array.isArray(operations) && operations.every(isText), `${at}.operations`, "must be a list of texts");
  check(
    constraints === null ||
      (isPairs(constraints, isPairs) && Object.keys(constraints).every((name) => constraintNames.has(name))),
    `${at}.constraints`,
    "must have EncryptionContextEquals or EncryptionContextSubset, which map texts to texts",
  );
}

function accountOf(resource: string): string {
  check(isText(resource), "resource", "must be a string");
  const account = arnParts(resource)[4];
  if (account !== undefined && isAccount(account)) return account;
  throw new ValidationException(`resource: ${show(resource)} is neither "*" nor the ARN of a key or alias`);
}

const identities = (policies: readonly PolicyDocument[], at: string) =>
  list(policies, at).map((policy, i) => read(policy, "identity", `${at}[${i}]`));

function callerOf({ principal, role: roleArn, tags }: Scenario): Principal {
  check(
    roleArn === undefined || (typeof roleArn === "string" && parsePrincipal(roleArn)?.type === "Role"),
    "role",
    "must be the ARN of a role",
  );
  check(tags === undefined || isPairs(tags), "tags", "must map texts to texts");
  check(isText(principal), "principal", "must be a string");
  const found = parsePrincipal(principal);
  if (found !== undefined) return { ...found, roleArn, tags };
  throw new ValidationException(
    `principal: ${show(principal)} is not the ARN of a root, user, role or session, nor the name of a service`,
  );
}

function read(policy: PolicyDocument, kind: PolicyKind, name: string): Policy {
  check(isText(policy) || isRecord(policy), name, "must be a policy, as an object or as its text");
  try {
    return compilePolicy(typeof policy === "string" ? policy : JSON.stringify(policy), kind, name);
  } catch (error) {
    throw new MalformedPolicyDocumentException(`${name}: ${(error as Error).message}`);
  }
}

function contextOf(
  encryptionContext: Scenario["encryptionContext"],
  context: Scenario["context"] = {},
): (key: string) => string[] | undefined {
  check(isRecord(context), "context", "must map condition keys to values");
  const pairs = Object.entries(encryptionContext ?? {});
  const values = byLowerCase(pairs.map(([name, value]) => [`kms:encryptioncontext:${name}`, value]));
  if (encryptionContext !== undefined)
    values.set(
      "kms:encryptioncontextkeys",
      pairs.map(([name]) => name),
    );
  for (const [key, value] of Object.entries(context)) {
    const all = [value].flat();
    check(all.every(isScalar), `context.${key}`, "must be a text, a number or a boolean, or a list of them");
    values.set(key.toLowerCase(), all.map(String));
  }
  return (key) => values.get(key);
}
