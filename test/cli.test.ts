import { execFileSync, type SpawnOptions, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CliError, EXIT } from "../lib/cli/exit.ts";
import { failureOf, Located } from "../lib/cli/failure.ts";
import { bytes, duration, many } from "../lib/cli/quantity.ts";
import { harmless, Terminal } from "../lib/cli/terminal.ts";
import { NotFoundException } from "../lib/errors.ts";
import { findSoftHsm } from "../lib/hsm.ts";

const cli = join(import.meta.dirname, "../dist/cli.js");
const root = mkdtempSync(join(tmpdir(), "keystead-cli-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
/** Where every command runs, and so where ./.keystead lies. */
const home = join(root, "home");
mkdirSync(home);

interface Run {
  status: number | null;
  out: string;
  err: string;
}

interface RunOptions {
  input?: string | Uint8Array;
  cwd?: string;
  env?: NodeJS.ProcessEnv;
}

/** Runs the compiled command line in a process of its own; bytes of its output are latin1 characters. */
function keystead(args: string[], { input = "", cwd = home, env = {} }: RunOptions = {}): Promise<Run> {
  const { KEYSTEAD_DIRECTORY, FORCE_COLOR, ...inherited } = process.env;
  const child = start([process.execPath, cli, ...args], { cwd, env: { ...inherited, ...env } });
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  return ended(child);
}

interface Started {
  stdin: Writable;
  stdout: Readable;
  stderr: Readable;
  kill(signal: NodeJS.Signals): boolean;
  once(event: "close", listener: (status: number | null) => void): unknown;
}

function start([command, ...args]: string[], options: SpawnOptions): Started {
  return spawn(command as string, args, { ...options, stdio: "pipe" }) as Started;
}

function ended(child: Started): Promise<Run> {
  let out = "";
  let err = "";
  child.stdout.on("data", (data: Buffer) => {
    out += data.toString("latin1");
  });
  child.stderr.on("data", (data: Buffer) => {
    err += data.toString();
  });
  return new Promise((done) => child.once("close", (status) => done({ status, out, err })));
}

/** The answer in JSON of a command that succeeds. */
async function json<T = Record<string, never>>(...args: string[]): Promise<T> {
  const { status, out, err } = await keystead([...args, "--json"]);
  expect(err).toBe("");
  expect(status).toBe(EXIT.ok);
  return JSON.parse(Buffer.from(out, "latin1").toString()) as T;
}

async function refused(exit: number, ...args: string[]): Promise<string> {
  const { status, out, err } = await keystead(args);
  expect(out).toBe("");
  expect(err).toMatch(/^keystead: [^\n]+\n$/);
  expect({ err, status }).toEqual({ err, status: exit });
  return err;
}

const keyId = async (alias: string) => (await json<Key>("key", "describe", alias)).KeyMetadata.KeyId;

interface Key {
  KeyMetadata: { KeyId: string; Arn: string; KeyState: string };
}

let key: Key["KeyMetadata"];
beforeAll(async () => {
  await json("init", "--account", "111122223333", "--region", "eu-west-1");
  key = (await json<Key>("key", "create", "--alias", "orders", "--description", "Orders")).KeyMetadata;
});

describe("setting up", () => {
  test("makes a deployment that is private to its owner, once", async () => {
    const config = JSON.parse(readFileSync(join(home, ".keystead/keystead.json"), "utf8"));
    expect(config).toEqual({ region: "eu-west-1", account: "111122223333" });
    for (const name of ["keystead.json", "keystead.db", "pin", "so-pin"])
      expect(statSync(join(home, ".keystead", name)).mode & 0o077, name).toBe(0);
    expect(await refused(EXIT.failure, "init")).toContain("is set up already; see keystead doctor, edit ");
  });

  test("is said when another command does it", async () => {
    const directory = join(root, "first-use");
    const { status, err } = await keystead(["--directory", directory, "key", "list"]);
    expect({ status, err }).toEqual({
      status: EXIT.ok,
      err: `keystead: setting up ${directory} with a SoftHSM token of its own\n`,
    });
    expect((await keystead(["--directory", directory, "key", "list"])).err).toBe("");
  });

  test("says what is wrong with an account, a Region, a module, and options that need each other", async () => {
    const at = ["--directory", join(root, "never")];
    expect(await refused(EXIT.usage, ...at, "init", "--account", "12")).toContain("12 digits");
    expect(await refused(EXIT.usage, ...at, "init", "--region", "Mars")).toContain("must be a Region");
    expect(await refused(EXIT.tokenUnavailable, ...at, "init", "--module", "/no/such.so")).toMatch(
      /no PKCS#11 module \/no\/such\.so; give the path of the \.so file/,
    );
    expect(await refused(EXIT.usage, ...at, "init", "--token", "x")).toContain("need --module");
    expect(existsSync(join(root, "never", "keystead.json"))).toBe(false);
  });

  describe("on a token that is there already", () => {
    const module = findSoftHsm() as string;
    const env = { SOFTHSM2_CONF: join(home, ".keystead/softhsm2.conf") };
    const init = (directory: string, ...args: string[]) => [
      ...["--directory", join(root, directory), "init", "--module", module, "--token", "keystead", ...args],
    ];

    test("a wrong PIN is named as such, appears nowhere, and can be put right", async () => {
      const pin = join(root, "wrong-pin");
      writeFileSync(pin, "secret-but-wrong\n");
      const { status, out, err } = await keystead(init("named", "--pin-file", pin), { env });
      expect({ status, out }).toEqual({ status: EXIT.tokenUnavailable, out: "" });
      expect(err).toMatch(/CKR_PIN_INCORRECT; the PIN is wrong; it was tried once and is not tried again/);
      expect(err).not.toContain("secret-but-wrong");
      const right = init("named", "--pin-file", join(home, ".keystead/pin"));
      expect((await keystead(right, { env })).status).toBe(EXIT.ok);
      const doctor = await keystead(["--directory", join(root, "named"), "doctor"], { env });
      expect(doctor).toMatchObject({ status: EXIT.ok });
    });

    test("a PIN comes from an environment variable too, and one that is not set is named", async () => {
      const args = init("variable", "--pin-env", "HSM_PIN");
      expect((await keystead(args, { env })).err).toContain("HSM_PIN, which is not set");
      const HSM_PIN = readFileSync(join(home, ".keystead/pin"), "utf8").trim();
      expect((await keystead(args, { env: { ...env, HSM_PIN } })).status).toBe(EXIT.ok);
    });

    test("another token's label is named", async () => {
      const args = [...init("label"), "--pin-file", join(home, ".keystead/pin"), "--token", "other"];
      const { status, err } = await keystead(args, { env });
      expect(status).toBe(EXIT.tokenUnavailable);
      expect(err).toContain("other");
    });

    test("without a terminal there is nobody to ask for the PIN", async () => {
      const { status, err } = await keystead(init("asked"), { env });
      expect({ status, err }).toEqual({
        status: EXIT.usage,
        err: "keystead: the PIN is needed, and there is no terminal to ask for it; give --pin-file\n",
      });
    });

    test.skipIf(!existsSync("/usr/bin/script"))(
      "a PIN that is typed is not shown, and kept privately",
      async () => {
        const pin = readFileSync(join(home, ".keystead/pin"), "utf8").trim();
        const line = [process.execPath, cli, ...init("typed")].map((word) => `'${word}'`).join(" ");
        const child = start(["script", "-qec", line, "/dev/null"], {
          cwd: home,
          env: { ...process.env, ...env },
        });
        child.stdout.once("data", () => child.stdin.write(`wrong\x7f\x7f\x7f\x7f\x7f${pin}\r`));
        const { status, out } = await ended(child);
        expect(out).toContain("PIN of the user of keystead: ");
        expect(status).toBe(EXIT.ok);
        expect(out).not.toContain(pin);
        expect(out).not.toContain("wrong");
        expect(statSync(join(root, "typed/pin")).mode & 0o777).toBe(0o600);
        const described = await keystead(["--directory", join(root, "typed"), "key", "list"], { env });
        expect(described.status).toBe(EXIT.ok);
      },
    );
  });
});

describe("keys and aliases", () => {
  test("are made, listed and described, for people and for programs", async () => {
    const { Keys } = await json<{ Keys: (Key["KeyMetadata"] & { Aliases: string[] })[] }>("key", "list");
    expect(Keys.find(({ KeyId }) => KeyId === key.KeyId)).toMatchObject({
      Arn: `arn:aws:kms:eu-west-1:111122223333:key/${key.KeyId}`,
      Description: "Orders",
      Aliases: ["alias/orders"],
    });
    const { out } = await keystead(["key", "list"]);
    expect(out.split("\n")[0]).toMatch(/^KEY +STATE +SPEC +MADE +ALIASES +DESCRIPTION$/);
    expect(out).toContain(`${key.KeyId}  Enabled  SYMMETRIC_DEFAULT`);
    for (const reference of [key.KeyId, key.Arn, "alias/orders"])
      expect((await json<Key>("key", "describe", reference)).KeyMetadata.KeyId).toBe(key.KeyId);
    expect((await json<{ Aliases: object[] }>("alias", "list")).Aliases).toContainEqual(
      expect.objectContaining({ AliasName: "alias/orders", TargetKeyId: key.KeyId }),
    );
  });

  test("pass through their states", async () => {
    const { KeyMetadata } = await json<Key>("key", "create", "--alias", "alias/states", "--tag", "team=a");
    const state = async () => (await json<Key>("key", "describe", "alias/states")).KeyMetadata.KeyState;
    await json("key", "disable", "alias/states");
    expect(await state()).toBe("Disabled");
    expect(await refused(EXIT.wrongState, "data-key", "--key", "alias/states")).toMatch(
      /is disabled; enable it with keystead key enable\n$/,
    );
    await json("key", "enable", KeyMetadata.KeyId);
    expect(await json("key", "delete", "alias/states", "--days", "7")).toMatchObject({
      PendingWindowInDays: 7,
    });
    expect(await state()).toBe("PendingDeletion");
    expect(await refused(EXIT.wrongState, "key", "enable", "alias/states")).toContain("pending deletion");
    await json("key", "cancel-delete", "alias/states");
    expect(await state()).toBe("Disabled");
    expect(await refused(EXIT.usage, "key", "delete", "alias/states", "--days", "3")).toContain(
      "from 7 to 30",
    );
  });

  test("names are given, changed and taken away", async () => {
    const { KeyMetadata } = await json<Key>("key", "create");
    await json("alias", "create", "moving", key.KeyId);
    await json("alias", "update", "alias/moving", KeyMetadata.KeyId);
    expect((await json<Key>("key", "describe", "alias/moving")).KeyMetadata.KeyId).toBe(KeyMetadata.KeyId);
    expect(await refused(EXIT.failure, "alias", "create", "moving", key.KeyId)).toContain(
      "choose another name",
    );
    await json("alias", "delete", "moving");
    expect(await refused(EXIT.notFound, "key", "describe", "alias/moving")).toMatch(
      /^keystead: alias \S+ is not found; list them with keystead alias list\n$/,
    );
    expect(await refused(EXIT.notFound, "key", "describe", "moving")).toContain(
      "give a key id, a key ARN or alias/NAME",
    );
  });

  test("a policy is read from a file and decides", async () => {
    const bob = "arn:aws:iam::111122223333:user/bob";
    const policy = join(root, "policy.json");
    const allow = (Principal: string, Action: string) => ({
      Effect: "Allow",
      Principal: { AWS: Principal },
      Action,
      Resource: "*",
    });
    const write = (...Statement: object[]) =>
      writeFileSync(policy, JSON.stringify({ Version: "2012-10-17", Statement }));
    const administrators = allow("arn:aws:iam::111122223333:root", "kms:*");
    write(administrators, allow(bob, "kms:DescribeKey"));
    await json("key", "create", "--alias", "guarded", "--policy", policy);
    await json("--as", bob, "key", "describe", "alias/guarded");
    const { Keys } = await json<{ Keys: Partial<Key["KeyMetadata"]>[] }>("--as", bob, "key", "list");
    expect(Keys.map(({ KeyState }) => KeyState).filter(Boolean)).toEqual(["Enabled"]);
    expect(Keys.length).toBeGreaterThan(1);
    expect(await refused(EXIT.accessDenied, "--as", bob, "data-key", "-k", "alias/guarded")).toMatch(
      /user: arn:aws:iam::111122223333:user\/bob is not authorized to perform: kms:GenerateDataKey.*; see why with keystead explain/,
    );
    write(administrators, allow(bob, "kms:GenerateDataKey*"));
    await json("key", "policy", "alias/guarded", "--put", policy);
    expect((await keystead(["key", "policy", "alias/guarded"])).out).toContain('"kms:GenerateDataKey*"');
    await json(
      "--as",
      bob,
      "data-key",
      "-k",
      key.Arn.replace(key.KeyId, "") + (await keyId("alias/guarded")),
    );
    expect(await refused(EXIT.accessDenied, "--as", bob, "key", "describe", "alias/guarded")).toContain(
      "kms:DescribeKey",
    );
    expect(await refused(EXIT.usage, "--as", "bob", "key", "list")).toContain("is no principal");
  });
});

describe("encrypt and decrypt", () => {
  const at = (name: string) => join(home, name);
  const context = ["--context", "tenant=7", "--context", "path=a=b"];
  const all = Uint8Array.from({ length: 300_000 }, (_, i) => (i * i) >> 3);

  test("pass standard input to standard output", async () => {
    const sealed = await keystead(["encrypt", "--key", "alias/orders", ...context], { input: all });
    expect(sealed).toMatchObject({ status: EXIT.ok, err: "" });
    const input = Buffer.from(sealed.out, "latin1");
    const opened = await keystead(["decrypt", "-", ...context], { input });
    expect(opened).toMatchObject({ status: EXIT.ok, err: "" });
    expect(Buffer.from(opened.out, "latin1").equals(all)).toBe(true);
    const wrong = await keystead(["decrypt", "--context", "tenant=8"], { input });
    expect(wrong).toMatchObject({ status: EXIT.notVerified, out: "" });
    expect(wrong.err).toMatch(/"tenant"; give --context as it was when encrypting\n$/);
    const cut = await keystead(["decrypt"], { input: input.subarray(0, 200_000) });
    expect(cut.status).toBe(EXIT.notVerified);
    // What came out before is whole frames of the plaintext; the status says that it is not all.
    expect(Buffer.from(all).toString("latin1").startsWith(cut.out)).toBe(true);
    const noise = await keystead(["decrypt"], { input: "nothing of ours" });
    expect(noise.status).toBe(EXIT.notVerified);
  });

  test("pass a file to a file, which no failure leaves behind in part", async () => {
    writeFileSync(at("letter"), all);
    const files = await json<{ Files: object[] }>("encrypt", "letter", "-k", "alias/orders", ...context);
    expect(files.Files).toMatchObject([
      { From: "letter", To: "letter.keystead", Read: all.length, EncryptionContext: { tenant: "7" } },
    ]);
    expect(await refused(EXIT.failure, "encrypt", "letter", "-k", "alias/orders")).toContain(
      "exists already",
    );
    const names = readdirSync(home);
    const sealed = readFileSync(at("letter.keystead"));
    for (const position of [0, 100, sealed.length >> 1, sealed.length - 1]) {
      const damaged = Buffer.from(sealed);
      damaged[position] = (damaged[position] as number) ^ 1;
      writeFileSync(at("damaged.keystead"), damaged);
      expect((await keystead(["decrypt", "damaged.keystead"])).status, `byte ${position}`).not.toBe(EXIT.ok);
      expect(existsSync(at("damaged"))).toBe(false);
    }
    rmSync(at("damaged.keystead"));
    expect(
      await refused(EXIT.notVerified, "decrypt", "letter.keystead", "-o", "x", "--context", "a=b"),
    ).toContain("letter.keystead: ");
    expect(readdirSync(home)).toEqual(names);
    await json("decrypt", "letter.keystead", "-o", "opened", "--key", "alias/orders");
    expect(readFileSync(at("opened")).equals(all)).toBe(true);
    expect(statSync(at("opened")).mode & 0o777).toBe(0o600);
    await json("decrypt", "letter.keystead", "--force");
    const toOutput = await keystead(["decrypt", "letter.keystead", "-o", "-"]);
    expect(Buffer.from(toOutput.out, "latin1").equals(all)).toBe(true);
    const fromInput = await keystead(["decrypt", "-o", "from-input"], { input: sealed });
    expect(fromInput.status).toBe(EXIT.ok);
    expect(readFileSync(at("from-input")).equals(all)).toBe(true);
  });

  test("refuse what they cannot do, and say what instead", async () => {
    writeFileSync(at("plain"), "hello");
    expect(await refused(EXIT.failure, "key", "create", "--policy", "no-such-file")).toContain(
      "check the path",
    );
    expect(await refused(EXIT.failure, "encrypt", "no-such-file", "-k", "alias/orders")).toContain(
      "no such file",
    );
    for (const command of ["encrypt", "decrypt"]) {
      const toOutput = [command, "-k", "alias/orders", "-o", "-"];
      expect(await refused(EXIT.failure, ...toOutput, "none")).toBe(
        "keystead: no such file or directory: none\n",
      );
      expect(await refused(EXIT.usage, ...toOutput, ".")).toContain("is a directory; give one file");
    }
    const ofNone = ["encrypt-records", "-k", "alias/orders", "--fields", "a", "none"];
    expect(await refused(EXIT.failure, ...ofNone)).toBe("keystead: no such file or directory: none\n");
    expect(await refused(EXIT.usage, "encrypt", "plain")).toContain("--key");
    expect(await refused(EXIT.usage, "decrypt", "plain")).toContain("give -o");
    expect(await refused(EXIT.usage, "encrypt", "plain", "-k", "k", "--context", "tenant")).toContain(
      "NAME=VALUE",
    );
    expect(
      await refused(EXIT.usage, "encrypt", "plain", "-k", "k", "--context", "a=1", "--context", "a=2"),
    ).toContain("given twice");
    expect(await refused(EXIT.notFound, "encrypt", "plain", "-k", "alias/none")).toContain(
      "keystead alias list",
    );
    expect(existsSync(at("plain.keystead"))).toBe(false);
    const both = await keystead(["decrypt", "--json"]);
    expect(both).toMatchObject({ status: EXIT.usage, out: "" });
    expect(JSON.parse(both.err)).toMatchObject({ hint: "give -o FILE" });
  });

  test("pass directories and several files, their layout kept", async () => {
    for (const name of ["tree/a/b", "tree/c"]) mkdirSync(at(name), { recursive: true });
    const contents = {
      "tree/1": "one",
      "tree/a/2": "",
      "tree/a/b/3": "three",
      "tree/c/4": "x".repeat(100_000),
    };
    for (const [name, text] of Object.entries(contents)) writeFileSync(at(name), text);
    await json("encrypt", "tree", "-k", "alias/orders");
    expect(readdirSync(at("tree.keystead"), { recursive: true }).sort()).toEqual([
      ".keystead-manifest",
      "1.keystead",
      "a",
      "a/2.keystead",
      "a/b",
      "a/b/3.keystead",
      "c",
      "c/4.keystead",
    ]);
    await json("decrypt", "tree.keystead/", "-o", "again");
    for (const [name, text] of Object.entries(contents))
      expect(readFileSync(at(name.replace("tree", "again")), "utf8")).toBe(text);
    await json("encrypt", "tree/1", "tree/c", "-k", "alias/orders", "-o", "several");
    expect(readdirSync(at("several")).sort()).toEqual(["1.keystead", "c.keystead"]);
    writeFileSync(at("tree.keystead/a/b/3.keystead"), "damaged");
    writeFileSync(at("tree.keystead/notes.txt"), "not encrypted");
    const { status, err } = await keystead(["decrypt", "tree.keystead", "-o", "third"]);
    expect(status).toBe(EXIT.notVerified);
    expect(err).toMatch(/left out 1 entry that cannot be decrypted, e\.g\. tree\.keystead\/notes\.txt\n/);
    expect(err).toMatch(/keystead: tree\.keystead\/a\/b\/3\.keystead: .* of 4 files were done before\)/);
    expect(existsSync(at("third/a/b/3"))).toBe(false);
  });

  test("go on with a directory where a run before stopped, and say what they would do", async () => {
    mkdirSync(at("trunk"));
    for (const name of ["1", "2", "3"]) writeFileSync(at(`trunk/${name}`), name);
    const encrypt = (...args: string[]) =>
      json<{ Files: { From: string; To: string; Sha256: string }[]; Resumed: number; DryRun: boolean }>(
        ...["encrypt", "trunk", "-k", "alias/orders", ...args],
      );
    expect(await encrypt("--dry-run")).toMatchObject({ DryRun: true, Files: [{ From: "trunk/1" }, {}, {}] });
    expect(existsSync(at("trunk.keystead"))).toBe(false);
    expect((await encrypt()).Resumed).toBe(0);
    writeFileSync(at("trunk/4"), "4");
    const again = await encrypt();
    expect(again).toMatchObject({ Resumed: 3, Files: [{}, {}, {}, { To: "trunk.keystead/4.keystead" }] });
    const sealed = readFileSync(at("trunk.keystead/1.keystead"));
    expect(again.Files[0]?.Sha256).toBe(createHash("sha256").update(sealed).digest("hex"));
    expect(await refused(EXIT.usage, "encrypt", "trunk/1", "-k", "alias/orders", "--dry-run")).toContain(
      "--dry-run",
    );
  });

  test("replace no file by another of the same run, and no device", async () => {
    for (const name of ["north", "south"]) {
      mkdirSync(at(name));
      writeFileSync(at(`${name}/same`), name);
    }
    const both = ["encrypt", "north/same", "south/same", "-k", "alias/orders", "-o", "both/"];
    expect(await refused(EXIT.usage, ...both)).toContain("both become both/same.keystead");
    expect(readdirSync(home)).not.toContain("both");
    const onto = ["encrypt", "north/same", "-k", "alias/orders", "-f", "-o", "/dev/null"];
    expect(await refused(EXIT.usage, ...onto)).toContain("no regular file");
    expect(statSync("/dev/null").isCharacterDevice()).toBe(true);
  });

  test("sign, take several keys, and hold what is signed", async () => {
    await json("key", "create", "--alias", "second");
    const keys = ["-k", "alias/orders", "-k", "alias/second"];
    const { out } = await keystead(["encrypt", "--signed", ...keys], { input: "signed text" });
    const sealed = Buffer.from(out, "latin1");
    expect(sealed.readUInt16BE(1)).toBe(0x0578);
    for (const key of ["alias/orders", "alias/second"]) {
      const opened = await keystead(["decrypt", "--hold", "-k", key], { input: sealed });
      expect(opened).toMatchObject({ status: EXIT.ok, out: "signed text" });
    }
    sealed[sealed.length - 1] = (sealed.at(-1) as number) ^ 1;
    expect(await keystead(["decrypt", "--hold"], { input: sealed })).toMatchObject({
      status: EXIT.notVerified,
      out: "",
    });
  });

  test("rewrap puts files under another key in their place, and leaves what fails", async () => {
    const other = await json<Key>("key", "create", "--alias", "rewrapped");
    mkdirSync(at("moving"));
    for (const name of ["1", "2"]) writeFileSync(at(`moving/${name}`), name.repeat(100_000));
    await json("encrypt", "moving", "-k", "alias/orders", "--context", "tenant=7");
    for (const more of [[], ["--keep-body"]]) {
      const moved = await json<{ Files: string[] }>(
        "rewrap",
        "moving.keystead",
        "-k",
        "alias/rewrapped",
        ...more,
      );
      expect(moved.Files).toEqual(["moving.keystead/1.keystead", "moving.keystead/2.keystead"]);
      const sealed = readFileSync(at("moving.keystead/1.keystead"));
      expect(sealed.includes(other.KeyMetadata.Arn)).toBe(true);
      expect(sealed.includes(await keyId("alias/orders"))).toBe(false);
    }
    const manifest = readFileSync(at("moving.keystead/.keystead-manifest"), "utf8");
    expect(manifest).toContain(
      createHash("sha256")
        .update(readFileSync(at("moving.keystead/2.keystead")))
        .digest("hex"),
    );
    const none = await keystead([
      "rewrap",
      "moving.keystead",
      "-k",
      "alias/rewrapped",
      "--from",
      "alias/orders",
    ]);
    expect(none).toMatchObject({ status: EXIT.ok, out: "rewrapped 0 files\n" });
    expect(none.err).toMatch(/left 2 entries as they are, e\.g\. moving\.keystead\/1\.keystead\n$/);
    await json("decrypt", "moving.keystead", "-o", "moved", "--context", "tenant=7");
    expect(readFileSync(at("moved/2"), "utf8")).toBe("2".repeat(100_000));
    const before = readFileSync(at("moving.keystead/1.keystead"));
    const wrong = ["rewrap", "moving.keystead/1.keystead", "-k", "alias/orders", "--context", "tenant=8"];
    expect(await refused(EXIT.notVerified, ...wrong)).toContain("it is as it was");
    expect(readFileSync(at("moving.keystead/1.keystead")).equals(before)).toBe(true);
  });

  test("stop at Ctrl-C without leaving half a file", async () => {
    const args = ["encrypt", "-k", "alias/orders", "-o", "half"];
    const child = start([process.execPath, cli, ...args], { cwd: home });
    child.stdin.on("error", () => {});
    child.stdin.write(Buffer.alloc(8 << 20));
    const run = ended(child);
    await expect
      .poll(() => readdirSync(home).some((name) => name.endsWith(".tmp")), { timeout: 10_000 })
      .toBe(true);
    child.kill("SIGINT");
    expect(await run).toMatchObject({
      status: EXIT.interrupted,
      err: "keystead: interrupted; nothing half done is left\n",
    });
    expect(readdirSync(home).filter((name) => /\.tmp$|^half/.test(name))).toEqual([]);
  });
});

describe("data-key", () => {
  test("comes encrypted, and in the clear only where it is told to", async () => {
    const alone = await keystead(["data-key", "-k", "alias/orders"]);
    expect(alone.out).toMatch(/^[A-Za-z0-9+/]+=*\n$/);
    const file = join(home, "data.key");
    const output = await json("data-key", "-k", "alias/orders", "--plaintext", file, "--context", "a=b");
    expect(Object.keys(output)).not.toContain("Plaintext");
    expect(readFileSync(file)).toHaveLength(32);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(await refused(EXIT.failure, "data-key", "-k", "alias/orders", "--plaintext", file)).toContain(
      "a data key never replaces a file",
    );
    const shown = await json<{ Plaintext: string }>(
      "data-key",
      "-k",
      "alias/orders",
      "--plaintext",
      "-",
      "--bytes",
      "7",
    );
    expect(Buffer.from(shown.Plaintext, "base64")).toHaveLength(7);
    expect(await refused(EXIT.usage, "data-key", "-k", "k", "--spec", "AES_256", "--bytes", "7")).toContain(
      "both given",
    );
    expect(await refused(EXIT.usage, "data-key", "-k", "alias/orders", "--spec", "DES")).toContain("AES_256");
  });
});

describe("audit", () => {
  test("tail shows who asked what of which key, and verify that it is whole", async () => {
    await keystead(["key", "describe", "alias/no\u001b[31mred"]);
    const { out } = await keystead(["audit", "tail", "-n", "1000"]);
    expect(out).toMatch(new RegExp(`^\\S+Z {2}root +CreateAlias +${key.KeyId} +ok$`, "m"));
    expect(out).toMatch(/ user\/bob +DescribeKey +\S+ +AccessDenied$/m);
    expect(out).not.toContain("\u001b");
    const lines = (await keystead(["audit", "tail", "-n", "3", "--json"])).out.trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line).userAgent)).toEqual(
      Array.from({ length: 3 }, () => expect.stringMatching(/^keystead-cli\//)),
    );
    const report = await json<{ ok: boolean; lines: number }>("audit", "verify");
    expect(report).toMatchObject({ ok: true, problems: [], notYetSigned: 0 });
    expect((await keystead(["audit", "verify"])).out).toMatch(
      /^verified: \d+ lines in \d+ files of \d+ streams\n/m,
    );
  });

  test("tail follows", async () => {
    const child = start([process.execPath, cli, "audit", "tail", "-n", "0", "--follow", "--json"], {
      cwd: home,
    });
    const run = ended(child);
    let seen = "";
    child.stdout.on("data", (data: Buffer) => {
      seen += data.toString();
    });
    // Whether it follows already cannot be seen from outside: so ask until it has shown one.
    await expect
      .poll(
        async () => {
          await keystead(["key", "describe", key.KeyId]);
          return seen;
        },
        { timeout: 20_000 },
      )
      .toContain('"eventName":"DescribeKey"');
    child.kill("SIGINT");
    expect((await run).status).toBe(EXIT.ok);
  });

  test("verify names the damaged line, and exits with 5", async () => {
    const directory = join(root, "damaged");
    const at = ["--directory", directory];
    await json(...at, "key", "create", "--alias", "x");
    const trail = join(directory, "audit");
    const name = readdirSync(trail).find((each) => each.endsWith(".jsonl")) as string;
    const text = readFileSync(join(trail, name), "utf8");
    writeFileSync(join(trail, name), text.replace("CreateAlias", "DeleteAlias"));
    const { status, out } = await keystead([...at, "audit", "verify"]);
    expect(status).toBe(EXIT.notVerified);
    expect(out).toContain(`changed  ${name}:3  `);
    expect(out).toContain("not verified: 1 problem in ");
    const inJson = await keystead([...at, "audit", "verify", "--json"]);
    expect(inJson.status).toBe(EXIT.notVerified);
    expect(JSON.parse(inJson.out)).toMatchObject({ ok: false, problems: [{ file: name, line: 3 }] });
    const doctor = await keystead([...at, "doctor"]);
    expect(doctor.status).toBe(EXIT.notVerified);
    expect(doctor.out).toMatch(/^fail +audit +1 problem in the trail/m);
    const other = join(root, "other.pem");
    execFileSync("node", [
      "-e",
      `const {publicKey}=crypto.generateKeyPairSync("ec",{namedCurve:"P-256"});
       fs.writeFileSync(${JSON.stringify(other)},publicKey.export({type:"spki",format:"pem"}))`,
    ]);
    writeFileSync(join(trail, name), text);
    expect((await keystead([...at, "audit", "verify"])).status).toBe(EXIT.ok);
    expect((await keystead([...at, "audit", "verify", "--public-key", other])).status).toBe(EXIT.notVerified);
    rmSync(trail, { recursive: true });
    const gone = await keystead([...at, "audit", "verify"]);
    expect(gone.status).toBe(EXIT.notVerified);
    expect(gone.out).toMatch(new RegExp(`^missing +${name} `, "m"));
  });

  test("a trail that cannot be written refuses the command", async () => {
    const directory = join(root, "unwritable");
    await json("--directory", directory, "key", "list");
    rmSync(join(directory, "audit"), { recursive: true });
    writeFileSync(join(directory, "audit"), "");
    expect(await refused(EXIT.storeOrAuditUnavailable, "--directory", directory, "key", "list")).toContain(
      "nothing is done that cannot be recorded",
    );
  });

  test("is missed where there is none", async () => {
    expect(await refused(EXIT.notFound, "--directory", join(root, "nowhere"), "audit", "tail")).toContain(
      "there is no audit trail",
    );
    expect(existsSync(join(root, "nowhere"))).toBe(false);
  });
});

