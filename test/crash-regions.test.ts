import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { openDatabase } from "../lib/store/binding.ts";
import { library, node } from "./child.ts";
import { afterOpening, compileDieAt, crashes, MOST } from "./crashes.ts";
import { REGION } from "./deployment.ts";

vi.setConfig({ testTimeout: 60_000 + MOST * 2000 });

const OSAKA = "ap-northeast-3";
/** When the replica of the key that waits for it is due. */
const later = Date.now() + 8 * 86_400_000;
const root = mkdtempSync(join(tmpdir(), "keystead-crash-"));
const prepared = join(root, "prepared");
const copy = (directory: string) => cpSync(prepared, directory, { recursive: true });

afterAll(() => rmSync(root, { recursive: true, force: true }));

let kept: { keyId: string; waiting: string; material: string; ciphertext: string };

const opening = (options = "") => `
  import { Kms } from ${library("index")};
  const kms = await Kms.open({ directory: process.argv[1]${options} });
  const osaka = kms.inRegion("${OSAKA}");`;

const preparation = `
  import { Kms } from ${library("index")};
  const kms = await Kms.open({ directory: process.argv[1], region: "${REGION}", regions: ["${OSAKA}"] });
  const make = async () => (await kms.createKey({ MultiRegion: true })).KeyMetadata;
  const [{ KeyId: keyId, CurrentKeyMaterialId: material }, { KeyId: waiting }] = [await make(), await make()];
  await kms.replicateKey({ KeyId: waiting, ReplicaRegion: "${OSAKA}" });
  await kms.scheduleKeyDeletion({ KeyId: waiting, PendingWindowInDays: 7 });
  await kms.inRegion("${OSAKA}").scheduleKeyDeletion({ KeyId: waiting, PendingWindowInDays: 7 });
  const { CiphertextBlob } = await kms.encrypt({ KeyId: keyId, Plaintext: Buffer.from("kept") });
  const ciphertext = Buffer.from(CiphertextBlob).toString("base64");
  await kms.close();
  console.log(JSON.stringify({ keyId, waiting, material, ciphertext }));`;

/** Tells of each Region's keys what they say, and whether they work and open what was kept. */
const inspection = `${opening()}
  const [, , keyId, ciphertext] = process.argv;
  const regions = {};
  for (const where of [kms, osaka]) {
    const keys = [];
    for (const { KeyId } of (await where.listKeys()).Keys) {
      const { KeyMetadata } = await where.describeKey({ KeyId });
      if (KeyMetadata.KeyManager === "CUSTOMER" && KeyMetadata.KeyState === "Enabled") {
        const { CiphertextBlob } = await where.encrypt({ KeyId, Plaintext: Buffer.from("plain") });
        await where.decrypt({ CiphertextBlob });
      }
      const opened = KeyId !== keyId ? undefined : Buffer.from(
        (await where.decrypt({ CiphertextBlob: Buffer.from(ciphertext, "base64") })).Plaintext).toString();
      keys.push({ ...KeyMetadata, opened });
    }
    const aliases = (await where.listAliases()).Aliases;
    regions[where.region] = { keys, aliases };
  }
  await kms.close();
  console.log(JSON.stringify(regions));`;

interface Key {
  KeyId: string;
  KeyState: string;
  KeyManager: string;
  CurrentKeyMaterialId: string;
  MultiRegionConfiguration?: { PrimaryKey: { Region: string }; ReplicaKeys: { Region: string }[] };
  opened?: string;
}

