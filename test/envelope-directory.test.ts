import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { appendFile, mkdir, mkdtemp, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  type DirectoryEntry,
  DirectoryError,
  Envelope,
  type KmsClient,
  KmsKeys,
  RawAesKey,
} from "../lib/envelope.ts";
import { Kms } from "../lib/kms.ts";
import { library } from "./child.ts";

const directory = mkdtempSync(join(tmpdir(), "keystead-directory-"));
let kms: Kms;
let KeyId: string;
let place: string;
beforeAll(async () => {
  kms = await Kms.open({ directory });
  KeyId = (await kms.createKey()).KeyMetadata?.Arn as string;
});
afterAll(async () => {
  await kms?.close();
  rmSync(directory, { recursive: true, force: true });
});

const contents = new Map<string, Buffer>();
const at = (name: string) => join(place, name);
beforeEach(async () => {
  place = await mkdtemp(join(directory, "place-"));
  contents.clear();
  for (const [name, size] of Object.entries({
    one: 1,
    empty: 0,
    "a/two": 100_000,
    "a/b/three": 3_000_000,
    "c/four": 65_536,
  })) {
    contents.set(name, randomBytes(size));
  }
  for (const [name, bytes] of contents) {
    await mkdir(dirname(at(`plain/${name}`)), { recursive: true });
    await writeFile(at(`plain/${name}`), bytes);
  }
});

/** A process of its own, in the place, with the same key. */
function child(code: string) {
  const program = `
    import { Envelope, RawAesKey } from ${library("envelope")};
    const Keys = new RawAesKey({ namespace: "test", name: "key", key: Buffer.from("${key.toString("hex")}", "hex") });
    const envelope = new Envelope();
    const kms = { envelope };
    ${code}`;
  const started = spawn(process.execPath, ["--input-type=module", "-e", program], { cwd: place });
  let err = "";
  started.stderr.on("data", (bytes) => {
    err += bytes;
  });
  return new Promise<{ code: number | null; err: string }>((done) =>
    started.on("close", (code) => done({ code, err })),
  );
}
const key = randomBytes(32);
const Keys = new RawAesKey({ namespace: "test", name: "key", key });
const envelope = new Envelope();

