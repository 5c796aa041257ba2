import { execFileSync, spawn } from "node:child_process";
import { createHmac, createPublicKey, diffieHellman, generateKeyPairSync, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Kms, Server } from "../lib/index.ts";
import { openDatabase } from "../lib/store/binding.ts";
import { ACCOUNT, REGION } from "./deployment.ts";
import { forImport, type Lab, openLab } from "./sdk-lab.ts";
import { newSigner, type Signature } from "./signer.ts";
import { CREDENTIAL } from "./xks-proxy.ts";

/** Secrets that were handed in or given out, by what they are: text, or bytes in any form that bytes are written in. */
class Canaries {
  readonly #forms = new Map<string, string>();
  readonly planted = new Set<string>();

  plant<Secret extends string | Uint8Array>(what: string, secret: Secret): Secret {
    this.planted.add(what);
    const bytes = Buffer.from(secret as string);
    expect(bytes.length, what).toBeGreaterThanOrEqual(7);
    const some = bytes.subarray(0, 24);
    const whole = some.subarray(0, some.length - (some.length % 3));
    // As text, in hex, in base64 whatever follows, and as arrays of numbers.
    const forms = [bytes.toString("latin1"), some.toString("hex"), some.join(",")];
    forms.push(whole.toString("base64"), whole.toString("base64url"));
    for (const form of forms) this.#forms.set(form, what);
    return secret;
  }

