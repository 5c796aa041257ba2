import { BlockList, isIP } from "node:net";

/**
 * Who may, decided a second time: straight from AWS's documentation, statement by statement from the JSON, with no
 * thought for speed and nothing in common with `lib/access`. It trusts its policies to be well-formed.
 */
export interface NaiveRequest {
  principal: { arn: string; roleArn?: string; tags?: Record<string, string> };
  action: string;
  resource: string;
  account: string;
  keyPolicy?: NaivePolicy;
  identityPolicies: NaivePolicy[];
  layers: { kind: string; policies: NaivePolicy[] }[];
  grants: NaiveGrant[];
  context: Record<string, string[]>;
  encryptionContext?: Record<string, string>;
  granting?: Pick<NaiveGrant, "operations" | "constraints">;
  retiring?: NaiveGrant;
}

export interface NaivePolicy {
  Version?: string;
  Statement: NaiveStatement | NaiveStatement[];
}

type OneOrMore<T> = T | T[];
type Named = "*" | { AWS?: OneOrMore<string>; Service?: OneOrMore<string> };
export interface NaiveStatement {
  Sid?: string;
  Effect: "Allow" | "Deny";
  Principal?: Named;
  NotPrincipal?: Named;
  Action?: OneOrMore<string>;
  NotAction?: OneOrMore<string>;
  Resource?: OneOrMore<string>;
  NotResource?: OneOrMore<string>;
  Condition?: Record<string, Record<string, OneOrMore<string | number | boolean>>>;
}

type Pairs = Record<string, string>;
export interface NaiveGrant {
  grantId: string;
  granteePrincipal: string;
  retiringPrincipal: string | null;
  issuingAccount: string;
  operations: string[];
  constraints: { EncryptionContextEquals?: Pairs; EncryptionContextSubset?: Pairs } | null;
}

const list = <T>(value: OneOrMore<T> | undefined): T[] =>
  value === undefined ? [] : Array.isArray(value) ? value : [value];

// Callers.

const accountOf = (arn: string) => (arn.startsWith("arn:") ? (arn.split(":")[4] as string) : "");
const isRoot = (arn: string) => arn.endsWith(":root");
const isSession = (arn: string) => arn.includes(":assumed-role/");
const isService = (arn: string) => !arn.startsWith("arn:");

/** Whether a role that is named is that of a session: by its ARN where that is known, else by its name. */
function isRoleOf(role: string, { arn, roleArn }: NaiveRequest["principal"]): boolean {
  if (!isSession(arn) || !role.includes(":role/")) return false;
  if (roleArn !== undefined) return role === roleArn;
  return accountOf(role) === accountOf(arn) && role.split("/").at(-1) === arn.split("/")[1];
}

/** "exact", "group" or "account": how one name takes in a caller. */
function takes(name: string, caller: NaiveRequest["principal"]): string | undefined {
  const full = /^\d{12}$/.test(name) ? `arn:aws:iam::${name}:root` : name;
  if (full === caller.arn) return caller.arn.includes(":role/") ? "group" : "exact";
  if (full === "*" || isRoleOf(full, caller)) return "group";
  return isRoot(full) && accountOf(full) === accountOf(caller.arn) ? "account" : undefined;
}

const namesIn = (named: Named): string[] =>
  named === "*" ? ["*"] : [...list(named.AWS), ...list(named.Service)];

function reaches(statement: NaiveStatement, caller: NaiveRequest["principal"]): string | undefined {
  if (statement.Principal !== undefined) {
    const ways = namesIn(statement.Principal).map((name) => takes(name, caller));
    return ["exact", "group", "account"].find((way) => ways.includes(way));
  }
  const names = namesIn(statement.NotPrincipal as Named);
  const listed = (wanted: (name: string) => boolean) =>
    names.some((name) => wanted(/^\d{12}$/.test(name) ? `arn:aws:iam::${name}:root` : name));
  if (names.includes("*")) return undefined;
  if (!isService(caller.arn)) {
    if (!listed((name) => isRoot(name) && accountOf(name) === accountOf(caller.arn))) return "group";
    if (isSession(caller.arn) && !listed((name) => isRoleOf(name, caller))) return "group";
  }
  return listed((name) => name === caller.arn) ? undefined : "group";
}

// Texts.

function like(pattern: string, text: string): boolean {
  const source = pattern.replace(/[\\^$.*+?()[\]{}|/-]/g, (c) =>
    c === "*" ? ".*" : c === "?" ? "." : `\\${c}`,
  );
  return new RegExp(`^${source}$`, "s").test(text);
}

