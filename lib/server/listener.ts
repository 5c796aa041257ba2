import { randomUUID } from "node:crypto";
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { RequestEntityTooLargeException, ThrottlingException } from "../errors.ts";
import { type Body, Intake, isHuge } from "./body.ts";
import { Certificate } from "./certificate.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Health } from "./health.ts";
import { fieldsOf, HEADERS, type HttpAnswer, type HttpRequest } from "./message.ts";
import { BODY_LIMIT, type ServerOptions } from "./options.ts";
import { errorAnswer } from "./perform.ts";

/** Milliseconds until a client must have sent its head, its whole request, its next request, or taken its answer. */
const TIMEOUTS = { headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 75_000 };
const STALLED = 120_000;
/** Bytes of a request's head. */
const MAX_HEAD = 16_384;
/** So many requests wait for their turn at most: nobody has said yet who they are from. */
const MOST_ARRIVED = 64;

/** Names and values in turns: an object with others spread into it takes V8 3 µs more. */
const COMMON = Object.entries(HEADERS).flat();

interface Arrival {
  readonly request: HttpRequest;
  readonly response: ServerResponse;
}

/** One HTTP or HTTPS server in front of an endpoint. */
export class Listener {
  readonly #endpoint: Endpoint;
  readonly #health: Health;
  readonly #certificate: Certificate | undefined;
  readonly #server: Server;
  readonly #grace: number;
  readonly #onError: (error: Error) => void;
  readonly #intake = new Intake();
  #arrived: Arrival[] = [];
  /** Those that no request has come by yet: Node takes them for busy, and would wait for them. */
  readonly #unused = new Set<Socket>();
  #closing: Promise<void> | undefined;

  constructor(endpoint: Endpoint, health: Health, options: ServerOptions) {
    const { tls, connections = 4096, grace = 10_000, onError = () => {} } = options;
    this.#endpoint = endpoint;
    this.#health = health;
    this.#grace = grace;
    this.#onError = onError;
    this.#certificate = tls && new Certificate(tls);
    const settings = { ...TIMEOUTS, connectionsCheckingInterval: 1_000, maxHeaderSize: MAX_HEAD };
    if (this.#certificate === undefined) {
      this.#server = createServer(settings);
    } else {
      const secure = createSecureServer({
        ...settings,
        ...this.#certificate.read(),
        handshakeTimeout: TIMEOUTS.headersTimeout,
      });
      this.#certificate.watch(secure, onError);
      this.#server = secure;
    }
    const server = this.#server;
    server.maxConnections = connections;
    server.timeout = STALLED;
    server.on(this.secure ? "secureConnection" : "connection", this.#onConnection);
    server.on("request", this.#onRequest);
    server.on("checkContinue", this.#onExpectation);
    server.on("clientError", onClientError);
    // A handshake that fails concerns nobody but its client.
    server.on("tlsClientError", () => {});
  }

  /** Resolves once it listens; rejects when it cannot. */
  listen(port: number, host: string): Promise<AddressInfo> {
    return listen(this.#server, { port, host }, this.#onError);
  }

  get secure(): boolean {
    return this.#certificate !== undefined;
  }

  connections(): Promise<number> {
    return new Promise((resolve) => this.#server.getConnections((_error, count = 0) => resolve(count)));
  }

  /** Takes no more connections, lets what is under way finish, and cuts off what takes longer than the grace. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#certificate?.close();
    const server = this.#server;
    const cut = setTimeout(() => server.closeAllConnections(), this.#grace);
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of this.#unused) socket.destroy();
    await closed;
    clearTimeout(cut);
  }

  readonly #onConnection = (socket: Socket): void => {
    this.#unused.add(socket);
    socket.once("close", () => this.#unused.delete(socket));
  };

  readonly #onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    this.#unused.delete(request.socket);
    if (request.method === "GET" && request.url === "/health") {
      this.#answerHealth(response);
      return;
    }
    if (isHuge(request)) this.#refuseBody(response, "far too large");
    else this.#intake.read(request, (body) => this.#onBody(request, response, body));
  };

  /** A client that waits for "100 Continue" is told at once when its body is too large. */
  readonly #onExpectation = (request: IncomingMessage, response: ServerResponse): void => {
    if (Number(request.headers["content-length"] ?? 0) > BODY_LIMIT) {
      this.#refuseBody(response, "far too large");
      return;
    }
    response.writeContinue();
    this.#onRequest(request, response);
  };

  #onBody(request: IncomingMessage, response: ServerResponse, body: Body): void {
    if (typeof body === "string") {
      this.#refuseBody(response, body);
      return;
    }
    const { url = "/", socket } = request;
    const at = url.indexOf("?");
    const asked: HttpRequest = {
      method: request.method as string,
      path: at === -1 ? url : url.slice(0, at),
      query: at === -1 ? "" : url.slice(at + 1),
      fields: fieldsOf(request.rawHeaders),
      body,
      sourceIp: addressOf(socket),
      secure: this.secure,
    };
    this.#arrived.push({ request: asked, response });
    if (this.#arrived.length === 1) setImmediate(this.#answerArrived);
    else if (this.#arrived.length === MOST_ARRIVED) this.#answerArrived();
  }

  /**
   * What comes in one turn of the event loop is begun together at its end: one after the other they take a tenth less
   * time each, for code and data are in the processor's caches by then, and they reach the HSM and the log as one.
   */
  readonly #answerArrived = (): void => {
    const arrived = this.#arrived;
    this.#arrived = [];
    for (const { request, response } of arrived)
      this.#endpoint.answer(request).then((answer) => this.#send(response, answer));
  };

  #refuseBody(response: ServerResponse, body: Exclude<Body, Uint8Array>): void {
    const text = `HTTP content length exceeded ${BODY_LIMIT} bytes.`;
    const error =
      body === "too many"
        ? new ThrottlingException("Rate exceeded")
        : new RequestEntityTooLargeException(text);
    if (body === "far too large") response.shouldKeepAlive = false;
    this.#send(response, errorAnswer(error));
  }

  #answerHealth(response: ServerResponse): void {
    this.#health.check().then((healthy) => {
      const body = JSON.stringify({ hsm: healthy ? "answers" : "does not answer" });
      const [status, contentType] = [healthy ? 200 : 503, "application/json"];
      this.#send(response, { status, contentType, requestId: randomUUID(), body });
    });
  }

  #send(response: ServerResponse, { status, requestId, contentType, body }: HttpAnswer): void {
    if (response.destroyed) return;
    if (this.#closing !== undefined) response.shouldKeepAlive = false;
    const own = ["x-amzn-RequestId", requestId, "Content-Type", contentType];
    response.writeHead(status, [...COMMON, ...own, "Content-Length", Buffer.byteLength(body)]);
    response.end(body);
  }
}

/** Resolves once a server listens; what fails later, such as to accept when there are no descriptors left, is told. */
export function listen(
  server: Server,
  where: { port: number; host: string },
  onError: (error: Error) => void,
): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(where, () => {
      server.off("error", reject).on("error", onError);
      resolve(server.address() as AddressInfo);
    });
  });
}

/** An IPv4 address as such, also where the server listens to both families. */
const addressOf = ({ remoteAddress }: Socket) => remoteAddress?.replace(/^::ffff:(?=\d+\.)/, "");

/** What was sent is not HTTP, takes too long, or has too long a head. */
function onClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  const status =
    error.code === "HPE_HEADER_OVERFLOW" ? 431 : error.code === "ERR_HTTP_REQUEST_TIMEOUT" ? 408 : 400;
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
    () => socket.destroy(),
  );
}
