import { type Decision, decide, type PolicyPlace, type Reason } from "./decision.ts";
import { grantOperations, permits } from "./grants.ts";
import type { Reach } from "./principal.ts";
import type { AccessRequest } from "./question.ts";
import { concerns, type Statement } from "./statement.ts";

/** Where a statement stands. */
export interface StatementPlace {
  readonly place: PolicyPlace;
  /** The name of the policy, where it has one. */
  readonly policy: string | null;
  readonly index: number;
  readonly sid: string | null;
}

/** A statement beside the request: each of its elements, and whether the request is as it says. */
export interface ExaminedStatement extends StatementPlace {
  readonly effect: "Allow" | "Deny";
  /** How it takes in the caller; null where it does not. An identity policy speaks of its callers. */
  readonly principal: Exclude<Reach, undefined> | "its own" | null;
  readonly action: boolean;
  readonly resource: boolean;
  readonly conditions: readonly ExaminedCondition[];
  /** Whether all of it holds. */
  readonly applies: boolean;
}

export interface ExaminedCondition {
  readonly operator: string;
  readonly key: string;
  readonly values: readonly string[];
  /** What the request has; null where it lacks the key. */
  readonly seen: readonly string[] | null;
  readonly holds: boolean;
}

export interface ExaminedGrant {
  readonly grantId: string;
  readonly grantee: Exclude<Reach, undefined>;
  readonly operation: boolean;
  /** Whether the constraints are met, and a grant to be made is no wider than this one. */
  readonly constraints: boolean;
  readonly applies: boolean;
}

/** One way to have the request allowed; a refusal for several reasons needs several. */
export interface Remedy {
  readonly place: PolicyPlace | "grant";
  /** The statement that would have to change; null where one would have to be added. */
  readonly statement: StatementPlace | null;
  /** For people. */
  readonly what: string;
}

/** Plain data: it can be printed and kept. */
export interface Explanation {
  readonly allowed: boolean;
  readonly reason: Reason;
  /** What decided: at most one of the policies that the reason names first, one of an identity, one grant. */
  readonly statement: StatementPlace | null;
  readonly identityStatement: StatementPlace | null;
  readonly grantId: string | null;
  readonly statements: readonly ExaminedStatement[];
  /** The first of those that name the caller. */
  readonly grants: readonly ExaminedGrant[];
  /** Empty where the request is allowed. */
  readonly wouldAllow: readonly Remedy[];
}

const GRANTS = 100;

/** The decision, which is that of `decide` itself, and all that it looked at. For administrators only. */
export function explain(request: AccessRequest): Explanation {
  const decision = decide(request);
  const statements = policiesOf(request).flatMap(([place, list]) =>
    list.map((statement) => examine(statement, place, request)),
  );
  const where = (statement: Statement | undefined) => {
    const found = policiesOf(request).find(([, list]) => statement && list.includes(statement));
    return statement && found ? placeOf(statement, found[0]) : null;
  };
  return {
    allowed: decision.allowed,
    reason: decision.reason,
    statement: where(decision.statement),
    identityStatement: where(decision.identityStatement),
    grantId: decision.grant?.grantId ?? null,
    statements,
    grants: grantsOf(request),
    wouldAllow: decision.allowed ? [] : remedies(request, decision, statements),
  };
}

type Listed = readonly [place: PolicyPlace, statements: readonly Statement[]];

function policiesOf({ keyPolicy, identityPolicies = [], layers = [] }: AccessRequest): Listed[] {
  const own = identityPolicies.map(({ statements }) => ["identity policy", statements] as const);
  const narrowing = layers.flatMap(({ kind, policies }) =>
    policies.map(({ statements }) => [kind, statements] as const),
  );
  return [...(keyPolicy ? [["key policy", keyPolicy.statements] as const] : []), ...own, ...narrowing];
}

