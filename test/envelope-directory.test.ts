import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { appendFile, mkdir, mkdtemp, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { DirectoryError, Envelope, type KmsClient, KmsKeys } from "../lib/envelope.ts";
import { Kms } from "../lib/kms.ts";

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

  test("into itself does not read what it writes", async () => {
    const into = at("plain/sealed");
    expect((await kms.envelope.encryptDirectory(at("plain"), into, { KeyId })).Files.length).toBe(5);
    expect((await kms.envelope.encryptDirectory(at("plain"), into, { KeyId })).Files.length).toBe(5);
  });
});

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
});
