import { renameSync, rmSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { type AuditReport, verify } from "../lib/audit.ts";
import { failureOf } from "../lib/failure.ts";
import { KMSInternalException, type Kms, KmsError } from "../lib/index.ts";
import { openDatabase } from "../lib/store/binding.ts";
import { type AuditRecord, bytes, newKey, openTestDeployment, refusal } from "./deployment.ts";

let kms: Kms;
let directory: string;
let events: (count: number) => Promise<AuditRecord[]>;
beforeAll(async () => {
  ({ kms, directory, events } = await openTestDeployment());
});

const whole = async (): Promise<string> => {
  const names = await readdir(join(directory, "audit"));
  const texts = names.map((name) => readFile(join(directory, "audit", name), "utf8"));
  return (await Promise.all(texts)).join("");
};

describe("every request has its event before its answer", () => {
  test("when it is allowed", async () => {
    const { KeyId, Arn } = await newKey(kms, { Description: "seen" });
    const { $metadata } = await kms.encrypt({ KeyId, Plaintext: bytes("x"), EncryptionContext: { a: "1" } });
    const [created, encrypted] = await events(2);
    expect(created).toMatchObject({
      eventName: "CreateKey",
      readOnly: false,
      requestParameters: { description: "seen" },
      responseElements: { keyMetadata: { keyId: KeyId } },
    });
    expect(encrypted).toMatchObject({
      eventName: "Encrypt",
      readOnly: true,
      requestID: $metadata.requestId,
      userIdentity: { type: "Root", arn: kms.principal },
      requestParameters: { keyId: KeyId, encryptionContext: { a: "1" } },
      responseElements: null,
      resources: [{ ARN: Arn }],
      additionalEventData: { access: "key policy allows: Enable IAM User Permissions" },
    });
    expect(encrypted).not.toHaveProperty("errorCode");
  });

  test.each<[string, (KeyId: string) => Promise<unknown>, string]>([
    ["its shape is wrong", (KeyId) => kms.encrypt({ KeyId, Plaintext: undefined }), "ValidationException"],
    ["a type is wrong", (KeyId) => kms.encrypt({ KeyId, Plaintext: "x" as never }), "SerializationException"],
    [
      "there is no key",
      () => kms.encrypt({ KeyId: "alias/none", Plaintext: bytes("x") }),
      "NotFoundException",
    ],
    [
      "its caller may not",
      (KeyId) => kms.as("arn:aws:iam::111122223333:role/app").encrypt({ KeyId, Plaintext: bytes("x") }),
      "AccessDenied",
    ],
    ["the state is wrong", (KeyId) => kms.cancelKeyDeletion({ KeyId }), "KMSInvalidStateException"],
    [
      "the ciphertext is damaged",
      () => kms.decrypt({ CiphertextBlob: bytes("x") }),
      "InvalidCiphertextException",
    ],
    [
      "it is a dry run",
      (KeyId) => kms.encrypt({ KeyId, Plaintext: bytes("x"), DryRun: true }),
      "DryRunOperationException",
    ],
    ["there is no such operation", () => kms.request("Sing", {}), "UnknownOperationException"],
    ["its input is nothing", () => kms.request("Encrypt", null as never), "SerializationException"],
  ])("when %s", async (_, run, errorCode) => {
    const { KeyId } = await newKey(kms);
    const error: KmsError = await run(KeyId).then(
      () => expect.fail("was not refused"),
      (reason) => reason,
    );
    expect(error).toBeInstanceOf(KmsError);
    const [event] = await events(1);
    expect(event).toMatchObject({ errorCode, requestID: error.$metadata.requestId, responseElements: null });
  });

  test("and whatever happens to its objects afterwards is not in it", async () => {
    const { KeyId } = await newKey(kms);
    const EncryptionContext: Record<string, string> = { order: "1" };
    const running = kms.encrypt({ KeyId, Plaintext: bytes("x"), EncryptionContext });
    EncryptionContext.order = "2";
    await running;
    expect((await events(1))[0]?.requestParameters).toMatchObject({ encryptionContext: { order: "1" } });
  });

  test("and a change that waits its turn is the one that was asked for", async () => {
    const { KeyId } = await newKey(kms);
    const input = { KeyId, Description: "first" };
    const first = kms.updateKeyDescription(input);
    input.Description = "second";
    const disabled = kms.disableKey({ KeyId });
    await first;
    expect((await kms.describeKey({ KeyId })).KeyMetadata?.Description).toBe("first");
    await disabled;
  });

  test("and no event has a plaintext, a ciphertext or a token in it", async () => {
    const { KeyId } = await newKey(kms);
    const secret = "a plaintext that must not be in the log";
    const grant = { KeyId, GranteePrincipal: kms.principal, Operations: ["Encrypt" as const] };
    const GrantTokens = [(await kms.createGrant(grant)).GrantToken as string];
    const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: bytes(secret), GrantTokens });
    await kms.decrypt({ CiphertextBlob, GrantTokens });
    await kms.encryptBatch({ KeyId, Entries: [{ Plaintext: bytes(secret) }], GrantTokens });
    await refusal(kms.encrypt({ KeyId, Plaintext: bytes(secret.repeat(200)) }));
    await refusal(kms.encrypt({ KeyId, Plaintext: secret as never }));
    const made = await kms.generateDataKey({ KeyId, KeySpec: "AES_256" });
    const log = await whole();
    for (const hidden of [
      secret,
      Buffer.from(secret).toString("base64"),
      GrantTokens[0],
      Buffer.from(CiphertextBlob ?? []).toString("base64"),
      Buffer.from(made.Plaintext ?? []).toString("base64"),
      Buffer.from(made.Plaintext ?? []).toString("hex"),
    ])
      expect(log).not.toContain(hidden);
  });
});