describe("doctor", () => {
  test("tells what it found, healthy or not, and makes nothing", async () => {
    const { Findings } = await json<{ Findings: { subject: string; verdict: string; text: string }[] }>(
      "doctor",
    );
    expect(Findings.filter(({ verdict }) => verdict === "fail")).toEqual([]);
    const subjects = Findings.map(({ subject }) => subject);
    for (const subject of ["engine", "module", "token", "mechanisms", "instead", "database", "audit"])
      expect(subjects).toContain(subject);
    const none = await keystead(["--directory", join(root, "nothing"), "doctor"]);
    expect(none.status).toBe(EXIT.failure);
    expect(none.out).toMatch(/^fail +directory .*is not set up; run keystead init/m);
    expect(existsSync(join(root, "nothing"))).toBe(false);
  });

  test("tells of files that others may read, and of a database that is damaged", async () => {
    const directory = join(root, "sick");
    const at = ["--directory", directory];
    await json(...at, "key", "list");
    chmodSync(join(directory, "pin"), 0o644);
    const open = await keystead([...at, "doctor"]);
    expect(open.out).toMatch(/^note +privacy +others may read \S+pin; chmod go= would end that/m);
    writeFileSync(
      join(directory, "keystead.db"),
      "not a database, but long enough to be read as one".repeat(100),
    );
    for (const name of ["keystead.db-wal", "keystead.db-shm"]) rmSync(join(directory, name), { force: true });
    const sick = await keystead([...at, "doctor"]);
    expect(sick.status).toBe(EXIT.storeOrAuditUnavailable);
    expect(sick.out).toMatch(/^fail +database /m);
  });
});