const six = (arn: string): string[] => {
  const parts = arn.split(":");
  return parts.length < 6 ? parts : [...parts.slice(0, 5), parts.slice(5).join(":")];
};

/** `wild` stands for * and ? that are wildcards: they are moved out of the way of the plain ones. */
const STAR = "\uE000";
const MARK = "\uE001";
const hide = (text: string) => text.replaceAll("*", STAR).replaceAll("?", MARK);
const COLON = "\uE002";

/** A text with its variables replaced, plain wildcards and colons of values hidden; undefined where one has no value. */
function filled(text: string, version: string | undefined, request: NaiveRequest): string | undefined {
  if (version !== "2012-10-17") return text;
  let missing = false;
  const done = text.replace(
    /\$\{(?:([*?$])|([^},]+?)(?:\s*,\s*'([^']*)')?)\}/g,
    (_, plain?: string, key?: string, fallback?: string) => {
      if (plain !== undefined) return hide(plain);
      const values = valuesOf(key as string, request);
      const value = values?.length === 1 && values[0] !== "" ? values[0] : fallback;
      if (value === undefined) missing = true;
      return hide(value ?? "").replaceAll(":", COLON);
    },
  );
  return missing ? undefined : done;
}

const show = (text: string) => text.replaceAll(STAR, "*").replaceAll(MARK, "?").replaceAll(COLON, ":");

function likeFilled(pattern: string | undefined, text: string): boolean {
  if (pattern === undefined) return false;
  return like(pattern.replaceAll(COLON, ":"), hideEqual(pattern, text));
}

/** Hides the wildcard characters of a text where the pattern could only mean them plainly. */
function hideEqual(pattern: string, text: string): string {
  return pattern.includes(STAR) || pattern.includes(MARK)
    ? text.replaceAll("*", STAR).replaceAll("?", MARK)
    : text;
}

function likeArn(pattern: string | undefined, arn: string): boolean {
  if (pattern === undefined) return false;
  if (pattern === "*") return true;
  const [parts, others] = [six(pattern), six(arn)];
  return others.length === 6 && parts.every((part, i) => likeFilled(part, others[i] as string));
}

// Conditions.

function valuesOf(key: string, request: NaiveRequest): string[] | undefined {
  const name = key.toLowerCase();
  const { arn, roleArn, tags = {} } = request.principal;
  const service = isService(arn);
  const some = (value: string | false | undefined) => (value ? [value] : undefined);
  const role = roleArn ?? `arn:aws:iam::${accountOf(arn)}:role/${arn.split("/")[1]}`;
  const kind =
    (isRoot(arn) && "Account") ||
    (arn.includes(":user/") && "User") ||
    (arn.includes(":federated-user/") && "FederatedUser");
  switch (name) {
    case "aws:principalarn":
      return some(!service && (isSession(arn) ? role : arn));
    case "aws:principalaccount":
    case "kms:calleraccount":
      return some(accountOf(arn));
    case "aws:principaltype":
      return some(!service && (kind || "AssumedRole"));
    case "aws:principalisawsservice":
      return [`${service}`];
    case "aws:principalservicename":
      return some(service && arn);
    case "aws:username":
      return some(kind === "User" && arn.split("/").at(-1));
    case "aws:resourceaccount":
      return [request.account];
  }
  if (name.startsWith("aws:principaltag/")) {
    const found = Object.keys(tags).filter((tag) => `aws:principaltag/${tag.toLowerCase()}` === name);
    return found.length > 0 ? found.map((tag) => tags[tag] as string) : undefined;
  }
  return request.context[name];
}

const number = (text: string) => (/^[+-]?\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN);

function moment(text: string): number {
  if (/^-?\d+(\.\d+)?$/.test(text) && !/^\d{4}$/.test(text)) return Number(text) * 1000;
  if (/^\d{4}(-\d\d(-\d\d)?)?$/.test(text)) return Date.parse(text);
  if (/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/.test(text)) return Date.parse(text);
  return Number.NaN;
}

