import { hash, type KeyObject } from "node:crypto";
import type { ClientRequest, IncomingMessage } from "node:http";
import { Agent, type RequestOptions, request } from "node:https";
import type { XksConfig } from "../config.ts";
import { canonicalRequest, signatureOf, signingKey, stamp } from "../sigv4.ts";
import { type FailureName, failures, ProxyFailure } from "./failures.ts";

/** AWS's: what does not answer within it has failed. */
const BUDGET = 250;
/** Connections to one proxy: what comes beyond them waits, within its budget. */
const SOCKETS = 256;
/** Bytes of an answer: 4,300 in base64, and room for what surrounds them. */
const LONGEST = 65_536;

/** Who signs requests to a proxy, and where they go. */
export interface Endpoint {
  /** "https://xks.example.com". */
  readonly uri: string;
  /** Ends in "/kms/xks/v1". */
  readonly path: string;
  readonly region: string;
  readonly accessKeyId: string;
  /** The receiver wipes it. */
  secret(): Promise<Uint8Array>;
}

type Members = Readonly<Record<string, unknown>>;

/** HTTPS to proxies: JSON in and out, signed, within the budget. */
export class Channel {
  readonly #options: XksConfig;
  readonly #agent: Agent;
  readonly #clock: () => number;
  readonly #keys = new WeakMap<Endpoint, { scope: string; key: KeyObject }>();

  constructor(options: XksConfig, ca: readonly string[] | undefined, clock: () => number) {
    this.#options = options;
    this.#agent = new Agent({
      keepAlive: true,
      maxSockets: SOCKETS,
      ca: ca && [...ca],
      minVersion: "TLSv1.2",
    });
    this.#clock = clock;
  }

  /** Where a host is known to be. */
  addressOf(host: string): { host: string; port: number } | undefined {
    const { addresses = {} } = this.#options;
    const address = Object.hasOwn(addresses, host) ? addresses[host] : undefined;
    if (address === undefined) return undefined;
    const at = address.lastIndexOf(":");
    return { host: address.slice(0, at).replace(/^\[|\]$/g, ""), port: Number(address.slice(at + 1)) };
  }

  /** Rejects with {@link ProxyFailure}. */
  async post(endpoint: Endpoint, path: string, input: Members): Promise<Members> {
    const host = new URL(endpoint.uri).host;
    const body = Buffer.from(JSON.stringify(input));
    const headers = await this.#sign(endpoint, host, endpoint.path + path, body);
    const target = this.addressOf(host) ?? { host, port: 443 };
    const { timeout = BUDGET } = this.#options;
    const options = { ...target, servername: host, agent: this.#agent, method: "POST", headers };
    const { status, text } = await exchange({ ...options, path: endpoint.path + path }, body, timeout);
    return read(status, text);
  }

  close(): void {
    this.#agent.destroy();
  }

  async #sign(endpoint: Endpoint, host: string, path: string, body: Uint8Array) {
    const time = stamp(this.#clock());
    const scope = `${time.slice(0, 8)}/${endpoint.region}/kms-xks-proxy/aws4_request`;
    const signed = ["host", "x-amz-date"];
    const fields = new Map([
      ["host", host],
      ["x-amz-date", time],
    ]);
    const key = await this.#signingKey(endpoint, scope);
    const head = { method: "POST", path, query: "", fields };
    const canonical = canonicalRequest(head, signed, hash("sha256", body, "hex"));
    const signature = signatureOf(key, time, scope, canonical).toString("hex");
    return {
      host,
      "x-amz-date": time,
      "content-type": "application/json",
      "content-length": body.length,
      authorization: `AWS4-HMAC-SHA256 Credential=${endpoint.accessKeyId}/${scope}, SignedHeaders=${signed.join(";")}, Signature=${signature}`,
    };
  }

  async #signingKey(endpoint: Endpoint, scope: string): Promise<KeyObject> {
    const known = this.#keys.get(endpoint);
    if (known?.scope === scope) return known.key;
    const secret = await endpoint.secret();
    const key = signingKey(secret, { scope });
    secret.fill(0);
    this.#keys.set(endpoint, { scope, key });
    return key;
  }
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** One request. A connection that was kept open may just have been closed: then it is made anew, within the budget. */
function exchange(options: RequestOptions, body: Uint8Array, budget: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let current: ClientRequest;
    let over = false;
    const timer = setTimeout(() => {
      fail(new ProxyFailure("timeout", `no answer within ${budget} ms`));
    }, budget);
    const fail = (error: ProxyFailure) => {
      over = true;
      clearTimeout(timer);
      reject(error);
      current.destroy();
    };
    const send = (anew: boolean) => {
      const sent = request(options, (answer) => {
        collect(answer).then((text) => {
          clearTimeout(timer);
          resolve({ status: answer.statusCode as number, text });
        }, fail);
      });
      current = sent;
      sent.on("error", (error: NodeJS.ErrnoException) => {
        // What was given up ends with the same error.
        if (over) return;
        if (anew && sent.reusedSocket && error.code === "ECONNRESET") return send(false);
        fail(new ProxyFailure(kindOf(error), error.message, { cause: error }));
      });
      sent.end(body);
    };
    send(true);
  });
}

async function collect(answer: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  try {
    for await (const part of answer) {
      size += part.length;
      if (size > LONGEST) throw new ProxyFailure("malformed", `an answer of more than ${LONGEST} bytes`);
      parts.push(part);
    }
  } catch (cause) {
    if (cause instanceof ProxyFailure) throw cause;
    throw new ProxyFailure("malformed", "the answer ended too early", { cause });
  }
  return Buffer.concat(parts).toString();
}

/** Node's and OpenSSL's names of what is wrong with TLS. */
const tls = /^(ERR_TLS|ERR_SSL|CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|HOSTNAME_|EPROTO$)/;

const kindOf = ({ code = "" }: NodeJS.ErrnoException): FailureName =>
  tls.test(code) ? "tls" : "unreachable";

function read(status: number, text: string): Members {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new ProxyFailure("malformed", `status ${status} with what is not JSON`, { cause });
  }
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw new ProxyFailure("malformed", `status ${status} with JSON that is no object`);
  if (status === 200) return json as Members;
  const { errorName } = json as { errorName?: unknown };
  const known =
    typeof errorName === "string" && /Exception$/.test(errorName) && Object.hasOwn(failures, errorName);
  throw new ProxyFailure(known ? (errorName as FailureName) : "malformed", `status ${status}`);
}