describe("a change", () => {
  /** What needs no disk is done, and so a change is decided and waits for its event. */
  const decided = async () => {
    for (let i = 0; i < 20; i++) await undefined;
  };
  const elsewhere = (statement: string, ...values: string[]) => {
    const database = openDatabase(join(directory, "keystead.db"), 0);
    try {
      database.exec("BEGIN IMMEDIATE");
      database.prepare(statement).run(...values);
      database.exec("UPDATE meta SET value = value + 1 WHERE name = 'generation'");
      database.exec("COMMIT");
    } finally {
      database.close();
    }
  };

  test("that another process overtook is decided anew", async () => {
    const { KeyId } = await newKey(kms);
    await kms.describeKey({ KeyId });
    const disabling = kms.disableKey({ KeyId });
    await decided();
    elsewhere("UPDATE keys SET description = 'theirs', revision = revision + 1 WHERE key_id = ?", KeyId);
    await disabling;
    const { KeyMetadata } = await kms.describeKey({ KeyId });
    expect([KeyMetadata?.KeyState, KeyMetadata?.Description]).toEqual(["Disabled", "theirs"]);
    const attempts = (await events(4)).filter(({ eventName }) => eventName === "DisableKey");
    expect(new Set(attempts.map(({ requestID }) => requestID)).size).toBe(1);
    expect(attempts.map(({ errorCode }) => errorCode)).toEqual([undefined, "ConflictException", undefined]);
  });

  test("to a key that another process deleted finds no key", async () => {
    const { KeyId, Arn } = await newKey(kms);
    await kms.describeKey({ KeyId });
    const disabling = refusal(kms.disableKey({ KeyId }));
    await decided();
    elsewhere("DELETE FROM keys WHERE key_id = ?", KeyId);
    expect(await disabling).toBe(`NotFoundException: Key '${Arn}' does not exist`);
  });
});

test("a stored policy or blob that was changed by hand is found out", async () => {
  const [moved, stolen, bent] = [await newKey(kms), await newKey(kms), await newKey(kms)];
  const database = openDatabase(join(directory, "keystead.db"), 0);
  const put = (statement: string, ...values: (string | Uint8Array)[]) =>
    database.prepare(statement).run(...values);
  const [blob] = database.prepare("SELECT blob FROM backing_keys WHERE key_id = ?").get(stolen.KeyId) ?? [];
  put("UPDATE backing_keys SET blob = ? WHERE key_id = ?", blob, moved.KeyId);
  put("UPDATE keys SET policy = '{' WHERE key_id = ?", bent.KeyId);
  database.exec("UPDATE meta SET value = value + 1 WHERE name = 'generation'");
  database.close();
  expect(await refusal(kms.encrypt({ KeyId: moved.KeyId, Plaintext: bytes("x") }))).toBe(
    `KMSInternalException: The stored material of ${moved.Arn} is damaged or was moved there from another key.`,
  );
  const Entries = [{ Plaintext: bytes("x") }];
  expect(await refusal(kms.encryptBatch({ KeyId: moved.KeyId, Entries }))).toMatch(/^KMSInternalException/);
  // On record while the HSM was still at it, and again once that had failed.
  const [begun, failed] = await events(2);
  expect([begun, failed]).toMatchObject([
    { eventName: "EncryptBatch", additionalEventData: { entries: 1 } },
    { eventName: "EncryptBatch", errorCode: "KMSInternalException" },
  ]);
  expect(begun?.errorCode).toBeUndefined();
  expect(failed?.requestID).toBe(begun?.requestID);
  await kms.encrypt({ KeyId: stolen.KeyId, Plaintext: bytes("x") });
  expect(await refusal(kms.encrypt({ KeyId: bent.KeyId, Plaintext: bytes("x") }))).toMatch(
    /^KMSInternalException/,
  );
});

