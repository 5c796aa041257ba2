import { randomUUID } from "node:crypto";
import type { KmsError } from "../errors.ts";
import { queryPairs } from "../sigv4.ts";
import type { HttpAnswer, HttpRequest } from "./message.ts";
import type { Identity } from "./sigv4.ts";

/**
 * sts:GetCallerIdentity, which clients ask to learn whose credentials they have: a form-encoded query (in the body of
 * a POST, or in the URL of a GET), answered in XML. AWS lets every caller ask it.
 */
const VERSION = "2011-06-15";
const NAMESPACE = `https://sts.amazonaws.com/doc/${VERSION}/`;

/** Form fields write a space as a plus, unlike the signed query of a URL. */
const formPairs = (body: Uint8Array) =>
  queryPairs(Buffer.from(body).toString("latin1").replaceAll("+", "%20"));

export function callerIdentity(request: HttpRequest, { principal, accessKeyId }: Identity): HttpAnswer {
  const pairs = new Map(request.method === "GET" ? queryPairs(request.query) : formPairs(request.body));
  const action = pairs.get("Action");
  if (action !== "GetCallerIdentity" || pairs.get("Version") !== VERSION)
    return refusal("InvalidAction", `Could not find operation ${action} for version ${pairs.get("Version")}`);
  const { arn, account, type } = principal;
  const userId = type === "Account" ? account : accessKeyId;
  const requestId = randomUUID();
  return answer(
    200,
    requestId,
    `<GetCallerIdentityResponse xmlns="${NAMESPACE}">\n  <GetCallerIdentityResult>\n    <Arn>${xml(arn)}</Arn>\n    <UserId>${userId}</UserId>\n    <Account>${account}</Account>\n  </GetCallerIdentityResult>\n  <ResponseMetadata>\n    <RequestId>${requestId}</RequestId>\n  </ResponseMetadata>\n</GetCallerIdentityResponse>\n`,
  );
}

/** STS's names and statuses for what KMS calls otherwise. */
const STS: Readonly<Record<string, readonly [code: string, status: number]>> = {
  UnrecognizedClientException: ["InvalidClientTokenId", 403],
  InvalidSignatureException: ["SignatureDoesNotMatch", 403],
  ExpiredTokenException: ["ExpiredToken", 403],
  MissingAuthenticationTokenException: ["MissingAuthenticationToken", 403],
  IncompleteSignatureException: ["IncompleteSignature", 400],
};

/** Whether a request is meant for STS, as far as can be told before it is verified. */
export const isForSts = ({ fields, method }: HttpRequest) =>
  method === "GET" || (fields.get("content-type") ?? "").startsWith("application/x-www-form-urlencoded");

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
