import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls, type TLSSocket } from "node:tls";
import * as sdk from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EXIT } from "../lib/cli/exit.ts";

const cli = join(import.meta.dirname, "../dist/cli.js");
const home = mkdtempSync(join(tmpdir(), "keystead-serve-"));
const children = new Set<ChildProcess>();
afterAll(() => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(home, { recursive: true, force: true });
});

interface Ran {
  status: number | null;
  out: string;
  err: string;
}

function start(...args: string[]) {
  const child = spawn(process.execPath, [cli, "--directory", join(home, "data"), ...args]);
  children.add(child.once("close", () => children.delete(child)));
  const ran: Ran = { status: null, out: "", err: "" };
  child.stdout.on("data", (data) => {
    ran.out += data;
  });
  child.stderr.on("data", (data) => {
    ran.err += data;
  });
  const ended = once(child, "close").then(([status]) => Object.assign(ran, { status }));
  return { child, ran, ended };
}

const keystead = (...args: string[]): Promise<Ran> => start(...args).ended;

async function json<T>(...args: string[]): Promise<T> {
  const { status, out, err } = await keystead(...args, "--json");
  expect({ status, err }).toEqual({ status: EXIT.ok, err: "" });
  return JSON.parse(out) as T;
}

interface AccessKey {
  AccessKeyId: string;
  SecretAccessKey: string;
  Principal: string;
  Status: string;
}

/** A server in a process of its own, once it has said that it listens. */
async function serve(...args: string[]) {
  const { child, ran, ended } = start("serve", "--port", "0", "--json", ...args);
  await Promise.race([once(child.stdout, "data"), ended]);
  const { Url, MetricsUrl } = JSON.parse(ran.out || `{"Url":${JSON.stringify(ran.err)}}`);
  const stop = () => {
    child.kill("SIGTERM");
    return ended;
  };
  return { url: Url as string, metricsUrl: MetricsUrl as string, ran, stop };
}

const clientOf = (url: string, key: AccessKey, requestHandler?: object) =>
  new sdk.KMSClient({
    endpoint: url,
    region: "us-east-1",
    credentials: { accessKeyId: key.AccessKeyId, secretAccessKey: key.SecretAccessKey },
    maxAttempts: 1,
    ...(requestHandler !== undefined && { requestHandler }),
  });

const refusal = (promise: Promise<unknown>) =>
  promise.then(
    () => "was not refused",
    (error: Error) => error.name,
  );

let root: AccessKey;
beforeAll(async () => {
  expect((await keystead("init")).status).toBe(EXIT.ok);
  root = await json<AccessKey>("credentials", "create");
});

describe("credentials", () => {
  test("are of the account's root, in AWS's form, and their secret is told once", async () => {
    expect(root).toMatchObject({
      AccessKeyId: expect.stringMatching(/^AKIA[A-Z2-7]{16}$/),
      SecretAccessKey: expect.stringMatching(/^[A-Za-z0-9+/]{40}$/),
      Principal: "arn:aws:iam::000000000000:root",
      Status: "Active",
    });
    const { AccessKeys } = await json<{ AccessKeys: AccessKey[] }>("credentials", "list");
    expect(AccessKeys).toContainEqual(expect.objectContaining({ AccessKeyId: root.AccessKeyId }));
    expect(JSON.stringify(AccessKeys)).not.toContain("Secret");
  });

  test("are nowhere in the data directory but sealed", () => {
    const files = readdirSync(join(home, "data"), { recursive: true, withFileTypes: true });
    for (const file of files.filter((each) => each.isFile())) {
      const bytes = readFileSync(join(file.parentPath, file.name));
      expect(bytes.includes(root.SecretAccessKey), file.name).toBe(false);
      expect(bytes.includes(Buffer.from(root.SecretAccessKey, "base64")), file.name).toBe(false);
    }
  });

  test("for people come as a table", async () => {
    const { out } = await keystead(
      "credentials",
      "create",
      "--principal",
      "arn:aws:iam::000000000000:role/app",
    );
    expect(out).toMatch(
      /^access key +AKIA[A-Z2-7]{16}\nsecret +\S{40}\nprincipal +arn:aws:iam::000000000000:role\/app\n/,
    );
    expect((await keystead("credentials", "list")).out).toMatch(
      /AKIA\w{16} +Active +arn:aws:iam::000000000000:role\/app/,
    );
  });

  test.each([
    ["an account of others", ["create", "--principal", "arn:aws:iam::111122223333:root"], EXIT.usage],
    ["what is no principal", ["create", "--principal", "somebody-who-is-nobody"], EXIT.usage],
    ["a key that is not there", ["delete", "AKIAAAAAAAAAAAAAAAAA"], EXIT.notFound],
    ["no key", ["disable"], EXIT.usage],
  ])("are refused for %s", async (_, args, status) => {
    expect(await keystead("credentials", ...args)).toMatchObject({ status, out: "" });
  });
});

