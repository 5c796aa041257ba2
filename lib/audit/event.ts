import { randomUUID } from "node:crypto";

/** Who asked, as the audit trail names it. */
export interface AuditPrincipal {
  readonly arn: string;
  readonly account: string;
  /** "Account" (its root), "User", "Role", "AssumedRole" or "Service"; anything else is written as it is. */
  readonly type: string;
}

/** One request, allowed or refused. Any object may be given: only members known to be no secret are written. */
export interface AuditEvent {
  principal: AuditPrincipal;
  /** When the request was decided, in milliseconds. */
  time: number;
  /** The operation's name; of a batch too (`additional` then says how many). */
  operation: string;
  region: string;
  /** The account whose trail this is. */
  account: string;
  /** Input as the operation's shape accepted it; leave it out when it did not. */
  input?: object | undefined;
  /** Output of an operation that changes something; ignored when `readOnly`. */
  output?: object | undefined;
  /** Text that JSON has as it is: a UUID. */
  requestId: string;
  /** Left out where nothing refers to the event. */
  eventId?: string | undefined;
  readOnly: boolean;
  /** ARNs of the keys and aliases concerned; when there are none, that of the key in `output`. */
  resources: readonly string[];
  error?: { name: string; message: string } | undefined;
  /** Facts beyond the request, e.g. the access decision's reason, a batch's count and its contexts' digest. */
  additional?: Readonly<Record<string, string | number | boolean | null>> | undefined;
  sourceIp?: string | undefined;
  userAgent?: string | undefined;
  /** The same for the events of one request that several accounts have; a UUID. */
  sharedEventId?: string | undefined;
}

/**
 * What is shown of an input or output, by the API's name; everything else never reaches the log. Left out on
 * purpose: Plaintext, CiphertextBlob, Message, Mac, Signature, PublicKey, EncryptedKeyMaterial, ImportToken,
 * GrantToken(s), Recipient, SharedSecret, private keys, passwords and proxy credentials.
 */
const SHOWN = new Set(
  `AccessKeyId AliasName AssumedRoleUser AssumeRolePolicyDocument BypassPolicyLockoutSafetyCheck
  CloudHsmClusterId Constraints CustomerMasterKeySpec CustomKeyStoreId CustomKeyStoreName
  CustomKeyStoreType DeletionDate Description DestinationEncryptionAlgorithm DestinationEncryptionContext
  DestinationKeyId DryRun DryRunModifiers DurationSeconds EncryptionAlgorithm EncryptionContext
  ExpirationModel GranteePrincipal GrantId ImportType IncludeKeyMaterial KeyAgreementAlgorithm KeyId
  KeyMaterialDescription KeyMaterialId KeyMetadata KeyPairSpec KeySpec KeyState KeyUsage Limit MacAlgorithm
  Marker MessageType MultiRegion Name NewCustomKeyStoreName NumberOfBytes Operation Operations Origin Path
  PendingWindowInDays PermissionsBoundary Policy PolicyDocument PolicyName PrimaryRegion Principal
  ReplicaRegion RetiringPrincipal RoleArn RoleName RoleSessionName RotationPeriodInDays SigningAlgorithm
  SourceEncryptionAlgorithm SourceEncryptionContext SourceKeyId Status TagKeys Tags TargetKeyId UserName
  ValidTo WrappingAlgorithm WrappingKeySpec XksKeyId`.split(/\s+/),
);

/** CloudTrail's spelling: `KeyId` becomes `keyId`, `AWSAccountId` stays. */
const camel = (name: string) => (/^[A-Z][a-z]/.test(name) ? name[0]?.toLowerCase() + name.slice(1) : name);

const LABELS = new Map([...SHOWN].map((name) => [name, `"${camel(name)}":`]));

const PLAIN = /^[ !#-[\]-~]*$/;
/** JSON.stringify of a string, three times as fast where nothing needs escaping (38 against 130 ns). */
const quote = (text: string) => (PLAIN.test(text) ? `"${text}"` : JSON.stringify(text));

/** Past this many characters a value is left out: a line stays readable and a commit stays short. */
const MAX_VALUE = 65_536;
/** Error messages echo what was given, which may be megabytes. */
const MAX_MESSAGE = 2_048;

/** JSON of a nested value with CloudTrail's spelling; bytes are never shown. */
function nested(value: unknown): unknown {
  if (value === null || typeof value !== "object") return typeof value === "bigint" ? String(value) : value;
  if (value instanceof Date) return value;
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return undefined;
  if (Array.isArray(value)) return value.map((item) => nested(item) ?? null);
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      camel(name),
      // The names within an encryption context are the caller's own.
      name.startsWith("EncryptionContext") ? member : nested(member),
    ]),
  );
}