describe("what fails below", () => {
  const engine = (name: string, code: string) => Object.assign(new Error("as it says"), { name, code });

  test.each([
    ["EngineError", "TOKEN_UNAVAILABLE", "KeyUnavailableException"],
    ["Pkcs11Error", "CKR_DEVICE_REMOVED", "KeyUnavailableException"],
    ["EngineError", "DEADLINE", "DependencyTimeoutException"],
    ["EngineError", "BINDING_MISMATCH", "KMSInternalException"],
    ["Pkcs11Error", "CKR_FUNCTION_FAILED", "KMSInternalException"],
    ["Error", "DEADLINE", "KMSInternalException"],
  ])("%s %s is told as %s, with its cause", (name, code, expected) => {
    const cause = engine(name, code);
    const error = failureOf(cause, ["arn:aws:kms:eu-west-1:111122223333:key/x"]);
    expect(error.name).toBe(expected);
    expect(error.cause).toBe(cause);
    expect(error.$fault).toBe("server");
    expect(error.message).not.toContain("as it says");
  });
});

test("no request, however large, makes a line that is none", async () => {
  const long = "x".repeat(2_000_000);
  const Plaintext = bytes("x");
  for (const run of [
    () => kms.createKey({ Description: long }),
    () => kms.request(long, {}),
    () => kms.describeKey({ KeyId: long }),
    () => kms.encrypt({ KeyId: "alias/none", Plaintext, EncryptionContext: { [long]: long } }),
    () =>
      kms.createKey({ Tags: Array.from({ length: 50_000 }, (_, i) => ({ TagKey: `${i}`, TagValue: "" })) }),
    () => kms.createKey({ Policy: "x".repeat(100_000) }),
    () => kms.listKeys({ Limit: long as never }),
  ])
    await refusal(run());
  const lines = (await whole()).split("\n");
  expect(Math.max(...lines.map(({ length }) => length))).toBeLessThan(300_000);
});

test("the trail's chain is whole", async () => {
  const report: AuditReport = await verify(
    join(directory, "audit"),
    await readFile(join(directory, "audit", "audit.pem"), "utf8"),
  );
  expect(report.problems).toEqual([]);
});

describe("when the event cannot be made durable", () => {
  const audit = () => join(directory, "audit");

  test("nothing leaves, nothing changes, and it goes on once the log is back", async () => {
    const { KeyId } = await newKey(kms);
    const { Keys } = await kms.listKeys({ Limit: 1000 });
    renameSync(audit(), `${audit()}.away`);
    for (const run of [
      () => kms.generateDataKey({ KeyId, KeySpec: "AES_256" }),
      () => kms.createKey(),
      () => kms.disableKey({ KeyId }),
      () => kms.encrypt({ KeyId: "alias/none", Plaintext: bytes("x") }),
    ]) {
      const error = await run().then(
        () => expect.fail("was answered"),
        (reason) => reason,
      );
      expect(error).toBeInstanceOf(KMSInternalException);
      expect(error.cause.name).toBe("AuditError");
      expect(error.message).toBe(
        "The request could not be recorded in the audit log, so that it is refused.",
      );
    }
    rmSync(audit(), { recursive: true, force: true });
    renameSync(`${audit()}.away`, audit());
    expect((await kms.listKeys({ Limit: 1000 })).Keys).toEqual(Keys);
    expect((await kms.describeKey({ KeyId })).KeyMetadata?.KeyState).toBe("Enabled");
    await kms.encrypt({ KeyId, Plaintext: bytes("x") });
  });
});
