import { failureOf } from "../failure.ts";
import { HEADERS } from "./message.ts";
import { errorAnswer, perform, type ServedCaller } from "./perform.ts";

/** What the handler takes of a client's request: by structure that of `@smithy/types`. */
export interface ClientRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** What the handler heeds of how a client sends. */
export interface SendingOptions {
  /** An `AbortSignal` of the platform's; another library's is not heeded. */
  readonly abortSignal?: unknown;
}

export interface ClientResponse {
  readonly statusCode: number;
  readonly headers: Record<string, string>;
  readonly body: Uint8Array;
}

/**
 * The `requestHandler` of an AWS SDK client (version 3) that answers in this process, without a socket. Nothing is
 * authenticated: every request is one of `caller`'s, whatever credentials the client has.
 */
export class InProcessHandler {
  readonly metadata = { handlerProtocol: "http/1.1" };
  readonly #caller: ServedCaller;
  readonly #config: Record<string, unknown> = {};

  constructor(caller: ServedCaller) {
    this.#caller = caller;
  }

  /** Rejects with an `AbortError` once the client gives up; a request that is under way by then ends all the same. */
  async handle(
    request: ClientRequest,
    { abortSignal }: SendingOptions = {},
  ): Promise<{ response: ClientResponse }> {
    if (!(abortSignal instanceof AbortSignal)) return this.#answer(request);
    if (abortSignal.aborted) throw abortError();
    let giveUp: (() => void) | undefined;
    const givenUp = new Promise<never>((_, reject) => {
      giveUp = () => reject(abortError());
      abortSignal.addEventListener("abort", giveUp, { once: true });
    });
    const ended = Promise.race([this.#answer(request), givenUp]);
    return ended.finally(() => abortSignal.removeEventListener("abort", giveUp as () => void));
  }

  async #answer(request: ClientRequest): Promise<{ response: ClientResponse }> {
    const fields = new Map(
      Object.entries(request.headers).map(([name, value]) => [name.toLowerCase(), value] as const),
    );
    const answer = await perform(this.#caller, {
      method: request.method,
      path: request.path,
      query: "",
      fields,
      body: bytesOf(request.body),
      sourceIp: undefined,
      secure: true,
    }).catch((cause) => errorAnswer(failureOf(cause, [])));
    const headers = Object.fromEntries(
      Object.entries(HEADERS).map(([name, value]) => [name.toLowerCase(), value]),
    );
    headers["content-type"] = answer.contentType;
    headers["x-amzn-requestid"] = answer.requestId;
    return { response: { statusCode: answer.status, headers, body: Buffer.from(answer.body) } };
  }

  destroy(): void {}

  updateHttpClientConfig(key: string, value: unknown): void {
    this.#config[key] = value;
  }

  httpHandlerConfigs(): Record<string, unknown> {
    return this.#config;
  }
}

/** By its name, clients know that it was themselves. */
function abortError(): Error {
  return Object.assign(new Error("Request aborted"), { name: "AbortError" });
}

function bytesOf(body: unknown): Uint8Array {
  if (body === undefined) return new Uint8Array();
  if (typeof body === "string") return Buffer.from(body);
  if (body instanceof Uint8Array) return body;
  throw new TypeError("the body of a request in this process must be text or bytes");
}
