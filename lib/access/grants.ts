import { isAccount, rootArn } from "../arn.ts";
import { isMeant, type Principal, parsePrincipal, type Reach, roleBehind, sessionsOf } from "./principal.ts";
import type { AccessRequest } from "./question.ts";

type Pairs = Readonly<Record<string, string>>;

/** What a grant says, as CreateGrant takes it. */
export interface Grant {
  readonly grantId: string;
  /** An account, or the ARN of a root, user, role or session, or the name of a service. */
  readonly granteePrincipal: string;
  readonly retiringPrincipal: string | null;
  /** The account, or its root's ARN, in which the grant was made. */
  readonly issuingAccount: string;
  /** Without the prefix `kms:`. */
  readonly operations: readonly string[];
  readonly constraints: {
    readonly EncryptionContextEquals?: Pairs;
    readonly EncryptionContextSubset?: Pairs;
  } | null;
  /** The principal ids of the grantee and the retiring principal, by ARN, as far as they are known. */
  readonly principals?: Readonly<Record<string, string>> | null;
}

/** The operations that a grant can allow. */
export const grantOperations: ReadonlySet<string> = new Set([
  ...["Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom"],
  ...["ReEncryptTo", "Sign", "Verify", "GetPublicKey", "CreateGrant", "RetireGrant", "DescribeKey"],
  ...["GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext", "GenerateMac", "VerifyMac"],
  "DeriveSharedSecret",
]);

/** By action. */
const operationOf = new Map([...grantOperations].map((operation) => [`kms:${operation}`, operation]));

/** The operations that have an encryption context, and so heed constraints on it. */
const contextual = new Set([
  ...["Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey"],
  ...["GenerateDataKeyWithoutPlaintext", "GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext"],
]);

/** The grants of one grantee for one operation. */
interface Shelf {
  /** Those whose constraints the operation does not heed, and those that ask for no pair. */
  readonly free: Grant[];
  /** The others, by key and value of one of the pairs that each asks for. */
  readonly bound: Map<string, Map<string, Grant[]>>;
}

/** The grants of one grantee. */
interface Grantee {
  readonly grants: Grant[];
  /** By operation, from the first time that it is asked for. */
  readonly shelves: Map<string, Shelf>;
}

/** The grants on one key, found by whom, for what and with which encryption context they are. */
export class GrantIndex {
  readonly size: number;
  readonly #grantees = new Map<string, Grantee>();

