import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { Agent, request as httpRequest } from "node:http";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import * as sdk from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Kms } from "../lib/index.ts";
import type { Server } from "../lib/server.ts";
import { ACCOUNT, type AuditRecord, bytes, newKey, openTestDeployment, REGION, text } from "./deployment.ts";
import { newSigner } from "./signer.ts";

let kms: Kms;
let directory: string;
let server: Server;
let credentials: { accessKeyId: string; secretAccessKey: string };
let events: (count: number) => Promise<AuditRecord[]>;

async function newCredentials(Principal?: string) {
  const { AccessKeyId, SecretAccessKey } = await kms.createAccessKey({ Principal });
  return { accessKeyId: AccessKeyId as string, secretAccessKey: SecretAccessKey as string };
}

beforeAll(async () => {
  ({ kms, directory, events } = await openTestDeployment({
    clock: Date.now,
    regions: [REGION, "us-west-2"],
  }));
  credentials = await newCredentials();
  server = await kms.listen({ port: 0 });
});

const newClient = (options: object = {}) =>
  new sdk.KMSClient({ endpoint: server.url, region: REGION, credentials, maxAttempts: 1, ...options });

/** What a request to this server by the SDK looks like: its headers, signed, and its body. */
async function signed(command: { input: object } & object, options: object = {}) {
  let seen: { headers: Record<string, string>; body: string } | undefined;
  const handle = ({
    headers,
    body = "",
  }: {
    headers: Record<string, string>;
    body?: string | Uint8Array;
  }) => {
    seen = { headers, body: typeof body === "string" ? body : text(body) };
    throw new Error("only what it sends is wanted");
  };
  const client = newClient({ requestHandler: { handle }, ...options });
  await client.send(command as sdk.ListKeysCommand).catch(() => {});
  return seen as NonNullable<typeof seen>;
}

interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: string;
}

