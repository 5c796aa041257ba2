import type { Explanation, Policy, Principal } from "./access.ts";
import type { KeyUsage } from "./algorithms.ts";
import type * as errors from "./errors.ts";
import {
  creating,
  disabled,
  dryRun,
  KMSInvalidStateException,
  type KmsError,
  notPendingDeletion,
  pendingDeletion,
  pendingImport,
  pendingReplicaDeletion,
  UnsupportedOperationException,
  unavailable,
  updating,
  ValidationException,
} from "./errors.ts";
import type { Hsm } from "./hsm.ts";
import type { KeyStores } from "./key-stores.ts";
import type { KeyQuota, KeyRing, KeyUses } from "./keys.ts";
import type { Markers } from "./marker.ts";
import type { Secrets } from "./secrets.ts";
import type { Output, StructureShape, Valid } from "./shape.ts";
import type { Change, GrantRow, KeyRow, Soon, Store } from "./store.ts";

export { updateKey } from "./keys.ts";

/** The names of the error classes, as the table gives them. */
export type ErrorName = Extract<keyof typeof errors, `${string}Exception`>;

/** The uses of a key that GetKeyLastUsage tells of. */
export const trackedOperations = [
  "Decrypt",
  "DeriveSharedSecret",
  "Encrypt",
  "GenerateDataKey",
  "GenerateDataKeyPair",
  "GenerateDataKeyPairWithoutPlaintext",
  "GenerateDataKeyWithoutPlaintext",
  "GenerateMac",
  "ReEncrypt",
  "Sign",
  "Verify",
  "VerifyMac",
] as const;

/** As what of these an operation counts, by its name. */
export const tracked: ReadonlyMap<string, string> = new Map([
  ...trackedOperations.map((name) => [name, name] as const),
  ["EncryptBatch", "Encrypt"],
  ["DecryptBatch", "Decrypt"],
  ["SignBatch", "Sign"],
  ["VerifyBatch", "Verify"],
]);

/** What every operation that uses a key can fail with, for reasons that the model names. */
export const usingFailures = [
  "NotFoundException",
  "DisabledException",
  "KeyUnavailableException",
  "DependencyTimeoutException",
  "InvalidKeyUsageException",
  "InvalidGrantTokenException",
  "KMSInternalException",
  "KMSInvalidStateException",
] as const satisfies readonly ErrorName[];

/** What a key in a state means to an operation: nothing when it may go on, else the error. */
export type StateRule = Readonly<Record<string, ((arn: string) => KmsError) | "ok">>;

const going = { PendingDeletion: pendingDeletion, PendingReplicaDeletion: pendingReplicaDeletion } as const;
const whatever = {
  Enabled: "ok",
  Disabled: "ok",
  PendingDeletion: "ok",
  PendingReplicaDeletion: "ok",
  PendingImport: "ok",
  Unavailable: "ok",
  Creating: "ok",
  Updating: "ok",
} as const;
const using = {
  ...going,
  Enabled: "ok",
  Disabled: disabled,
  PendingImport: pendingImport,
  Unavailable: unavailable,
  Creating: creating,
  Updating: "ok",
} as const;

/**
 * The rows of the table of key states ("Key states of AWS KMS keys" in AWS's Developer Guide); a state that a rule
 * does not name is refused.
 */
export const states = {
  using,
  granting: { ...using, Unavailable: "ok" },
  replicating: { ...using, Updating: updating },
  reading: whatever,
  editing: { ...whatever, ...going },
  switching: { ...whatever, ...going, PendingImport: pendingImport, Creating: creating, Updating: updating },
  /** Material that is awaited is imported, and that of a custom key store is its own: the operation refuses both. */
  rotating: { ...using, PendingImport: "ok", Unavailable: "ok" },
  deleting: { ...whatever, ...going, Updating: updating },
  rescuing: {
    Enabled: notPendingDeletion,
    Disabled: notPendingDeletion,
    PendingDeletion: "ok",
    PendingReplicaDeletion: "ok",
    PendingImport: notPendingDeletion,
    Unavailable: notPendingDeletion,
    Creating: notPendingDeletion,
    Updating: notPendingDeletion,
  },
} as const satisfies Record<string, StateRule>;