function shownValue(name: string, value: unknown): string | undefined {
  if (typeof value === "string") return quote(value);
  if (typeof value === "boolean" || Number.isFinite(value)) return String(value);
  if (value === null || typeof value !== "object") return undefined;
  // The names within an encryption context are the caller's own.
  return name.endsWith("EncryptionContext") ? flat(value as Flat) : JSON.stringify(nested(value));
}

type Flat = Readonly<Record<string, string | number | boolean | null>>;

/** JSON of an object whose members have none of their own; others are left out. */
function flat(members: Flat): string {
  let json = "";
  for (const name of Object.keys(members)) {
    const value = members[name];
    const plain = typeof value === "boolean" || value === null || Number.isFinite(value);
    if (!plain && typeof value !== "string") continue;
    json += `${json === "" ? "{" : ","}${quote(name)}:${plain ? value : quote(value as string)}`;
  }
  return json === "" ? "{}" : `${json}}`;
}

/** The shown members as a JSON object, or `null` when there are none. */
function shown(members: object): string {
  let json = "";
  for (const name in members) {
    const label = LABELS.get(name);
    if (label === undefined) continue;
    const text = shownValue(name, (members as Record<string, unknown>)[name]);
    if (text === undefined) continue;
    json += (json === "" ? "{" : ",") + label + (text.length > MAX_VALUE ? '"(too long to show)"' : text);
  }
  return json === "" ? "null" : `${json}}`;
}

const IDENTITY_TYPES: Readonly<Record<string, string>> = {
  Account: "Root",
  User: "IAMUser",
};

function identity({ arn, account, type }: AuditPrincipal): string {
  if (type === "Service") return JSON.stringify({ type: "AWSService", invokedBy: arn });
  const principalId = type === "Account" ? account : arn.slice(arn.lastIndexOf(":") + 1);
  return JSON.stringify({ type: IDENTITY_TYPES[type] ?? type, principalId, arn, accountId: account });
}

/** What the events of a caller's operation have in common: kept, since most are like the one before. */
interface Frame {
  readonly region: string;
  readonly account: string;
  readonly sourceIp: string | undefined;
  readonly userAgent: string;
  readonly identity: string;
  readonly source: string;
  readonly end: string;
  /** All in front of what tells one event from the next, and the time that it was put together for. */
  head: string;
  time: string;
}

const frames = new WeakMap<AuditPrincipal, Map<string, Frame>>();

function frameOf(event: AuditEvent, userAgent: string): Frame {
  const { principal, operation, region, account, sourceIp } = event;
  const known = frames.get(principal) ?? new Map<string, Frame>();
  if (known.size === 0) frames.set(principal, known);
  const last = known.get(operation);
  const same = last?.region === region && last.account === account && last.sourceIp === sourceIp;
  if (same && last.userAgent === userAgent) return last;
  const source =
    `","eventSource":"kms.amazonaws.com","eventName":${quote(operation)},"awsRegion":${quote(region)}` +
    `,"sourceIPAddress":${quote(sourceIp ?? "127.0.0.1")},"userAgent":${quote(userAgent)}`;
  const end =
    `],"eventType":"${isOwn(principal) ? "AwsServiceEvent" : "AwsApiCall"}","managementEvent":true,"recipientAccountId":${quote(account)}` +
    ',"eventCategory":"Management"';
  const frame = {
    region,
    account,
    sourceIp,
    userAgent,
    identity: `{"eventVersion":"1.11","userIdentity":${identity(principal)},"eventTime":"`,
    source,
    end,
    head: "",
    time: "",
  };
  known.set(operation, frame);
  return frame;
}

/** What nobody asked for: CloudTrail tells of it in another member. */
const isOwn = ({ arn }: AuditPrincipal) => arn === "kms.amazonaws.com";

let lastSecond = Number.NaN;
let lastTime = "";

