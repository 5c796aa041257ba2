import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as errors from "../lib/errors.ts";
import * as api from "../lib/index.ts";
import { Kms, type KmsOptions } from "../lib/index.ts";
import { operations } from "../lib/operations.ts";
import { library, node } from "./child.ts";
import { ACCOUNT, bytes, newKey, openTestDeployment, REGION, refusal, text } from "./deployment.ts";

let kms: Kms;
let directory: string;
const home = mkdtempSync(join(tmpdir(), "keystead-kms-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));
beforeAll(async () => {
  ({ kms, directory } = await openTestDeployment());
});

describe("a deployment", () => {
  test("is private to its owner, and says what it is", () => {
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    for (const file of ["keystead.json", "keystead.db", "pin", "so-pin", "audit/audit.pem"])
      expect([file, statSync(join(directory, file)).mode & 0o777]).toEqual([file, 0o600]);
    expect(JSON.parse(readFileSync(join(directory, "keystead.json"), "utf8"))).toEqual({
      region: REGION,
      account: ACCOUNT,
    });
    expect([kms.region, kms.account, kms.principal]).toEqual([
      REGION,
      ACCOUNT,
      `arn:aws:iam::${ACCOUNT}:root`,
    ]);
    expect(kms.hsm.label).toBe("keystead");
  });

  test("can be opened twice in one process, each seeing what the other does at once", async () => {
    const second = await Kms.open({ directory });
    expect([second.region, second.account]).toEqual([REGION, ACCOUNT]);
    const { KeyId } = await newKey(kms, { Description: "shared" });
    const { CiphertextBlob } = await second.encrypt({ KeyId, Plaintext: bytes("hello") });
    await kms.disableKey({ KeyId });
    expect(await refusal(second.decrypt({ CiphertextBlob }))).toMatch(/^DisabledException/);
    await second.enableKey({ KeyId });
    expect(text((await kms.decrypt({ CiphertextBlob })).Plaintext)).toBe("hello");
    await second.close();
    expect(text((await kms.decrypt({ CiphertextBlob })).Plaintext)).toBe("hello");
  });

  test("serves another Region with a domain key and keys of its own", async () => {
    const { KeyId, Arn } = await newKey(kms);
    const elsewhere = await Kms.open({ directory, region: "us-west-2" });
    expect(await refusal(elsewhere.describeKey({ KeyId }))).toMatch(/^NotFoundException/);
    expect(await refusal(elsewhere.describeKey({ KeyId: Arn }))).toBe(
      `NotFoundException: Invalid arn ${REGION}`,
    );
    const made = await newKey(elsewhere);
    expect(made.Arn).toMatch(/^arn:aws:kms:us-west-2:/);
    await elsewhere.encrypt({ KeyId: made.KeyId, Plaintext: bytes("x") });
    await elsewhere.close();
  });
});

describe("processes", () => {
  const program = `
    import { Kms } from ${library("index")};
    const kms = await Kms.open({ directory: process.argv[1] });
    const { KeyMetadata: { KeyId } } = await kms.createKey({});
    const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: Buffer.from(KeyId) });
    console.log(JSON.stringify({ KeyId, CiphertextBlob: Buffer.from(CiphertextBlob).toString("base64") }));
    await kms.close();`;

  test("that open a new directory at the same time make one deployment of it", async () => {
    const shared = join(home, "shared");
    const made = await Promise.all([1, 2, 3, 4].map(() => node(program, [shared])));
    const sealed = made.map(
      ({ stdout }) => JSON.parse(`${stdout}`) as { KeyId: string; CiphertextBlob: string },
    );
    const reader = `
      import { Kms } from ${library("index")};
      const kms = await Kms.open({ directory: process.argv[1] });
      const { Keys } = await kms.listKeys();
      const opened = [];
      for (const blob of JSON.parse(process.argv[2])) {
        const { Plaintext } = await kms.decrypt({ CiphertextBlob: Buffer.from(blob, "base64") });
        opened.push(Buffer.from(Plaintext).toString());
      }
      console.log(JSON.stringify({ keys: Keys.map(({ KeyId }) => KeyId), opened }));
      await kms.close();`;
    const blobs = JSON.stringify(sealed.map(({ CiphertextBlob }) => CiphertextBlob));
    const { keys, opened } = JSON.parse(`${(await node(reader, [shared, blobs])).stdout}`);
    const ids = sealed.map(({ KeyId }) => KeyId);
    expect(keys).toEqual(ids.toSorted());
    expect(opened).toEqual(ids);
  });

  test("with another token than the one that the keys are of are refused", async () => {
    const lost = join(home, "lost");
    await node(program, [lost]);
    rmSync(join(lost, "token"), { recursive: true });
    const failure = await node(program, [lost]).then(
      () => expect.fail("was opened"),
      (error) => `${error.stderr}`,
    );
    expect(failure).toMatch(/keystead domain us-east-1/);
  });
});

describe("Kms.open", () => {
  const fresh = () => join(home, "never");

  test.each<[string, unknown, RegExp]>([
    ["no object", 1, /takes an object of options/],
    ["a misspelt option", { directroy: "x" }, /there is no option directroy; known are directory, /],
    ["a misspelt member", { hsm: { modul: "x" } }, /there is no option hsm\.modul; known are module, /],
    ["an empty directory", { directory: "" }, /directory must be a path/],
    [
      "a Region that is none",
      { region: "Mars" },
      /region must be a Region, such as "us-east-1"; "Mars" is none/,
    ],
    ["an account that is a number", { account: 111122223333 }, /account must be a string of 12 digits/],
    ["a clock that is none", { clock: 5 }, /clock must be a function/],
    ["a count that is none", { hsm: { handles: 0 } }, /hsm\.handles must be a whole number from 1/],
    ["a file that is none", { store: { file: 1 } }, /store\.file must be a text/],
    ["a part that is none", { audit: "x" }, /audit must be an object such as/],
    ["a PIN that is a number", { hsm: { pin: 1234 } }, /hsm\.pin must be text, bytes, \{ file: PATH \}/],
    ["a PIN from nowhere", { hsm: { pin: {} } }, /hsm\.pin must be text, bytes/],
    [
      "an environment of numbers",
      { hsm: { environment: { A: 1 } } },
      /hsm\.environment must be an object of/,
    ],
    [
      "a number of sessions that is none",
      { hsm: { sessions: -1 } },
      /hsm\.sessions must be a whole number from 0/,
    ],
  ])("refuses %s with a TypeError, and makes nothing", async (_, options, expected) => {
    const given = typeof options === "object" ? { directory: fresh(), ...options } : options;
    const refused = await refusal(Kms.open(given as KmsOptions));
    expect(refused).toMatch(/^TypeError: /);
    expect(refused).toMatch(expected);
    expect(refused).not.toContain("1234");
    expect(existsSync(fresh())).toBe(false);
  });

  test("says what is wrong with a module, and with a missing PIN", async () => {
    const module = join(home, "no-module.so");
    expect(await refusal(Kms.open({ directory: join(home, "a"), hsm: { module, pin: "x" } }))).toContain(
      module,
    );
    expect(await refusal(Kms.open({ directory: join(home, "b"), hsm: { module } }))).toMatch(
      /^TypeError: hsm\.pin is missing: give the user PIN of the token of .*no-module\.so/,
    );
  });

  test("says what is wrong with a PIN file, and with a directory that is a file", async () => {
    const file = join(home, "no-pin");
    expect(await refusal(Kms.open({ directory, hsm: { pin: { file } } }))).toBe(
      `Error: the file of hsm.pin cannot be read: ENOENT: no such file or directory, open '${file}'`,
    );
    const plain = join(directory, "keystead.json");
    expect(await refusal(Kms.open({ directory: plain }))).toMatch(
      /^Error: there can be no data directory .*keystead\.json: EEXIST/,
    );
  });

  test("tries a wrong PIN once, and says so", async () => {
    // In a process of its own: one that is logged in sends no other PIN.
    const program = `
      import { Kms } from ${library("index")};
      const directory = process.argv[1];
      const refused = await Kms.open({ directory, hsm: { pin: "not the PIN" } }).catch((error) => error);
      await (await Kms.open({ directory })).close();
      console.log(refused.message);
      console.log(refused.cause.code);`;
    const [message, code] = `${(await node(program, [directory])).stdout}`.split("\n");
    expect(message).toMatch(
      /^the user PIN of the token 'keystead' of .* is wrong; it was tried once: correct hsm\.pin$/,
    );
    expect(code).toBe("CKR_PIN_INCORRECT");
  });

  test("refuses a wrong PIN beside a Kms that is logged in, and that one goes on", async () => {
    const refused = await refusal(Kms.open({ directory, hsm: { pin: "not the PIN" } }));
    expect(refused).toMatch(/^EngineError: this process is logged in to token keystead .* with another PIN/);
    expect(refused).not.toContain("not the PIN");
    await newKey(kms);
  });

  test("keeps to its files when the process goes to another directory", async () => {
    // In a process of its own: workers cannot change theirs.
    const program = `
      import { mkdirSync, readdirSync } from "node:fs";
      import { Kms } from ${library("index")};
      process.chdir(process.argv[1]);
      const kms = await Kms.open({ directory: "data", store: { file: "rows.db" }, audit: { directory: "trail" } });
      mkdirSync("elsewhere");
      process.chdir("elsewhere");
      await kms.createKey();
      await kms.close();
      console.log(JSON.stringify([readdirSync("."), readdirSync("../trail").length]));`;
    const { stdout } = await node(program, [mkdtempSync(join(home, "moving-"))]);
    expect(JSON.parse(`${stdout}`)).toEqual([[], 3]);
  });

  test.each([
    ["{", /keystead\.json is not JSON/],
    ["[]", /region of .*keystead\.json must be a Region/],
    ['{"region":"us-east-1","account":"1"}', /account of .*keystead\.json must be a string of 12 digits/],
    [
      '{"region":"us-east-1","account":"111122223333","hsm":{"module":"m","pin":"1234"}}',
      /hsm\.pin of .*keystead\.json must be .* a PIN is not kept there/,
    ],
  ])("refuses the keystead.json %s", async (json, expected) => {
    const bent = mkdtempSync(join(home, "bent-"));
    writeFileSync(join(bent, "keystead.json"), json);
    const refused = await refusal(Kms.open({ directory: bent }));
    expect(refused).toMatch(expected);
    expect(refused).not.toContain("1234");
    expect(readFileSync(join(bent, "keystead.json"), "utf8")).toBe(json);
  });
});

describe("as", () => {
  test("gives the same service to another caller", async () => {
    const app = kms.as(`arn:aws:iam::${ACCOUNT}:role/app`);
    expect(app).toBeInstanceOf(Kms);
    expect([app.principal, app.account]).toEqual([`arn:aws:iam::${ACCOUNT}:role/app`, ACCOUNT]);
    expect((await app.listKeys()).Keys).toEqual((await kms.listKeys()).Keys);
  });

  test.each([undefined, "", "app", "arn:aws:iam::1:role/app", "arn:aws:kms:us-east-1:111122223333:key/x"])(
    "refuses %j",
    (arn) => {
      expect(() => kms.as(arn as string)).toThrow(/is no principal; give an ARN such as/);
    },
  );
});

describe("the methods", () => {
  test("are one for each operation, and go through request", async () => {
    for (const name of Object.keys(operations)) {
      const method = name[0]?.toLowerCase() + name.slice(1);
      expect([name, typeof kms[method as keyof Kms]]).toEqual([name, "function"]);
    }
    const { KeyId } = await newKey(kms);
    expect(await kms.request("DescribeKey", { KeyId })).toEqual({
      ...(await kms.describeKey({ KeyId })),
      $metadata: expect.anything(),
    });
  });

  test("encrypt files under the caller's data keys", async () => {
    expect(kms.envelope).toBe(kms.envelope);
    const { KeyId } = await newKey(kms);
    const sealed = await kms.envelope.encrypt(bytes("hello"), { KeyId });
    expect(text(await kms.envelope.decrypt(sealed))).toBe("hello");
    const app = kms.as(`arn:aws:iam::${ACCOUNT}:role/app`);
    expect(await refusal(app.envelope.encrypt(bytes("hello"), { KeyId }))).toMatch(/^AccessDeniedException/);
  });
});

test("the package exports every class of error, and no more of errors.ts", () => {
  const isClass = (value: unknown) => typeof value === "function" && value.prototype instanceof Error;
  const classes = Object.entries(errors).filter(([, value]) => isClass(value));
  const exported = Object.keys(api).filter((name) => name in errors);
  expect(exported.toSorted()).toEqual(classes.map(([name]) => name).toSorted());
});

describe("close", () => {
  test("waits for what is under way, and lets nothing more in", async () => {
    const closing = await Kms.open({ directory });
    const { KeyId } = await newKey(closing);
    const running = Array.from({ length: 100 }, (_, i) =>
      closing.encrypt({ KeyId, Plaintext: bytes(`${i}`) }),
    );
    const closed = closing.close();
    const late = refusal(closing.encrypt({ KeyId, Plaintext: bytes("late") }));
    const sealed = await Promise.all(running);
    expect(await late).toBe("Error: this Kms is closed: open another with Kms.open()");
    await closed;
    await closing.close();
    for (const { CiphertextBlob } of sealed) await kms.decrypt({ CiphertextBlob });
  });

  test("comes by itself at the end of a block", async () => {
    let leaked: Kms;
    {
      await using scoped = await Kms.open({ directory });
      leaked = scoped;
      await scoped.listKeys();
    }
    expect(await refusal(leaked.listKeys())).toMatch(/this Kms is closed/);
  });
});

test("10,000 concurrent calls on 4 sessions all get their own answers", async () => {
  const few = await Kms.open({ directory, hsm: { sessions: 4 } });
  const ids = await Promise.all(Array.from({ length: 10 }, async () => (await newKey(few)).KeyId));
  const answers = await Promise.all(
    Array.from({ length: 10_000 }, async (_, i) => {
      const EncryptionContext = { i: `${i}` };
      const KeyId = ids[i % 10] as string;
      const { CiphertextBlob } = await few.encrypt({ KeyId, Plaintext: bytes(`${i}`), EncryptionContext });
      return text((await few.decrypt({ CiphertextBlob, EncryptionContext })).Plaintext);
    }),
  );
  expect(answers).toEqual(answers.map((_, i) => `${i}`));
  await few.close();
});