describe("serve", () => {
  test("answers clients, heeds what other processes do to credentials, and ends in good order", async () => {
    const server = await serve();
    const key = await json<AccessKey>("credentials", "create");
    const client = clientOf(server.url, key);
    const { KeyMetadata } = await client.send(new sdk.CreateKeyCommand({}));
    const KeyId = KeyMetadata?.KeyId as string;
    const { CiphertextBlob } = await client.send(
      new sdk.EncryptCommand({ KeyId, Plaintext: Buffer.from("over there") }),
    );
    const { Plaintext } = await client.send(new sdk.DecryptCommand({ CiphertextBlob }));
    expect(Buffer.from(Plaintext as Uint8Array).toString()).toBe("over there");

    await keystead("credentials", "disable", key.AccessKeyId);
    const list = () => refusal(client.send(new sdk.ListKeysCommand({})));
    expect(await list()).toBe("UnrecognizedClientException");
    await keystead("credentials", "enable", key.AccessKeyId);
    expect(await list()).toBe("was not refused");
    await keystead("credentials", "delete", key.AccessKeyId);
    expect(await list()).toBe("UnrecognizedClientException");

    const { status, err } = await server.stop();
    expect({ status, err }).toEqual({ status: EXIT.ok, err: "" });
  });

  test("says where it listens, warns of what is not encrypted, and names a port that is taken", async () => {
    const { child, ran, ended } = start("serve", "--port", "0", "--host", "0.0.0.0");
    await once(child.stdout, "data");
    expect(ran.out).toMatch(/^listening at http:\/\/0\.0\.0\.0:\d+\n$/);
    expect(ran.err).toMatch(/is not encrypted/);
    const port = /:(\d+)\n/.exec(ran.out)?.[1] as string;
    const taken = await keystead("serve", "--port", port, "--host", "0.0.0.0");
    expect(taken).toMatchObject({ status: EXIT.failure, out: "" });
    expect(taken.err).toMatch(/address already in use .*; choose another port/);
    child.kill("SIGINT");
    expect((await ended).status).toBe(EXIT.ok);
  });

  test("refuses half of a certificate, and one that is none", async () => {
    expect(await keystead("serve", "--tls-key", "x.pem")).toMatchObject({ status: EXIT.usage });
    const { status, err } = await keystead("serve", "--tls-key", cli, "--tls-cert", cli);
    expect(status).toBe(EXIT.failure);
    expect(err).toMatch(/are no key and its certificates/);
  });

  test("tells its metrics on a port of their own", async () => {
    const server = await serve("--metrics-port", "0");
    const client = clientOf(server.url, root);
    await client.send(new sdk.ListKeysCommand({}));
    await refusal(client.send(new sdk.DescribeKeyCommand({ KeyId: "alias/none" })));
    const text = await (await fetch(server.metricsUrl)).text();
    expect(text).toContain('keystead_requests_total{operation="ListKeys",outcome="OK"} 1\n');
    expect(text).toContain(
      'keystead_requests_total{operation="DescribeKey",outcome="NotFoundException"} 1\n',
    );
    expect(text).toMatch(/keystead_request_seconds_bucket\{operation="ListKeys",le="\+Inf"\} 1\n/);
    expect(text).toMatch(/keystead_hsm_available 1\n/);
    expect(text).toMatch(/keystead_hsm_handles \d+\n/);
    expect((await fetch(new URL("/metrics", server.url))).status).toBe(403);
    expect((await fetch(server.metricsUrl.replace("/metrics", "/"))).status).toBe(404);
    await server.stop();
  });
});