/** CloudTrail's form of a time, to the second. */
function timeOf(milliseconds: number): string {
  const second = Math.floor(milliseconds / 1000);
  if (second !== lastSecond) {
    lastTime = `${new Date(second * 1000).toISOString().slice(0, 19)}Z`;
    lastSecond = second;
  }
  return lastTime;
}

function headOf(frame: Frame, milliseconds: number): string {
  const time = timeOf(milliseconds);
  if (frame.time !== time) {
    frame.time = time;
    // Joined, it is one piece: to add to a rope of texts is quick, to read it in the end takes a while a piece.
    frame.head = [frame.identity, time, frame.source].join("");
  }
  return frame.head;
}

const resources = new Map<string, string>();

function resource(arn: string): string {
  let json = resources.get(arn);
  if (json === undefined) {
    const [, , service, , account = "", name = ""] = arn.split(":", 6);
    const kind = name.startsWith("alias/") ? "Alias" : name.startsWith("role/") ? "Role" : undefined;
    const type = service === "kms" ? `AWS::KMS::${kind ?? "Key"}` : `AWS::IAM::${kind ?? "User"}`;
    json = JSON.stringify({ accountId: account, type, ARN: arn });
    if (resources.size >= 10_000) resources.clear();
    resources.set(arn, json);
  }
  return json;
}

/** How many ids share their beginning. */
const RUN = 4096;
const ENDS = Array.from({ length: RUN }, (_, i) => i.toString(16).padStart(3, "0"));
const IDS = `${randomUUID().slice(0, 14)}8${randomUUID().slice(15, 24)}`;
let run = "";
let ids = 0;

/** A UUID of version 8 (RFC 9562), for requests and events: at random for this thread, and counted within it. */
export function countedId(): string {
  const end = ids % RUN;
  if (end === 0)
    run = [
      IDS,
      Math.floor(ids / RUN)
        .toString(16)
        .padStart(9, "0"),
    ].join("");
  ids++;
  return run + ENDS[end];
}

/** What was made is named only by the output. */
function madeBy(output: object | undefined): readonly string[] {
  const { Arn } = (output as { KeyMetadata?: { Arn?: unknown } } | undefined)?.KeyMetadata ?? {};
  return typeof Arn === "string" ? [Arn] : [];
}

/** Most requests note nothing but what access said, in the same words. */
let lastNotes = { name: "", value: "", json: "" };

function notesOf(notes: Flat): string {
  const [name, ...others] = Object.keys(notes);
  const value = notes[name ?? ""];
  if (name === undefined || others.length > 0 || typeof value !== "string") return flat(notes);
  if (lastNotes.name !== name || lastNotes.value !== value) lastNotes = { name, value, json: flat(notes) };
  return lastNotes.json;
}

/**
 * The event as a CloudTrail record, without the closing brace: the log adds its own members behind. It is put together
 * by hand, of few pieces, because this runs once a request on the main thread.
 */
export function eventBody(event: AuditEvent, defaultAgent: string): string {
  const frame = frameOf(event, event.userAgent ?? defaultAgent);
  const { error, input, output, additional, readOnly } = event;
  let json = headOf(frame, event.time);
  if (error !== undefined) {
    json += `,"errorCode":${quote(error.name === "AccessDeniedException" ? "AccessDenied" : error.name)}`;
    json += `,"errorMessage":${quote(error.message.slice(0, MAX_MESSAGE))}`;
  }
  json += `,"requestParameters":${input === undefined ? "null" : shown(input)}`;
  json +=
    readOnly || output === undefined ? ',"responseElements":null' : `,"responseElements":${shown(output)}`;
  if (additional !== undefined)
    json += `,"${isOwn(event.principal) ? "serviceEventDetails" : "additionalEventData"}":${notesOf(additional)}`;
  json += `,"requestID":"${event.requestId}","eventID":"${event.eventId ?? countedId()}`;
  json += readOnly ? '","readOnly":true,"resources":[' : '","readOnly":false,"resources":[';
  const arns = event.resources.length > 0 ? event.resources : madeBy(output);
  for (let i = 0; i < arns.length; i++) json += (i === 0 ? "" : ",") + resource(arns[i] as string);
  json += frame.end;
  return event.sharedEventId === undefined ? json : `${json},"sharedEventID":"${event.sharedEventId}"`;
}
