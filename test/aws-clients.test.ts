import { type ExecFileOptions, execFile, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { devNull, tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ACCOUNT, openTestDeployment, REGION } from "./deployment.ts";

/** The AWS CLI and boto3 as distributions have them: `npm test` installs both where it may (setup/setup.mjs). */
const folders = ["/usr/bin", ...(process.env.PATH ?? "").split(delimiter)];
const aws = folders.map((folder) => join(folder, "aws")).find(existsSync);
const python = folders
  .map((folder) => join(folder, "python3"))
  .find((file) => existsSync(file) && spawnSync(file, ["-c", "import boto3"]).status === 0);

let url: string;
let environment: Record<string, string>;
const ANN = `arn:aws:iam::${ACCOUNT}:user/ann`;
const RANDOM = `arn:aws:iam::${ACCOUNT}:role/random`;
let ann: { AccessKeyId?: string | undefined; SecretAccessKey?: string | undefined };
const home = mkdtempSync(join(tmpdir(), "keystead-aws-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));

beforeAll(async () => {
  const { kms } = await openTestDeployment({ clock: Date.now });
  const { AccessKeyId = "", SecretAccessKey = "" } = await kms.createAccessKey();
  const allow = (statement: object) =>
    JSON.stringify({ Version: "2012-10-17", Statement: { Effect: "Allow", ...statement } });
  await kms.iam.createUser({ UserName: "ann" });
  await kms.iam.createRole({
    RoleName: "random",
    AssumeRolePolicyDocument: allow({ Principal: { AWS: ANN }, Action: "sts:AssumeRole" }),
  });
  await kms.iam.putPolicy({
    Principal: RANDOM,
    PolicyName: "random",
    PolicyDocument: allow({ Action: "kms:GenerateRandom", Resource: "*" }),
  });
  ann = await kms.createAccessKey({ Principal: ANN });
  ({ url } = await kms.listen());
  environment = {
    HOME: home,
    PATH: "/usr/bin:/bin",
    LANG: "C.UTF-8",
    AWS_ACCESS_KEY_ID: AccessKeyId,
    AWS_SECRET_ACCESS_KEY: SecretAccessKey,
    AWS_DEFAULT_REGION: REGION,
    AWS_CONFIG_FILE: devNull,
    AWS_SHARED_CREDENTIALS_FILE: devNull,
    AWS_EC2_METADATA_DISABLED: "true",
    AWS_PAGER: "",
  };
});

interface Ran {
  status: number;
  out: string;
  err: string;
}
function run(program: string, args: string[], options: ExecFileOptions = {}): Promise<Ran> {
  return new Promise((resolve) => {
    const settings = { env: environment, cwd: home, encoding: "utf8", ...options } as const;
    execFile(program, args, settings, (error, out, err) => {
      resolve({ status: error === null ? 0 : Number(error.code), out: String(out), err: String(err) });
    });
  });
}

/** What `aws kms …` prints, which is JSON or nothing. */
async function kms<T = Record<string, never>>(command: string, ...args: string[]): Promise<T> {
  const service = command === "get-caller-identity" ? "sts" : "kms";
  const { status, out, err } = await run(aws as string, ["--endpoint-url", url, service, command, ...args]);
  expect({ status, err }).toEqual({ status: 0, err: "" });
  return JSON.parse(out || "{}") as T;
}
async function refused(command: string, ...args: string[]): Promise<string> {
  const { status, err } = await run(aws as string, ["--endpoint-url", url, "kms", command, ...args]);
  // 254: the service answered with an error (the CLI's documentation of return codes); 255 in its version 1.
  expect([254, 255]).toContain(status);
  return err.trim();
}
/** A file with these bytes, as the CLI takes bytes. */
let files = 0;
function blob(content: string | Uint8Array): string {
  const file = join(home, `blob-${files++}`);
  writeFileSync(file, content);
  return `fileb://${file}`;
}
const fromBase64 = (text: string | undefined) => Buffer.from(text as string, "base64");

interface Metadata {
  KeyMetadata: { KeyId: string; Arn: string; KeyState: string; CreationDate: string; Description: string };
}
async function newKey(...args: string[]) {
  const { KeyMetadata } = await kms<Metadata>("create-key", ...args);
  return { id: KeyMetadata.KeyId, arn: KeyMetadata.Arn };
}
const describeKey = async (id: string) => (await kms<Metadata>("describe-key", "--key-id", id)).KeyMetadata;

test.runIf(process.getuid?.() === 0 && onDebian())("Debian has both", () => {
  expect({ aws, python }).toEqual({ aws: expect.any(String), python: expect.any(String) });
});

function onDebian(): boolean {
  const file = "/etc/os-release";
  return existsSync(file) && /^ID=debian$/m.test(readFileSync(file, "utf8"));
}

describe.skipIf(aws === undefined)("the AWS CLI", { concurrent: true, timeout: 180_000 }, () => {
  test("says who it is", async () => {
    expect(await kms("get-caller-identity")).toEqual({
      UserId: ACCOUNT,
      Account: ACCOUNT,
      Arn: `arn:aws:iam::${ACCOUNT}:root`,
    });
  });

  test("takes on a role", async () => {
    const as = (key: string | undefined, secret: string | undefined, token = "") => ({
      ...environment,
      AWS_ACCESS_KEY_ID: key as string,
      AWS_SECRET_ACCESS_KEY: secret as string,
      ...(token && { AWS_SESSION_TOKEN: token }),
    });
    const ask = (env: Record<string, string>, ...args: string[]) =>
      run(aws as string, ["--endpoint-url", url, ...args], { env });
    const asAnn = as(ann.AccessKeyId, ann.SecretAccessKey);
    const random = ["kms", "generate-random", "--number-of-bytes", "8"];
    expect((await ask(asAnn, ...random)).err).toMatch(/AccessDeniedException/);
    const role = ["--role-arn", RANDOM, "--role-session-name", "of-the-cli"];
    const assumed = await ask(asAnn, "sts", "assume-role", ...role);
    expect(assumed).toMatchObject({ status: 0, err: "" });
    const { Credentials } = JSON.parse(assumed.out);
    expect(Math.abs(Date.parse(Credentials.Expiration) - Date.now() - 3_600_000)).toBeLessThan(600_000);
    const session = as(Credentials.AccessKeyId, Credentials.SecretAccessKey, Credentials.SessionToken);
    expect(await ask(session, ...random)).toMatchObject({ status: 0, err: "" });
    const { out } = await ask(session, "sts", "get-caller-identity");
    const Arn = `arn:aws:sts::${ACCOUNT}:assumed-role/random/of-the-cli`;
    expect(JSON.parse(out)).toMatchObject({ Account: ACCOUNT, Arn });
  });

  test("keys", async () => {
    const { id, arn } = await newKey("--description", "of the CLI ሴ");
    const described = await describeKey(arn);
    expect(described).toMatchObject({ KeyId: id, KeyState: "Enabled", Description: "of the CLI ሴ" });
    expect(Math.abs(Date.parse(described.CreationDate) - Date.now())).toBeLessThan(600_000);
    await kms("disable-key", "--key-id", id);
    expect(await refused("encrypt", "--key-id", id, "--plaintext", blob("x"))).toBe(
      `An error occurred (DisabledException) when calling the Encrypt operation: ${arn} is disabled.`,
    );
    await newKey();
    type Listed = { Keys: { KeyId: string }[]; NextToken?: string };
    const all = await kms<Listed>("list-keys", "--page-size", "1");
    expect(all.Keys.map((key) => key.KeyId)).toContain(id);
    const one = ["--page-size", "1", "--max-items", "1"];
    const { Keys: [first] = [], NextToken = "" } = await kms<Listed>("list-keys", ...one);
    const { Keys: [second] = [] } = await kms<Listed>("list-keys", ...one, "--starting-token", NextToken);
    expect((second?.KeyId as string) > (first?.KeyId as string)).toBe(true);
    await kms("schedule-key-deletion", "--key-id", id, "--pending-window-in-days", "7");
    expect((await describeKey(id)).KeyState).toBe("PendingDeletion");
  });

  test("aliases", async () => {
    const { id } = await newKey();
    const alias = ["--alias-name", "alias/of-the-cli"];
    await kms("create-alias", ...alias, "--target-key-id", id);
    const { Aliases } = await kms<{ Aliases: object[] }>("list-aliases", "--key-id", id);
    expect(Aliases).toMatchObject([{ AliasName: "alias/of-the-cli", TargetKeyId: id }]);
    await kms("delete-alias", ...alias);
    expect(await refused("describe-key", "--key-id", "alias/of-the-cli")).toMatch(
      /\(NotFoundException\) when calling the DescribeKey operation: Alias \S+ is not found\.$/,
    );
  });

  test("encryption", async () => {
    const one = await newKey();
    const context = ["--encryption-context", "tenant=7,place=Zürich"];
    const plaintext = Uint8Array.from({ length: 256 }, (_, i) => i);
    const sealed = await kms("encrypt", "--key-id", one.id, "--plaintext", blob(plaintext), ...context);
    const ciphertext = blob(fromBase64(sealed.CiphertextBlob));
    const opened = await kms("decrypt", "--ciphertext-blob", ciphertext, ...context);
    expect(opened).toMatchObject({ KeyId: one.arn, EncryptionAlgorithm: "SYMMETRIC_DEFAULT" });
    expect(fromBase64(opened.Plaintext)).toEqual(Buffer.from(plaintext));
    expect(await refused("decrypt", "--ciphertext-blob", ciphertext)).toMatch(
      /\(InvalidCiphertextException\)/,
    );
    const { Plaintext } = await kms("generate-random", "--number-of-bytes", "32");
    expect(fromBase64(Plaintext)).toHaveLength(32);
  });

  test("data keys", async () => {
    const { id } = await newKey();
    const made = await kms("generate-data-key", "--key-id", id, "--key-spec", "AES_256");
    const opened = await kms("decrypt", "--ciphertext-blob", blob(fromBase64(made.CiphertextBlob)));
    expect(opened.Plaintext).toBe(made.Plaintext);
  });

  test("signatures, which openssl verifies", async () => {
    const { id } = await newKey("--key-spec", "ECC_NIST_P256", "--key-usage", "SIGN_VERIFY");
    const message = blob("signed by the CLI");
    const how = ["--key-id", id, "--message", message, "--signing-algorithm", "ECDSA_SHA_256"];
    const signature = blob(fromBase64((await kms("sign", ...how)).Signature));
    const verified = await kms<object>("verify", ...how, "--signature", signature);
    expect(verified).toMatchObject({ SignatureValid: true });
    const publicKey = blob(fromBase64((await kms("get-public-key", "--key-id", id)).PublicKey));
    const path = (url: string) => url.slice("fileb://".length);
    const openssl = await run("openssl", [
      ...["dgst", "-sha256", "-keyform", "DER", "-verify", path(publicKey)],
      ...["-signature", path(signature), path(message)],
    ]);
    expect(openssl).toEqual({ status: 0, out: "Verified OK\n", err: "" });
  });

  test("MACs", async () => {
    const { id } = await newKey("--key-spec", "HMAC_256", "--key-usage", "GENERATE_VERIFY_MAC");
    const how = ["--key-id", id, "--message", blob("a message"), "--mac-algorithm", "HMAC_SHA_256"];
    const { Mac } = await kms("generate-mac", ...how);
    const verified = await kms<object>("verify-mac", ...how, "--mac", blob(fromBase64(Mac)));
    expect(verified).toMatchObject({ MacValid: true });
  });

  test("grants", async () => {
    const { id } = await newKey();
    const key = ["--key-id", id];
    const { GrantId } = await kms(
      "create-grant",
      ...key,
      ...["--grantee-principal", RANDOM, "--operations", "Encrypt", "Decrypt"],
      ...["--constraints", "EncryptionContextSubset={tenant=7}"],
    );
    const { Grants } = await kms<{ Grants: object[] }>("list-grants", ...key);
    expect(Grants).toMatchObject([
      { GrantId, GranteePrincipal: RANDOM, Constraints: { EncryptionContextSubset: { tenant: "7" } } },
    ]);
  });

  test("tags, policies and rotation", async () => {
    const { id } = await newKey("--tags", "TagKey=a,TagValue=1");
    const key = ["--key-id", id];
    await kms("tag-resource", ...key, "--tags", "TagKey=b,TagValue=2");
    const { Tags } = await kms<{ Tags: object[] }>("list-resource-tags", ...key);
    expect(Tags).toEqual([
      { TagKey: "a", TagValue: "1" },
      { TagKey: "b", TagValue: "2" },
    ]);
    const named = [...key, "--policy-name", "default"];
    const policy = JSON.parse((await kms("get-key-policy", ...named)).Policy as never);
    await kms("put-key-policy", ...named, "--policy", JSON.stringify({ ...policy, Id: "of the CLI" }));
    expect(JSON.parse((await kms("get-key-policy", ...named)).Policy as never)).toEqual({
      ...policy,
      Id: "of the CLI",
    });
    await kms("enable-key-rotation", ...key);
    expect(await kms<object>("get-key-rotation-status", ...key)).toMatchObject({ KeyRotationEnabled: true });
  });

  test("import of what openssl has encrypted", async () => {
    const { id } = await newKey("--origin", "EXTERNAL");
    const wrapping = ["--wrapping-algorithm", "RSAES_OAEP_SHA_256", "--wrapping-key-spec", "RSA_2048"];
    const given = await kms("get-parameters-for-import", "--key-id", id, ...wrapping);
    const path = (content: Uint8Array) => blob(content).slice("fileb://".length);
    const encrypted = join(home, "encrypted-material");
    const oaep = ["rsa_padding_mode:oaep", "rsa_oaep_md:sha256", "rsa_mgf1_md:sha256"];
    const sealed = await run("openssl", [
      ...["pkeyutl", "-encrypt", "-pubin", "-keyform", "DER", "-inkey", path(fromBase64(given.PublicKey))],
      ...[
        "-in",
        path(Buffer.alloc(32, 7)),
        "-out",
        encrypted,
        ...oaep.flatMap((option) => ["-pkeyopt", option]),
      ],
    ]);
    expect(sealed).toMatchObject({ status: 0 });
    await kms(
      "import-key-material",
      ...["--key-id", id, "--import-token", blob(fromBase64(given.ImportToken))],
      ...["--encrypted-key-material", `fileb://${encrypted}`],
      ...["--expiration-model", "KEY_MATERIAL_DOES_NOT_EXPIRE"],
    );
    expect((await describeKey(id)).KeyState).toBe("Enabled");
  });
});

describe.skipIf(python === undefined)("boto3", { concurrent: true, timeout: 180_000 }, () => {
  const script = join(import.meta.dirname, "aws-clients.py");
  const families = [...readFileSync(script, "utf8").matchAll(/^def (\w+)\(\):/gm)].map(
    ([, name]) => name as string,
  );

  test("has families to ask of", () => expect(families.length).toBeGreaterThan(10));

  test.each(families)("%s", async (family) => {
    const ran = await run(python as string, [script, url, family]);
    expect(ran).toEqual({ status: 0, out: `${family} as told\n`, err: "" });
  });
});
