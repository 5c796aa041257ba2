import { byLowerCase, type Principal, parsePrincipal } from "../access.ts";
import { readHead } from "../ciphertext.ts";
import type { KeyRow } from "../store.ts";
import type { Question } from "./question.ts";

type Members = Readonly<Record<string, unknown>>;
type Values = readonly string[] | undefined;

/** The values of a condition key (in lower case) in one request; those that follow from the caller are not asked of it. */
export function circumstance(question: Question, name: string): Values {
  const source = bySource.get(name);
  if (source !== undefined) return source(question);
  for (const [family, pairsOf] of families) {
    if (!name.startsWith(family)) continue;
    const pairs = pairsOf(question);
    return pairs && byLowerCase(pairs).get(name.slice(family.length));
  }
  return undefined;
}

type Source = (facts: Question) => Values;

const DAY = 86_400_000;

/** A member of the input, as conditions compare it. */
const member =
  (...names: string[]): Source =>
  ({ input }) => {
    for (const name of names) {
      const value = input[name];
      if (value === undefined) continue;
      if (Array.isArray(value)) return value.map(String);
      return [value instanceof Date ? value.toISOString() : String(value)];
    }
    return undefined;
  };

/** A principal of the input, where it is a service: AWS has members of their own for those. */
const service =
  (name: string): Source =>
  ({ input }) => {
    const principal = parsePrincipal(String(input[name] ?? ""));
    return one(principal?.type === "Service" ? principal.arn : undefined);
  };

/** A member that counts as this value where an operation that takes it is given none. */
const assumed =
  (actions: RegExp, value: string, source: Source): Source =>
  (facts) =>
    source(facts) ?? (actions.test(facts.action) ? [value] : undefined);

const encrypting = /^kms:(Encrypt|Decrypt|ReEncrypt(From|To)|GenerateDataKey\w*)$/;

/** What a key is, or is to be. */
const ofKey =
  (of: (key: KeyRow) => string | undefined, members: readonly string[], otherwise?: string): Source =>
  (facts) => {
    if (facts.key !== undefined) return one(of(facts.key));
    if (facts.action !== "kms:CreateKey") return undefined;
    return member(...members)(facts) ?? one(otherwise);
  };

const keySpec = ofKey((key) => key.keySpec, ["KeySpec", "CustomerMasterKeySpec"], "SYMMETRIC_DEFAULT");
const keyUsage = ofKey((key) => key.keyUsage, ["KeyUsage"], "ENCRYPT_DECRYPT");