describe("start", () => {
  interface Showcase {
    Done: { what: string; count?: number; size: number }[];
    Files: string[];
    Audit: { ok: boolean };
  }
  const directory = join(root, "showcase");
  const show = (...args: string[]) =>
    json<Showcase>("--directory", directory, "start", "--records", "1000", ...args);

  test("does the main job, then again with what is there", async () => {
    for (let run = 0; run < 2; run++) {
      const { Done, Files, Audit } = await show("--size", "5M");
      expect(Done.map(({ count, size }) => count ?? size)).toEqual([1000, 1000, 5 << 20, 5 << 20]);
      expect(Files.map((path) => path.split("/").at(-1))).toEqual([
        "sample.bin",
        "sample.bin.keystead",
        "sample.bin.decrypted",
      ]);
      expect(Audit.ok).toBe(true);
    }
    const aliases = await json<{ Aliases: { AliasName: string }[] }>(
      "--directory",
      directory,
      "alias",
      "list",
    );
    expect(aliases.Aliases.map(({ AliasName }) => AliasName)).toEqual(["alias/keystead-start"]);
  });

  test("takes files, and takes large outputs away unless told to keep them", async () => {
    const file = join(root, "mine.bin");
    writeFileSync(file, Buffer.alloc(65 << 20, "mine"));
    const { Files } = await show(file);
    expect(Files).toEqual([]);
    expect(readFileSync(file)).toHaveLength(65 << 20);
    expect((await show(file, "--keep")).Files).toHaveLength(2);
    expect(await refused(EXIT.usage, "start", join(root, "no-such"))).toContain("is no file");
    expect(await refused(EXIT.usage, "start", root)).toContain("keystead encrypt takes directories");
    const other = join(root, "other");
    mkdirSync(other);
    writeFileSync(join(other, "mine.bin"), "another's");
    expect(await refused(EXIT.usage, "start", file, join(other, "mine.bin"))).toContain("mine.bin");
  });

  test("tells people what was done, how fast, and where it lies", async () => {
    const { status, out } = await keystead([
      "--directory",
      directory,
      "start",
      "--records",
      "10",
      "--size",
      "1k",
    ]);
    expect(status).toBe(EXIT.ok);
    expect(out).toMatch(/^encrypted in batches +10 records, 2\.5 KiB +\S+ \S+ +[\d,]+ records\/s$/m);
    expect(out).toMatch(/^verified: /m);
    expect(out).toMatch(new RegExp(`^database +${directory}/keystead\\.db$`, "m"));
    expect(out).toMatch(/all of it decrypted to what it was, in /);
  });
});

