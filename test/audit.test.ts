import { execFileSync, spawn } from "node:child_process";
import { createECDH, createHash, createPublicKey, randomBytes } from "node:crypto";
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  Audit,
  AuditError,
  type AuditEvent,
  type AuditHead,
  type AuditOptions,
  type AuditReport,
  countedId,
  followEvents,
  type HeadSigner,
  lastEvents,
  PUBLIC_KEY_FILE,
  verify,
} from "../lib/audit.ts";
import { Hsm, journal, provisionSoftHsm } from "../lib/hsm.ts";
import { library, node } from "./child.ts";

const root = mkdtempSync(join(tmpdir(), "keystead-audit-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let directories = 0;
const fresh = () => join(root, `d${++directories}`);

const ACCOUNT = "111122223333";
const KEY_ARN = `arn:aws:kms:us-east-1:${ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab`;
const alice = { arn: `arn:aws:iam::${ACCOUNT}:user/Alice`, account: ACCOUNT, type: "User" };

/** ECDSA P-256 over a ready digest, as a token does it; node:crypto only signs what it has hashed itself. */
function softwareSigner(): HeadSigner {
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const number = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
  const power = (base: bigint, exponent: bigint): bigint => {
    if (exponent === 0n) return 1n;
    const half = power((base * base) % order, exponent / 2n);
    return exponent % 2n === 0n ? half : (half * base) % order;
  };
  const der = (value: bigint) => {
    const bytes = Buffer.from(`00${value.toString(16).padStart(64, "0")}`, "hex");
    let at = 0;
    while (bytes[at] === 0 && (bytes[at + 1] as number) < 0x80) at++;
    return Buffer.concat([Buffer.from([2, bytes.length - at]), bytes.subarray(at)]);
  };
  const own = createECDH("prime256v1");
  const point = own.generateKeys();
  const x = point.subarray(1, 33).toString("base64url");
  const y = point.subarray(33).toString("base64url");
  const publicKey = createPublicKey({ key: { kty: "EC", crv: "P-256", x, y }, format: "jwk" });
  return {
    publicKey: publicKey.export({ format: "der", type: "spki" }),
    async sign(digest) {
      const nonce = createECDH("prime256v1");
      const r = number(nonce.generateKeys().subarray(1, 33)) % order;
      const inverse = power(number(nonce.getPrivateKey()), order - 2n);
      const s = (inverse * ((number(digest) + r * number(own.getPrivateKey())) % order)) % order;
      const body = Buffer.concat([der(r), der(s)]);
      return Buffer.concat([Buffer.from([0x30, body.length]), body]);
    },
  };
}

const signer = softwareSigner();

function event(overrides: Partial<AuditEvent> = {}): AuditEvent {
  return {
    principal: alice,
    time: Date.UTC(2026, 10, 23, 20, 0, 0),
    operation: "Encrypt",
    region: "us-east-1",
    account: ACCOUNT,
    input: { KeyId: "alias/orders", EncryptionContext: { Department: "Engineering" } },
    requestId: "f3423043-63bc-41e4-bc2b-4198b6150d5c",
    readOnly: true,
    resources: [KEY_ARN],
    ...overrides,
  };
}

async function opened(options: Partial<AuditOptions> = {}) {
  const heads = new Map<string, AuditHead>();
  const directory = options.directory ?? fresh();
  const audit = await Audit.open({
    directory,
    signer,
    journal,
    keepHead: (head) => void heads.set(head.stream, head),
    ...options,
  });
  return { audit, directory, stored: () => [...heads.values()] };
}

const logs = (directory: string) =>
  readdirSync(directory)
    .filter((name) => name.endsWith(".jsonl"))
    .sort();
const headFiles = (directory: string) => readdirSync(directory).filter((name) => name.endsWith(".head"));
/** Without the filler of a file under way. */
const linesIn = (path: string) =>
  readFileSync(path, "utf8").split("\0", 1)[0]?.split("\n").slice(0, -1) ?? [];
const events = (directory: string) =>
  logs(directory)
    .flatMap((name) => linesIn(join(directory, name)))
    .map((line) => JSON.parse(line))
    .filter((line) => line.eventVersion !== undefined);
const places = (report: AuditReport) => report.problems.map(({ file, line }) => `${file}:${line}`);

test("a counted id is a UUID, another one each time", () => {
  const ids = Array.from({ length: 10_000 }, countedId);
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids)
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

describe("an event", () => {
  async function written(overrides: Partial<AuditEvent>) {
    const { audit, directory } = await opened();
    await audit.record(event(overrides));
    await audit.close();
    return events(directory)[0];
  }

  test("has the members of CloudTrail's record", async () => {
    const record = await written({ additional: { keyMaterialId: "ab" } });
    const { eventID, sequence, digest, ...rest } = record;
    expect(rest).toEqual({
      eventVersion: "1.11",
      userIdentity: { type: "IAMUser", principalId: "user/Alice", arn: alice.arn, accountId: ACCOUNT },
      eventTime: "2026-11-23T20:00:00Z",
      eventSource: "kms.amazonaws.com",
      eventName: "Encrypt",
      awsRegion: "us-east-1",
      sourceIPAddress: "127.0.0.1",
      userAgent: "keystead",
      requestParameters: { keyId: "alias/orders", encryptionContext: { Department: "Engineering" } },
      responseElements: null,
      additionalEventData: { keyMaterialId: "ab" },
      requestID: "f3423043-63bc-41e4-bc2b-4198b6150d5c",
      readOnly: true,
      resources: [{ accountId: ACCOUNT, type: "AWS::KMS::Key", ARN: KEY_ARN }],
      eventType: "AwsApiCall",
      managementEvent: true,
      recipientAccountId: ACCOUNT,
      eventCategory: "Management",
    });
    expect(eventID).toMatch(/^[0-9a-f-]{36}$/);
    expect(sequence).toBe(2);
    expect(digest).toMatch(/^[0-9a-f]{64}$/);
  });

  test("has its own time, notes and id, however like the one before it is", async () => {
    const { audit, directory } = await opened();
    const first = event({}).time;
    const given: Pick<AuditEvent, "time" | "additional">[] = [
      { time: first, additional: { access: "yes" } },
      { time: first + 1000, additional: { access: "no" } },
      { time: first, additional: { reason: "no" } },
      { time: first, additional: { access: "no", entries: 1 } },
      { time: first, additional: { entries: 1 } },
      { time: first, additional: {} },
    ];
    for (const each of given) await audit.record(event(each));
    await audit.close();
    const records = events(directory);
    expect(records.map((record) => record.additionalEventData)).toEqual(given.map((e) => e.additional));
    expect(records.map((record) => Date.parse(record.eventTime as string))).toEqual(given.map((e) => e.time));
    expect(new Set(records.map((record) => record.eventID)).size).toBe(given.length);
  });

  test("shows what a change made, and refusals with CloudTrail's code", async () => {
    const created = await written({
      operation: "CreateKey",
      readOnly: false,
      input: { Description: 'a "quoted"\nkey ✓', Tags: [{ TagKey: "team", TagValue: "a" }] },
      resources: [],
      output: {
        KeyMetadata: {
          AWSAccountId: ACCOUNT,
          Arn: KEY_ARN,
          KeyId: "k",
          CreationDate: new Date(0),
          Enabled: true,
        },
      },
    });
    expect(created.requestParameters).toEqual({
      description: 'a "quoted"\nkey ✓',
      tags: [{ tagKey: "team", tagValue: "a" }],
    });
    expect(created.responseElements).toEqual({
      keyMetadata: {
        AWSAccountId: ACCOUNT,
        arn: KEY_ARN,
        keyId: "k",
        creationDate: "1970-01-01T00:00:00.000Z",
        enabled: true,
      },
    });
    expect(created.resources).toEqual([{ accountId: ACCOUNT, type: "AWS::KMS::Key", ARN: KEY_ARN }]);
    const service = await written({
      principal: { arn: "backup.amazonaws.com", account: "", type: "Service" },
    });
    expect(service.userIdentity).toEqual({ type: "AWSService", invokedBy: "backup.amazonaws.com" });
    const refused = await written({ error: { name: "AccessDeniedException", message: "User: x is not…" } });
    expect(refused).toMatchObject({ errorCode: "AccessDenied", errorMessage: "User: x is not…" });
  });

  test("never holds a secret, whatever it is given", async () => {
    const secret = "c2VjcmV0LXNlY3JldA==";
    const bytes = Buffer.from(secret);
    const { audit, directory } = await opened();
    const members = {
      KeyId: "k",
      Plaintext: bytes,
      CiphertextBlob: bytes,
      CiphertextForRecipient: bytes,
      PrivateKeyPlaintext: bytes,
      Message: secret,
      Mac: secret,
      Signature: bytes,
      SharedSecret: bytes,
      ImportToken: bytes,
      EncryptedKeyMaterial: bytes,
      GrantTokens: [secret],
      GrantToken: secret,
      KeyStorePassword: secret,
      XksProxyAuthenticationCredential: { RawSecretAccessKey: secret },
      Recipient: { AttestationDocument: bytes },
      Unknown: secret,
      EncryptionContext: { a: bytes },
      KeyMetadata: { KeyId: "k", Deep: { Bytes: bytes, View: new DataView(bytes.buffer) } },
      Description: bytes,
    };
    await audit.record(event({ input: members, output: members, readOnly: false }));
    await audit.close();
    const text = readFileSync(join(directory, logs(directory)[0] as string), "latin1");
    expect(text).not.toContain(secret);
    expect(text).not.toContain(JSON.stringify([...bytes]).slice(1, -1));
    expect(text).not.toContain(bytes.toString("base64"));
    expect(events(directory)[0].requestParameters).toEqual({
      keyId: "k",
      encryptionContext: {},
      keyMetadata: { keyId: "k", deep: {} },
    });
  });

  test("leaves out a value that is too long for a line", async () => {
    const record = await written({ input: { KeyId: "k", Policy: "x".repeat(70_000) } });
    expect(record.requestParameters).toEqual({ keyId: "k", policy: "(too long to show)" });
  });
});

describe("the log", () => {
  test("is on the disk when record resolves, in files that only the owner reads", async () => {
    const { audit, directory } = await opened();
    await audit.record(event({ operation: "Decrypt" }));
    expect(events(directory).map(({ eventName }) => eventName)).toEqual(["Decrypt"]);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(directory))
      expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600);
    await audit.close();
  });

  test("chains each line to the one before as docs/audit.md says", async () => {
    const { audit, directory } = await opened();
    for (let i = 0; i < 3; i++) await audit.record(event({ input: { Description: `schlüssel ${i}` } }));
    await audit.close();
    let previous = "0".repeat(64);
    for (const [index, line] of linesIn(join(directory, logs(directory)[0] as string)).entries()) {
      const cut = line.lastIndexOf(',"digest":"');
      const { sequence, digest } = JSON.parse(line);
      expect(sequence).toBe(index + 1);
      expect(digest).toBe(
        createHash("sha256")
          .update(previous + line.slice(0, cut))
          .digest("hex"),
      );
      previous = digest;
    }
  });

  test("keeps the order of thousands of concurrent recorders, and closes behind them", async () => {
    const { audit, directory, stored } = await opened();
    const all = Array.from({ length: 10_000 }, (_, i) => audit.record(event({ requestId: `r${i}` })));
    const closing = audit.close();
    await expect(audit.record(event())).rejects.toThrow("the audit log is closed");
    await Promise.all([...all, closing]);
    expect(events(directory).map(({ requestID }) => requestID)).toEqual(all.map((_, i) => `r${i}`));
    const report = await verify(directory, signer.publicKey, stored());
    expect(report).toMatchObject({ ok: true, lines: 10_001, notYetSigned: 0, notes: [] });
    expect(report.streams).toMatchObject([{ files: 1, closed: true, signed: { sequence: 10_001 } }]);
  });

  test("goes on in a new file by size and by day", async () => {
    let now = Date.UTC(2026, 10, 23, 23, 59, 59);
    const { audit, directory, stored } = await opened({ rotateAt: 3_000, clock: () => now });
    for (let i = 0; i < 10; i++) await audit.record(event());
    const bySize = logs(directory).length;
    expect(bySize).toBeGreaterThan(2);
    now += 1_000;
    await audit.record(event());
    expect(logs(directory)).toHaveLength(bySize + 1);
    expect(logs(directory).at(-1)).toMatch(/^20261124T000000Z-[0-9a-f]{16}-00000\d\.jsonl$/);
    await audit.close();
    expect(events(directory)).toHaveLength(11);
    expect(await verify(directory, signer.publicKey, stored())).toMatchObject({ ok: true, notes: [] });
  });

  test("takes no line that verify could not read", async () => {
    const { audit, directory, stored } = await opened();
    const wide = "\u{ffff}".repeat(60_000);
    const input = { Description: wide, Policy: wide, Marker: wide, Name: wide, KeyId: wide };
    await audit.record(event({ input }));
    const six = { ...input, GrantId: wide };
    await expect(audit.record(event({ input: six }))).rejects.toThrow(/too long for the audit log/);
    await audit.close();
    expect(await verify(directory, signer.publicKey, stored())).toMatchObject({ ok: true, lines: 2 });
  });

  test("is shared by several writers, a stream each", async () => {
    const directory = fresh();
    const writers = await Promise.all(Array.from({ length: 4 }, () => opened({ directory })));
    await Promise.all(
      writers.map(async ({ audit }) => {
        for (let i = 0; i < 20; i++) await audit.record(event());
        await audit.close();
      }),
    );
    const report = await verify(
      directory,
      signer.publicKey,
      writers.flatMap(({ stored }) => stored()),
    );
    expect(report).toMatchObject({ ok: true, files: 4, lines: 84, notYetSigned: 0 });
    expect(readdirSync(directory).filter((name) => name.endsWith(".new"))).toEqual([]);
  });

  test("signs a head within the interval while there are new lines", async () => {
    const { audit, directory, stored } = await opened({ headInterval: 20 });
    await audit.record(event());
    await expect.poll(() => stored()[0]?.sequence).toBe(2);
    const file = JSON.parse(readFileSync(join(directory, headFiles(directory)[0] as string), "utf8"));
    expect(file).toEqual(stored()[0]);
    await audit.close();
    expect(stored()[0]).toMatchObject({ sequence: 2, closed: true });
  });

  test("refuses a directory that is signed by another key", async () => {
    const { audit, directory } = await opened();
    await audit.close();
    const other = softwareSigner();
    await expect(Audit.open({ directory, signer: other, journal })).rejects.toThrow(
      /signed by another key \(audit\.pem\)/,
    );
    await expect(Audit.open({ directory, signer: other, journal })).rejects.toThrow(AuditError);
  });

  test("does not open without a head, nor without a directory to write to", async () => {
    const dead: HeadSigner = { ...signer, sign: () => Promise.reject(new Error("token is gone")) };
    await expect(Audit.open({ directory: fresh(), signer: dead, journal })).rejects.toThrow(/token is gone/);
    const file = fresh();
    writeFileSync(file, "");
    await expect(Audit.open({ directory: join(file, "audit"), signer, journal })).rejects.toThrow(AuditError);
  });

  test("tries again when a head could not be kept", async () => {
    const kept: number[] = [];
    let broken = false;
    const { audit } = await opened({
      headInterval: 10,
      keepHead: ({ sequence }) => {
        if (broken) throw new Error("database is locked");
        kept.push(sequence);
      },
    });
    broken = true;
    await audit.record(event());
    await expect.poll(() => String(audit.status().headFailure)).toContain("database is locked");
    broken = false;
    await expect.poll(() => kept.at(-1)).toBe(2);
    await expect.poll(() => audit.status().headFailure).toBeUndefined();
    await audit.close();
  });
});

describe("a log that cannot be written", () => {
  /** Each way to lose the file; undoing it lets the log write again. */
  const losses: [string, (directory: string, file: string) => () => void][] = [
    [
      "directory removed",
      (directory) => {
        rmSync(directory, { recursive: true });
        return () => mkdirSync(directory);
      },
    ],
    [
      "directory moved away",
      (directory) => {
        renameSync(directory, `${directory}.away`);
        return () => renameSync(`${directory}.away`, directory);
      },
    ],
    [
      "directory replaced by a file",
      (directory) => {
        rmSync(directory, { recursive: true });
        writeFileSync(directory, "");
        return () => {
          rmSync(directory);
          mkdirSync(directory);
        };
      },
    ],
  ];

  test.each(losses)("%s: refuses everything until it can write again", async (_name, lose) => {
    const { audit, directory, stored } = await opened();
    await audit.record(event());
    const undo = lose(directory, join(directory, logs(directory)[0] as string));
    for (let i = 0; i < 3; i++) await expect(audit.record(event())).rejects.toThrow(AuditError);
    expect(audit.status().failure).toBeInstanceOf(Error);
    undo();
    await audit.record(event({ requestId: "again" }));
    expect(audit.status().failure).toBeUndefined();
    await audit.close();
    expect(events(directory).map(({ requestID }) => requestID)).toContain("again");
    const report = await verify(directory, signer.publicKey, stored());
    // Only what was taken away is missed: the new stream is whole.
    expect(report.streams.find(({ closed }) => closed)).toMatchObject({ lines: 2, notYetSigned: 0 });
    expect(report.ok).toBe(_name === "directory moved away");
  });

  test.each([
    ["deleted", (path: string) => rmSync(path)],
    ["cut back", (path: string) => truncateSync(path, 100)],
    ["written to by another", (path: string) => appendFileSync(path, "{}\n")],
    [
      "replaced by a copy",
      (path: string) => {
        cpSync(path, `${path}.copy`);
        renameSync(`${path}.copy`, path);
      },
    ],
  ])("file %s: refuses what was written to it, then goes on in a new stream", async (_name, damage) => {
    const { audit, directory, stored } = await opened();
    await audit.record(event());
    const first = logs(directory)[0] as string;
    damage(join(directory, first));
    const both = [audit.record(event()), audit.record(event())];
    for (const recorded of both) await expect(recorded).rejects.toThrow(/could not be written: .*audit/);
    await audit.record(event({ requestId: "again" }));
    await audit.close();
    const second = logs(directory).find((name) => name !== first) as string;
    expect(linesIn(join(directory, second)).map((line) => JSON.parse(line).requestID)).toEqual([
      undefined,
      "again",
    ]);
    const report = await verify(directory, signer.publicKey, stored());
    expect(report.problems.every(({ file }) => file !== second)).toBe(true);
    expect(report.ok).toBe(_name === "replaced by a copy");
  });

  test.skipIf(process.platform !== "linux")(
    "a full disk: refuses, tells half a line as such, leaves no litter, and goes on when there is room",
    async () => {
      // The limit on file sizes stands for the disk: the kernel writes what fits, then nothing.
      const limit = (bytes: number | "unlimited") =>
        execFileSync("prlimit", ["--pid", String(process.pid), `--fsize=${bytes}:`]);
      const ignore = () => {};
      process.on("SIGXFSZ", ignore);
      const { audit, directory, stored } = await opened();
      try {
        await audit.record(event());
        const path = join(directory, logs(directory)[0] as string);
        const full = statSync(path).size + 100;
        limit(full);
        await expect(audit.record(event())).rejects.toThrow(/could not be written: EFBIG/);
        expect(statSync(path).size).toBe(full);
        limit(100);
        for (let i = 0; i < 5; i++) await expect(audit.record(event())).rejects.toThrow(/EFBIG/);
        expect(logs(directory)).toHaveLength(1);
      } finally {
        limit("unlimited");
        process.off("SIGXFSZ", ignore);
      }
      await audit.record(event());
      await audit.close();
      const report = await verify(directory, signer.publicKey, stored());
      expect(report).toMatchObject({ ok: true, files: 2, lines: 4, notYetSigned: 0 });
      expect(report.notes).toEqual([expect.stringMatching(/000001\.jsonl: line 3 is incomplete/)]);
    },
  );
});

describe("verify", () => {
  let directory: string;
  let file: string;
  let heads: AuditHead[];
  let content: Buffer;
  /** Where each line begins; one more for the end. */
  let starts: number[];

  beforeAll(async () => {
    const log = await opened();
    for (let i = 0; i < 7; i++) await log.audit.record(event({ requestId: `r${i}` }));
    await log.audit.close();
    directory = log.directory;
    file = logs(directory)[0] as string;
    heads = log.stored();
    content = readFileSync(join(directory, file));
    starts = [0];
    for (const [at, byte] of content.entries()) if (byte === 10) starts.push(at + 1);
  });

  const line = (number: number) => content.subarray(starts[number - 1], starts[number]);
  const numbers = () => Array.from({ length: starts.length - 1 }, (_, i) => i + 1);

  /** The report on the directory with this content in its log. */
  async function withLog(changed: Uint8Array | Buffer[], storeHeads: AuditHead[] = []) {
    writeFileSync(join(directory, file), Array.isArray(changed) ? Buffer.concat(changed) : changed);
    try {
      return await verify(directory, signer.publicKey, storeHeads);
    } finally {
      writeFileSync(join(directory, file), content);
    }
  }

  test("passes the log as it is, with the key as PEM, DER or from the directory", async () => {
    const pem = readFileSync(join(directory, PUBLIC_KEY_FILE), "utf8");
    for (const key of [signer.publicKey, pem, createPublicKey(pem)])
      expect(await verify(directory, key, heads)).toMatchObject({
        ok: true,
        lines: 8,
        problems: [],
        notes: [],
      });
  });

  test("names every changed byte's line", async () => {
    for (const number of numbers()) {
      const last = number === starts.length - 1;
      const from = starts[number - 1] as number;
      const to = starts[number] as number;
      for (let at = from; at < to; at += last ? 1 : 53) {
        const changed = Buffer.from(content);
        changed[at] = (changed[at] as number) ^ 1;
        const report = await withLog(changed);
        expect(report.ok, `byte ${at - from} of line ${number}`).toBe(false);
        expect(places(report), `byte ${at - from} of line ${number}`).toContain(`${file}:${number}`);
      }
    }
  });

  test("names the place of every removed line", async () => {
    for (const number of numbers()) {
      const report = await withLog(
        numbers()
          .filter((n) => n !== number)
          .map(line),
        undefined,
      );
      expect(report.problems[0], `line ${number}`).toMatchObject({ file, line: number });
    }
  });

  test("names every swapped pair of lines", async () => {
    for (const number of numbers().slice(0, -1)) {
      const order = numbers();
      [order[number - 1], order[number]] = [number + 1, number];
      const report = await withLog(order.map(line));
      expect(report.problems[0], `line ${number}`).toMatchObject({ file, line: number });
      expect(places(report)).toContain(`${file}:${number + 1}`);
      expect(report.problems.every((p) => p.line <= number + 1)).toBe(true);
    }
  });

  test("names every repeated line, wherever the copy is put", async () => {
    for (const number of numbers())
      for (const at of numbers()) {
        const order = numbers();
        order.splice(at, 0, number);
        const report = await withLog(order.map(line));
        expect(report.ok).toBe(false);
        // Beside its original, which of the two is the copy nobody can tell.
        const place = number === at + 1 ? at + 2 : at + 1;
        expect(places(report), `line ${number} again behind ${at}`).toContain(`${file}:${place}`);
      }
  });

  test("names the line at which the log was cut off, at each byte of the last lines", async () => {
    const lastLine = starts.at(-2) as number;
    for (let end = starts.at(-3) as number; end < content.length; end += end < lastLine - 80 ? 9 : 1) {
      const report = await withLog(content.subarray(0, end));
      const number = starts.filter((start) => start <= end).length;
      expect(report.problems[0], `at byte ${end}`).toMatchObject({ kind: "truncated", file, line: number });
    }
    for (const start of starts.slice(0, -1))
      expect((await withLog(content.subarray(0, start))).problems[0]?.kind).toBe("truncated");
  });

  test("finds lines added behind the signed end", async () => {
    const previous = JSON.parse(line(8).toString());
    const body = `{"eventVersion":"1.11","sequence":9`;
    const digest = createHash("sha256")
      .update(previous.digest + body)
      .digest("hex");
    const report = await withLog([content, Buffer.from(`${body},"digest":"${digest}"}\n`)], heads);
    expect(report.problems[0]).toMatchObject({ kind: "changed", file });
    expect((await withLog([content, Buffer.from("{")])).ok).toBe(false);
  });

  test("finds a log that was changed and chained anew from there", async () => {
    let previous = "0".repeat(64);
    const forged = numbers().map((number) => {
      const text = line(number).toString().replace('"r2"', '"rX"');
      const signed = text.slice(0, text.lastIndexOf(',"digest":"'));
      previous = createHash("sha256")
        .update(previous + signed)
        .digest("hex");
      return Buffer.from(`${signed},"digest":"${previous}"}\n`);
    });
    const report = await withLog(forged);
    expect(report.problems).toMatchObject([{ kind: "changed", file, line: 8 }]);
    expect(report.problems[0]?.message).toContain("head");
  });

  test("finds removed heads, forged heads, removed files and streams", async () => {
    const copy = () => {
      const to = fresh();
      cpSync(directory, to, { recursive: true });
      return to;
    };
    const head = headFiles(directory)[0] as string;
    const without = copy();
    rmSync(join(without, head));
    expect((await verify(without, signer.publicKey)).problems).toMatchObject([
      { kind: "missing", file: head },
    ]);
    expect((await verify(without, signer.publicKey, heads)).problems).toMatchObject([
      { kind: "missing", file: head },
    ]);

    const forged = copy();
    const stated = JSON.parse(readFileSync(join(forged, head), "utf8"));
    for (const change of [
      { sequence: 3 },
      { digest: "ab".repeat(32) },
      { time: 1 },
      { closed: false },
      { file: "x" },
      { signature: randomBytes(70).toString("base64") },
      { stream: "0123456789abcdef" },
    ]) {
      writeFileSync(join(forged, head), JSON.stringify({ ...stated, ...change }));
      expect((await verify(forged, signer.publicKey)).problems[0]).toMatchObject({
        kind: "forged",
        file: head,
      });
    }
    writeFileSync(join(forged, head), "not a head");
    expect((await verify(forged, signer.publicKey)).problems[0]).toMatchObject({
      kind: "forged",
      file: head,
    });
    const other = softwareSigner();
    expect((await verify(directory, other.publicKey)).problems[0]).toMatchObject({
      kind: "forged",
      file: head,
    });

    const gone = copy();
    rmSync(join(gone, file));
    expect((await verify(gone, signer.publicKey)).problems[0]).toMatchObject({ kind: "missing", file });
    rmSync(join(gone, head));
    expect((await verify(gone, signer.publicKey)).ok).toBe(true);
    expect((await verify(gone, signer.publicKey, heads)).problems[0]).toMatchObject({
      kind: "missing",
      file,
    });

    const renamed = copy();
    const name = file.replace(/^\d{8}/, "20200101");
    renameSync(join(renamed, file), join(renamed, name));
    expect(places(await verify(renamed, signer.publicKey))).toContain(`${name}:1`);

    const foreign = copy();
    writeFileSync(join(foreign, "notes.jsonl"), "{}\n");
    expect((await verify(foreign, signer.publicKey)).problems[0]).toMatchObject({ file: "notes.jsonl" });
  });

  test("sees a log cut back together with its head file only by the store's head", async () => {
    const log = await opened();
    await log.audit.record(event());
    const head = headFiles(log.directory)[0] as string;
    const early = { head: readFileSync(join(log.directory, head)), length: 0 };
    const path = join(log.directory, logs(log.directory)[0] as string);
    early.length = (linesIn(path)[0] as string).length + 1;
    await log.audit.record(event());
    await log.audit.close();
    truncateSync(path, early.length);
    writeFileSync(join(log.directory, head), early.head);
    expect((await verify(log.directory, signer.publicKey)).ok).toBe(true);
    const report = await verify(log.directory, signer.publicKey, log.stored());
    expect(report.problems).toMatchObject([{ kind: "truncated", line: 2 }]);
    expect(report.problems[0]?.message).toContain("the head in store was signed for sequence 3: 2 removed");
  });

  test("names each missing file of several, and their exchange", async () => {
    const log = await opened({ rotateAt: 1_500 });
    for (let i = 0; i < 8; i++) await log.audit.record(event());
    await log.audit.close();
    const names = logs(log.directory);
    expect(names.length).toBeGreaterThan(3);
    for (const [index, name] of names.entries()) {
      const copy = fresh();
      cpSync(log.directory, copy, { recursive: true });
      rmSync(join(copy, name));
      const { problems } = await verify(copy, signer.publicKey);
      expect(problems[0]?.kind).toBe("missing");
      expect(problems[0]?.file).toBe(names[index + 1] ?? name);
      // Nothing else is blamed: what is left is in order.
      expect(problems.filter(({ kind }) => kind === "changed")).toEqual([]);
    }
    const [a, b] = names as [string, string];
    renameSync(join(log.directory, a), join(log.directory, "x"));
    renameSync(join(log.directory, b), join(log.directory, a));
    renameSync(join(log.directory, "x"), join(log.directory, b));
    expect(places(await verify(log.directory, signer.publicKey))).toContain(`${a}:1`);
  });

  test("tells the open end of a killed process as not yet signed", async () => {
    const log = await opened({ headInterval: 3_600_000 });
    for (let i = 0; i < 5; i++) await log.audit.record(event());
    const copy = fresh();
    cpSync(log.directory, copy, { recursive: true });
    await log.audit.close();
    const open = await verify(copy, signer.publicKey);
    expect(open).toMatchObject({ ok: true, lines: 6, notYetSigned: 5 });
    expect(open.notes).toEqual([expect.stringMatching(/5 lines after sequence 1 are not yet signed/)]);
    const path = join(copy, logs(copy)[0] as string);
    truncateSync(path, statSync(path).size - 10);
    const torn = await verify(copy, signer.publicKey);
    expect(torn).toMatchObject({ ok: true, lines: 5, notYetSigned: 4 });
    expect(torn.notes).toContainEqual(expect.stringMatching(/line 6 is incomplete/));
    // In order it must be all the same.
    const changed = readFileSync(path);
    changed[changed.length - 1000] = (changed[changed.length - 1000] as number) ^ 1;
    writeFileSync(path, changed);
    expect((await verify(copy, signer.publicKey)).ok).toBe(false);
  });

  test("reads a file without newlines, or far too long a line, without holding it", async () => {
    const copy = fresh();
    cpSync(directory, copy, { recursive: true });
    writeFileSync(join(copy, file), Buffer.alloc(20 << 20, 0x61));
    const report = await verify(copy, signer.publicKey);
    expect(report.problems[0]).toMatchObject({ kind: "truncated", line: 1 });
    appendFileSync(join(copy, file), Buffer.from("\n{}\n"));
    const two = await verify(copy, signer.publicKey);
    expect(places(two).slice(0, 2)).toEqual([`${file}:1`, `${file}:2`]);
  });
});

describe("a process that is killed", () => {
  test("has every answer that it gave in its trail", async () => {
    const directory = fresh();
    const child = spawn(process.execPath, [
      "--input-type=module",
      "-e",
      `import { Kms } from ${library("index")};
       const kms = await Kms.open({ directory: process.argv[1] });
       for (;;) await Promise.all(Array.from({ length: 50 }, async () => {
         const { $metadata } = await kms.generateRandom({ NumberOfBytes: 8 });
         process.stdout.write($metadata.requestId + "\\n");
       }));`,
      directory,
    ]);
    let answered = "";
    child.stdout.on("data", (data: Buffer) => {
      answered += data;
      if (answered.length > 40_000) child.kill("SIGKILL");
    });
    await new Promise((done) => child.once("close", done));
    const ids = answered.split("\n").slice(0, -1);
    expect(ids.length).toBeGreaterThan(1_000);
    const trail = join(directory, "audit");
    const recorded = new Set(readTorn(trail).map(({ requestID }) => requestID));
    expect(ids.filter((id) => !recorded.has(id))).toEqual([]);
    const report = await verify(trail, readFileSync(join(trail, PUBLIC_KEY_FILE), "utf8"));
    expect(report).toMatchObject({ ok: true, streams: [{ closed: false }] });
    expect(report.notes.join()).toContain("its process still runs, or was killed");
  });

  /** The events of a trail whose last line may be incomplete. */
  const readTorn = (trail: string): { requestID?: string }[] =>
    logs(trail)
      .flatMap((name) => linesIn(join(trail, name)))
      .map((text) => JSON.parse(text));
});

describe("a thread that ends in the midst of a commit", () => {
  /** Ends eight threads, each running `loop` with a descriptor, a path and the bodies of 500 lines, after its first message. */
  const endThreads = async (directory: string, flags: string, loop: string) => {
    const { stdout } = await node(
      `import { Worker } from "node:worker_threads";
       const program = \`
         import { openSync } from "node:fs";
         import { parentPort, workerData } from "node:worker_threads";
         import { journal } from ${library("hsm")};
         const path = workerData;
         const descriptor = openSync(path, "${flags}");
         const bodies = Array.from({ length: 500 }, () => '{"a":"' + "x".repeat(700) + '"').join("\\\\n");
         ${loop}\`;
       for (let i = 0; i < 8; i++) {
         const url = new URL("data:text/javascript," + encodeURIComponent(program));
         const worker = new Worker(url, { workerData: process.argv[1] + "/" + i });
         await new Promise((done, failed) => worker.once("message", done).once("error", failed));
         worker.once("error", (error) => console.log(error));
         await worker.terminate();
       }
       console.log("alive");`,
      [directory],
    );
    expect(stdout).toBe("alive\n");
  };

  test("leaves whole lines, and the process alive", async () => {
    const directory = fresh();
    mkdirSync(directory);
    await endThreads(
      directory,
      "wx",
      `const handle = journal.open("0".repeat(64));
       for (let sequence = 1; ; sequence += 500) {
         await journal.append({ journal: handle, descriptor, path, sequence, bodies });
         parentPort.postMessage(sequence);
       }`,
    );
    for (const name of readdirSync(directory)) {
      const lines = linesIn(join(directory, name));
      expect(lines.length % 500).toBe(0);
      expect(lines.length).toBeGreaterThanOrEqual(500);
      for (const [index, text] of lines.entries()) expect(JSON.parse(text).sequence).toBe(index + 1);
    }
  });

  // An error gets its members in the thread: where that is ending, they cannot be set.
  test("leaves the process alive though all commits fail", async () => {
    const directory = fresh();
    mkdirSync(directory);
    for (let i = 0; i < 8; i++) writeFileSync(join(directory, String(i)), "");
    const commit = `journal.append({ journal: journal.open("0".repeat(64)), descriptor, path, sequence: 1, bodies: "{" })`;
    await endThreads(
      directory,
      "r",
      `for (;;) {
         const failed = await Promise.allSettled(Array.from({ length: 50 }, () => ${commit}));
         if (failed.every(({ reason }) => reason.code === "EBADF")) parentPort.postMessage("failed");
       }`,
    );
  });
});

describe("tail", () => {
  test("gives the last events of all streams in order, then those that come", async () => {
    const directory = fresh();
    const [a, b] = await Promise.all([opened({ directory }), opened({ directory })]);
    const time = Date.now() - 600_000;
    for (let i = 0; i < 300; i++)
      await (i % 2 ? a : b).audit.record(event({ time: time + i * 1000, requestId: `r${i}` }));
    const ids = (lines: string[]) => lines.map((text) => JSON.parse(text).requestID);
    expect(ids(await lastEvents(directory, 5))).toEqual(["r295", "r296", "r297", "r298", "r299"]);
    expect(await lastEvents(directory, 1_000)).toHaveLength(300);
    expect(await lastEvents(directory, 0)).toEqual([]);

    const stop = new AbortController();
    const followed = await followEvents(directory, stop.signal);
    const late = await opened({ directory });
    await late.audit.record(event({ time: time + 301_000, requestId: "late" }));
    await a.audit.record(event({ time: time + 300_000, requestId: "now" }));
    expect(JSON.parse((await followed.next()).value as string).requestID).toBe("now");
    expect(JSON.parse((await followed.next()).value as string).requestID).toBe("late");
    stop.abort();
    expect((await followed.next()).done).toBe(true);
    for (const { audit } of [a, b, late]) await audit.close();
  });
});

describe("with a token", () => {
  test("heads are signed by a key that stays in it", async () => {
    const home = fresh();
    mkdirSync(home);
    const hsm = await Hsm.open(await provisionSoftHsm(home));
    try {
      const onToken = await hsm.signer("keystead audit", true);
      const { audit, directory, stored } = await opened({ signer: onToken });
      await Promise.all(Array.from({ length: 100 }, () => audit.record(event())));
      await audit.close();
      const pem = readFileSync(join(directory, PUBLIC_KEY_FILE), "utf8");
      expect(await verify(directory, pem, stored())).toMatchObject({ ok: true, lines: 101, notYetSigned: 0 });
      const again = await hsm.signer("keystead audit", false);
      expect(Buffer.from(again.publicKey)).toEqual(Buffer.from(onToken.publicKey));
      expect((await verify(directory, softwareSigner().publicKey, stored())).ok).toBe(false);
    } finally {
      await hsm.close();
    }
  });
});
