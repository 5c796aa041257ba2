import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { PUBLIC_KEY_FILE, verify } from "../lib/audit.ts";
import { openDatabase } from "../lib/store/binding.ts";
import { openStore } from "../lib/store.ts";
import { library, node } from "./child.ts";
import { afterOpening, any, compileDieAt, crashes, MOST } from "./crashes.ts";

vi.setConfig({ testTimeout: 60_000 + MOST * 2000 });

/** The day on which the prepared deletion is due. */
const later = Date.now() + 8 * 86_400_000;
const description = "the one that is being made";
const root = mkdtempSync(join(tmpdir(), "keystead-crash-"));
const prepared = join(root, "prepared");
/** Token objects: domain key, binding key, and the two halves of the audit key. */
const objects = 4;

let kept: { keyId: string; ciphertext: string };
let doomed: string;

afterAll(() => rmSync(root, { recursive: true, force: true }));

const creation = `
  import { Kms } from ${library("index")};
  const kms = await Kms.open({ directory: process.argv[1] });
  const { KeyMetadata } = await kms.createKey({ Description: ${JSON.stringify(description)} });
  process.stdout.write(KeyMetadata.KeyId);
  await kms.close();`;

const deletion = `
  import { Kms } from ${library("index")};
  const kms = await Kms.open({ directory: process.argv[1], clock: () => ${later} });
  process.stdout.write(String(await kms.runDue()));
  await kms.close();`;

const rotation = `
  import { Kms } from ${library("index")};
  const kms = await Kms.open({ directory: process.argv[1], clock: () => ${later + 90 * 86_400_000} });
  await kms.runDue();
  process.stdout.write("rotated");
  await kms.close();`;

/** Opens what a killed process left, in a process of its own, and tells all keys and whether they work. */
const inspection = `
  import { Kms } from ${library("index")};
  const [directory, ciphertext] = process.argv.slice(1);
  const kms = await Kms.open({ directory });
  const keys = [];
  for (const { KeyId } of (await kms.listKeys({ Limit: 1000 })).Keys) {
    const { KeyMetadata } = await kms.describeKey({ KeyId });
    const { KeyState: state, Description: description } = KeyMetadata;
    let works = state !== "Enabled";
    if (!works) {
      const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: Buffer.from("plain") });
      works = Buffer.from((await kms.decrypt({ CiphertextBlob })).Plaintext).toString() === "plain";
    }
    keys.push({ keyId: KeyId, state, description, works });
  }
  const aliases = (await kms.listAliases({})).Aliases.map((alias) => alias.AliasName);
  let opened;
  if (ciphertext) {
    const CiphertextBlob = Buffer.from(ciphertext, "base64");
    opened = Buffer.from((await kms.decrypt({ CiphertextBlob })).Plaintext).toString();
  }
  await kms.close();
  console.log(JSON.stringify({ keys, aliases, opened }));`;

interface Left {
  keys: { keyId: string; state: string; description: string; works: boolean }[];
  aliases: string[];
  opened?: string;
}

/** What holds after every crash: the service opens, each key works, and nothing lies around without its key. */
async function inspect(directory: string, ciphertext = "", opened?: string): Promise<Left> {
  const { stdout } = await node(inspection, [directory, ciphertext]);
  const left: Left = JSON.parse(String(stdout));
  expect(left.keys.filter((key) => !key.works)).toEqual([]);
  expect(left.opened).toBe(opened);

  const file = join(directory, "keystead.db");
  const database = openDatabase(file, 0);
  const first = (query: string) => database.prepare(query).get();
  const current = "backing_keys WHERE state = 'CURRENT'";
  expect(first(`SELECT count(*) FROM ${current}`)).toEqual([left.keys.length]);
  const joined = `keys JOIN (SELECT * FROM ${current}) USING (region, key_id, material_id)`;
  expect(first(`SELECT count(*) FROM ${joined}`)).toEqual([left.keys.length]);
  expect(first("PRAGMA integrity_check")).toEqual(["ok"]);
  expect(first("PRAGMA foreign_key_check")).toBeUndefined();
  database.close();

  const files = readdirSync(join(directory, "token"), { recursive: true }) as string[];
  const found = files.filter((name) => name.endsWith(".object") && basename(name) !== "token.object");
  expect(found).toHaveLength(objects);

  const store = await openStore({ file });
  const audit = join(directory, "audit");
  const publicKey = readFileSync(join(audit, PUBLIC_KEY_FILE), "utf8");
  const report = await verify(audit, publicKey, store.auditHeads());
  await store.close();
  expect(report.problems).toEqual([]);
  return left;
}