describe("the command line", () => {
  test("has help and a version, and refuses what it does not know", async () => {
    expect((await keystead(["--version"])).out).toMatch(/^\d+\.\d+\.\d+\n$/);
    for (const args of [["--help"], ["key", "--help"], ["help", "encrypt"]])
      expect(await keystead(args)).toMatchObject({
        status: EXIT.ok,
        err: "",
        out: expect.stringContaining("Usage:"),
      });
    expect((await keystead(["start", "--help"])).out).toMatch(
      /--size .*\(default: 1 GiB\)[\s\S]*--directory/,
    );
    expect((await keystead([])).status).toBe(EXIT.usage);
    expect((await keystead(["key"])).status).toBe(EXIT.usage);
    expect(await refused(EXIT.usage, "kye")).toBe("keystead: unknown command 'kye'; did you mean key?\n");
    expect(await refused(EXIT.usage, "key", "list", "--nope")).toContain("unknown option '--nope'");
    expect(await refused(EXIT.usage, "key", "describe")).toContain("missing required argument 'key'");
  });

  test("takes the directory before and behind the command, and from the environment", async () => {
    const directory = join(home, ".keystead");
    for (const args of [
      ["--directory", directory, "alias", "list", "--json"],
      ["alias", "list", "--json", "--directory", directory],
    ])
      expect((await keystead(args, { cwd: root })).out).toContain("alias/orders");
    const env = { KEYSTEAD_DIRECTORY: directory };
    expect((await keystead(["alias", "list"], { cwd: root, env })).out).toContain("alias/orders");
  });

  test("gives errors in JSON to programs", async () => {
    const { status, out, err } = await keystead(["key", "describe", "alias/none", "--json"]);
    expect({ status, out }).toEqual({ status: EXIT.notFound, out: "" });
    expect(JSON.parse(err)).toEqual({
      error: "NotFoundException",
      message: "alias arn:aws:kms:eu-west-1:111122223333:alias/none is not found",
      hint: "list them with keystead alias list",
      exitCode: EXIT.notFound,
    });
  });

  test("writes no colour and no progress where nobody looks", async () => {
    const file = join(home, "colourless");
    writeFileSync(file, Buffer.alloc(20 << 20));
    for (const args of [["key", "list"], ["doctor"], ["encrypt", file, "-k", "alias/orders"], ["nope"]]) {
      const { out, err } = await keystead(args);
      expect(out + err).not.toContain("\u001b");
      expect(out + err).not.toContain("\r");
    }
  });

  test("ends quietly when its reader does", async () => {
    const line = `'${process.execPath}' '${cli}' audit tail -n 100000 --json | head -n 1; exit \${PIPESTATUS[0]}`;
    const run = await ended(start(["bash", "-c", line], { cwd: home }));
    expect(run).toMatchObject({ status: EXIT.ok, err: "" });
    expect(run.out.split("\n")).toHaveLength(2);
  });

  test("documents every exit status", () => {
    const documented = readFileSync(join(import.meta.dirname, "../docs/cli.md"), "utf8");
    for (const status of Object.values(EXIT))
      expect(documented).toMatch(new RegExp(`^\\| ${status} \\|`, "m"));
  });
});

