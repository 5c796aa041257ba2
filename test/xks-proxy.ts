import { execFileSync } from "node:child_process";
import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

/**
 * An external key store proxy as AWS's "External Key Store Proxy API Specification" describes one, with AES keys of
 * its own and nothing of the library's: the other side of what the tests are about.
 */
export interface Misbehaviour {
  /** Milliseconds before it answers. */
  delay?: number;
  /** Answers every request with this. */
  answer?: { status: number; body: string };
  /** Changes its own answers. */
  twist?: (answer: Record<string, unknown>, verb: string) => Record<string, unknown>;
  /** Closes the connection instead of answering. */
  hangUp?: boolean;
}

export interface Seen {
  verb: string;
  keyId: string | undefined;
  body: Record<string, never> & { requestMetadata: Record<string, string> };
}

export const CREDENTIAL = {
  AccessKeyId: "ABCDEFGHIJKLMNOPQRST",
  RawSecretAccessKey: "canary+secret/of+the+proxy/0123456789abcdefghij=",
};
export const HOST = "xks.example.com";
export const URI_PATH = "/tenant-1/kms/xks/v1";

class Refusal extends Error {
  readonly status: number;
  readonly errorName: string;

  constructor(status: number, errorName: string) {
    super(errorName);
    this.status = status;
    this.errorName = errorName;
  }
}

interface ExternalKey {
  key: Buffer;
  keySpec?: string;
  keyUsage?: string[];
  keyStatus?: string;
}

export class XksProxy {
  readonly keys = new Map<string, ExternalKey>();
  readonly seen: Seen[] = [];
  credential = CREDENTIAL;
  misbehaviour: Misbehaviour = {};
  metadata = Buffer.from("key_version=1");
  ivLength = 12;
  health = "ACTIVE";
  connections = 0;
  requests = 0;
  readonly #server: Server;
  readonly #clock: () => number;

  private constructor(server: Server, clock: () => number) {
    this.#server = server;
    this.#clock = clock;
  }

  /** With a certificate for `name` by a new authority, both in `directory`. */
  static async start(directory: string, clock: () => number, name = HOST): Promise<XksProxy> {
    const file = (part: string) => join(directory, `${name}.${part}`);
    const openssl = (...args: string[]) => execFileSync("openssl", args, { stdio: "pipe" });
    const pair = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "36500"];
    openssl(
      "req",
      "-x509",
      ...pair,
      "-subj",
      "/CN=test authority",
      "-keyout",
      file("ca.key"),
      "-out",
      file("ca.pem"),
    );
    openssl(
      "req",
      "-x509",
      ...pair,
      "-subj",
      `/CN=${name}`,
      "-addext",
      `subjectAltName=DNS:${name}`,
      "-addext",
      "basicConstraints=critical,CA:FALSE",
      "-CA",
      file("ca.pem"),
      "-CAkey",
      file("ca.key"),
      "-keyout",
      file("key"),
      "-out",
      file("pem"),
    );
    const server = createServer({ key: readFileSync(file("key")), cert: readFileSync(file("pem")) });
    const proxy = new XksProxy(server, clock);
    server.on("secureConnection", () => proxy.connections++);
    server.on("request", (request, response) => void proxy.#serve(request, response));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return proxy;
  }

  static ca(directory: string, name = HOST): string {
    return join(directory, `${name}.ca.pem`);
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  addKey(id: string, change: Partial<ExternalKey> = {}): void {
    this.keys.set(id, { key: randomBytes(32), ...change });
  }

  dropConnections(): void {
    this.#server.closeAllConnections();
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.requests++;
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part);
    const body = Buffer.concat(parts);
    const { delay, answer, hangUp } = this.misbehaviour;
    if (hangUp) return void request.socket.destroy();
    if (delay !== undefined) await new Promise((resolve) => setTimeout(resolve, delay));
    const [status, text] = answer ? [answer.status, answer.body] : this.#answer(request, body);
    response.writeHead(status, { "content-type": "application/json" }).end(text);
  }