/** A key and a certificate that it signed itself, for localhost. */
function certificate(name: string, subject: string) {
  const [key, cert] = [join(home, `${name}.key`), join(home, `${name}.crt`)];
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  execFileSync(
    "openssl",
    [
      ...["req", "-x509", ...kind, "-subj", `/CN=${subject}`, "-addext", "subjectAltName=IP:127.0.0.1"],
      ...["-keyout", key, "-out", cert],
    ],
    { stdio: "pipe" },
  );
  return { key, cert };
}

describe("TLS", () => {
  const handshake = (port: number): Promise<TLSSocket> =>
    new Promise((resolve, reject) => {
      const socket = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false }, () =>
        resolve(socket),
      );
      socket.once("error", reject);
    });
  const nameAt = async (port: number) => {
    const socket = await handshake(port);
    const { subject } = socket.getPeerCertificate();
    socket.destroy();
    return subject.CN;
  };

  test("serves HTTPS, and with a new certificate once there is one", async () => {
    const [first, second] = [certificate("live", "first"), certificate("next", "second")];
    const server = await serve("--tls-key", first.key, "--tls-cert", first.cert);
    expect(server.url).toMatch(/^https:/);
    const port = Number(new URL(server.url).port);
    const { NodeHttpHandler } = await import("@smithy/node-http-handler");
    const { Agent } = await import("node:https");
    const agent = new Agent({ ca: readFileSync(first.cert) });
    const client = clientOf(server.url, root, new NodeHttpHandler({ httpsAgent: agent }));
    await client.send(new sdk.ListKeysCommand({}));
    expect(await nameAt(port)).toBe("first");

    // Half of it is of no use: the first stays.
    copyFileSync(second.key, first.key);
    await expect.poll(() => server.ran.err, { timeout: 10_000 }).toMatch(/are no key and its certificates/);
    expect(await nameAt(port)).toBe("first");
    copyFileSync(second.cert, first.cert);
    await expect.poll(() => nameAt(port), { timeout: 10_000 }).toBe("second");
    agent.destroy();

    // A connection that ends in the midst of a handshake, or of a record, or speaks no TLS at all, harms nobody.
    const { connect } = await import("node:net");
    for (const bytes of [
      "160301",
      "16030100f8010000f40303",
      Buffer.from("GET / HTTP/1.1\r\n\r\n").toString("hex"),
    ]) {
      const socket = connect(port, "127.0.0.1");
      socket.on("error", () => {});
      socket.end(Buffer.from(bytes, "hex"));
      await new Promise((resolve) => socket.resume().once("close", resolve));
    }
    const cut = await handshake(port);
    cut.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{");
    await new Promise((resolve) => setTimeout(resolve, 50));
    cut.destroy();
    const status = await new Promise((resolve, reject) => {
      const options = { rejectUnauthorized: false };
      httpsRequest(`${server.url}/health`, options, (answer) => resolve(answer.resume().statusCode))
        .on("error", reject)
        .end();
    });
    expect(status).toBe(200);
    // Plain HTTP to it is refused by the handshake.
    await expect(
      new Promise((resolve, reject) =>
        httpRequest({ port, path: "/health" }, resolve).on("error", reject).end(),
      ),
    ).rejects.toThrow();
    expect((await server.stop()).status).toBe(EXIT.ok);
  });
});