/** What each Region has. Related keys agree, whatever happened. */
async function inspect(directory: string) {
  const { stdout } = await node(inspection, [directory, kept.keyId, kept.ciphertext]);
  type Left = Record<string, { keys: Key[]; aliases: { AliasName: string; TargetKeyId: string }[] }>;
  const left: Left = JSON.parse(String(stdout));
  const database = openDatabase(join(directory, "keystead.db"), 0);
  const materials = (region: string, keyId: string) =>
    database
      .prepare(
        "SELECT material_id, version, state FROM backing_keys WHERE region = ? AND key_id = ? ORDER BY 1",
      )
      .all(region, keyId);
  const find = (region: string, keyId: string) => left[region]?.keys.find(({ KeyId }) => KeyId === keyId);
  for (const keyId of [kept.keyId, kept.waiting]) {
    const [here, there] = [find(REGION, keyId), find(OSAKA, keyId)];
    expect(here).toBeDefined();
    if (there === undefined) {
      expect(here?.MultiRegionConfiguration?.ReplicaKeys).toEqual([]);
      continue;
    }
    expect(there.CurrentKeyMaterialId).toBe(here?.CurrentKeyMaterialId);
    expect(materials(OSAKA, keyId)).toEqual(materials(REGION, keyId));
    const { MultiRegionConfiguration: one } = here as Key;
    expect(there.MultiRegionConfiguration).toEqual({ ...one, MultiRegionKeyType: expect.any(String) });
    expect(one?.ReplicaKeys).toHaveLength(1);
  }
  expect(database.prepare("PRAGMA foreign_key_check").get()).toBeUndefined();
  database.close();
  return { left, find };
}

describe.skipIf(process.platform !== "linux")("kill -9 before any step", () => {
  beforeAll(async () => {
    compileDieAt(root);
    const { stdout } = await node(preparation, [prepared]);
    kept = JSON.parse(String(stdout));
  });

  test("of a replication, a rotation, a move of the primary leaves related keys related", async () => {
    const program = `${opening()}
      const KeyId = ${JSON.stringify(kept.keyId)};
      await kms.replicateKey({ KeyId, ReplicaRegion: "${OSAKA}" });
      process.stdout.write("replicated ");
      await kms.rotateKeyOnDemand({ KeyId });
      process.stdout.write("rotated ");
      await kms.updatePrimaryRegion({ KeyId, PrimaryRegion: "${OSAKA}" });
      process.stdout.write("moved");
      await kms.close();`;
    await crashes(root, program, afterOpening, copy, async (directory, answered) => {
      const { find } = await inspect(directory);
      const [here, there] = [find(REGION, kept.keyId), find(OSAKA, kept.keyId)];
      expect(here?.opened).toBe("kept");
      if (there !== undefined) expect(there.opened).toBe("kept");
      if (answered.includes("replicated")) expect(there).toBeDefined();
      if (answered.includes("rotated")) expect(here?.CurrentKeyMaterialId).not.toBe(kept.material);
      if (answered.includes("moved")) expect(here?.MultiRegionConfiguration?.PrimaryKey.Region).toBe(OSAKA);
    });
  });

  test("of the end of the last replica leaves it, or its primary key waiting", async () => {
    const program = `${opening(`, clock: () => ${later}`)}
      process.stdout.write(String(await kms.runDue()));
      await kms.close();`;
    await crashes(root, program, afterOpening, copy, async (directory, done) => {
      const { find } = await inspect(directory);
      const [here, there] = [find(REGION, kept.waiting), find(OSAKA, kept.waiting)];
      expect([here?.KeyState, there?.KeyState]).toEqual(
        there ? ["PendingReplicaDeletion", "PendingDeletion"] : ["PendingDeletion", undefined],
      );
      if (done) expect(there).toBeUndefined();
    });
  });

  test("of the first use of a service's alias leaves key and alias, or neither", async () => {
    const program = `${opening()}
      await kms.service("backup").encrypt({ KeyId: "alias/aws/backup", Plaintext: Buffer.from("plain") });
      process.stdout.write("used");
      await kms.close();`;
    await crashes(root, program, afterOpening, copy, async (directory, used) => {
      const { left } = await inspect(directory);
      const { keys = [], aliases = [] } = left[REGION] ?? {};
      const managed = keys.filter(({ KeyManager }) => KeyManager === "AWS");
      expect(aliases.map(({ TargetKeyId }) => TargetKeyId)).toEqual(managed.map(({ KeyId }) => KeyId));
      expect(managed.length).toBeLessThanOrEqual(1);
      if (used) expect(managed).toHaveLength(1);
    });
  });
});