/** Throws when a key in this state is refused. */
export function checkState(rule: StateRule, state: string, arn: string): void {
  const outcome = Object.hasOwn(rule, state) ? rule[state] : undefined;
  if (outcome === "ok") return;
  throw outcome?.(arn) ?? new KMSInvalidStateException(`${arn} is in the state ${state}.`);
}

type Pairs = Readonly<Record<string, string>>;

/** What it takes to be let at a key. */
export interface Admission {
  /** The IAM action, e.g. "kms:Encrypt". */
  readonly action: string;
  /** Whether an alias may stand for the key. */
  readonly aliases: boolean;
  readonly states: StateRule;
  /** The encryption contexts of a batch whose entries have their own; else that of the input. */
  readonly contexts?: (() => Iterable<Pairs | undefined> | undefined) | undefined;
  /** The usage that the key must have. */
  readonly usage?: KeyUsage;
}

/** What else there is to know of a resource without a key policy. */
export interface About {
  /** The key that is to be made, where it is the input of no CreateKey that says so. */
  readonly key?: KeyRow;
  /** Whose the resource is, unless it is the caller's account's. */
  readonly account?: string;
  /** Of a role: who may assume it. */
  readonly trust?: Policy;
}

/** A request that is only to be decided on: whose, and what. */
export interface Rehearsal {
  /** The ARN of the caller. */
  readonly Principal: string;
  readonly Operation: string;
  readonly Input?: object | undefined;
  /** Besides those that are kept here, and before them. */
  readonly Tags?: Readonly<Record<string, string>> | undefined;
  readonly Via?: string | undefined;
  readonly SourceIp?: string | undefined;
  readonly Region: string;
}

/** Plain data. */
export interface Rehearsed {
  /** Whether access lets it through: all its decisions. */
  readonly Allowed: boolean;
  /** In their order; the first that refuses is the last. */
  readonly Decisions: readonly ReasonedDecision[];
  /** What refuses it beside access, such as the state of its key. */
  readonly Error?: string;
}

/** A decision with all that it looked at. */
export interface ReasonedDecision extends Explanation {
  readonly action: string;
  readonly resource: string;
}

/** One request as an operation sees it. All that it lets at is checked, and named in the request's audit event. */
export interface Request {
  readonly id: string;
  readonly principal: Principal;
  readonly region: string;
  /** All that are served. */
  readonly regions: ReadonlySet<string>;
  /** The account that the request is answered in: the caller's own. */
  readonly account: string;
  /** The account that the deployment is of: its service control policies govern all. */
  readonly governor: string;
  /** Milliseconds; the same throughout the request. */
  readonly now: number;
  /**
   * Set by `run`, before it first waits, once the event can say no more than it does now unless the work fails: it is
   * put on record while the work is under way. Should the work fail, a second event with the same request id says so.
   */
  foreseen: boolean;
  readonly store: Store;
  readonly hsm: Hsm;
  readonly keys: KeyRing;
  readonly keyStores: KeyStores;
  readonly quota: KeyQuota;
  readonly markers: Markers;
  readonly uses: KeyUses;
  readonly secrets: Secrets;
  /** The key that a `KeyId` names: found, the caller allowed, its state and usage fit; else throws. */
  admit(reference: string, admission: Admission): Soon<KeyRow>;
  /** The same for a key that the operation has found: one of another Region, related to one that it was let at. */
  admitRelated(key: KeyRow, admission: Admission): Soon<KeyRow>;
  /** The key that a `KeyId` names, if the caller's account owns it; says nothing of what the caller may do. */
  findOwn(reference: string): Soon<KeyRow>;
  /** As `admit`, for the key whose id a ciphertext carries. `reference`, when given, must name the same key. */
  admitCiphertext(
    ciphertext: Uint8Array,
    reference: string | undefined,
    admission: Admission,
  ): Soon<SealedUnder>;
  /** The grant on the key that a `KeyId` names, if it and the policies let the caller retire it; else throws. */
  admitRetirement(reference: string, grantId: string): Promise<GrantRow>;
  /**
   * Rejects when the policy is malformed or too long, names users or roles that do not exist, or would lock the caller
   * out of PutKeyPolicy, unless the check of that is bypassed. Else resolves to whom it means.
   */
  checkPolicy(key: KeyRow, policy: string, bypassLockout: boolean): Promise<KeyRow["policyPrincipals"]>;
  /** Throws unless the caller may do this to the resource (an ARN), which no key policy speaks for. */
  authorise(action: string, resource: string, about?: About): void;
  /** What would be decided of another request, and why. */
  rehearse(rehearsal: Rehearsal): Promise<Rehearsed>;
  /** Adds a fact to the request's audit event. */
  note(name: string, value: string | number): void;
}

