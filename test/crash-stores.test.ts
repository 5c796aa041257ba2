import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { library, node } from "./child.ts";
import { afterOpening, compileDieAt, crashes, MOST } from "./crashes.ts";

vi.setConfig({ testTimeout: 60_000 + MOST * 3000 });

/** The day on which the prepared deletion is due, and a while after which who was making a key must have died. */
const later = Date.now() + 8 * 86_400_000;
const afterwards = later + 660_000;
const description = "the one that is being made";
const certificate = new URL("./vectors/customer-ca.pem", import.meta.url);
const root = mkdtempSync(join(tmpdir(), "keystead-crash-stores-"));
const prepared = join(root, "prepared");

let CustomKeyStoreId: string;
let doomed: string;

afterAll(() => rmSync(root, { recursive: true, force: true }));

const preparation = `
  import { mkdirSync, readFileSync } from "node:fs";
  import { Kms } from ${library("index")};
  import { provisionSoftHsm } from ${library("hsm")};
  import { addon } from ${library("hsm/load")};
  const [directory, certificate] = process.argv.slice(1);
  mkdirSync(directory);
  const { module, environment } = await provisionSoftHsm(directory);
  const password = "kmsuser-1234";
  await addon().initToken({ module, environment, label: "kmsuser", soPin: Buffer.from("so-1234"), pin: Buffer.from(password) });
  const CloudHsmClusterId = "cluster-234567abcde";
  const kms = await Kms.open({ directory, hsm: { clusters: { [CloudHsmClusterId]: { token: "kmsuser" } } } });
  const { CustomKeyStoreId } = await kms.createCustomKeyStore({
    CustomKeyStoreName: "store", CloudHsmClusterId, KeyStorePassword: password,
    TrustAnchorCertificate: readFileSync(new URL(certificate), "utf8"),
  });
  await kms.connectCustomKeyStore({ CustomKeyStoreId });
  const make = async (Description) =>
    (await kms.createKey({ Description, Origin: "AWS_CLOUDHSM", CustomKeyStoreId })).KeyMetadata.KeyId;
  await make("kept");
  const doomed = await make("doomed");
  await kms.scheduleKeyDeletion({ KeyId: doomed, PendingWindowInDays: 7 });
  console.log(JSON.stringify({ CustomKeyStoreId, doomed }));
  await kms.close();`;

/** Opens what a killed process left, a while after, and tells the keys of the store and the objects of its token. */
const inspection = `
  import { Kms } from ${library("index")};
  const [directory, root] = process.argv.slice(1);
  const kms = await Kms.open({ directory, clock: () => ${afterwards} });
  await kms.runDue();
  const keys = [];
  for (const { KeyId } of (await kms.listKeys({ Limit: 1000 })).Keys) {
    const { KeyState, Description } = (await kms.describeKey({ KeyId })).KeyMetadata;
    const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: Buffer.from("plain") });
    const works = Buffer.from((await kms.decrypt({ CiphertextBlob })).Plaintext).toString() === "plain";
    keys.push({ keyId: KeyId, state: KeyState, description: Description, works });
  }
  const { module } = await import(${library("hsm")}).then(({ findSoftHsm }) => ({ module: findSoftHsm() }));
  const graphene = process.getBuiltinModule("node:module").createRequire(root + "/package.json")("graphene-pk11");
  const pkcs11 = graphene.Module.load(module, "softhsm");
  try { pkcs11.initialize(); } catch (error) { if (!/ALREADY_INITIALIZED/.test(error.message)) throw error; }
  const slots = pkcs11.getSlots(true);
  const slot = Array.from({ length: slots.length }, (_, i) => slots.items(i)).find((slot) => slot.getToken().label === "kmsuser");
  const found = slot.open(graphene.SessionFlag.SERIAL_SESSION).find();
  const get = (object, name) => { try { return object.getAttribute(name); } catch (error) { return error.message; } };
  const objects = Array.from({ length: found.length }, (_, i) => found.items(i))
    .filter((object) => get(object, "valueLen") === 32)
    .map((object) => get(object, "label"));
  console.log(JSON.stringify({ keys, objects }));
  process.exit(0);`;

interface Left {
  keys: { keyId: string; state: string; description: string; works: boolean }[];
  objects: string[];
}

/**
 * What holds after every crash: each key of the store works, and its token has the keys of these and no others. What
 * SoftHSM leaves when it is killed in C_GenerateKey, before it has a key, is an empty object without a name.
 */
async function inspect(directory: string): Promise<Left> {
  const { stdout } = await node(inspection, [directory, resolve(import.meta.dirname, "..")]);
  const left: Left = JSON.parse(String(stdout));
  expect(left.keys.filter((key) => !key.works)).toEqual([]);
  expect(left.objects.sort()).toEqual(left.keys.map((key) => key.keyId).sort());
  expect(left.keys.some((key) => key.description === "kept")).toBe(true);
  expect(left.keys.some((key) => key.keyId === doomed)).toBe(false);
  return left;
}

const copy = (directory: string) => cpSync(prepared, directory, { recursive: true });

describe.skipIf(process.platform !== "linux")("kill -9 before any step", () => {
  beforeAll(async () => {
    compileDieAt(root);
    const { stdout } = await node(preparation, [prepared, certificate.href]);
    ({ CustomKeyStoreId, doomed } = JSON.parse(String(stdout)));
  });

  test("of CreateKey in a custom key store leaves the key or nothing, and the key if it was answered", async () => {
    const creation = `
      import { Kms } from ${library("index")};
      const kms = await Kms.open({ directory: process.argv[1] });
      const { KeyMetadata } = await kms.createKey({
        Description: ${JSON.stringify(description)}, Origin: "AWS_CLOUDHSM", CustomKeyStoreId: "${CustomKeyStoreId}",
      });
      process.stdout.write(KeyMetadata.KeyId);
      await kms.close();`;
    await crashes(root, creation, afterOpening, copy, async (directory, answered) => {
      const { keys } = await inspect(directory);
      const made = keys.filter((key) => key.description === description);
      expect(made.length).toBeLessThanOrEqual(1);
      if (answered) expect(made[0]?.keyId).toBe(answered);
    });
  });

  test("of a deletion leaves nothing of the key in its token", async () => {
    const deletion = `
      import { Kms } from ${library("index")};
      const kms = await Kms.open({ directory: process.argv[1], clock: () => ${later} });
      process.stdout.write(String(await kms.runDue()));
      await kms.close();`;
    await crashes(root, deletion, afterOpening, copy, async (directory) => {
      await inspect(directory);
    });
  });
});