function inRange(range: string, address: string): boolean {
  const plain = (text: string) => {
    const tail = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/i.exec(text);
    if (tail !== null) {
      const [high, low] = [Number.parseInt(tail[1] as string, 16), Number.parseInt(tail[2] as string, 16)];
      return [high >> 8, high & 255, low >> 8, low & 255].join(".");
    }
    return text.replace(/^::ffff:(?=\d+\.)/i, "");
  };
  const [written = "", prefix] = range.split("/");
  const base = plain(written);
  const family = isIP(base) === 4 ? "ipv4" : "ipv6";
  const whole = family === "ipv4" ? 32 : 128;
  const bits = prefix === undefined ? whole : Number(prefix) - (base === written ? 0 : 96);
  const caller = plain(address);
  if (isIP(caller) !== (family === "ipv4" ? 4 : 6)) return false;
  const block = new BlockList();
  block.addSubnet(base, bits, family);
  return block.check(caller, family);
}

const bytes = (text: string) => {
  const decoded = Buffer.from(text, "base64");
  return decoded.toString("base64") === text ? decoded.toString("hex") : undefined;
};

/** Whether one value of the request is what one value of the policy asks for; the operator without its Not. */
function meets(
  operator: string,
  wanted: string,
  seen: string,
  fill: (text: string) => string | undefined,
): boolean {
  const shown = () => {
    const text = fill(wanted);
    return text === undefined ? undefined : show(text);
  };
  switch (operator) {
    case "StringEquals":
      return shown() === seen;
    case "StringEqualsIgnoreCase":
      return shown()?.toLowerCase() === seen.toLowerCase();
    case "StringLike":
      return likeFilled(fill(wanted), seen);
    case "ArnEquals":
    case "ArnLike":
      return likeArn(fill(wanted), seen);
    case "Bool":
      return wanted.toLowerCase() === seen.toLowerCase();
    case "BinaryEquals":
      return bytes(wanted) === bytes(seen);
    case "IpAddress":
      return inRange(wanted, seen);
  }
  const [, family, compare] = /^(Numeric|Date)(.*)$/.exec(operator) ?? [];
  const read = family === "Date" ? moment : number;
  const [one, other] = [read(seen), read(wanted)];
  return {
    Equals: one === other,
    LessThan: one < other,
    LessThanEquals: one <= other,
    GreaterThan: one > other,
    GreaterThanEquals: one >= other,
  }[compare as "Equals"];
}

function holds(
  operator: string,
  key: string,
  wanted: string[],
  effect: string,
  request: NaiveRequest,
  fill: (text: string) => string | undefined,
): boolean {
  const [, set, whole = "", ifExists] = /^(?:(\w+):)?(\w+?)(IfExists)?$/.exec(operator) ?? [];
  let seen = valuesOf(key, request) ?? [];
  if (whole === "Null")
    return wanted.some((value) => (value.toLowerCase() === "true") === (seen.length === 0));
  const negated = whole.includes("Not");
  if (set !== undefined && seen.every((value) => value === "")) seen = [];
  if (seen.length === 0) {
    if (ifExists !== undefined) return true;
    if (set !== undefined) return set === "ForAllValues";
    return negated;
  }
  const base = whole.replace("Not", "");
  const good = seen.map((value) => {
    const met = wanted.some((text) => meets(base, text, value, fill));
    return negated ? !met : met;
  });
  const all = set === undefined ? effect === "Allow" : set === "ForAllValues";
  return all ? good.every((yes) => yes) : good.some((yes) => yes);
}

// Statements.

function speaksOf(statement: NaiveStatement, version: string | undefined, request: NaiveRequest): boolean {
  const action = request.action.toLowerCase();
  const inActions = (actions: string[]) => actions.some((pattern) => like(pattern.toLowerCase(), action));
  if (statement.Action ? !inActions(list(statement.Action)) : inActions(list(statement.NotAction)))
    return false;
  const fill = (text: string) => filled(text, version, request);
  const inResources = (arns: string[]) => arns.some((pattern) => likeArn(fill(pattern), request.resource));
  const resources = statement.Resource ?? statement.NotResource;
  if (resources !== undefined && inResources(list(resources)) !== (statement.Resource !== undefined))
    return false;
  return Object.entries(statement.Condition ?? {}).every(([operator, keys]) =>
    Object.entries(keys).every(([key, values]) =>
      holds(operator, key, list(values).map(String), statement.Effect, request, fill),
    ),
  );
}

interface Found {
  statement: NaiveStatement;
  way: string | undefined;
}

function speaking(policies: NaivePolicy[], request: NaiveRequest): Found[] {
  return policies.flatMap(({ Version, Statement }) =>
    list(Statement)
      .filter((statement) => speaksOf(statement, Version, request))
      .map((statement) => ({
        statement,
        way:
          statement.Principal || statement.NotPrincipal ? reaches(statement, request.principal) : "identity",
      }))
      .filter(({ way }) => way !== undefined),
  );
}