const files = (folder: string) =>
  readdirSync(at(folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(at(folder).length + 1))
    .sort();
const sealedNames = () => [...contents.keys()].map((name) => `${name}.keystead`);

describe("a directory", () => {
  test("goes there and back, with a manifest of what was written", async () => {
    await symlink("one", at("plain/link"));
    const told: number[] = [];
    const onProgress = ({ done, total }: { done: number; total: number | undefined }) =>
      told.push(done / (total ?? 0));
    const result = await kms.envelope.encryptDirectory(at("plain"), at("sealed"), { KeyId, onProgress });
    expect(files("sealed")).toEqual([".keystead-manifest", ...sealedNames()].sort());
    expect(result).toMatchObject({ Resumed: 0, LeftOut: ["link"] });
    const lines = readFileSync(at("sealed/.keystead-manifest"), "utf8").trim().split("\n");
    expect(lines.map((line) => JSON.parse(line))).toEqual(result.Files);
    for (const { Path, To, Read, Written, Sha256 } of result.Files) {
      const sealed = readFileSync(at(`sealed/${To}`));
      expect(To).toBe(`${Path}.keystead`);
      expect([Read, Written]).toEqual([contents.get(Path)?.length, sealed.length]);
      expect(Sha256).toBe(createHash("sha256").update(sealed).digest("hex"));
    }
    expect(told.at(-1)).toBe(1);
    expect(told.toSorted((a, b) => a - b)).toEqual(told);
    await kms.envelope.decryptDirectory(at("sealed"), at("opened"));
    expect(files("opened")).toEqual([...contents.keys()].sort());
    for (const [name, bytes] of contents) expect(readFileSync(at(`opened/${name}`)).equals(bytes)).toBe(true);
  });

  test("is done on from where it was cut, and only what has changed is done again", async () => {
    const abort = new AbortController();
    let calls = 0;
    /** The third file meets an abort. */
    const cutting = new Envelope({
      request(operation, input) {
        if (++calls === 3) abort.abort(new Error("cut"));
        return kms.request(operation, input);
      },
    });
    const options = { KeyId, Concurrency: 1 };
    const cut = cutting.encryptDirectory(at("plain"), at("sealed"), { ...options, signal: abort.signal });
    await expect(cut).rejects.toThrow("cut");
    expect(files("sealed").filter((name) => name.endsWith(".tmp"))).toEqual([]);
    // As a process that is killed leaves it: half a line, and a file whose line is not there yet.
    await appendFile(at("sealed/.keystead-manifest"), '{"Path":"hal');
    await writeFile(at("sealed/one.keystead"), "whole, but not on record");
    const dry = await kms.envelope.encryptDirectory(at("plain"), at("sealed"), { ...options, DryRun: true });
    expect(dry).toMatchObject({ Resumed: 2 });
    expect(files("sealed").length).toBe(4);
    calls = 0;
    const counting = new Envelope({
      request(operation, input) {
        calls++;
        return kms.request(operation, input);
      },
    });
    const rest = await counting.encryptDirectory(at("plain"), at("sealed"), options);
    expect([rest.Resumed, calls, rest.Files.length]).toEqual([2, 3, 5]);
    await writeFile(at("plain/one"), "2");
    await utimes(at("plain/one"), new Date(), new Date(Date.now() + 5000));
    await rm(at("sealed/empty.keystead"));
    calls = 0;
    expect((await counting.encryptDirectory(at("plain"), at("sealed"), options)).Resumed).toBe(3);
    expect(calls).toBe(2);
    await kms.envelope.decryptDirectory(at("sealed"), at("opened"));
    expect(readFileSync(at("opened/one"), "utf8")).toBe("2");
  });

  test("names the file that fails, and keeps what is done", async () => {
    await kms.envelope.encryptDirectory(at("plain"), at("sealed"), { KeyId });
    await writeFile(at("sealed/c/four.keystead"), "damaged");
    const opening = kms.envelope.decryptDirectory(at("sealed"), at("opened"), { Concurrency: 1 });
    const error = await opening.catch((caught) => caught);
    expect(error).toBeInstanceOf(DirectoryError);
    expect(error).toMatchObject({
      path: at("sealed/c/four.keystead"),
      total: 5,
      cause: { name: "EnvelopeError" },
    });
    expect(existsSync(at("opened/c/four"))).toBe(false);
    expect(files("opened").length).toBe(error.done + 1);
    await kms.envelope.encryptFile(at("plain/c/four"), at("sealed/c/four.keystead"), { KeyId });
    expect((await kms.envelope.decryptDirectory(at("sealed"), at("opened"))).Resumed).toBe(error.done);
    expect(files("opened")).toEqual([...contents.keys()].sort());
  });

  test("replaces nothing that it has not written, unless told", async () => {
    await mkdir(at("sealed"));
    await writeFile(at("sealed/one.keystead"), "another's");
    const encrypting = (Force: boolean) =>
      kms.envelope.encryptDirectory(at("plain"), at("sealed"), { KeyId, Force });
    await expect(encrypting(false)).rejects.toMatchObject({ code: "EEXIST" });
    expect(files("sealed")).toEqual(["one.keystead"]);
    expect((await encrypting(true)).Files.length).toBe(5);
  });

  test("keeps its empty directories, and names what cannot be read by its name", async () => {
    await mkdir(at("plain/hollow/deep"), { recursive: true });
    for (const name of ["two\nlines", " ", "é\u0301", "-f", "a".repeat(240)]) {
      contents.set(name, randomBytes(10));
      await writeFile(at(`plain/${name}`), contents.get(name) as Buffer);
    }
    const latin1 = Buffer.concat([Buffer.from(at("plain/caf")), Buffer.from([0xe9])]);
    await writeFile(latin1, "not UTF-8");
    const { LeftOut, Files } = await kms.envelope.encryptDirectory(at("plain"), at("sealed"), { KeyId });
    expect(LeftOut).toEqual(["caf\ufffd"]);
    expect(Files.length).toBe(10);
    await kms.envelope.decryptDirectory(at("sealed"), at("opened"));
    expect(readdirSync(at("opened/hollow"))).toEqual(["deep"]);
    for (const [name, bytes] of contents) expect(readFileSync(at(`opened/${name}`)).equals(bytes)).toBe(true);
  });

  test("is written by one run at a time, of this process or another", async () => {
    let go: () => void = () => {};
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    const slow = new Envelope({
      async request(operation, input) {
        await gate;
        return kms.request(operation, input);
      },
    });
    const first = slow.encryptDirectory(at("plain"), at("sealed"), { KeyId });
    await expect.poll(() => existsSync(at("sealed/.keystead-manifest"))).toBe(true);
    const second = kms.envelope.encryptDirectory(at("plain"), at("sealed"), { KeyId });
    await expect(second).rejects.toMatchObject({
      code: "EBUSY",
      message: expect.stringContaining("another run"),
    });
    const { code, err } = await child(`await kms.envelope.encryptDirectory("plain", "sealed", { Keys });`);
    expect([code, err]).toEqual([1, expect.stringContaining("another run is writing to sealed")]);
    go();
    expect((await first).Files.length).toBe(5);
    expect(existsSync(at("sealed/.keystead-lock"))).toBe(false);
    expect((await kms.envelope.encryptDirectory(at("plain"), at("sealed"), { KeyId })).Resumed).toBe(5);
  });

  test("of a run that is killed is done by the next, without what the first left half done", async () => {
    for (let i = 0; i < 40; i++) {
      contents.set(`many/${i}`, randomBytes(2_000_000));
      await mkdir(at("plain/many"), { recursive: true });
      await writeFile(at(`plain/many/${i}`), contents.get(`many/${i}`) as Buffer);
    }
    const killed = await child(`
      let files = 0;
      const onHeader = () => { if (++files > 12) setTimeout(() => process.kill(process.pid, "SIGKILL"), 2); };
      await envelope.encryptDirectory("plain", "sealed", { Keys, Concurrency: 4, onHeader });`);
    expect(killed.code).toBe(null);
    const unfinished = () => files("sealed").filter((name) => name.endsWith(".tmp"));
    // As a file system may leave the end of a file after a power cut.
    await appendFile(at("sealed/.keystead-manifest"), "\0\0\0\0\n");
    await writeFile(at("sealed/a/.keystead-run-0123456789abcdef.tmp"), "half of a file");
    await writeFile(at("sealed/.keystead-0123456789abcdef.tmp"), "of somebody else");
    const rest = await envelope.encryptDirectory(at("plain"), at("sealed"), { Keys });
    expect(rest.Resumed).toBeGreaterThan(3);
    expect(rest.Files.length).toBe(45);
    expect(unfinished()).toEqual([".keystead-0123456789abcdef.tmp"]);
    await envelope.decryptDirectory(at("sealed"), at("opened"), { Keys });
    for (const [name, bytes] of contents) expect(readFileSync(at(`opened/${name}`)).equals(bytes)).toBe(true);
  });

  test("that changes while it is read is done again, and a file that is gone is named", async () => {
    const changing = new Envelope({
      async request(operation, input) {
        await appendFile(at("plain/a/b/three"), "more");
        return kms.request(operation, input);
      },
    });
    await changing.encryptDirectory(at("plain"), at("sealed"), { KeyId, Concurrency: 1 });
    const again = await kms.envelope.encryptDirectory(at("plain"), at("sealed"), { KeyId });
    expect(again.Resumed).toBe(4);
    const losing = new Envelope({
      async request(operation, input) {
        await rm(at("plain/one"), { force: true });
        return kms.request(operation, input);
      },
    });
    const lost = losing.encryptDirectory(at("plain"), at("other"), { KeyId, Concurrency: 1 });
    await expect(lost).rejects.toMatchObject({ path: at("plain/one"), cause: { code: "ENOENT" } });
  });

  test("and its copy are two, and so many files at a time are a number", async () => {
    await symlink("plain", at("alias"));
    for (const to of ["plain", "plain/../plain/", "alias"]) {
      const onto = kms.envelope.encryptDirectory(at("plain"), at(to), { KeyId });
      await expect(onto).rejects.toThrow(TypeError);
    }
    for (const Concurrency of [0, -1, 1.5, Number.NaN]) {
      const none = kms.envelope.encryptDirectory(at("plain"), at("sealed"), { KeyId, Concurrency });
      await expect(none).rejects.toThrow("Concurrency");
    }
    expect(existsSync(at("sealed"))).toBe(false);
  });

  test("into itself does not read what it writes", async () => {
    const into = at("plain/sealed");
    expect((await kms.envelope.encryptDirectory(at("plain"), into, { KeyId })).Files.length).toBe(5);
    expect((await kms.envelope.encryptDirectory(at("plain"), into, { KeyId })).Files.length).toBe(5);
  });
});

describe("a directory that is rewrapped", () => {
  const older = new RawAesKey({ namespace: "test", name: "older", key: randomBytes(32) });
  const manifest = () =>
    readFileSync(at("sealed/.keystead-manifest"), "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as DirectoryEntry);
  const digest = ({ To }: DirectoryEntry) =>
    createHash("sha256")
      .update(readFileSync(at(`sealed/${To}`)))
      .digest("hex");
  beforeEach(() => envelope.encryptDirectory(at("plain"), at("sealed"), { Keys: older }).then(() => {}));

  test("has the digests of what was written, and is encrypted no second time", async () => {
    const before = manifest();
    const told: number[] = [];
    const { Files } = await envelope.rewrapDirectory(at("sealed"), {
      From: { Keys: older },
      To: { Keys },
      onProgress: ({ done, total = 0 }) => told.push(done / total),
    });
    expect(Files.map(({ Path }) => Path)).toEqual(sealedNames().sort());
    expect(told.at(-1)).toBe(1);
    for (const [i, entry] of manifest().entries()) {
      expect(entry.Sha256).toBe(digest(entry));
      expect(entry.Sha256).not.toBe(before[i]?.Sha256);
    }
    expect((await envelope.encryptDirectory(at("plain"), at("sealed"), { Keys })).Resumed).toBe(5);
    await envelope.decryptDirectory(at("sealed"), at("opened"), { Keys });
    for (const [name, bytes] of contents) expect(readFileSync(at(`opened/${name}`)).equals(bytes)).toBe(true);
  });

  test("goes on where it was interrupted, file by file, and its manifest is right meanwhile", async () => {
    const abort = new AbortController();
    let files = 0;
    const onHeader = () => {
      expect(existsSync(at("sealed/.keystead-lock"))).toBe(true);
      if (++files === 3) abort.abort(new Error("cut"));
    };
    const options = { From: { Keys: older }, To: { Keys }, Concurrency: 1 };
    const cut = envelope.rewrapDirectory(at("sealed"), { ...options, onHeader, signal: abort.signal });
    await expect(cut).rejects.toThrow("cut");
    expect(readdirSync(at("sealed")).filter((name) => name.startsWith(".keystead"))).toEqual([
      ".keystead-manifest",
    ]);
    for (const entry of await readManifest(at("sealed"))) expect(entry.Sha256).toBe(digest(entry));
    const rest = await envelope.rewrapDirectory(at("sealed"), options);
    expect([rest.Files.length, rest.LeftOut]).toEqual([3, sealedNames().sort().slice(0, 2)]);
    await envelope.decryptDirectory(at("sealed"), at("opened"), { Keys });
    await writeFile(at("sealed/one.keystead"), "damaged");
    const damaged = envelope.rewrapDirectory(at("sealed"), { From: { Keys }, To: { Keys: older } });
    await expect(damaged).rejects.toMatchObject({ name: "DirectoryError", path: at("sealed/one.keystead") });
    expect(readFileSync(at("sealed/one.keystead"), "utf8")).toBe("damaged");
  });
});

/** What a reader of the manifest takes of it: the last line of each file. */
async function readManifest(folder: string) {
  const lines = readFileSync(join(folder, ".keystead-manifest"), "utf8").trim().split("\n");
  const entries = lines.map((line) => JSON.parse(line) as DirectoryEntry);
  return [...new Map(entries.map((entry) => [entry.Path, entry])).values()];
}

test("an abort is honoured though the KMS never answers, and the key that comes late is wiped", async () => {
  let answer: (output: object) => void = () => {};
  const client: KmsClient = {
    generateDataKey: () =>
      new Promise((resolve) => {
        answer = resolve;
      }),
    encrypt: () => new Promise(() => {}),
    decrypt: () => new Promise(() => {}),
  };
  const slow = new KmsKeys(client, [KeyId]);
  const abort = new AbortController();
  const sealing = new Envelope().encrypt(randomBytes(10), { Keys: slow, signal: abort.signal });
  await delay(10);
  abort.abort(new Error("enough"));
  await expect(sealing).rejects.toThrow("enough");
  const Plaintext = randomBytes(32);
  answer({ Plaintext, KeyId, CiphertextBlob: randomBytes(99) });
  await delay(10);
  expect(Plaintext.every((byte) => byte === 0)).toBe(true);
  const message = await kms.envelope.encrypt(randomBytes(10), { KeyId });
  const again = new AbortController();
  const opening = new Envelope().decrypt(message, { Keys: slow, signal: again.signal });
  setTimeout(() => again.abort(new Error("enough")), 10);
  await expect(opening).rejects.toThrow("enough");
  for (const Body of ["keep", "reseal"] as const) {
    const last = new AbortController();
    const moving = kms.envelope.rewrap(message, { To: { Keys: slow }, Body, signal: last.signal });
    setTimeout(() => last.abort(new Error("enough")), 50);
    await expect(moving).rejects.toMatchObject({ name: "AbortError" });
  }
});
