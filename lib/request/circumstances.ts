import { byLowerCase, type Context } from "../access.ts";
import { readHead } from "../ciphertext.ts";
import type { Actor } from "../request.ts";
import type { KeyRow } from "../store.ts";

type Members = Readonly<Record<string, unknown>>;
type Pairs = Readonly<Record<string, string>>;
type Values = readonly string[] | undefined;

/** What there is to know of a request when it is decided whether its caller may. */
export interface Facts {
  readonly actor: Actor;
  readonly now: number;
  readonly action: string;
  /** The input, as its shape accepted it. */
  readonly input: Members;
  /** The key that is decided on; undefined where there is none, or none yet. */
  readonly key: KeyRow | undefined;
  /** The alias that the request names the key by. */
  readonly alias: string | undefined;
  /** All aliases of the key. */
  readonly aliases: () => Values;
  /** The encryption context of what is decided on; that it was asked for is noticed. */
  readonly encryptionContext: () => Pairs | undefined;
  /** The first key of an operation that is about two. */
  readonly firstKeyId: string | undefined;
}

/** The values of condition keys in one request; those that follow from the caller are not asked of it. */
export function circumstances(facts: Facts): Context {
  return (name) => {
    const source = bySource.get(name);
    if (source !== undefined) return source(facts);
    for (const [family, pairsOf] of families) {
      if (!name.startsWith(family)) continue;
      const pairs = pairsOf(facts);
      return pairs && byLowerCase(pairs).get(name.slice(family.length));
    }
    return undefined;
  };
}

type Source = (facts: Facts) => Values;

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

/** A member that counts as this value where an operation that takes it is given none. */
const assumed =
  (actions: RegExp, value: string, source: Source): Source =>
  (facts) =>
    source(facts) ?? (actions.test(facts.action) ? [value] : undefined);

const encrypting = /^kms:(Encrypt|Decrypt|ReEncrypt(From|To)|GenerateDataKey\w*)$/;
const bypassing = /^kms:(CreateKey|PutKeyPolicy|ReplicateKey)$/;

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
  "aws:SourceIp": ({ actor }) => one(actor.sourceIp),
  "aws:SecureTransport": ({ actor }) =>
    actor.secureTransport === undefined ? undefined : [String(actor.secureTransport)],
  "aws:UserAgent": ({ actor }) => one(actor.userAgent),
  "aws:RequestedRegion": ({ actor }) => [actor.region],
  "aws:TagKeys": ({ input }) => tagsOf(input)?.map(([name]) => name) ?? (input.TagKeys as Values),
  "kms:BypassPolicyLockoutSafetyCheck": assumed(bypassing, "false", member("BypassPolicyLockoutSafetyCheck")),
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
  "kms:EncryptionContextKeys": ({ encryptionContext }) => {
    const pairs = encryptionContext();
    return pairs && Object.keys(pairs);
  },
  "kms:ExpirationModel": member("ExpirationModel"),
  "kms:GrantConstraintType": ({ input }) => (input.Constraints ? Object.keys(input.Constraints) : undefined),
  "kms:GrantIsForAWSResource": ({ actor, action }) =>
    /Grant/.test(action)
      ? [String(actor.via !== undefined || actor.principal.type === "Service")]
      : undefined,
  "kms:GrantOperations": member("Operations"),
  "kms:GranteePrincipal": member("GranteePrincipal"),
  "kms:KeyAgreementAlgorithm": member("KeyAgreementAlgorithm"),
  "kms:KeyOrigin": ofKey((key) => key.origin, ["Origin"], "AWS_KMS"),
  "kms:KeySpec": keySpec,
  "kms:KeyUsage": keyUsage,
  "kms:MacAlgorithm": member("MacAlgorithm"),
  "kms:MessageType": assumed(/^kms:(Sign|Verify)$/, "RAW", member("MessageType")),
  "kms:MultiRegion": ofKey((key) => String(key.multiRegion), ["MultiRegion"], "false"),
  "kms:MultiRegionKeyType": ofKey(typeOf, []),
  "kms:PrimaryRegion": member("PrimaryRegion"),
  "kms:ReEncryptOnSameKey": ({ action, key, input, firstKeyId }) => {
    if (!action.startsWith("kms:ReEncrypt") || key === undefined) return undefined;
    const blob = input.CiphertextBlob as Uint8Array | undefined;
    const other = action === "kms:ReEncryptTo" ? blob && readHead(blob)?.keyId : firstKeyId;
    return [String(other === key.keyId)];
  },
  "kms:ReplicaRegion": member("ReplicaRegion"),
  "kms:RequestAlias": ({ alias }) => one(alias),
  "kms:ResourceAliases": ({ aliases }) => aliases(),
  "kms:RetiringPrincipal": member("RetiringPrincipal"),
  "kms:RotationPeriodInDays": assumed(/^kms:EnableKeyRotation$/, "365", member("RotationPeriodInDays")),
  "kms:ScheduleKeyDeletionPendingWindowInDays": assumed(
    /^kms:ScheduleKeyDeletion$/,
    "30",
    member("PendingWindowInDays"),
  ),
  "kms:SigningAlgorithm": member("SigningAlgorithm"),
  "kms:ValidTo": member("ValidTo"),
  "kms:ViaService": ({ actor }) => one(actor.via),
  "kms:WrappingAlgorithm": member("WrappingAlgorithm"),
  "kms:WrappingKeySpec": member("WrappingKeySpec"),
};

const bySource = new Map(Object.entries(sources).map(([name, source]) => [name.toLowerCase(), source]));

const families: readonly [string, (facts: Facts) => readonly (readonly [string, string])[] | undefined][] = [
  [
    "kms:encryptioncontext:",
    ({ encryptionContext }) => {
      const pairs = encryptionContext();
      return pairs && Object.entries(pairs);
    },
  ],
  ["aws:resourcetag/", ({ key }) => key?.tags.map(({ TagKey, TagValue }) => [TagKey, TagValue] as const)],
  ["aws:requesttag/", ({ input }) => tagsOf(input)],
];

function tagsOf(input: Members): (readonly [string, string])[] | undefined {
  const tags = input.Tags as readonly { TagKey: string; TagValue: string }[] | undefined;
  return tags?.map(({ TagKey, TagValue }) => [TagKey, TagValue]);
}

function typeOf({ multiRegion, primaryRegion, region }: KeyRow): string | undefined {
  if (!multiRegion) return undefined;
  return primaryRegion === region ? "PRIMARY" : "REPLICA";
}

const one = (value: string | undefined): Values => (value === undefined ? undefined : [value]);