describe("words", () => {
  const terminal = (isTTY: boolean, environment: NodeJS.ProcessEnv) => {
    let text = "";
    const write = (piece: string) => {
      text += piece;
      return true;
    };
    const stream = { isTTY, write, columns: 80 } as unknown as NodeJS.WriteStream;
    return { terminal: new Terminal(stream, environment), text: () => text };
  };

  test("are coloured on a terminal only, and never with NO_COLOR", () => {
    expect(terminal(true, {}).terminal.paint("red", "x")).toBe("\u001b[31mx\u001b[0m");
    expect(terminal(true, { NO_COLOR: "1" }).terminal.paint("red", "x")).toBe("x");
    expect(terminal(true, { TERM: "dumb" }).terminal.paint("red", "x")).toBe("x");
    expect(terminal(false, {}).terminal.paint("red", "x")).toBe("x");
  });

  test("stand in columns, numbers to the right, whatever their colour", () => {
    const { terminal: out, text } = terminal(true, { NO_COLOR: "1" });
    out.table(
      ["A", "N", "B"],
      [
        ["\u001b[31mred\u001b[0m", 5, "x"],
        ["b", 1234, "y"],
      ],
    );
    expect(text()).toBe("A        N  B\n\u001b[31mred\u001b[0m      5  x\nb    1,234  y\n");
  });

  test("from elsewhere cannot steer the terminal", () => {
    expect(harmless("a\u001b[2Jb\u202ec\nd")).toBe("a\uFFFD[2Jb\uFFFDc\uFFFDd");
  });

  test("say amounts as people do", () => {
    expect([bytes(0), bytes(1023), bytes(1536), bytes(1 << 30)]).toEqual([
      "0 B",
      "1023 B",
      "1.5 KiB",
      "1.0 GiB",
    ]);
    expect([duration(12.4), duration(1_234), duration(61_000)]).toEqual(["12 ms", "1.2 s", "1 min 1 s"]);
    expect([many(1, "key"), many(2, "key"), many(1_000, "entry")]).toEqual([
      "1 key",
      "2 keys",
      "1,000 entries",
    ]);
  });

  test("of an error are those of the nearest cause that says what to do", () => {
    const pin = Object.assign(new Error("C_Login: CKR_PIN_INCORRECT"), {
      name: "Pkcs11Error",
      code: "CKR_PIN_INCORRECT",
    });
    const wrapped = new Error("could not open", { cause: pin });
    expect(failureOf(wrapped)).toMatchObject({
      exit: EXIT.tokenUnavailable,
      message: "C_Login: CKR_PIN_INCORRECT",
    });
    expect(failureOf(new Error("Something broke."))).toMatchObject({
      exit: EXIT.failure,
      message: "something broke",
    });
    expect(failureOf(new NotFoundException("Alias x is not found.")).exit).toBe(EXIT.notFound);
    expect(failureOf(new Located("f", "!", new CliError("m", { exit: EXIT.usage })))).toMatchObject({
      exit: EXIT.usage,
      message: "f: m!",
    });
    expect(failureOf("text")).toMatchObject({ exit: EXIT.failure, message: "text" });
  });
});
