import { randomUUID } from "node:crypto";
import { type KmsError, ValidationException } from "../errors.ts";
import { failureOf } from "../failure.ts";
import { queryPairs } from "../sigv4.ts";
import type { HttpAnswer, HttpRequest } from "./message.ts";
import type { ServedCaller } from "./perform.ts";
import type { Identity } from "./sigv4.ts";

/**
 * What there is of AWS STS, a form-encoded query (in the body or in the URL) that is answered in XML:
 * GetCallerIdentity, which clients ask to learn whose credentials they have and every caller may; and AssumeRole.
 */
const VERSION = "2011-06-15";
const NAMESPACE = `https://sts.amazonaws.com/doc/${VERSION}/`;

/** Form fields write a space as a plus, unlike the signed query of a URL. */
const formPairs = (body: Uint8Array) =>
  queryPairs(Buffer.from(body).toString("latin1").replaceAll("+", "%20"));

const pairsOf = ({ query, body }: HttpRequest) => new Map([...queryPairs(query), ...formPairs(body)]);

type Perform = (caller: ServedCaller, pairs: Map<string, string>, identity: Identity) => Promise<HttpAnswer>;

const table: ReadonlyMap<string | undefined, Perform> = new Map<string, Perform>([
  ["GetCallerIdentity", async (_caller, _pairs, identity) => callerIdentity(identity)],
  ["AssumeRole", (caller, pairs) => assumeRole(caller, pairs)],
]);

/** Undefined when there is none such. */
export function stsOperationOf(request: HttpRequest): string | undefined {
  const action = pairsOf(request).get("Action");
  return table.has(action) ? action : undefined;
}

/** Does what a query asks for, for whoever it was found to be from. Rejects with the error to answer. */
export async function performSts(
  caller: ServedCaller,
  request: HttpRequest,
  identity: Identity,
): Promise<HttpAnswer> {
  const pairs = pairsOf(request);
  const action = pairs.get("Action");
  const perform = table.get(action);
  if (perform === undefined || pairs.get("Version") !== VERSION)
    return refusal("InvalidAction", `Could not find operation ${action} for version ${pairs.get("Version")}`);
  return perform(caller, pairs, identity);
}

function callerIdentity({ principal, accessKeyId }: Identity): HttpAnswer {
  const { arn, account, type } = principal;
  const session = type === "AssumedRole" ? `:${arn.slice(arn.lastIndexOf("/") + 1)}` : "";
  const UserId = type === "Account" ? account : `${accessKeyId}${session}`;
  return result("GetCallerIdentity", { Arn: arn, UserId, Account: account }, randomUUID());
}

async function assumeRole(caller: ServedCaller, pairs: Map<string, string>): Promise<HttpAnswer> {
  let input: object;
  try {
    input = assumeRoleInput(pairs);
  } catch (cause) {
    return caller.refuse("AssumeRole", failureOf(cause, []));
  }
  const output = (await caller.request("AssumeRole", input)) as Assumed;
  const { Credentials, AssumedRoleUser, $metadata } = output;
  const Expiration = Credentials.Expiration.toISOString().replace(/\.\d+/, "");
  return result(
    "AssumeRole",
    { Credentials: { ...Credentials, Expiration }, AssumedRoleUser },
    $metadata.requestId,
  );
}

interface Assumed {
  readonly Credentials: Readonly<Record<string, string>> & { readonly Expiration: Date };
  readonly AssumedRoleUser: Readonly<Record<string, string>>;
  readonly $metadata: { readonly requestId: string };
}

/** What is not known is refused: it may be what narrows the session. */
function assumeRoleInput(pairs: Map<string, string>): object {
  const input: Record<string, unknown> = {};
  const tags: Record<string, string>[] = [];
  for (const [name, value] of pairs) {
    const [, index, member] = /^Tags\.member\.([1-9]\d?)\.(Key|Value)$/.exec(name) ?? [];
    if (index !== undefined && member !== undefined) {
      const at = Number(index) - 1;
      tags[at] = { ...tags[at], [member]: value };
    } else if (name === "DurationSeconds") input[name] = Number(value);
    else if (name === "RoleArn" || name === "RoleSessionName" || name === "Policy") input[name] = value;
    else if (name !== "Action" && name !== "Version" && !name.startsWith("X-Amz-"))
      throw new ValidationException(`${name} is not offered here: leave it out.`);
  }
  if (tags.length > 0) input.Tags = Array.from(tags, (tag) => tag ?? {});
  return input;
}

/** STS's names and statuses for what KMS calls otherwise. */
const STS: Readonly<Record<string, readonly [code: string, status: number]>> = {
  UnrecognizedClientException: ["InvalidClientTokenId", 403],
  InvalidSignatureException: ["SignatureDoesNotMatch", 403],
  ExpiredTokenException: ["ExpiredToken", 403],
  MissingAuthenticationTokenException: ["MissingAuthenticationToken", 403],
  IncompleteSignatureException: ["IncompleteSignature", 400],
  AccessDeniedException: ["AccessDenied", 403],
  ValidationException: ["ValidationError", 400],
  SerializationException: ["ValidationError", 400],
  MalformedPolicyDocumentException: ["MalformedPolicyDocument", 400],
};

/** Whether a request is meant for STS, as far as can be told before it is verified. */
export const isForSts = ({ fields, method, query }: HttpRequest) =>
  method === "GET" ||
  query.includes("Action=") ||
  (fields.get("content-type") ?? "").startsWith("application/x-www-form-urlencoded");

/** An error in the form that STS's clients read. */
export function stsError({ name, message, $fault }: KmsError): HttpAnswer {
  const [code, status] = STS[name] ?? [name, $fault === "client" ? 400 : 500];
  return refusal(code, message, status);
}

function refusal(code: string, message: string, status = 400): HttpAnswer {
  const requestId = randomUUID();
  const type = status < 500 ? "Sender" : "Receiver";
  return answer(
    status,
    requestId,
    `<ErrorResponse xmlns="${NAMESPACE}">\n  <Error>\n    <Type>${type}</Type>\n    <Code>${xml(code)}</Code>\n    <Message>${xml(message)}</Message>\n  </Error>\n  <RequestId>${requestId}</RequestId>\n</ErrorResponse>\n`,
  );
}

type Members = { readonly [name: string]: string | Members };

function result(operation: string, members: Members, requestId: string): HttpAnswer {
  const body = elements({
    [`${operation}Result`]: members,
    ResponseMetadata: { RequestId: requestId },
  });
  const name = `${operation}Response`;
  return answer(200, requestId, `<${name} xmlns="${NAMESPACE}">\n${body}</${name}>\n`);
}

function elements(members: Members, indent = "  "): string {
  const lines = Object.entries(members).map(([name, value]) => {
    const inside = typeof value === "string" ? xml(value) : `\n${elements(value, `${indent}  `)}${indent}`;
    return `${indent}<${name}>${inside}</${name}>\n`;
  });
  return lines.join("");
}

const answer = (status: number, requestId: string, body: string): HttpAnswer => ({
  status,
  requestId,
  contentType: "text/xml",
  body,
});

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

/** As XML's text; what XML has no way to say at all is replaced. */
const xml = (text: string) =>
  text
    .replace(/[&<>"]/g, (character) => ENTITIES[character] as string)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what XML 1.0 cannot hold
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, "\ufffd");