const copy = (directory: string) => cpSync(prepared, directory, { recursive: true });

describe.skipIf(process.platform !== "linux")("kill -9 before any step", () => {
  beforeAll(async () => {
    compileDieAt(root);
    const { stdout } = await node(
      `import { Kms } from ${library("index")};
    const kms = await Kms.open({ directory: process.argv[1] });
    const make = async (Description) => (await kms.createKey({ Description })).KeyMetadata.KeyId;
    const [keyId, doomed] = [await make("kept"), await make("doomed")];
    await kms.createAlias({ AliasName: "alias/doomed", TargetKeyId: doomed });
    const { CiphertextBlob } = await kms.encrypt({ KeyId: keyId, Plaintext: Buffer.from("kept") });
    await kms.enableKeyRotation({ KeyId: keyId, RotationPeriodInDays: 90 });
    await kms.scheduleKeyDeletion({ KeyId: doomed, PendingWindowInDays: 7 });
    const ciphertext = Buffer.from(CiphertextBlob).toString("base64");
    console.log(JSON.stringify({ kept: { keyId, ciphertext }, doomed }));
    await kms.close();`,
      [prepared],
    );
    ({ kept, doomed } = JSON.parse(String(stdout)));
  });

  test("of CreateKey leaves the key or nothing, and the key if it was answered", async () => {
    await crashes(root, creation, afterOpening, copy, async (directory, answered) => {
      const left = await inspect(directory, kept.ciphertext, "kept");
      const others = left.keys.filter((key) => key.description !== description);
      expect(others.map((key) => key.keyId).sort()).toEqual([kept.keyId, doomed].sort());
      const made = left.keys.filter((key) => key.description === description);
      expect(made.length).toBeLessThanOrEqual(1);
      if (answered) expect(made[0]?.keyId).toBe(answered);
    });
  });

  test("of a deletion leaves all of the key, pending, or nothing of it", async () => {
    await crashes(root, deletion, afterOpening, copy, async (directory, destroyed) => {
      const left = await inspect(directory, kept.ciphertext, "kept");
      expect(left.keys.find((key) => key.keyId === kept.keyId)?.state).toBe("Enabled");
      const there = left.keys.find((key) => key.keyId === doomed);
      if (destroyed) expect(there).toBeUndefined();
      if (there) expect(there.state).toBe("PendingDeletion");
      expect(left.aliases).toEqual(there ? ["alias/doomed"] : []);
      expect(left.keys).toHaveLength(there ? 2 : 1);
    });
  });

  test("of a rotation leaves the key with its old material or with both, and opens what it sealed", async () => {
    const outcomes = new Set<number>();
    await crashes(root, rotation, afterOpening, copy, async (directory, rotated) => {
      await inspect(directory, kept.ciphertext, "kept");
      const database = openDatabase(join(directory, "keystead.db"), 0);
      const materials = database
        .prepare("SELECT state FROM backing_keys WHERE key_id = ? ORDER BY version")
        .all(kept.keyId);
      database.close();
      outcomes.add(materials.length);
      if (rotated || materials.length > 1) expect(materials).toEqual([["NON_CURRENT"], ["CURRENT"]]);
      else expect(materials).toEqual([["CURRENT"]]);
    });
    expect([...outcomes].sort()).toEqual([1, 2]);
  });

  test("of a login leaves the token whole, though SoftHSM empties it in between", async () => {
    const token = (step: string) => /token\.object$/.test(step);
    await crashes(root, creation, token, copy, async (directory) => {
      await inspect(directory, kept.ciphertext, "kept");
    });
  });

  test("of a later opening leaves all keys", async () => {
    const opening = (step: string, index: number, steps: string[]) =>
      any(step) && !afterOpening(step, index, steps);
    await crashes(root, creation, opening, copy, async (directory) => {
      const left = await inspect(directory, kept.ciphertext, "kept");
      expect(left.keys.length).toBeGreaterThanOrEqual(2);
    });
  });

  test("of the first opening leaves what the next one completes", async () => {
    await crashes(
      root,
      creation,
      any,
      (directory) => mkdirSync(directory),
      async (directory, answered) => {
        const left = await inspect(directory);
        expect(left.keys.length).toBeLessThanOrEqual(1);
        if (answered) expect(left.keys[0]?.keyId).toBe(answered);
      },
    );
  });
});