/** What a ciphertext says it is sealed under; not authenticated until it is opened. */
export interface SealedUnder {
  readonly key: KeyRow;
  readonly materialId: string;
}

/** An answer, and the changes that must be in the store before it leaves. */
export interface Decision<O> {
  readonly output: O;
  readonly changes: readonly Change[];
}

/** Which member names the key that an operation is about. */
export interface KeyRule {
  readonly member: string;
  readonly aliases: boolean;
}

interface Row<N extends string, I extends StructureShape, O extends StructureShape, K> {
  readonly name: N;
  readonly input: I;
  /** Left out where the answer is empty. */
  readonly output?: O;
  /** Those that the model names for it. */
  readonly errors: readonly ErrorName[];
  /** With `states` and `usage`: what is checked of the key before the operation runs. */
  readonly key?: K;
  readonly states?: StateRule;
  readonly usage?: KeyUsage;
  /** The IAM action, unless it is `kms:` and the name. */
  readonly action?: string;
  /** "*" for what concerns the account as a whole. Without it and without `key`, the operation itself asks. */
  readonly resource?: "*";
  /** Members that only the operation itself reads and checks, in place of a shape. */
  readonly unchecked?: readonly string[];
  /** The encryption contexts of its entries, where they have their own. */
  readonly contexts?: (input: Readonly<Record<string, unknown>>) => Iterable<Pairs | undefined> | undefined;
  /** It makes new rows, or names the revision of all that it changes: it need not wait for other changes. */
  readonly independent?: boolean;
}

/** The key that `key` names, admitted. */
type Admitted<K> = K extends KeyRule ? KeyRow : undefined;
type Run<I, R, K> = (request: Request, input: Valid<I>, key: Admitted<K>) => Soon<R>;

/**
 * One row of the table of operations; families export them and `operations.ts` assembles them. An operation that
 * only answers has `run`. One that changes the store has `decide`: the request path applies what it decided once
 * the audit event is durable.
 */
type OperationRow<N extends string, I extends StructureShape, O extends StructureShape, K> = Row<N, I, O, K> &
  (
    | { readonly run: Run<I, Output<O>, K>; readonly decide?: undefined }
    | { readonly decide: Run<I, Decision<Output<O>>, K>; readonly run?: undefined }
  );

export type Operation<
  N extends string = string,
  I extends StructureShape = StructureShape,
  O extends StructureShape = StructureShape,
  // biome-ignore lint/suspicious/noExplicitAny: a table holds rows of every kind
  K = any,
> = OperationRow<N, I, O, K> & { readonly action: string };

export function operation<
  const N extends string,
  I extends StructureShape,
  // biome-ignore lint/complexity/noBannedTypes: the empty answer has no members
  O extends StructureShape = StructureShape<{}, never>,
  const K extends KeyRule | undefined = undefined,
>(row: OperationRow<N, I, O, K>): Operation<N, I, O, K> {
  return { ...row, action: row.action ?? `kms:${row.name}` };
}

/** Holds a number to bounds that are narrower than its shape's. `path` is the member's in lower camel case. */
export function within(path: string, value: number, min: number, max: number): number {
  if (value >= min && value <= max) return value;
  const bound = value < min ? `greater than or equal to ${min}` : `less than or equal to ${max}`;
  throw new ValidationException(
    `1 validation error detected: Value '${value}' at '${path}' failed to satisfy constraint: ` +
      `Member must have value ${bound}`,
  );
}

/** Ends a dry run, once nothing but the work itself could still fail. */
export function refuseDryRun(input: { readonly DryRun?: boolean | undefined }): void {
  if (input.DryRun) throw dryRun();
}

/** Answers sealed for an attested enclave come with a later version. */
export function refuseRecipient(input: { readonly Recipient?: object | undefined }): void {
  if (input.Recipient !== undefined)
    throw new UnsupportedOperationException("Recipient is not offered here: leave it out.");
}
