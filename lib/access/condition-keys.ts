import type { Principal } from "./principal.ts";
import type { Circumstances } from "./question.ts";

/** How a value is written: dates in ISO 8601 or as seconds since 1970, booleans as `true` and `false`. */
export type KeyType = "String" | "ARN" | "Bool" | "Numeric" | "Date" | "IPAddress";
type Values = readonly string[] | undefined;

interface Row {
  readonly type: KeyType;
  /** Whether a request can have several values, which `ForAllValues` and `ForAnyValue` are for. */
  readonly many?: true;
  /** For keys that follow from the caller and the resource, so that nobody else can say them. */
  readonly values?: (about: Circumstances, rest: string) => Values;
}

const one = (value: string | undefined): Values => (value ? [value] : undefined);

/**
 * The condition keys. A name that ends in `:` or `/` stands for all that begin with it; what follows is the name of a
 * tag, or of a pair of the encryption context. From facts.md ("Condition keys"), and AWS's lists of global
 * condition context keys and of condition keys for AWS KMS, which say type and number of values.
 */
export const conditionKeys: Readonly<Record<string, Row>> = {
  "aws:PrincipalArn": { type: "ARN", values: ({ principal }) => one(arnOfIdentity(principal)) },
  "aws:PrincipalAccount": { type: "String", values: ({ principal }) => one(principal.account) },
  "aws:PrincipalType": { type: "String", values: ({ principal }) => one(typeOf(principal)) },
  "aws:PrincipalTag/": { type: "String", values: ({ principal }, tag) => tagsOf(principal)?.get(tag) },
  "aws:PrincipalIsAWSService": {
    type: "Bool",
    values: ({ principal }) => [String(principal.type === "Service")],
  },
  "aws:PrincipalServiceName": {
    type: "String",
    values: ({ principal }) => one(principal.type === "Service" ? principal.arn : undefined),
  },
  "aws:username": {
    type: "String",
    values: ({ principal }) => one(principal.type === "User" ? principal.arn.split("/").at(-1) : undefined),
  },
  "aws:ResourceAccount": { type: "String", values: ({ account }) => one(account) },
  "aws:SourceIp": { type: "IPAddress" },
  "aws:CurrentTime": { type: "Date" },
  "aws:EpochTime": { type: "Date" },
  "aws:SecureTransport": { type: "Bool" },
  "aws:UserAgent": { type: "String" },
  "aws:RequestTag/": { type: "String" },
  "aws:ResourceTag/": { type: "String" },
  "aws:TagKeys": { type: "String", many: true },
  "aws:RequestedRegion": { type: "String" },
  "aws:TokenIssueTime": { type: "Date" },
  "aws:userid": { type: "String" },
  "aws:CalledVia": { type: "String", many: true },
  "aws:PrincipalOrgPaths": { type: "String", many: true },
  "aws:PrincipalServiceNamesList": { type: "String", many: true },
  "aws:ResourceOrgPaths": { type: "String", many: true },

  "kms:BypassPolicyLockoutSafetyCheck": { type: "Bool" },
  "kms:CallerAccount": { type: "String", values: ({ principal }) => one(principal.account) },
  "kms:CustomerMasterKeySpec": { type: "String" },
  "kms:CustomerMasterKeyUsage": { type: "String" },
  "kms:DataKeyPairSpec": { type: "String" },
  "kms:EncryptionAlgorithm": { type: "String" },
  "kms:EncryptionContext:": { type: "String" },
  "kms:EncryptionContextKeys": { type: "String", many: true },
  "kms:ExpirationModel": { type: "String" },
  "kms:GrantConstraintSourceArn": { type: "ARN" },
  "kms:GrantConstraintType": { type: "String" },
  "kms:GrantIsForAWSResource": { type: "Bool" },
  "kms:GrantOperations": { type: "String", many: true },
  "kms:GranteePrincipal": { type: "String" },
  "kms:GranteeServicePrincipal": { type: "String" },
  "kms:KeyAgreementAlgorithm": { type: "String" },
  "kms:KeyOrigin": { type: "String" },
  "kms:KeySpec": { type: "String" },
  "kms:KeyUsage": { type: "String" },
  "kms:MacAlgorithm": { type: "String" },
  "kms:MessageType": { type: "String" },
  "kms:MultiRegion": { type: "Bool" },
  "kms:MultiRegionKeyType": { type: "String" },
  "kms:PrimaryRegion": { type: "String" },
  "kms:RecipientAttestation:": { type: "String" },
  "kms:ReEncryptOnSameKey": { type: "Bool" },
  "kms:ReplicaRegion": { type: "String" },
  "kms:RequestAlias": { type: "String" },
  "kms:ResourceAliases": { type: "String", many: true },
  "kms:RetiringPrincipal": { type: "String" },
  "kms:RetiringServicePrincipal": { type: "String" },
  "kms:RotationPeriodInDays": { type: "Numeric" },
  "kms:ScheduleKeyDeletionPendingWindowInDays": { type: "Numeric" },
  "kms:SigningAlgorithm": { type: "String" },
  "kms:TrailingDaysWithoutKeyUsage": { type: "Numeric" },
  "kms:ValidTo": { type: "Date" },
  "kms:ViaService": { type: "String" },
  "kms:WrappingAlgorithm": { type: "String" },
  "kms:WrappingKeySpec": { type: "String" },
};