const denies = (found: Found[]) => found.some(({ statement }) => statement.Effect === "Deny");
const allows = (found: Found[], ...ways: string[]) =>
  found.some(({ statement, way }) => statement.Effect === "Allow" && ways.includes(way as string));

// Grants.

const withContext = /^(Encrypt|Decrypt|ReEncryptFrom|ReEncryptTo|GenerateDataKey(Pair)?(WithoutPlaintext)?)$/;
const known =
  /^(DescribeKey|GetPublicKey|Sign|Verify|GenerateMac|VerifyMac|DeriveSharedSecret|CreateGrant|RetireGrant)$/;

const within = (part: Pairs, whole: Pairs) =>
  Object.entries(part).every(([key, value]) =>
    Object.entries(whole).some(([other, same]) => other === key && same === value),
  );
const equal = (one: Pairs, other: Pairs) => within(one, other) && within(other, one);

function grantAllows(grant: NaiveGrant, request: NaiveRequest): boolean {
  const operation = request.action.replace(/^kms:/, "");
  if (operation === request.action || !grant.operations.includes(operation)) return false;
  const { EncryptionContextEquals: exact, EncryptionContextSubset: part } = grant.constraints ?? {};
  if (operation === "CreateGrant") {
    const child = request.granting;
    if (child === undefined || child.operations.some((one) => !grant.operations.includes(one))) return false;
    const own = child.constraints ?? {};
    if (exact && !(own.EncryptionContextEquals && equal(own.EncryptionContextEquals, exact))) return false;
    const least = own.EncryptionContextEquals ?? own.EncryptionContextSubset ?? {};
    return (
      !part ||
      ((own.EncryptionContextEquals ?? own.EncryptionContextSubset) !== undefined && within(part, least))
    );
  }
  if (!withContext.test(operation)) return known.test(operation);
  const context = request.encryptionContext ?? {};
  return (!exact || equal(exact, context)) && (!part || within(part, context));
}

/** Whether the request is allowed, and no more than that. */
export function naiveDecide(request: NaiveRequest): boolean {
  const { arn } = request.principal;
  const key = request.keyPolicy ? speaking([request.keyPolicy], request) : [];
  const identity = speaking(request.identityPolicies, request);
  const layers = request.layers.map(({ kind, policies }) => ({ kind, found: speaking(policies, request) }));
  if (denies(key) || denies(identity) || layers.some(({ found }) => denies(found))) return false;

  const shut = layers.filter(({ found }) => !allows(found, "identity")).map(({ kind }) => kind);
  if (shut.includes("service control policy")) return false;
  const open = shut.length === 0;
  const permitted = allows(identity, "identity");

  if (request.retiring !== undefined) {
    const { retiringPrincipal, issuingAccount, granteePrincipal, operations } = request.retiring;
    const parties = [issuingAccount, ...(retiringPrincipal ? [retiringPrincipal] : [])];
    if (operations.includes("RetireGrant")) parties.push(granteePrincipal);
    const ways = parties.map((party) => takes(party, request.principal));
    return (
      ways.includes("exact") ||
      (open && ways.includes("group")) ||
      (open && ways.includes("account") && permitted)
    );
  }

  const home = accountOf(arn) === request.account;
  if (!request.keyPolicy && !/^arn:aws:kms:[^:]*:[^:]*:key\//.test(request.resource))
    return home && open && (isRoot(arn) || permitted);

  // "Cross-account use" in the reference of each operation.
  const abroad =
    /^kms:(CreateGrant|RetireGrant|RevokeGrant|ListGrants|DescribeKey|GetPublicKey|GetKeyRotationStatus|Sign|Verify|Encrypt|Decrypt|ReEncrypt(From|To)|GenerateMac|VerifyMac|DeriveSharedSecret|GenerateDataKey(Pair)?(WithoutPlaintext)?)$/;
  if (!home && !isService(arn) && request.action.startsWith("kms:") && !abroad.test(request.action))
    return false;
  const alone = home || isRoot(arn) || isService(arn);
  if (alone && allows(key, "exact")) return true;
  if (alone && open && allows(key, "group")) return true;
  if (open && permitted && allows(key, "exact", "group", "account")) return true;

  return request.grants
    .filter((grant) => grantAllows(grant, request))
    .some((grant) => {
      const way = takes(grant.granteePrincipal, request.principal);
      return way === "exact" || (open && way === "group") || (open && permitted && way === "account");
    });
}