  constructor(grants: readonly Grant[] = []) {
    this.size = grants.length;
    const byText = new Map<string, Grant[]>();
    for (const grant of grants) getOrMake(byText, grant.granteePrincipal, () => []).push(grant);
    for (const [text, list] of byText) {
      for (const name of namesOf(text)) {
        const grantee = getOrMake(this.#grantees, name, () => ({ grants: [], shelves: new Map() }));
        for (const grant of list) grantee.grants.push(grant);
      }
    }
  }

  /** A grant that allows the request to whoever is so named, without regard to anything else. */
  find(request: AccessRequest, reach: Exclude<Reach, undefined>): Grant | undefined {
    const name = nameFor(request.principal, reach);
    const operation = operationOf.get(request.action);
    if (name === undefined || operation === undefined) return undefined;
    const grantee = this.#grantees.get(name);
    if (grantee === undefined) return undefined;
    const { free, bound } = getOrMake(grantee.shelves, operation, () => shelve(grantee.grants, operation));
    for (const grant of free) if (permits(grant, operation, request)) return grant;
    if (bound.size === 0) return undefined;
    const context = request.encryptionContext ?? {};
    for (const key of Object.keys(context)) {
      const grants = bound.get(key)?.get(context[key] as string);
      if (grants === undefined) continue;
      for (const grant of grants) if (permits(grant, operation, request)) return grant;
    }
    return undefined;
  }

  /** All that name the caller, whatever they allow: for administrators, not for decisions. */
  *of(principal: Principal): Generator<readonly [grant: Grant, reach: Exclude<Reach, undefined>]> {
    for (const reach of reaches) {
      const name = nameFor(principal, reach);
      for (const grant of (name && this.#grantees.get(name)?.grants) || []) yield [grant, reach];
    }
  }
}

function shelve(grants: readonly Grant[], operation: string): Shelf {
  const shelf: Shelf = { free: [], bound: new Map() };
  for (const grant of grants) {
    if (!grant.operations.includes(operation)) continue;
    const pair = pairOf(grant, operation);
    if (pair === undefined) shelf.free.push(grant);
    else {
      const values = getOrMake(shelf.bound, pair[0], () => new Map<string, Grant[]>());
      getOrMake(values, pair[1], () => []).push(grant);
    }
  }
  return shelf;
}

/** Whether the operation is among the grant's, within its constraints, for whoever bears the grantee's name. */
export function permits(grant: Grant, operation: string, request: AccessRequest): boolean {
  if (!grant.operations.includes(operation)) return false;
  if (!isMeant(grant.principals?.[grant.granteePrincipal], request.principal)) return false;
  if (operation === "CreateGrant") return request.granting !== undefined && narrows(request.granting, grant);
  if (grant.constraints === null || !contextual.has(operation)) return true;
  return satisfies(request.encryptionContext ?? {}, grant.constraints);
}

function satisfies(context: Pairs, constraints: NonNullable<Grant["constraints"]>): boolean {
  const { EncryptionContextEquals: equal, EncryptionContextSubset: subset } = constraints;
  if (subset && !contains(context, subset)) return false;
  return !equal || same(context, equal);
}

const contains = (whole: Pairs, part: Pairs) =>
  Object.entries(part).every(([key, value]) => Object.hasOwn(whole, key) && whole[key] === value);
const same = (one: Pairs, other: Pairs) =>
  Object.keys(one).length === Object.keys(other).length && contains(one, other);

/** A grant made through a grant allows nothing that the first does not: no other operation, no looser constraint. */
export function narrows(
  child: Pick<Grant, "operations" | "constraints">,
  { operations, constraints }: Pick<Grant, "operations" | "constraints">,
): boolean {
  if (!child.operations.every((operation) => operations.includes(operation))) return false;
  const { EncryptionContextEquals: equal, EncryptionContextSubset: subset } = constraints ?? {};
  const own = child.constraints ?? {};
  const least = own.EncryptionContextEquals ?? own.EncryptionContextSubset;
  if (subset && !(least && contains(least, subset))) return false;
  return !equal || (own.EncryptionContextEquals !== undefined && same(own.EncryptionContextEquals, equal));
}

/** What a grant asks for is to condition keys the encryption context of making and retiring it: so AWS. */
export function contextAskedBy(constraints: Grant["constraints"] | undefined): Pairs | undefined {
  if (constraints === null || constraints === undefined) return undefined;
  return { ...constraints.EncryptionContextSubset, ...constraints.EncryptionContextEquals };
}

const reaches = ["precisely", "among others", "through its account"] as const;

/** How a grantee or retiring principal takes in a caller. */
export function reachOf(named: string, grant: Grant, principal: Principal): Reach {
  if (!isMeant(grant.principals?.[named], principal)) return undefined;
  const names = namesOf(named);
  for (const reach of reaches) {
    const name = nameFor(principal, reach);
    if (name !== undefined && names.includes(name)) return reach;
  }
  return undefined;
}

/** What a caller is looked up by; each says it at most one way. */
function nameFor(principal: Principal, reach: Exclude<Reach, undefined>): string | undefined {
  const { arn, account, type } = principal;
  switch (reach) {
    case "precisely":
      return type === "Role" ? undefined : arn;
    case "among others":
      return type === "Role" ? arn : type === "AssumedRole" ? roleBehind(principal) : undefined;
    case "through its account":
      return type === "Account" || type === "Service" ? undefined : rootArn(account);
  }
}

const grantees = new WeakMap<Principal, readonly string[] | undefined>();

/**
 * All that the grantee of a grant which takes in this caller can be called; undefined where that cannot be told, as of a
 * session whose role may have a path.
 */
export function granteesOf(principal: Principal): readonly string[] | undefined {
  if (grantees.has(principal)) return grantees.get(principal);
  const { arn, account, type, roleArn } = principal;
  const known = type !== "AssumedRole" || roleArn !== undefined;
  const names = new Set([arn, roleArn ?? arn, account === "" ? arn : rootArn(account), account]);
  names.delete("");
  const list = known ? [...names] : undefined;
  grantees.set(principal, list);
  return list;
}

/** What a principal in a grant is filed under: see {@link nameFor}. */
function namesOf(text: string): readonly string[] {
  if (isAccount(text)) return [rootArn(text)];
  const principal = parsePrincipal(text);
  return principal?.type === "Role" ? [text, sessionsOf(principal)] : [text];
}

/** One of the pairs that a grant asks for, where the operation heeds it. */
function pairOf({ constraints }: Grant, operation: string): [key: string, value: string] | undefined {
  if (!contextual.has(operation)) return undefined;
  const [pair] = Object.entries({
    ...constraints?.EncryptionContextSubset,
    ...constraints?.EncryptionContextEquals,
  });
  return pair;
}

function getOrMake<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}
