// The server beside a bare node:http server that parses JSON and sends it back: requests of the AWS SDK, signed before,
// over 32 keep-alive connections from a process of its own; in many short turns, so that whatever else the machine does
// hits both. Rates are medians, ratios are medians of the ratios turn by turn.
// Seconds a turn and how many turns: node bench/server.mjs 2 7
import { fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DecryptCommand, EncryptCommand, GenerateDataKeyCommand, KMSClient } from "@aws-sdk/client-kms";
import { Kms } from "../dist/index.js";
import { claim, say } from "./tell.mjs";

const CONNECTIONS = 32;
const [role = "2", more = "7"] = process.argv.slice(2);
const roles = { serve, echo, load };
if (roles[role] === undefined) await compare(Number(role), Number(more));
else process.on("message", roles[role]).once("disconnect", () => role === "serve" || process.exit());

/** Answers with where it listens and what to ask it. */
async function serve(directory) {
  const kms = await Kms.open({ directory });
  const { url, port } = await kms.listen();
  const { AccessKeyId, SecretAccessKey } = await kms.createAccessKey();
  const { KeyId } = (await kms.createKey()).KeyMetadata;
  const Plaintext = Buffer.alloc(256, 7);
  const EncryptionContext = { tenant: "7" };
  const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext, EncryptionContext });
  const commands = {
    Encrypt: new EncryptCommand({ KeyId, Plaintext, EncryptionContext }),
    Decrypt: new DecryptCommand({ CiphertextBlob, EncryptionContext }),
    GenerateDataKey: new GenerateDataKeyCommand({ KeyId, KeySpec: "AES_256", EncryptionContext }),
  };
  const requests = {};
  const credentials = { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey };
  for (const [name, command] of Object.entries(commands)) {
    const handle = ({ method, path, headers, body }) => {
      const head = Object.entries(headers).map(([field, value]) => `${field}: ${value}\r\n`);
      requests[name] =
        `${method} ${path} HTTP/1.1\r\n${head.join("")}\r\n${typeof body === "string" ? body : new TextDecoder().decode(body)}`;
      throw new Error("only its bytes are wanted");
    };
    const client = new KMSClient({
      endpoint: url,
      region: kms.region,
      credentials,
      maxAttempts: 1,
      requestHandler: { handle },
    });
    await client.send(command).catch(() => {});
  }
  process.once("disconnect", () => kms.close());
  process.send({ port, requests });
}

function echo() {
  const server = createServer((request, response) => {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      const body = JSON.stringify(JSON.parse(Buffer.concat(chunks).toString()));
      response.writeHead(200, {
        "Content-Type": "application/x-amz-json-1.1",
        "Content-Length": Buffer.byteLength(body),
      });
      response.end(body);
    });
  });
  server.listen(0, "127.0.0.1", () => process.send({ port: server.address().port }));
}

/** Sends one request again and again on each connection, and answers with how many were answered how fast. */
async function load({ port, request, seconds }) {
  const bytes = Buffer.from(request);
  const latencies = [];
  let ending = false;
  const connection = () =>
    new Promise((resolve, reject) => {
      const socket = connect({ port, host: "127.0.0.1", noDelay: true });
      let answer = "";
      let sent = 0;
      const send = () => {
        sent = performance.now();
        socket.write(bytes);
      };
      socket.on("connect", send);
      socket.on("error", reject);
      socket.on("data", (data) => {
        answer += data.latin1Slice();
        const head = answer.indexOf("\r\n\r\n");
        if (head === -1) return;
        const length = Number(/content-length: (\d+)/i.exec(answer)[1]);
        if (answer.length < head + 4 + length) return;
        if (!answer.startsWith("HTTP/1.1 200")) reject(new Error(answer));
        latencies.push(performance.now() - sent);
        answer = "";
        if (!ending) return send();
        socket.end();
        resolve();
      });
    });
  const began = performance.now();
  setTimeout(() => {
    ending = true;
  }, seconds * 1000);
  await Promise.all(Array.from({ length: CONNECTIONS }, connection)).catch((error) => {
    process.send({ error: error.message });
  });
  const elapsed = (performance.now() - began) / 1000;
  latencies.sort((a, b) => a - b);
  process.send({ rate: latencies.length / elapsed, p99: latencies[Math.floor(latencies.length * 0.99)] });
}

async function compare(seconds, turns) {
  const home = mkdtempSync(join(process.env.BENCH_TMP ?? tmpdir(), "keystead-server-"));
  const children = [];
  const start = (name) => {
    const child = fork(import.meta.filename, [name]);
    children.push(child);
    return (message) =>
      new Promise((resolve, reject) => {
        child.once("message", (answer) => (answer.error ? reject(new Error(answer.error)) : resolve(answer)));
        child.send(message);
      });
  };
  try {
    const served = await start("serve")(join(home, "keystead"));
    const echoed = await start("echo")({});
    const ask = start("load");
    const figures = {};
    const run = async (name, port, request) => {
      await ask({ port, request, seconds: Math.min(1, seconds / 4) });
      const { rate, p99 } = await ask({ port, request, seconds });
      figures[name] ??= [];
      figures[name].push({ rate, p99 });
    };
    for (let turn = 0; turn < turns; turn++) {
      for (const [name, request] of Object.entries(served.requests)) {
        await run(`echo of ${name}`, echoed.port, request);
        await run(name, served.port, request);
      }
    }
    const median = (values) => values.sort((a, b) => a - b)[Math.floor(turns / 2)];
    for (const name of Object.keys(served.requests)) {
      const [ours, bare] = [figures[name], figures[`echo of ${name}`]];
      const ratio = median(ours.map(({ rate }, turn) => rate / bare[turn].rate));
      const rateOf = (all) => median(all.map(({ rate }) => rate)).toFixed(0);
      const p99Of = (all) => median(all.map(({ p99 }) => p99));
      say(
        `${name}: ${rateOf(ours)}/s, p99 ${p99Of(ours).toFixed(1)} ms; the echo ${rateOf(bare)}/s, p99 ${p99Of(bare).toFixed(1)} ms`,
      );
      claim(`${name} : the echo`, ratio, { atLeast: 0.35, unit: " ×" });
      claim(`${name}, p99`, p99Of(ours), { atMost: 15, unit: " ms" });
    }
  } finally {
    for (const child of children) child.disconnect();
    await Promise.all(children.map((child) => new Promise((done) => child.once("exit", done))));
    rmSync(home, { recursive: true, force: true });
  }
}