const sources: Readonly<Record<string, Source>> = {
  "aws:CurrentTime": ({ now }) => [new Date(now).toISOString()],
  "aws:EpochTime": ({ now }) => [String(Math.floor(now / 1000))],
  "aws:SourceAccount": ({ principal }) =>
    one((principal.type === "Service" && principal.account) || undefined),
  "aws:SourceArn": ({ actor }) => one(actor.sourceArn),
  "aws:SourceIp": ({ actor }) => one(actor.sourceIp),
  "aws:SecureTransport": ({ actor }) =>
    actor.secureTransport === undefined ? undefined : [String(actor.secureTransport)],
  "aws:UserAgent": ({ actor }) => one(actor.userAgent),
  // That of a replica is its own.
  "aws:RequestedRegion": ({ actor, key }) => [key?.region ?? actor.region],
  "aws:CalledVia": ({ actor }) => one(actor.via?.replace(/\..*?\./, ".")),
  "aws:ViaAWSService": ({ actor, principal }) => [
    String(actor.via !== undefined && principal.type !== "Service"),
  ],
  "aws:TokenIssueTime": ({ actor: { identity } }) =>
    identity.session && [new Date(identity.session.issuedAt).toISOString()],
  "aws:userid": ({ principal }) => one(userIdOf(principal)),
  "aws:TagKeys": ({ input }) => tagsOf(input)?.map(([name]) => name) ?? (input.TagKeys as Values),
  // AWS's example asks by `Null` whether it was given at all.
  "kms:BypassPolicyLockoutSafetyCheck": member("BypassPolicyLockoutSafetyCheck"),
  "kms:CustomerMasterKeySpec": keySpec,
  "kms:CustomerMasterKeyUsage": keyUsage,
  "kms:DataKeyPairSpec": member("KeyPairSpec"),
  "kms:EncryptionAlgorithm": (facts) => {
    const own =
      facts.action === "kms:ReEncryptFrom"
        ? "Source"
        : facts.action === "kms:ReEncryptTo"
          ? "Destination"
          : "";
    return assumed(encrypting, "SYMMETRIC_DEFAULT", member(`${own}EncryptionAlgorithm`))(facts);
  },
  "kms:EncryptionContextKeys": ({ encryptionContext }) => encryptionContext && Object.keys(encryptionContext),
  "kms:ExpirationModel": member("ExpirationModel"),
  "kms:GrantConstraintType": ({ input, retiring }) => {
    const constraints = retiring === undefined ? input.Constraints : retiring.constraints;
    return constraints ? Object.keys(constraints) : undefined;
  },
  "kms:GrantIsForAWSResource": ({ actor, principal, action }) =>
    /Grant/.test(action) ? [String(actor.via !== undefined || principal.type === "Service")] : undefined,
  "kms:GrantOperations": member("Operations"),
  "kms:GranteePrincipal": member("GranteePrincipal"),
  "kms:GranteeServicePrincipal": service("GranteePrincipal"),
  "kms:KeyAgreementAlgorithm": member("KeyAgreementAlgorithm"),
  "kms:KeyOrigin": ofKey((key) => key.origin, ["Origin"], "AWS_KMS"),
  "kms:KeySpec": keySpec,
  "kms:KeyUsage": keyUsage,
  "kms:MacAlgorithm": member("MacAlgorithm"),
  "kms:MessageType": assumed(/^kms:(Sign|Verify)$/, "RAW", member("MessageType")),
  "kms:MultiRegion": ofKey((key) => String(key.multiRegion), ["MultiRegion"], "false"),
  "kms:MultiRegionKeyType": (facts) => {
    if (facts.key !== undefined) return one(typeOf(facts.key));
    return facts.action === "kms:CreateKey" && facts.input.MultiRegion === true ? ["PRIMARY"] : undefined;
  },
  "kms:PrimaryRegion": member("PrimaryRegion"),
  "kms:ReEncryptOnSameKey": ({ action, key, input, firstKeyId }) => {
    if (!action.startsWith("kms:ReEncrypt") || key === undefined) return undefined;
    const blob = input.CiphertextBlob as Uint8Array | undefined;
    const other = action === "kms:ReEncryptTo" ? blob && readHead(blob)?.keyId : firstKeyId;
    return [String(other === key.keyId)];
  },
  "kms:ReplicaRegion": member("ReplicaRegion"),
  "kms:RequestAlias": ({ alias }) => one(alias),
  "kms:ResourceAliases": ({ aliases }) => aliases?.(),
  "kms:RetiringPrincipal": member("RetiringPrincipal"),
  "kms:RetiringServicePrincipal": service("RetiringPrincipal"),
  "kms:RotationPeriodInDays": assumed(/^kms:EnableKeyRotation$/, "365", member("RotationPeriodInDays")),
  "kms:ScheduleKeyDeletionPendingWindowInDays": assumed(
    /^kms:ScheduleKeyDeletion$/,
    "30",
    member("PendingWindowInDays"),
  ),
  "kms:SigningAlgorithm": member("SigningAlgorithm"),
  "kms:TrailingDaysWithoutKeyUsage": ({ lastUse, now }) =>
    lastUse === undefined ? undefined : [String(Math.max(0, Math.floor((now - lastUse) / DAY)))],
  // In seconds since 1970, as AWS has it, so that numeric operators do as well as those of dates.
  "kms:ValidTo": ({ input: { ValidTo: until } }) =>
    until instanceof Date
      ? [String(until.getTime() / 1000)]
      : one(until === undefined ? undefined : String(until)),
  "sts:RoleSessionName": member("RoleSessionName"),
  "kms:ViaService": ({ actor }) => one(actor.via),
  "kms:WrappingAlgorithm": member("WrappingAlgorithm"),
  "kms:WrappingKeySpec": member("WrappingKeySpec"),
};

const bySource = new Map(Object.entries(sources).map(([name, source]) => [name.toLowerCase(), source]));

const families: readonly [string, (facts: Question) => readonly (readonly [string, string])[] | undefined][] =
  [
    [
      "kms:encryptioncontext:",
      ({ encryptionContext }) => encryptionContext && Object.entries(encryptionContext),
    ],
    ["aws:resourcetag/", ({ key }) => key?.tags.map(({ TagKey, TagValue }) => [TagKey, TagValue] as const)],
    ["aws:requesttag/", ({ input }) => tagsOf(input)],
  ];

function tagsOf(input: Members): (readonly [string, string])[] | undefined {
  const tags = input.Tags as readonly Readonly<Record<string, string>>[] | undefined;
  // IAM and STS have other names for the same than KMS.
  return tags?.map(({ TagKey, TagValue, Key, Value }) => [TagKey ?? Key ?? "", TagValue ?? Value ?? ""]);
}

/** As AWS's table of principal key values has it, where the identity is kept here. */
function userIdOf({ type, account, arn, principalId }: Principal): string | undefined {
  const name = arn.slice(arn.lastIndexOf("/") + 1);
  if (type === "Account") return account;
  if (type === "FederatedUser") return `${account}:${name}`;
  if (principalId === undefined || type === "User") return principalId;
  return `${principalId}:${type === "AssumedRole" ? name : ""}`;
}

function typeOf({ multiRegion, primaryRegion, region }: KeyRow): string | undefined {
  if (!multiRegion) return undefined;
  return primaryRegion === region ? "PRIMARY" : "REPLICA";
}

const one = (value: string | undefined): Values => (value === undefined ? undefined : [value]);