/** A key as a policy names it: whole, or with the name of a tag or pair behind it. */
export interface ConditionKey {
  /** In lower case: the case of a key does not matter. */
  readonly name: string;
  readonly many: boolean;
  readonly values: (about: Circumstances) => Values;
}

const byName = new Map(Object.entries(conditionKeys).map(([name, row]) => [name.toLowerCase(), row]));

/**
 * Undefined for what is no key: text without a prefix, and `kms:` keys that are not in the table. Those are this
 * service's own, so that another is a mistake, and a Deny with a mistaken key would silently never deny. Keys
 * of all other prefixes are taken, as AWS does; where nobody knows a value they are absent from every request.
 */
export function conditionKey(text: string): ConditionKey | undefined {
  const name = text.toLowerCase();
  const [family = ""] = /^[^:/]+:[^:/]+[:/]/.exec(name) ?? [];
  const rest = name.slice(family.length);
  if (name.indexOf(":") < 1 || rest === "") return undefined;
  // The name of a tag or pair may end in whatever it likes.
  if (!byName.has(family) && /[:/]$/.test(name)) return undefined;
  const row = byName.get(family) ?? byName.get(name);
  if (row === undefined && name.startsWith("kms:")) return undefined;
  const own = row?.values;
  return {
    name,
    many: row?.many === true,
    values: own ? (about) => own(about, rest) : (about) => about.context?.(name),
  };
}

/** A session is the identity behind it; services have no identity. */
function arnOfIdentity(principal: Principal): string | undefined {
  if (principal.type === "Service") return undefined;
  return principal.type === "AssumedRole" ? roleOf(principal) : principal.arn;
}

/** Without the role's path where nobody said it. */
function roleOf({ arn, account, roleArn }: Principal): string {
  return roleArn ?? `arn:aws:iam::${account}:role/${arn.split("/")[1]}`;
}

function typeOf({ type }: Principal): string | undefined {
  if (type === "Service") return undefined;
  // Who acts as a role without assuming it first is one all the same.
  return type === "Role" ? "AssumedRole" : type;
}

const tagMaps = new WeakMap<object, ReadonlyMap<string, readonly string[]>>();

function tagsOf({ tags }: Principal): ReadonlyMap<string, readonly string[]> | undefined {
  if (tags === undefined) return undefined;
  let map = tagMaps.get(tags);
  if (map === undefined) {
    map = byLowerCase(Object.entries(tags));
    tagMaps.set(tags, map);
  }
  return map;
}

/** Pairs by their names in lower case, as conditions name them: several where names differ in case only. */
export function byLowerCase(pairs: Iterable<readonly [string, string]>): Map<string, string[]> {
  const map = new Map<string, string[]>();
  for (const [name, value] of pairs) {
    const known = map.get(name.toLowerCase());
    if (known === undefined) map.set(name.toLowerCase(), [value]);
    else known.push(value);
  }
  return map;
}