  #answer(request: IncomingMessage, body: Buffer): [number, string] {
    try {
      if (request.method !== "POST") throw new Refusal(405, "ValidationException");
      this.#authenticate(request, body);
      const url = request.url as string;
      if (!url.startsWith(`${URI_PATH}/`)) throw new Refusal(404, "InvalidUriPathException");
      const [, keyId, named] = /^\/keys\/([A-Za-z0-9._-]+)\/(\w+)$/.exec(url.slice(URI_PATH.length)) ?? [];
      const verb = named ?? url.slice(URI_PATH.length + 1);
      const input = JSON.parse(body.toString());
      this.seen.push({ verb, keyId, body: input });
      if (verb === "health") return [200, JSON.stringify(this.#twisted(this.#health(), verb))];
      const key = this.keys.get(keyId as string);
      if (key === undefined) throw new Refusal(404, "KeyNotFoundException");
      const outcome = { metadata: describe, encrypt: this.#encrypt, decrypt }[verb];
      if (outcome === undefined) throw new Refusal(404, "InvalidUriPathException");
      return [200, JSON.stringify(this.#twisted(outcome.call(this, key, input), verb))];
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return [
        error.status,
        JSON.stringify({ errorName: error.errorName, errorMessage: "canary of the proxy" }),
      ];
    }
  }

  #twisted(answer: Record<string, unknown>, verb: string) {
    return this.misbehaviour.twist?.(answer, verb) ?? answer;
  }

  /** Signature Version 4 by its definition, for the one form that KMS sends. */
  #authenticate(request: IncomingMessage, body: Buffer): void {
    const { authorization = "", host = "" } = request.headers;
    const date = String(request.headers["x-amz-date"]);
    const [, id, day, region, headers, signature] =
      /^AWS4-HMAC-SHA256 Credential=(\w+)\/(\d{8})\/([\w-]+)\/kms-xks-proxy\/aws4_request, SignedHeaders=([\w;-]+), Signature=([0-9a-f]{64})$/.exec(
        authorization,
      ) ?? [];
    const refused = new Refusal(401, "AuthenticationFailedException");
    if (id !== this.credential.AccessKeyId || headers !== "host;x-amz-date") throw refused;
    const time = Date.parse(date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z"));
    if (!(Math.abs(time - this.#clock()) <= 300_000) || !date.startsWith(day as string)) throw refused;
    const sha256 = (data: Buffer | string) => createHash("sha256").update(data).digest("hex");
    const hmac = (key: Buffer | string, data: string) => createHmac("sha256", key).update(data).digest();
    const canonical = `POST\n${request.url}\n\nhost:${host}\nx-amz-date:${date}\n\n${headers}\n${sha256(body)}`;
    const scope = `${day}/${region}/kms-xks-proxy/aws4_request`;
    const toSign = `AWS4-HMAC-SHA256\n${date}\n${scope}\n${sha256(canonical)}`;
    let key = Buffer.from(`AWS4${this.credential.RawSecretAccessKey}`);
    for (const step of scope.split("/")) key = hmac(key, step);
    if (hmac(key, toSign).toString("hex") !== signature) throw refused;
  }

  #health(): Record<string, unknown> {
    return {
      xksProxyFleetSize: 1,
      xksProxyVendor: "Test",
      xksProxyModel: "Test XKS Proxy 1.0",
      ekmVendor: "Test",
      ekmFleetDetails: [{ id: "hsm-1", model: "Test 1.0", healthStatus: this.health }],
    };
  }

  #encrypt(key: ExternalKey, input: Record<string, string>): Record<string, unknown> {
    enabled(key, "ENCRYPT");
    if (input.encryptionAlgorithm !== "AES_GCM") throw new Refusal(400, "ValidationException");
    const aad = decode(input.additionalAuthenticatedData);
    const plaintext = decode(input.plaintext);
    if (aad.length > 8192 || plaintext.length > 4300) throw new Refusal(501, "UnsupportedOperationException");
    const iv = randomBytes(this.ivLength);
    const cipher = createCipheriv("aes-256-gcm", key.key, iv).setAAD(aadOf(aad, this.metadata));
    const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
    const tag = cipher.getAuthTag();
    const integrity = createHash("sha256").update(Buffer.concat([aad, this.metadata, iv, ciphertext, tag]));
    return {
      ciphertext: ciphertext.toString("base64"),
      ...(this.metadata.length > 0 && { ciphertextMetadata: this.metadata.toString("base64") }),
      initializationVector: iv.toString("base64"),
      authenticationTag: tag.toString("base64"),
      ...(input.ciphertextDataIntegrityValueAlgorithm === "SHA_256" && {
        ciphertextDataIntegrityValue: integrity.digest("base64"),
      }),
    };
  }
}

const decode = (text = "") => Buffer.from(text, "base64");

/** As the specification recommends: both with their lengths. */
function aadOf(aad: Buffer, metadata: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(aad.length);
  return Buffer.concat([length, aad, Buffer.of(metadata.length), metadata]);
}

function enabled(
  { keyStatus = "ENABLED", keyUsage = ["ENCRYPT", "DECRYPT"] }: ExternalKey,
  usage: string,
): void {
  if (keyStatus !== "ENABLED") throw new Refusal(400, "InvalidStateException");
  if (!keyUsage.includes(usage)) throw new Refusal(400, "InvalidKeyUsageException");
}

function describe({
  keySpec = "AES_256",
  keyUsage = ["ENCRYPT", "DECRYPT"],
  keyStatus = "ENABLED",
}: ExternalKey) {
  return { keySpec, keyUsage, keyStatus };
}

function decrypt(key: ExternalKey, input: Record<string, string>): Record<string, unknown> {
  enabled(key, "DECRYPT");
  const aad = aadOf(decode(input.additionalAuthenticatedData), decode(input.ciphertextMetadata));
  const decipher = createDecipheriv("aes-256-gcm", key.key, decode(input.initializationVector))
    .setAAD(aad)
    .setAuthTag(decode(input.authenticationTag));
  try {
    const plaintext = Buffer.concat([decipher.update(decode(input.ciphertext)), decipher.final()]);
    return { plaintext: plaintext.toString("base64") };
  } catch {
    throw new Refusal(400, "InvalidCiphertextException");
  }
}