/** Sends a request as it is given. */
function send(
  headers: Record<string, string>,
  body: string | Buffer = "",
  options: object = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { port } = server;
    const sent = httpRequest({ port, method: "POST", headers, agent: false, ...options }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () =>
        resolve({
          status: response.statusCode as number,
          headers: response.headers,
          body: Buffer.concat(chunks).toString(),
        }),
      );
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

const health = async () => (await fetch(`${server.url}/health`)).status;

const headOf = (headers: Record<string, string>) =>
  `POST / HTTP/1.1\r\n${Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("")}\r\n`;

/** Also where it ends in an error, unlike `once`. */
const closing = (socket: Socket) =>
  new Promise((resolve) => socket.on("error", () => {}).once("close", resolve));

/** An open socket, with all that has come by it. */
async function open(
  port = server.port,
): Promise<{ socket: Socket; came: () => string; closed: Promise<unknown> }> {
  const socket = connect(port, "127.0.0.1");
  let received = "";
  socket.on("data", (data) => {
    received += data.toString("latin1");
  });
  const closed = closing(socket);
  await once(socket, "connect");
  return { socket, came: () => received, closed };
}

describe("the AWS SDK", () => {
  test.each<[string, () => sdk.KMSClient]>([
    ["over HTTP", () => newClient()],
    ["in process", () => newClient({ requestHandler: kms.requestHandler() })],
  ])("encrypts and decrypts %s", async (_, make) => {
    const client = make();
    const { KeyMetadata } = await client.send(new sdk.CreateKeyCommand({ Description: "served ሴ" }));
    expect(KeyMetadata?.CreationDate).toBeInstanceOf(Date);
    expect(KeyMetadata?.Description).toBe("served ሴ");
    const KeyId = KeyMetadata?.KeyId as string;
    const EncryptionContext = { tenant: "ü" };
    const { CiphertextBlob, $metadata } = await client.send(
      new sdk.EncryptCommand({ KeyId, Plaintext: bytes("a secret"), EncryptionContext }),
    );
    const answer = await client.send(new sdk.DecryptCommand({ CiphertextBlob, EncryptionContext }));
    expect(text(answer.Plaintext)).toBe("a secret");
    expect(await client.send(new sdk.DisableKeyCommand({ KeyId }))).toEqual({ $metadata: expect.anything() });
    const [encrypted] = await events(3);
    expect(encrypted).toMatchObject({ eventName: "Encrypt", requestID: $metadata.requestId });
  });

  test.each<[string, () => sdk.KMSClient]>([
    ["over HTTP", () => newClient()],
    ["in process", () => newClient({ requestHandler: kms.requestHandler() })],
  ])("meets errors as of AWS %s", async (_, make) => {
    const client = make();
    const failed = (command: object) =>
      client.send(command as sdk.ListKeysCommand).then(
        () => expect.fail("was not refused"),
        (error) => error as sdk.KMSServiceException,
      );
    const missing = await failed(new sdk.DescribeKeyCommand({ KeyId: "alias/none" }));
    expect(missing).toBeInstanceOf(sdk.NotFoundException);
    expect(missing.message).toBe(`Alias arn:aws:kms:${REGION}:${ACCOUNT}:alias/none is not found.`);
    expect(missing.$metadata).toMatchObject({ httpStatusCode: 400 });
    const [event] = await events(1);
    expect(event).toMatchObject({ errorCode: "NotFoundException", requestID: missing.$metadata.requestId });
    const invalid = await failed(new sdk.GenerateRandomCommand({ NumberOfBytes: 1025 }));
    expect(`${invalid.name}: ${invalid.message}`).toBe(
      "ValidationException: 1 validation error detected: Value '1025' at 'numberOfBytes' failed to satisfy constraint: Member must have value less than or equal to 1024",
    );
  });

  test("is whoever its access key belongs to, with its address and agent on record", async () => {
    const app = `arn:aws:iam::${ACCOUNT}:role/app`;
    const client = newClient({ credentials: await newCredentials(app), customUserAgent: "unit/1.0" });
    const { KeyId } = await newKey(kms);
    const denied = await client
      .send(new sdk.EncryptCommand({ KeyId, Plaintext: bytes("x") }))
      .catch((e) => e);
    expect(denied.name).toBe("AccessDeniedException");
    expect(denied.message).toContain(`User: ${app} is not authorized to perform: kms:Encrypt`);
    const [event] = await events(1);
    expect(event).toMatchObject({
      eventName: "Encrypt",
      errorCode: "AccessDenied",
      userIdentity: { arn: app },
      sourceIPAddress: "127.0.0.1",
      userAgent: expect.stringContaining("unit/1.0"),
    });
  });

  test("is in the Region that it has signed for", async () => {
    const west = newClient({ region: "us-west-2" });
    const { KeyMetadata } = await west.send(new sdk.CreateKeyCommand({}));
    expect(KeyMetadata?.Arn).toMatch(/^arn:aws:kms:us-west-2:/);
    const KeyId = KeyMetadata?.KeyId as string;
    const elsewhere = await newClient()
      .send(new sdk.DescribeKeyCommand({ KeyId }))
      .catch((e) => e);
    expect(elsewhere.name).toBe("NotFoundException");
    const unserved = await newClient({ region: "ap-south-1" })
      .send(new sdk.ListKeysCommand({}))
      .catch((e) => e);
    expect(`${unserved.name}: ${unserved.message}`).toBe(
      "InvalidSignatureException: Credential should be scoped to a valid region. ",
    );
  });

  test("goes on from a page to the next", async () => {
    const client = newClient();
    for (let i = 0; i < 3; i++) await client.send(new sdk.CreateKeyCommand({}));
    const keys: string[] = [];
    for await (const { Keys = [] } of sdk.paginateListKeys({ client, pageSize: 2 }, {}))
      keys.push(...Keys.map(({ KeyId }) => KeyId as string));
    expect(new Set(keys).size).toBe(keys.length);
    expect(keys.length).toBeGreaterThanOrEqual(3);
  });

  test("is refused without an access key of this service, or with another's secret", async () => {
    const refused = async (other: object) =>
      (
        await newClient({ credentials: { ...credentials, ...other } })
          .send(new sdk.ListKeysCommand({}))
          .catch((e) => e)
      ).name;
    expect(await refused({ accessKeyId: "AKIAAAAAAAAAAAAAAAAA" })).toBe("UnrecognizedClientException");
    expect(await refused({ secretAccessKey: "x".repeat(40) })).toBe("InvalidSignatureException");
    expect(await refused({ sessionToken: "x" })).toBe("UnrecognizedClientException");
  });
});

describe("the wire", () => {
  test("answers with AWS's headers, and no cache keeps it", async () => {
    const { headers, body } = await signed(new sdk.GenerateRandomCommand({ NumberOfBytes: 8 }));
    const answer = await send(headers, body);
    expect(answer.status).toBe(200);
    expect(answer.headers).toMatchObject({
      "content-type": "application/x-amz-json-1.1",
      "cache-control": "no-cache, no-store, must-revalidate, private",
      "x-amzn-requestid": expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
    expect(JSON.parse(answer.body)).toEqual({ Plaintext: expect.stringMatching(/^[A-Za-z0-9+/]{11}=$/) });
    expect(answer.headers).not.toHaveProperty("access-control-allow-origin");
  });

  test("has nothing to say for operations without an output", async () => {
    const { KeyId } = await newKey(kms);
    const { headers, body } = await signed(new sdk.EnableKeyCommand({ KeyId }));
    expect(await send(headers, body)).toMatchObject({ status: 200, body: "" });
  });

  /** Signs whatever is given as the body, with whatever further headers, as the SDK would. */
  async function raw(body: string | Uint8Array, changes: Record<string, string> = {}) {
    const signer = newSigner("kms", REGION, credentials);
    const request = await signer.sign({
      method: "POST",
      protocol: "http:",
      hostname: "127.0.0.1",
      path: "/",
      query: {},
      headers: {
        host: `127.0.0.1:${server.port}`,
        "content-type": "application/x-amz-json-1.1",
        "x-amz-target": "TrentService.Encrypt",
        ...changes,
      },
      body,
    });
    return send(request.headers, Buffer.from(body as string));
  }

  test.each<[string, string | Uint8Array, Record<string, string>, string]>([
    ["what is no JSON", "{", {}, "SerializationException"],
    ["a member twice", '{"KeyId":"a","KeyId":"b"}', {}, "SerializationException"],
    ["deep nesting", `{"a":${"[".repeat(100_000)}${"]".repeat(100_000)}}`, {}, "SerializationException"],
    ["invalid UTF-8", new Uint8Array([0x7b, 0xff, 0x7d]), {}, "SerializationException"],
    ["a wrong type", '{"KeyId":7}', {}, "SerializationException"],
    ["a wrong content type", "{}", { "content-type": "application/json" }, "UnknownOperationException"],
    ["an unknown target", "{}", { "x-amz-target": "TrentService.Explode" }, "UnknownOperationException"],
    [
      "another service's target",
      "{}",
      { "x-amz-target": "DynamoDB_20120810.PutItem" },
      "UnknownOperationException",
    ],
    [
      "an operation that is ours alone",
      "{}",
      { "x-amz-target": "TrentService.EncryptBatch" },
      "UnknownOperationException",
    ],
    [
      "an operation for access keys",
      "{}",
      { "x-amz-target": "TrentService.CreateAccessKey" },
      "UnknownOperationException",
    ],
    ["what the shape refuses", "{}", {}, "ValidationException"],
  ])("refuses %s, on record", async (_, body, changes, error) => {
    const answer = await raw(body, changes);
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.body)).toMatchObject({ __type: error });
    const [event] = await events(1);
    expect(event).toMatchObject({ errorCode: error, requestID: answer.headers["x-amzn-requestid"] });
    expect(await health()).toBe(200);
  });

  test.each<
    [string, (headers: Record<string, string>, body: string) => [Record<string, string>, string], string]
  >([
    [
      "no signature",
      ({ authorization: _, ...headers }, body) => [headers, body],
      "MissingAuthenticationTokenException",
    ],
    [
      "half a signature",
      (h, body) => [{ ...h, authorization: "AWS4-HMAC-SHA256 Credential=a" }, body],
      "IncompleteSignatureException",
    ],
    ["another body", (h) => [h, '{"NumberOfBytes":9}'], "InvalidSignatureException"],
    [
      "another operation",
      (h, body) => [{ ...h, "x-amz-target": "TrentService.ListKeys" }, body],
      "InvalidSignatureException",
    ],
  ])("refuses %s, in nobody's trail", async (_, change, error) => {
    const { headers, body } = await signed(new sdk.GenerateRandomCommand({ NumberOfBytes: 8 }));
    await kms.generateRandom({ NumberOfBytes: 1 });
    const [before] = await events(1);
    const { "content-length": _length, ...rest } = headers;
    const answer = await send(...change(rest, body));
    expect(answer).toMatchObject({ status: 400, body: expect.stringContaining(`"__type":"${error}"`) });
    expect((await events(1))[0]).toEqual(before);
  });
});

describe("sockets", () => {
  test("that send too much are told so", async () => {
    const { headers } = await signed(new sdk.ListKeysCommand({}));
    const { "content-length": _, ...rest } = headers;
    const answer = await send(rest, Buffer.alloc(1024 * 1024 + 1, 32));
    expect(answer).toMatchObject({ status: 413 });
    expect(JSON.parse(answer.body)).toEqual({
      __type: "RequestEntityTooLargeException",
      message: "HTTP content length exceeded 1048576 bytes.",
    });
    expect((await send({ ...rest, "transfer-encoding": "chunked" }, Buffer.alloc(2 << 20))).status).toBe(413);
  });

  test("that would send far too much are cut off", async () => {
    const { socket, came, closed } = await open();
    socket.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999\r\n\r\n");
    await closed;
    expect(came()).toMatch(/^HTTP\/1\.1 413 /);
    const endless = await open();
    endless.socket.write("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    const chunk = `100000\r\n${"x".repeat(0x100000)}\r\n`;
    const writing = setInterval(() => endless.socket.writable && endless.socket.write(chunk), 5);
    await endless.closed;
    clearInterval(writing);
    expect(await health()).toBe(200);
  });

  test("that wait to be told are told before they send", async () => {
    const { socket, came, closed } = await open();
    socket.write("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2000000\r\n\r\n");
    await closed;
    expect(came()).toMatch(/^HTTP\/1\.1 413 /);
    const small = await open();
    small.socket.write(
      "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: 2\r\n\r\n",
    );
    await expect.poll(small.came).toMatch(/^HTTP\/1\.1 100 Continue/);
    small.socket.write("{}");
    await small.closed;
    expect(small.came()).toMatch(/HTTP\/1\.1 400 .*MissingAuthenticationTokenException/s);
  });

  test.each([
    ["nonsense", "nonsense\r\n\r\n", 400],
    ["two lengths", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}", 400],
    [
      "a length and chunks",
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      400,
    ],
    ["no host", "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 400],
    ["a head without end", `POST / HTTP/1.1\r\nHost: x\r\nA: ${"a".repeat(20_000)}\r\n\r\n`, 431],
    [
      "a folded header",
      "POST / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
      400,
    ],
  ])("that send %s get %#", async (_, request, status) => {
    const { socket, came, closed } = await open();
    socket.write(request);
    await closed;
    expect(came()).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(await health()).toBe(200);
  });

  test("that end in the midst of a request harm nobody", async () => {
    for (const part of [
      "",
      "PO",
      "POST / HTTP/1.1\r\nHost",
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{",
    ]) {
      const { socket } = await open();
      socket.write(part);
      socket.destroy();
    }
    expect(await health()).toBe(200);
  });

  test("may send several requests before an answer comes, which come in their order", async () => {
    const one = await signed(new sdk.GenerateRandomCommand({ NumberOfBytes: 8 }));
    const two = await signed(new sdk.DescribeKeyCommand({ KeyId: "alias/none" }));
    const raw = ({ headers, body }: typeof one) => headOf(headers) + body;
    const { socket, came } = await open();
    socket.write(raw(one) + raw(two) + raw(one) + raw(two));
    await expect
      .poll(() => came().match(/HTTP\/1\.1 \d+/g))
      .toEqual(["HTTP/1.1 200", "HTTP/1.1 400", "HTTP/1.1 200", "HTTP/1.1 400"]);
    socket.destroy();
  });

  test("may be many that send at the same moment", async () => {
    const { headers, body } = await signed(new sdk.GenerateRandomCommand({ NumberOfBytes: 8 }));
    const all = await Promise.all(Array.from({ length: 200 }, () => open()));
    for (const { socket } of all) socket.write(headOf({ ...headers, connection: "close" }) + body);
    await Promise.all(all.map(({ closed }) => closed));
    const answers = all.map(({ came }) => /^HTTP\/1\.1 200 .*"Plaintext":"(.*)"/s.exec(came())?.[1]);
    expect(new Set(answers).size).toBe(200);
    expect(answers).not.toContain(undefined);
  });

  test("are used again", async () => {
    const { headers, body } = await signed(new sdk.GenerateRandomCommand({ NumberOfBytes: 8 }));
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (let i = 0; i < 3; i++) expect((await send(headers, body, { agent })).status).toBe(200);
    expect(Object.values(agent.freeSockets).flat()).toHaveLength(1);
    agent.destroy();
  });

  test("are no more than may be", async () => {
    const few = await kms.listen({ connections: 2 });
    const sockets = Array.from({ length: 4 }, () => connect(few.port, "127.0.0.1"));
    const closed = sockets.map((socket) => closing(socket.resume()));
    await Promise.race(closed);
    await expect.poll(() => sockets.filter((socket) => socket.closed).length).toBe(2);
    for (const socket of sockets) socket.destroy();
    await few.close();
  });

  test("that are slow with a head are closed, and hold up nobody", { timeout: 30_000 }, async () => {
    const slow = await open();
    slow.socket.write("POST / HTTP/1.1\r\nHost: x\r\n");
    const dripping = setInterval(() => slow.socket.writable && slow.socket.write("A: b\r\n"), 500);
    expect(await health()).toBe(200);
    await slow.closed;
    clearInterval(dripping);
    expect(slow.came()).toMatch(/^HTTP\/1\.1 408 /);
  });
});

describe("the end", () => {
  test("waits for what is under way, and lets nothing more in", async () => {
    const leaving = await kms.listen();
    const { headers, body } = await signed(new sdk.GenerateRandomCommand({ NumberOfBytes: 8 }), {
      endpoint: leaving.url,
    });
    const idle = connect(leaving.port, "127.0.0.1");
    await once(idle, "connect");
    const idleClosed = closing(idle.resume());
    const busy = await open(leaving.port);
    busy.socket.write(`${headOf({ ...headers, expect: "100-continue" })}`);
    await expect.poll(busy.came).toBe("HTTP/1.1 100 Continue\r\n\r\n");

    const left = leaving.close();
    await idleClosed;
    await expect(send({}, "", { port: leaving.port })).rejects.toThrow(/ECONNREFUSED/);
    busy.socket.write(body);
    await Promise.all([left, busy.closed]);
    expect(busy.came()).toMatch(/HTTP\/1\.1 200 OK.*\r\nConnection: close\r\n.*"Plaintext"/s);
    await leaving.close();
  });

  test("does not wait for ever", async () => {
    const leaving = await kms.listen({ grace: 100 });
    const socket = connect(leaving.port, "127.0.0.1");
    await once(socket, "connect");
    socket.on("error", () => {}).resume();
    socket.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{");
    await new Promise((resolve) => setTimeout(resolve, 20));
    const began = performance.now();
    await leaving.close();
    expect(performance.now() - began).toBeLessThan(5_000);
  });

  test("is what a wrong option or a port that is taken leads to", async () => {
    await expect(kms.listen({ port: server.port })).rejects.toThrow(/EADDRINUSE/);
    await expect(kms.listen({ metricsPort: server.port })).rejects.toThrow(/EADDRINUSE/);
    await expect(kms.listen({ prot: 1 } as object)).rejects.toThrow(
      /there is no option prot; known are port/,
    );
    await expect(kms.listen({ port: 70_000 })).rejects.toThrow(/port must be a whole number from 0 to 65535/);
    await expect(kms.listen({ tls: { key: "a" } as never })).rejects.toThrow(/tls must be \{ key, cert \}/);
  });
});

describe("sts:GetCallerIdentity", () => {
  async function identity(form: string, by = credentials, region = REGION): Promise<Answer> {
    const signer = newSigner("sts", region, by);
    const request = await signer.sign({
      method: "POST",
      protocol: "http:",
      hostname: "127.0.0.1",
      path: "/",
      query: {},
      headers: {
        host: `127.0.0.1:${server.port}`,
        "content-type": "application/x-www-form-urlencoded; charset=utf-8",
      },
      body: form,
    });
    return send(request.headers, form);
  }
  const ASK = "Action=GetCallerIdentity&Version=2011-06-15";

  test("says whose an access key is", async () => {
    const answer = await identity(ASK);
    expect(answer).toMatchObject({ status: 200, headers: { "content-type": "text/xml" } });
    expect(answer.body).toContain(`<Arn>arn:aws:iam::${ACCOUNT}:root</Arn>`);
    expect(answer.body).toContain(`<Account>${ACCOUNT}</Account>`);
    expect(answer.body).toContain(`<UserId>${ACCOUNT}</UserId>`);
    const role = await identity(ASK, await newCredentials(`arn:aws:iam::${ACCOUNT}:role/a.b+c`));
    expect(role.body).toContain(`<Arn>arn:aws:iam::${ACCOUNT}:role/a.b+c</Arn>`);
  });

  test.each(["GET", "POST"])("is answered to a URL signed for %s too", async (method) => {
    const signer = newSigner("sts", REGION, credentials);
    const { query = {} } = await signer.presign({
      method,
      protocol: "http:",
      hostname: "127.0.0.1",
      path: "/",
      query: { Action: "GetCallerIdentity", Version: "2011-06-15" },
      headers: { host: `127.0.0.1:${server.port}` },
    });
    const url = `${server.url}/?${new URLSearchParams(query as Record<string, string>)}`;
    const answer = await fetch(url, { method });
    expect(answer.status).toBe(200);
    expect(await answer.text()).toContain(`<Arn>arn:aws:iam::${ACCOUNT}:root</Arn>`);
  });

  test("is refused in the words of STS", async () => {
    const refused = async (...args: Parameters<typeof identity>) => {
      const { status, body } = await identity(...args);
      return `${status} ${/<Code>(.*)<\/Code>/.exec(body)?.[1]}`;
    };
    expect(await refused("Action=GetSessionToken&Version=2011-06-15")).toBe("400 InvalidAction");
    expect(await refused("Action=%3Cb%3E&Version=2011-06-15")).toBe("400 InvalidAction");
    expect(await refused(ASK, { ...credentials, secretAccessKey: "x" })).toBe("403 SignatureDoesNotMatch");
    expect(await refused(ASK, { ...credentials, accessKeyId: "AKIAAAAAAAAAAAAAAAAA" })).toBe(
      "403 InvalidClientTokenId",
    );
  });
});

describe("the Fetch standard", () => {
  const url = "https://kms.example/";
  const asked = async (change: (init: RequestInit) => RequestInit = (init) => init) => {
    const { headers, body } = await signed(new sdk.GenerateRandomCommand({ NumberOfBytes: 8 }), {
      endpoint: url,
    });
    return new Request(url, change({ method: "POST", headers, body }));
  };

  test("answers a Request with a Response", async () => {
    const answer = await kms.fetch(await asked());
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toBe("application/x-amz-json-1.1");
    expect(await answer.json()).toEqual({ Plaintext: expect.any(String) });
  });

  test("refuses what a server refuses", async () => {
    const unsigned = await kms.fetch(new Request(url, { method: "POST", body: "{}" }));
    expect([unsigned.status, await unsigned.json()]).toEqual([
      400,
      { __type: "MissingAuthenticationTokenException", message: "Missing Authentication Token" },
    ]);
    const other = await kms.fetch(await asked((init) => ({ ...init, body: "{}" })));
    expect(await other.json()).toMatchObject({ __type: "InvalidSignatureException" });
    const large = await kms.fetch(await asked((init) => ({ ...init, body: "x".repeat(2 << 20) })));
    expect(large.status).toBe(413);
  });
});

describe("secrets", () => {
  test("are in no answer, no log and no audit event", async () => {
    const canary = "c4n4ry-in-the-p1aintext";
    const lines: string[] = [];
    const watched = await kms.listen({ onError: (error) => lines.push(String(error), String(error.cause)) });
    afterAll(() => watched.close());
    const at = { endpoint: watched.url };
    const { KeyId } = await newKey(kms);
    const Plaintext = bytes(canary);
    const base64 = Buffer.from(canary).toString("base64");
    const commands = [
      new sdk.EncryptCommand({ KeyId, Plaintext }),
      new sdk.EncryptCommand({ KeyId: "alias/none", Plaintext }),
      new sdk.EncryptCommand({ KeyId, Plaintext, EncryptionAlgorithm: "RSAES_OAEP_SHA_1" }),
      new sdk.EncryptCommand({ KeyId, Plaintext: bytes(canary.repeat(300)) }),
    ];
    const answers: string[] = [];
    for (const command of commands) {
      const { headers, body } = await signed(command, at);
      const { "content-length": _, ...rest } = headers;
      const tampered = body.replace(base64.slice(0, 8), "!!!!!!!!");
      for (const sent of [body, tampered, body.slice(0, -1), `${body}${body}`])
        answers.push(JSON.stringify(await send(rest, sent, { port: watched.port })));
    }
    expect(answers.some((answer) => answer.includes("CiphertextBlob"))).toBe(true);
    const audit = readdirSync(join(directory, "audit")).map((name) =>
      readFileSync(join(directory, "audit", name), "utf8"),
    );
    const all = [...answers, ...lines, ...audit].join("\n");
    for (const secret of [canary, base64.slice(0, 24), credentials.secretAccessKey])
      expect(all).not.toContain(secret);
    const database = readFileSync(join(directory, "keystead.db")).toString("latin1");
    expect(database).not.toContain(credentials.secretAccessKey);
  });
});

describe("access keys", () => {
  test("are on record, without their secrets", async () => {
    const made = await kms.createAccessKey();
    const [event] = await events(1);
    expect(event).toMatchObject({
      eventName: "CreateAccessKey",
      readOnly: false,
      responseElements: { accessKeyId: made.AccessKeyId },
    });
    expect(JSON.stringify(event)).not.toContain(made.SecretAccessKey);
  });

  test("are not for those whom no policy lets make them", async () => {
    const app = kms.as(`arn:aws:iam::${ACCOUNT}:role/app`);
    await expect(app.createAccessKey()).rejects.toMatchObject({ name: "AccessDeniedException" });
    await expect(app.listAccessKeys()).rejects.toMatchObject({ name: "AccessDeniedException" });
    const policies = [
      JSON.stringify({
        Version: "2012-10-17",
        Statement: {
          Effect: "Allow",
          Action: "iam:*AccessKey",
          Resource: `arn:aws:iam::${ACCOUNT}:role/app`,
        },
      }),
    ];
    const own = await kms.as(`arn:aws:iam::${ACCOUNT}:role/app`, { policies }).createAccessKey();
    expect(own.Principal).toBe(`arn:aws:iam::${ACCOUNT}:role/app`);
  });

  test("of another account are not there", async () => {
    const other = kms.as("arn:aws:iam::999999999999:root");
    const { accessKeyId: AccessKeyId } = credentials;
    await expect(other.deleteAccessKey({ AccessKeyId })).rejects.toMatchObject({ name: "NotFoundException" });
    expect((await other.listAccessKeys()).AccessKeys).toEqual([]);
  });
});
