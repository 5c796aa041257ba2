import { RequestEntityTooLargeException } from "../errors.ts";
import type { Endpoint } from "./endpoint.ts";
import { HEADERS, type HttpRequest } from "./message.ts";
import { BODY_LIMIT } from "./options.ts";
import { errorAnswer } from "./perform.ts";

/** Answers a request of the Fetch standard, as frameworks and runtimes hand it on: authenticated like any other. */
export async function answerFetch(endpoint: Endpoint, request: Request): Promise<Response> {
  const body = await bodyOf(request);
  const answer = body === undefined ? tooLarge() : await endpoint.answer(asked(request, body));
  return new Response(answer.body, {
    status: answer.status,
    headers: { ...HEADERS, "x-amzn-RequestId": answer.requestId, "Content-Type": answer.contentType },
  });
}

const tooLarge = () =>
  errorAnswer(new RequestEntityTooLargeException(`HTTP content length exceeded ${BODY_LIMIT} bytes.`));

/** A `Request` has the host that it is for in its URL, where its header was dropped. */
function asked(request: Request, body: Uint8Array): HttpRequest {
  const { pathname, search, host, protocol } = new URL(request.url);
  const fields = new Map(request.headers);
  if (!fields.has("host")) fields.set("host", host);
  return {
    method: request.method,
    path: pathname,
    query: search.slice(1),
    fields,
    body,
    sourceIp: undefined,
    secure: protocol === "https:",
  };
}

/** Undefined when it is over the limit. */
async function bodyOf({ body }: Request): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  if (body !== null) {
    for await (const chunk of body as unknown as AsyncIterable<Uint8Array>) {
      size += chunk.length;
      if (size > BODY_LIMIT) return undefined;
      chunks.push(chunk);
    }
  }
  return Buffer.concat(chunks, size);
}
