import { isUtf8 } from "node:buffer";
import { type KmsError, SerializationException } from "../errors.ts";
import { parseJson } from "../json.ts";
import type { Operation } from "../operation.ts";
import { decode, encode } from "./codec.ts";

/** The AWS JSON 1.1 protocol, as AWS KMS speaks it. */

export const JSON_TYPE = "application/x-amz-json-1.1";
const PREFIX = "TrentService.";

/** The name of the operation that `X-Amz-Target` asks for; empty when that is of another service. */
export const nameOfTarget = (target = "") => (target.startsWith(PREFIX) ? target.slice(PREFIX.length) : "");

/** JSON 1.0 differs in nothing that matters here, and AWS takes it too. */
const speaksJson = /^application\/x-amz-json-1\.[01]\s*(?:;|$)/i;

export const isJson = (contentType: string | undefined) =>
  contentType !== undefined && speaksJson.test(contentType);

/** The input that a body holds; an empty one is an empty input. Throws `SerializationException`. */
export function readInput({ input }: Operation, body: Uint8Array): object {
  if (body.length === 0) return {};
  if (!isUtf8(body)) throw new SerializationException("The request is not valid UTF-8");
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString();
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (cause) {
    // The parser's own message may hold a piece of what it could not read.
    throw new SerializationException("The request is not valid JSON, or names a member twice", { cause });
  }
  return decode(input, value);
}

/** The body of an answer, which is empty where the operation has no output. */
export function writeOutput({ output }: Operation, value: object): string {
  return output === undefined ? "" : encode(output, value);
}

/** AWS spells the member that holds the text with a capital in this one. */
const CAPITAL = "AccessDeniedException";

export function writeError({ name, message }: KmsError): string {
  if (message === "") return JSON.stringify({ __type: name });
  return JSON.stringify({ __type: name, [name === CAPITAL ? "Message" : "message"]: message });
}