const placeOf = ({ policy, index, sid }: Statement, place: PolicyPlace): StatementPlace => ({
  place,
  policy: policy ?? null,
  index,
  sid: sid ?? null,
});

function examine(statement: Statement, place: PolicyPlace, request: AccessRequest): ExaminedStatement {
  const action = request.action.toLowerCase();
  const { principal, resource } = request;
  const reach = statement.reach === undefined ? "its own" : statement.reach(principal);
  return {
    ...placeOf(statement, place),
    effect: statement.effect,
    principal: reach ?? null,
    action: statement.action(action, request),
    resource: statement.resource(resource, request),
    conditions: statement.conditions.map(({ operator, key, values, holds, seen }) => ({
      operator,
      key,
      values,
      seen: seen(request) ?? null,
      holds: holds(request),
    })),
    applies: reach !== undefined && concerns(statement, action, resource, request),
  };
}

function grantsOf(request: AccessRequest): ExaminedGrant[] {
  const examined: ExaminedGrant[] = [];
  const name = request.action.slice("kms:".length);
  for (const [grant, grantee] of request.grants?.of(request.principal) ?? []) {
    const operation = grant.operations.includes(name);
    const applies = permits(grant, name, request);
    examined.push({
      grantId: grant.grantId,
      grantee,
      operation,
      constraints: !operation || applies,
      applies,
    });
    if (examined.length >= GRANTS) break;
  }
  return examined;
}

function remedies(
  request: AccessRequest,
  { reason, statement }: Decision,
  statements: readonly ExaminedStatement[],
): Remedy[] {
  const { principal, action, resource } = request;
  if (statement !== undefined)
    return statements
      .filter(({ effect, applies }) => effect === "Deny" && applies)
      .map((denying) => ({
        place: denying.place,
        statement: atPlace(denying),
        what: `its Deny would have to leave out this request${because(denying.conditions, true)}`,
      }));
  if (reason === "no part in the grant")
    return [
      {
        place: "grant",
        statement: null,
        what: `${principal.arn} would have to be its retiring principal, or a grantee that may RetireGrant`,
      },
    ];
  if (reason === "not across accounts")
    return [
      {
        place: "key policy",
        statement: null,
        what: `none can allow ${action} across accounts: the caller would have to be of ${request.account}`,
      },
    ];
  const place = (reason.slice("no ".length, -" statement allows".length) || "key policy") as PolicyPlace;
  const near = statements
    .filter((allowing) => allowing.effect === "Allow" && allowing.place === place && !allowing.applies)
    .filter((allowing) => allowing.principal !== null && allowing.action && allowing.resource)
    .map((allowing) => ({
      place,
      statement: atPlace(allowing),
      what: `its conditions would have to hold${because(allowing.conditions, false)}`,
    }));
  const whom = place === "key policy" ? ` to ${principal.arn}` : "";
  const added: Remedy[] = [
    { place, statement: null, what: `a statement would have to allow ${action} on ${resource}${whom}` },
  ];
  const operation = action.slice("kms:".length);
  if (!place.endsWith("y policy") || request.keyPolicy === undefined || !grantOperations.has(operation))
    return [...near, ...added];
  const grant = `a grant to ${principal.arn} would have to allow ${operation} as it was asked for`;
  return [...near, ...added, { place: "grant", statement: null, what: grant }];
}

const atPlace = ({ place, policy, index, sid }: ExaminedStatement): StatementPlace => ({
  place,
  policy,
  index,
  sid,
});

/** The conditions that hold, or those that do not, with what they saw. */
function because(conditions: readonly ExaminedCondition[], holding: boolean): string {
  const list = conditions
    .filter(({ holds }) => holds === holding)
    .map(({ operator, key, values, seen }) => {
      const found = seen === null ? "the request lacks it" : `the request has ${JSON.stringify(seen)}`;
      return `${operator} ${key} ${JSON.stringify(values)}: ${found}`;
    });
  return list.length === 0 ? "" : ` (${list.join("; ")})`;
}