  /** What of them is in this. */
  in(text: string): string[] {
    // Node shows buffers and arrays with spaces in between.
    const dense = text.replace(/\s+/g, "");
    const found = [...this.#forms].filter(([form]) => text.includes(form) || dense.includes(form));
    return [...new Set(found.map(([, what]) => what))];
  }
}

test("a canary is found in every form", () => {
  const canaries = new Canaries();
  const bytes = canaries.plant("bytes", randomBytes(32));
  const text = canaries.plant("text", "c4n4ry-in-the-p1aintext");
  expect(canaries.in("nothing of the kind")).toEqual([]);
  const shown = [
    `${bytes.toString("base64")}`,
    bytes.toString("hex"),
    inspect(bytes),
    inspect(new Uint8Array(bytes)),
  ];
  for (const one of [
    ...shown,
    JSON.stringify([...bytes]),
    bytes.toString("latin1"),
    bytes.toString("base64url"),
  ])
    expect(canaries.in(`before ${one} behind`)).toEqual(["bytes"]);
  expect(canaries.in(JSON.stringify({ [text]: 1 }))).toEqual(["text"]);
  expect(canaries.in(Buffer.from(`${text}${text}`).toString("base64"))).toEqual(["text"]);
});

const APP = `arn:aws:iam::${ACCOUNT}:role/app`;
const ANN = `arn:aws:iam::${ACCOUNT}:user/ann`;
const document = (Action: string, more: object = {}) =>
  JSON.stringify({ Version: "2012-10-17", Statement: { Effect: "Allow", Action, ...more } });

interface Answer {
  status: number;
  text: string;
}

/** Sends a body as it is, signed for the operation. */
async function post(
  url: string,
  credentials: Signature,
  target: string,
  body: string,
  region = REGION,
): Promise<Answer> {
  const { host, hostname } = new URL(url);
  const signed = await newSigner("kms", region, credentials).sign({
    method: "POST",
    protocol: "http:",
    hostname,
    path: "/",
    headers: { host, "content-type": "application/x-amz-json-1.1", "x-amz-target": `TrentService.${target}` },
    body,
  });
  const { host: _, ...headers } = signed.headers;
  const response = await fetch(url, { method: "POST", headers, body });
  return { status: response.status, text: await response.text() };
}

type Members = Readonly<Record<string, unknown>>;
/** As JSON 1.1 has it: bytes in base64. */
const written = (input: Members) =>
  JSON.stringify(input, (_, value) =>
    value?.type === "Buffer" ? Buffer.from(value.data).toString("base64") : value,
  );

/** The same request in all ways that it can be wrong, in its text or in what it says. */
function wrongs(input: Members, secret: string): string[] {
  const body = written(input);
  const text = JSON.stringify(input[secret], (_, value) =>
    value?.type === "Buffer" ? Buffer.from(value.data).toString("base64") : value,
  );
  const instead = (value: string) => body.replace(text, () => value);
  return [
    body.slice(0, -1),
    `${body}${body}`,
    body.replace("{", `{${JSON.stringify(secret)}:${text},`),
    instead(`[${text}]`),
    instead(`{"Text":${text}}`),
    instead(text.replace(/"$/, '!"')),
    instead(text.replace(/"$/, '\\ud800"')),
    instead(text.replace(/"$/, "")),
    instead(JSON.stringify(JSON.parse(text).repeat?.(400) ?? "x")),
    written({ ...input, KeyId: "alias/none", CustomKeyStoreId: "cks-none" }),
    written({ ...input, KeyId: "" }),
    written({ ...input, DryRun: true }),
    written({ ...input, GrantTokens: ["none"] }),
    written({ ...input, [input[secret] as string]: 1 }),
  ];
}

describe("secrets", () => {
  const canaries = new Canaries();
  const answers: string[] = [];
  const log: string[] = [];
  let lab: Lab;
  let kms: Kms;
  let server: Server;
  let metricsUrl: string;
  let root: Signature;
  /** A session of a role that may do nothing. */
  let session: Signature;

  beforeAll(async () => {
    lab = await openLab();
    ({ kms } = lab);
    const onError = (error: Error) => log.push(inspect(error, { depth: null, showHidden: true }));
    server = await kms.listen({ metricsPort: 0, onError });
    metricsUrl = server.metricsUrl as string;
    root = lab.credentials;
    canaries.plant("secret access key", root.secretAccessKey);
    canaries.plant("PIN", readFileSync(join(lab.directory, "pin"), "utf8").trim());
    await kms.iam.createUser({ UserName: "ann" });
    await kms.iam.createRole({
      RoleName: "app",
      AssumeRolePolicyDocument: document("sts:AssumeRole", { Principal: { AWS: ANN } }),
    });
    const assumed = await kms.as(ANN).iam.assumeRole({ RoleArn: APP, RoleSessionName: "web-1" });
    const { AccessKeyId = "", SecretAccessKey = "", SessionToken = "" } = assumed.Credentials ?? {};
    session = { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, sessionToken: SessionToken };
    canaries.plant("secret access key of a session", SecretAccessKey);
    canaries.plant("session token", SessionToken);
  }, 60_000);
  afterAll(async () => {
    await server?.close();
    await lab?.close();
  });

  const newKey = async (KeySpec = "SYMMETRIC_DEFAULT", KeyUsage = "ENCRYPT_DECRYPT", more = {}) => {
    const { KeyMetadata } = await kms.createKey({ KeySpec, KeyUsage, ...more } as never);
    return KeyMetadata?.KeyId as string;
  };

  /** Sends a request over HTTP; its answer is searched unless it is the one that has the secret. */
  async function ask(target: string, input: Members, telling = false): Promise<Record<string, string>> {
    const { status, text } = await post(server.url, root, target, written(input));
    if (!telling || status !== 200) answers.push(text);
    expect([status, text]).toEqual([200, expect.any(String)]);
    return text === "" ? {} : JSON.parse(text);
  }

  /** A request whose member `secret` is one: as it is, wrong in every way, by others, and in process. */
  async function tryAll(target: string, input: Members, secret: string): Promise<void> {
    for (const body of [written(input), ...wrongs(input, secret)])
      answers.push((await post(server.url, root, target, body)).text);
    const forged = { ...root, secretAccessKey: "another".padEnd(40, "x") };
    for (const caller of [session, forged, { ...session, sessionToken: `${session.sessionToken}x` }])
      answers.push((await post(server.url, caller, target, written(input))).text);
    const method = `${target[0]?.toLowerCase()}${target.slice(1)}` as "encrypt";
    for (const wrong of [
      {},
      { KeyId: "alias/none" },
      { GrantTokens: ["none"] },
      { EncryptionContext: "none" },
    ])
      for (const caller of [kms, kms.as(APP)]) {
        const failed = await caller[method]({ ...input, ...wrong } as never).then(() => "", shown);
        answers.push(failed);
      }
    const explained = kms.explain({ Principal: APP, Operation: target, Input: input } as never);
    answers.push(await explained.then(shown, shown));
  }

  const shown = (value: unknown) => inspect(value, { depth: null, showHidden: true, maxStringLength: null });

  test("given to cryptographic operations", async () => {
    const symmetric = await newKey();
    const disabled = await newKey();
    await kms.disableKey({ KeyId: disabled });
    const Plaintext = canaries.plant("plaintext", randomBytes(48));
    for (const KeyId of [
      symmetric,
      disabled,
      await newKey("RSA_2048"),
      await newKey("RSA_2048", "SIGN_VERIFY"),
    ])
      await tryAll("Encrypt", { KeyId, Plaintext }, "Plaintext");
    const Message = canaries.plant("message", Buffer.from("c4n4ry: a message that is nobody's business"));
    const signing = { Message, SigningAlgorithm: "ECDSA_SHA_256" };
    const ec = await newKey("ECC_NIST_P256", "SIGN_VERIFY");
    await tryAll("Sign", { KeyId: ec, ...signing }, "Message");
    await tryAll("Sign", { KeyId: ec, ...signing, MessageType: "DIGEST" }, "Message");
    await tryAll("Verify", { KeyId: ec, ...signing, Signature: randomBytes(70) }, "Message");
    const hmac = await newKey("HMAC_256", "GENERATE_VERIFY_MAC");
    const mac = { KeyId: hmac, Message, MacAlgorithm: "HMAC_SHA_256" };
    await tryAll("VerifyMac", { ...mac, Mac: randomBytes(32) }, "Message");
    // The MAC itself may be a secret of its caller's, who alone is told.
    const { Mac = "" } = await ask("GenerateMac", mac, true);
    canaries.plant("MAC", Buffer.from(Mac, "base64"));
    const { CiphertextBlob = "" } = await ask("Encrypt", { KeyId: symmetric, Plaintext });
    const decrypted = await ask("Decrypt", { CiphertextBlob }, true);
    expect(Buffer.from(decrypted.Plaintext as string, "base64")).toEqual(Plaintext);
    await tryAll("ReEncrypt", { CiphertextBlob, DestinationKeyId: symmetric }, "CiphertextBlob");
    const Entries = [{ Plaintext }, { Plaintext: Buffer.concat(Array(100).fill(Plaintext)) }];
    const batch = await kms.encryptBatch({ KeyId: symmetric, Entries });
    expect(batch.Entries.map((entry) => entry.Error?.name)).toEqual([undefined, "ValidationException"]);
    answers.push(shown(batch));
  });

  test("given out", async () => {
    const KeyId = await newKey();
    const dataKey = await ask("GenerateDataKey", { KeyId, KeySpec: "AES_256" }, true);
    canaries.plant("data key", Buffer.from(dataKey.Plaintext as string, "base64"));
    const pair = await ask("GenerateDataKeyPair", { KeyId, KeyPairSpec: "ECC_NIST_P256" }, true);
    // What is secret of it comes behind what is the same for all.
    canaries.plant("data key pair", Buffer.from(pair.PrivateKeyPlaintext as string, "base64").subarray(36));
    const random = await ask("GenerateRandom", { NumberOfBytes: 32 }, true);
    canaries.plant("random bytes", Buffer.from(random.Plaintext as string, "base64"));
    await ask("GenerateDataKeyWithoutPlaintext", { KeyId, KeySpec: "AES_256" });
    const { CiphertextBlob = "" } = dataKey;
    await ask("Decrypt", { CiphertextBlob }, true);
    await ask("ReEncrypt", { CiphertextBlob, DestinationKeyId: await newKey() });
    const own = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const agreeing = await newKey("ECC_NIST_P256", "KEY_AGREEMENT");
    const PublicKey = own.publicKey.export({ format: "der", type: "spki" });
    const derived = await ask(
      "DeriveSharedSecret",
      { KeyId: agreeing, KeyAgreementAlgorithm: "ECDH", PublicKey },
      true,
    );
    const theirs = Buffer.from((await kms.getPublicKey({ KeyId: agreeing })).PublicKey as Uint8Array);
    const publicKey = createPublicKey({ key: theirs, format: "der", type: "spki" });
    const agreed = diffieHellman({ privateKey: own.privateKey, publicKey });
    expect(Buffer.from(derived.SharedSecret as string, "base64")).toEqual(agreed);
    canaries.plant("shared secret", agreed);
    const made = await kms.createAccessKey({ Principal: APP });
    canaries.plant("secret access key of a role", made.SecretAccessKey as string);
    const grant = { KeyId, GranteePrincipal: APP, Operations: ["Encrypt"] };
    const { GrantToken = "" } = await ask("CreateGrant", grant, true);
    canaries.plant("grant token", GrantToken.slice(0, 24));
  });

  test("imported", async () => {
    const { aws } = lab.ways.http;
    const secret = canaries.plant("imported secret", randomBytes(32));
    const KeyId = await newKey("HMAC_256", "GENERATE_VERIFY_MAC", { Origin: "EXTERNAL" });
    await tryAll("ImportKeyMaterial", await forImport(aws, KeyId, secret), "EncryptedKeyMaterial");
    const Message = Buffer.from("m");
    const { Mac = "" } = await ask("GenerateMac", { KeyId, Message, MacAlgorithm: "HMAC_SHA_256" });
    expect(Mac).toBe(createHmac("sha256", secret).update(Message).digest("base64"));
    // None of its spec, and one that is wrapped for another key.
    const other = await newKey("HMAC_512", "GENERATE_VERIFY_MAC", { Origin: "EXTERNAL" });
    for (const to of [other, await newKey("HMAC_256", "GENERATE_VERIFY_MAC")])
      await tryAll(
        "ImportKeyMaterial",
        { ...(await forImport(aws, other, secret)), KeyId: to },
        "EncryptedKeyMaterial",
      );
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const pkcs8 = privateKey.export({ format: "der", type: "pkcs8" });
    canaries.plant("imported private key", pkcs8.subarray(36, 68));
    for (const spec of ["ECC_NIST_P256", "ECC_NIST_P384"]) {
      const ec = await newKey(spec, "SIGN_VERIFY", { Origin: "EXTERNAL" });
      await tryAll("ImportKeyMaterial", await forImport(aws, ec, pkcs8), "EncryptedKeyMaterial");
    }
  }, 60_000);

  test("of custom key stores", async () => {
    const { http: way } = lab.ways;
    const { KeyStorePassword = "" } = way.cluster();
    canaries.plant("password of a cluster", KeyStorePassword);
    canaries.plant("credential of a proxy", CREDENTIAL.RawSecretAccessKey);
    await tryAll("CreateCustomKeyStore", { ...way.cluster() }, "KeyStorePassword");
    const external: Members = { ...way.external };
    await tryAll("CreateCustomKeyStore", external, "XksProxyAuthenticationCredential");
    const credential = { ...CREDENTIAL, RawSecretAccessKey: `${CREDENTIAL.RawSecretAccessKey}`.slice(0, 42) };
    for (const given of [
      credential,
      { ...CREDENTIAL, AccessKeyId: "short" },
      { RawSecretAccessKey: [CREDENTIAL] },
    ])
      answers.push(
        (
          await post(
            server.url,
            root,
            "CreateCustomKeyStore",
            written({ ...external, XksProxyAuthenticationCredential: given }),
          )
        ).text,
      );
    const { CustomKeyStores = [] } = await kms.describeCustomKeyStores();
    expect(CustomKeyStores.map(({ CustomKeyStoreType }) => CustomKeyStoreType).sort()).toEqual([
      "AWS_CLOUDHSM",
      "EXTERNAL_KEY_STORE",
    ]);
    answers.push(shown(CustomKeyStores));
    for (const { CustomKeyStoreId } of CustomKeyStores) {
      const wrong = { CustomKeyStoreId, KeyStorePassword: `${KeyStorePassword}-wrong` };
      await tryAll("UpdateCustomKeyStore", wrong, "KeyStorePassword");
      await ask("ConnectCustomKeyStore", { CustomKeyStoreId });
      answers.push(shown(await kms.describeCustomKeyStores({ CustomKeyStoreId })));
    }
    const store = CustomKeyStores.find(
      ({ CustomKeyStoreType }) => CustomKeyStoreType === "EXTERNAL_KEY_STORE",
    );
    way.proxy.addKey("key-1");
    const KeyId = await newKey(undefined, undefined, {
      Origin: "EXTERNAL_KEY_STORE",
      CustomKeyStoreId: store?.CustomKeyStoreId,
      XksKeyId: "key-1",
    });
    const Plaintext = canaries.plant("plaintext for an external key", randomBytes(32));
    await tryAll("Encrypt", { KeyId, Plaintext }, "Plaintext");
    for (const misbehaviour of [{ hangUp: true }, { answer: { status: 200, body: "not JSON" } }]) {
      way.proxy.misbehaviour = misbehaviour;
      await tryAll("Encrypt", { KeyId, Plaintext }, "Plaintext");
    }
    way.proxy.misbehaviour = {};
  }, 60_000);

  test("beside a fault of the service's own", async () => {
    const Plaintext = canaries.plant("plaintext beside a fault", randomBytes(32));
    // Before the service has used it: what it has in the token is out of reach.
    const KeyId = await newKey();
    damage(lab.directory, KeyId);
    await tryAll("Encrypt", { KeyId, Plaintext }, "Plaintext");
    expect(log.join("\n")).toMatch(/KMSInternalException[\s\S]*cause/);
  });

  test("are in no answer, log, metric or event, and in no file", async () => {
    expect([...canaries.planted].sort()).toEqual(
      [
        ...["plaintext", "message", "MAC", "data key", "data key pair", "random bytes", "shared secret"],
        ...["imported secret", "imported private key", "grant token", "PIN", "session token"],
        ...["secret access key", "secret access key of a session", "secret access key of a role"],
        ...["password of a cluster", "credential of a proxy", "plaintext for an external key"],
        "plaintext beside a fault",
      ].sort(),
    );
    const metrics = await (await fetch(metricsUrl)).text();
    expect(metrics).toMatch(/operation="Encrypt",outcome="AccessDeniedException"} [1-9]/);
    const files = readdirSync(lab.directory, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name !== "pin")
      .map(({ parentPath, name }) => join(parentPath, name));
    const contents = files.map((file) => [file, readFileSync(file).toString("latin1")] as const);
    const trail = contents.filter(([file]) => file.includes("/audit/"));
    for (const part of ["ImportKeyMaterial", "CreateCustomKeyStore", "AssumeRole", "SerializationException"])
      expect(
        trail.some(([, text]) => text.includes(part)),
        part,
      ).toBe(true);
    expect(answers.filter((answer) => /Exception/.test(answer)).length).toBeGreaterThan(300);
    const places = [
      ["answers", answers.join("\n")],
      ["log", log.join("\n")],
      ["metrics", metrics],
      ...contents,
    ];
    const found = places.map(([place = "", text = ""]) => [place, canaries.in(text)] as const);
    expect(found.filter(([, secrets]) => secrets.length > 0)).toEqual([]);
  });

  test("are not shown by what the service is made of", () => {
    const objects = [kms, server, kms.requestHandler(), kms.as(APP), lab.ways.http.proxy.seen.length];
    const text = objects.map(shown).join("\n");
    expect(text).toContain("Kms");
    expect(canaries.in(text)).toEqual([]);
  });
});

test("a server's memory has nothing of the requests that it has answered", { timeout: 60_000 }, async () => {
  const home = mkdtempSync(join(tmpdir(), "keystead-heap-"));
  const cli = [join(import.meta.dirname, "../dist/cli.js"), "--directory", join(home, "data"), "--json"];
  const created = execFileSync(process.execPath, [...cli, "credentials", "create"], { encoding: "utf8" });
  const { AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey } = JSON.parse(created);
  // Node writes all that JavaScript holds, once what nobody holds is collected: its strings, and none of its buffers.
  const node = ["--heapsnapshot-signal=SIGUSR2", `--diagnostic-dir=${home}`];
  const child = spawn(process.execPath, [...node, ...cli, "serve", "--port", "0"], { stdio: "pipe" });
  try {
    const canaries = new Canaries();
    canaries.plant("secret access key", secretAccessKey);
    canaries.plant("PIN", readFileSync(join(home, "data", "pin"), "utf8").trim());
    const log: string[] = [];
    child.stderr.on("data", (data) => log.push(String(data)));
    const { Url } = JSON.parse(String((await once(child.stdout, "data"))[0]));
    const ask = async (target: string, input: Members) => {
      const signer = { accessKeyId, secretAccessKey };
      return JSON.parse((await post(Url, signer, target, written(input), "us-east-1")).text);
    };
    const { KeyId } = (await ask("CreateKey", {})).KeyMetadata;
    const Plaintext = canaries.plant("plaintext", randomBytes(48));
    const { CiphertextBlob } = await ask("Encrypt", { KeyId, Plaintext });
    expect((await ask("Decrypt", { CiphertextBlob })).Plaintext).toBe(Plaintext.toString("base64"));
    const dataKey = await ask("GenerateDataKey", { KeyId, KeySpec: "AES_256" });
    canaries.plant("data key", Buffer.from(dataKey.Plaintext, "base64"));
    const random = await ask("GenerateRandom", { NumberOfBytes: 32 });
    canaries.plant("random bytes", Buffer.from(random.Plaintext, "base64"));
    await ask("Encrypt", { KeyId, Plaintext: Buffer.concat(Array(100).fill(Plaintext)) });
    child.kill("SIGUSR2");
    const snapshot = await snapshotIn(home);
    for (const known of [accessKeyId, KeyId]) expect(snapshot).toContain(known);
    expect(canaries.in(snapshot)).toEqual([]);
    expect(log).toEqual([]);
  } finally {
    child.kill("SIGKILL");
    await once(child, "close");
    rmSync(home, { recursive: true });
  }
});

/** The heap snapshot that a process is writing there, once it is whole. */
async function snapshotIn(directory: string): Promise<string> {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const name = readdirSync(directory).find((each) => each.endsWith(".heapsnapshot"));
    const text = name === undefined ? "" : readFileSync(join(directory, name), "latin1");
    if (text.trimEnd().endsWith("]}")) return text;
  }
}

/** Makes the material of a key what its binding does not fit. */
function damage(directory: string, KeyId: string): void {
  const database = openDatabase(join(directory, "keystead.db"), 5000);
  database.exec(`UPDATE backing_keys SET blob = CAST(substr(blob, 1, length(blob) - 1) || x'00' AS BLOB) WHERE key_id = '${KeyId}';
    UPDATE meta SET value = value + 1 WHERE name = 'generation'`);
  database.close();
}
