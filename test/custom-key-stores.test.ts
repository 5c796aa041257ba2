import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { lastEvents } from "../lib/audit.ts";
import { addon } from "../lib/hsm/load.ts";
import { Hsm, provisionSoftHsm } from "../lib/hsm.ts";
import { Kms } from "../lib/index.ts";
import { library, node } from "./child.ts";
import { ACCOUNT, bytes, Clock, REGION, refusal, text } from "./deployment.ts";

const home = mkdtempSync(join(tmpdir(), "keystead-stores-"));
const directory = join(home, "deployment");
const clock = new Clock();
const PASSWORD = "canary-1234";
const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBgzCCASmgAwIBAgIUFQhaGhY58FDpmPPNwqNH6Fsrqd8wCgYIKoZIzj0EAwIw
FjEUMBIGA1UEAwwLY3VzdG9tZXIgQ0EwIBcNMjYxMTIzMjMyNTU1WhgPMjEyNjEw
MzAyMzI1NTVaMBYxFDASBgNVBAMMC2N1c3RvbWVyIENBMFkwEwYHKoZIzj0CAQYI
KoZIzj0DAQcDQgAE7Hag5bkwqtjwHk7x+LQnvc3VNX+CMpYAkkVIGy+WFayq40Ef
UusHpuy2lgYuvOfISRn7kWRvTcWOLFO1L+Qr0qNTMFEwHQYDVR0OBBYEFJb/5MqA
QgxNXqqTEcHnP+aDzjHIMB8GA1UdIwQYMBaAFJb/5MqAQgxNXqqTEcHnP+aDzjHI
MA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIgZJ8heacKQdOPci/L
z3OUdIzQWHRgT6lt7WWwdp2RAl4CIQCrfdg2NHHYZcF++7hQx1Mxz1yTXxqs07Ek
CXF6Ujg6ew==
-----END CERTIFICATE-----`;

/** Two names of the same token, another token, and one that there is not. */
const [CLUSTER, SAME, OTHER, ABSENT] = ["a", "b", "c", "d"].map(
  (letter) => `cluster-${letter.repeat(11)}`,
) as [string, string, string, string];
const clusters = {
  [CLUSTER]: { token: "kmsuser" },
  [SAME]: { token: "kmsuser" },
  [OTHER]: { token: "other" },
  [ABSENT]: { token: "absent" },
};
const settings = {
  CustomKeyStoreName: "store",
  CloudHsmClusterId: CLUSTER,
  KeyStorePassword: PASSWORD,
  TrustAnchorCertificate: CERTIFICATE,
};

let module: string;
let environment: { SOFTHSM2_CONF: string };
let kms: Kms;
beforeAll(async () => {
  mkdirSync(directory);
  ({ module, environment } = await provisionSoftHsm(directory));
  const soPin = "so-pin-1234";
  for (const label of ["kmsuser", "other"])
    await addon().initToken({ module, environment, label, soPin: bytes(soPin), pin: bytes(PASSWORD) });
  kms = await open();
});
afterAll(async () => {
  await kms?.close();
  rmSync(home, { recursive: true, force: true });
});

const open = () =>
  Kms.open({ directory, region: REGION, account: ACCOUNT, clock: clock.read, hsm: { clusters } });

async function stateOf(CustomKeyStoreId: string | undefined) {
  const { CustomKeyStores } = await kms.describeCustomKeyStores({ CustomKeyStoreId });
  const { ConnectionState, ConnectionErrorCode } = CustomKeyStores?.[0] ?? {};
  return [ConnectionState, ConnectionErrorCode];
}

/** The objects in a token as an independent client of PKCS#11 sees them, in a process of its own. */
async function objects(
  token = "kmsuser",
): Promise<{ label: string; id: string; value: string; can: string }[]> {
  const program = `
    const [root, options] = process.argv.slice(1);
    const { module: path, token, pin } = JSON.parse(options);
    const graphene = process.getBuiltinModule("node:module").createRequire(root + "/package.json")("graphene-pk11");
    const module = graphene.Module.load(path, "softhsm");
    module.initialize();
    const slots = module.getSlots(true);
    const slot = Array.from({ length: slots.length }, (_, i) => slots.items(i)).find((slot) => slot.getToken().label === token);
    const session = slot.open(graphene.SessionFlag.SERIAL_SESSION | graphene.SessionFlag.RW_SESSION);
    session.login(pin);
    const found = session.find();
    const seen = [];
    for (let i = 0; i < found.length; i++) {
      const object = found.items(i);
      const get = (name) => { try { return object.getAttribute(name); } catch (error) { return error.message; } };
      const flags = ["token", "private", "sensitive", "extractable", "modifiable", "neverExtractable", "alwaysSensitive", "sign", "wrap", "unwrap", "encrypt", "decrypt", "derive"];
      seen.push({ label: get("label"), id: String(get("id")), value: String(get("value")), can: flags.filter((flag) => get(flag) === true).join(" ") });
    }
    console.log(JSON.stringify(seen));
    process.exit(0);`;
  const root = resolve(import.meta.dirname, "..");
  const options = JSON.stringify({ module, token, pin: PASSWORD });
  const { stdout } = await node(program, [root, options], { env: { ...process.env, ...environment } });
  return JSON.parse(String(stdout));
}

describe("CreateCustomKeyStore", () => {
  test.each<[string, object, string]>([
    [
      "of a cluster that is not configured",
      { CloudHsmClusterId: "cluster-222222222222" },
      "CloudHsmClusterNotFoundException",
    ],
    ["of a token that there is not", { CloudHsmClusterId: ABSENT }, "CloudHsmClusterNotActiveException"],
    [
      "without a cluster",
      { CloudHsmClusterId: undefined },
      "ValidationException: CloudHsmClusterId is required",
    ],
    [
      "without a password",
      { KeyStorePassword: undefined },
      "ValidationException: KeyStorePassword is required",
    ],
    [
      "with a short password",
      { KeyStorePassword: "canary" },
      "ValidationException: 1 validation error detected: Value at 'keyStorePassword' failed",
    ],
    [
      "without a certificate",
      { TrustAnchorCertificate: undefined },
      "ValidationException: TrustAnchorCertificate is required",
    ],
    ["with what is no certificate", { TrustAnchorCertificate: "canary" }, "IncorrectTrustAnchorException"],
    [
      "with a damaged certificate",
      { TrustAnchorCertificate: CERTIFICATE.replace(/MII/, "AAA") },
      "IncorrectTrustAnchorException",
    ],
    [
      "with a proxy",
      { XksProxyUriPath: "/kms/xks/v1" },
      "ValidationException: XksProxyUriPath is not a property",
    ],
  ])("makes none %s", async (_, change, error) => {
    const refused = await refusal(kms.createCustomKeyStore({ ...settings, ...change }));
    expect(refused).toMatch(new RegExp(`^${error}`));
    expect(refused).not.toContain("canary");
    expect((await kms.describeCustomKeyStores()).CustomKeyStores).toEqual([]);
  });
});

describe("a key store", () => {
  let CustomKeyStoreId: string | undefined;
  let KeyId: string;
  let CiphertextBlob: Uint8Array | undefined;

  test("is made, and told of without its password", async () => {
    ({ CustomKeyStoreId } = await kms.createCustomKeyStore(settings));
    expect(CustomKeyStoreId).toMatch(/^cks-[0-9a-f]{17}$/);
    const { CustomKeyStores } = await kms.describeCustomKeyStores({ CustomKeyStoreId });
    expect(CustomKeyStores).toEqual([
      {
        CustomKeyStoreId,
        CustomKeyStoreName: "store",
        CustomKeyStoreType: "AWS_CLOUDHSM",
        CloudHsmClusterId: CLUSTER,
        TrustAnchorCertificate: CERTIFICATE,
        ConnectionState: "DISCONNECTED",
        CreationDate: new Date(clock.now),
      },
    ]);
    expect((await kms.describeCustomKeyStores({ CustomKeyStoreName: "store" })).CustomKeyStores).toEqual(
      CustomKeyStores,
    );
  });

  test("has a name and a cluster of its own", async () => {
    expect(await refusal(kms.createCustomKeyStore(settings))).toMatch(/^CustomKeyStoreNameInUseException/);
    expect(await refusal(kms.createCustomKeyStore({ ...settings, CustomKeyStoreName: "2" }))).toMatch(
      /^CloudHsmClusterInUseException/,
    );
  });

  test("is nobody else's", async () => {
    const stranger = kms.as("arn:aws:iam::444455556666:role/app");
    expect((await stranger.describeCustomKeyStores()).CustomKeyStores).toEqual([]);
    expect(await refusal(stranger.connectCustomKeyStore({ CustomKeyStoreId }))).toMatch(
      /^CustomKeyStoreNotFoundException/,
    );
  });

  test("is asked for by its id or its name", async () => {
    expect(
      await refusal(kms.describeCustomKeyStores({ CustomKeyStoreId, CustomKeyStoreName: "store" })),
    ).toMatch(/^ValidationException/);
    expect(await refusal(kms.describeCustomKeyStores({ CustomKeyStoreId: "cks-1" }))).toMatch(
      /^CustomKeyStoreNotFoundException/,
    );
    expect(await refusal(kms.describeCustomKeyStores({ CustomKeyStoreName: "none" }))).toMatch(
      /^CustomKeyStoreNotFoundException/,
    );
  });

  test("takes no keys before it is connected", async () => {
    const key = { Origin: "AWS_CLOUDHSM", CustomKeyStoreId } as const;
    expect(await refusal(kms.createKey(key))).toMatch(/^CustomKeyStoreInvalidStateException/);
    expect(await refusal(kms.generateRandom({ NumberOfBytes: 8, CustomKeyStoreId }))).toMatch(
      /^CustomKeyStoreInvalidStateException/,
    );
    expect(await refusal(kms.disconnectCustomKeyStore({ CustomKeyStoreId }))).toMatch(
      /^CustomKeyStoreInvalidStateException/,
    );
  });

  test("does not connect with a wrong password, and does not try again by itself", async () => {
    await kms.updateCustomKeyStore({ CustomKeyStoreId, KeyStorePassword: "canary-4321" });
    await kms.connectCustomKeyStore({ CustomKeyStoreId });
    expect(await stateOf(CustomKeyStoreId)).toEqual(["FAILED", "INVALID_CREDENTIALS"]);
    for (const refused of [
      kms.connectCustomKeyStore({ CustomKeyStoreId }),
      kms.updateCustomKeyStore({ CustomKeyStoreId, KeyStorePassword: PASSWORD }),
      kms.deleteCustomKeyStore({ CustomKeyStoreId }),
    ])
      expect(await refusal(refused)).toMatch(/^CustomKeyStoreInvalidStateException/);
    await kms.disconnectCustomKeyStore({ CustomKeyStoreId });
    await kms.updateCustomKeyStore({ CustomKeyStoreId, KeyStorePassword: PASSWORD });
  });

  test("connects", async () => {
    await kms.connectCustomKeyStore({ CustomKeyStoreId });
    expect(await stateOf(CustomKeyStoreId)).toEqual(["CONNECTED", undefined]);
    await kms.connectCustomKeyStore({ CustomKeyStoreId });
    expect(await stateOf(CustomKeyStoreId)).toEqual(["CONNECTED", undefined]);
  });

  test("holds keys as token objects that never leave it", async () => {
    const { KeyMetadata } = await kms.createKey({ Origin: "AWS_CLOUDHSM", CustomKeyStoreId });
    KeyId = KeyMetadata?.KeyId as string;
    expect(KeyMetadata).toMatchObject({
      Origin: "AWS_CLOUDHSM",
      KeyManager: "CUSTOMER",
      KeyState: "Enabled",
      CustomKeyStoreId,
      CloudHsmClusterId: CLUSTER,
      MultiRegion: false,
    });
    expect(KeyMetadata).not.toHaveProperty("CurrentKeyMaterialId");
    expect((await kms.describeKey({ KeyId })).KeyMetadata).toEqual(KeyMetadata);
    const [object, ...others] = await objects();
    expect(others).toEqual([]);
    expect(object?.label).toBe(KeyId);
    expect(object?.can).toBe("token private sensitive neverExtractable alwaysSensitive sign");
    expect(object?.value).toMatch(/CKR_ATTRIBUTE_SENSITIVE/);
  });

  test.each<[string, object, string]>([
    ["of RSA", { KeySpec: "RSA_2048", KeyUsage: "SIGN_VERIFY" }, "UnsupportedOperationException"],
    ["for MACs", { KeySpec: "HMAC_256", KeyUsage: "GENERATE_VERIFY_MAC" }, "UnsupportedOperationException"],
    ["of several Regions", { MultiRegion: true }, "UnsupportedOperationException"],
    ["of another Origin", { Origin: "AWS_KMS" }, "ValidationException"],
    ["to be imported", { Origin: "EXTERNAL" }, "ValidationException"],
    ["of a proxy", { XksKeyId: "key-1" }, "ValidationException"],
    ["of no store", { CustomKeyStoreId: undefined }, "ValidationException"],
    ["of a store that there is not", { CustomKeyStoreId: "cks-1" }, "CustomKeyStoreNotFoundException"],
  ])("holds no key %s", async (_, change, error) => {
    const key = { Origin: "AWS_CLOUDHSM", CustomKeyStoreId, ...change } as const;
    expect(await refusal(kms.createKey(key))).toMatch(new RegExp(`^${error}`));
    expect(await objects()).toHaveLength(1);
  });

  test("its keys work like others", async () => {
    const EncryptionContext = { tenant: "1" };
    ({ CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: bytes("kept"), EncryptionContext }));
    const opened = await kms.decrypt({ CiphertextBlob, EncryptionContext });
    expect(text(opened.Plaintext)).toBe("kept");
    expect(await refusal(kms.decrypt({ CiphertextBlob }))).toBe("InvalidCiphertextException");
    const made = await kms.generateDataKey({ KeyId, KeySpec: "AES_256" });
    expect((await kms.decrypt({ CiphertextBlob: made.CiphertextBlob })).Plaintext).toEqual(made.Plaintext);
    const { KeyMetadata } = await kms.createKey();
    const DestinationKeyId = KeyMetadata?.KeyId;
    const moved = await kms.reEncrypt({ CiphertextBlob: made.CiphertextBlob, DestinationKeyId });
    expect((await kms.decrypt({ CiphertextBlob: moved.CiphertextBlob })).Plaintext).toEqual(made.Plaintext);
    expect(await refusal(kms.generateDataKeyPair({ KeyId, KeyPairSpec: "ECC_NIST_P256" }))).toMatch(
      /^UnsupportedOperationException/,
    );
    expect((await kms.generateRandom({ NumberOfBytes: 8, CustomKeyStoreId })).Plaintext).toHaveLength(8);
  });

  test("its keys take batches, also beside keys of the service's own token", async () => {
    const { KeyMetadata } = await kms.createKey();
    const Plaintexts = Array.from({ length: 500 }, (_, i) => bytes(`plaintext ${i}`));
    const blobs: Uint8Array[] = [];
    for (const key of [KeyId, KeyMetadata?.KeyId]) {
      const { Entries } = await kms.encryptBatch({
        KeyId: key,
        Entries: Plaintexts.map((Plaintext) => ({ Plaintext })),
      });
      blobs.push(...Entries.map((entry) => entry.CiphertextBlob as Uint8Array));
    }
    const mixed = blobs.map((_, i) => blobs[(i * 7) % blobs.length] as Uint8Array);
    const { Entries } = await kms.decryptBatch({ Entries: mixed.map((blob) => ({ CiphertextBlob: blob })) });
    expect(Entries.map(({ Plaintext }) => text(Plaintext))).toEqual(
      mixed.map((_, i) => text(Plaintexts[((i * 7) % blobs.length) % 500])),
    );
    expect(text((await kms.decrypt({ CiphertextBlob: blobs[3] as Uint8Array })).Plaintext)).toBe(
      "plaintext 3",
    );
  });

  test("its keys do not rotate", async () => {
    expect(await refusal(kms.enableKeyRotation({ KeyId }))).toMatch(/^UnsupportedOperationException/);
    expect(await refusal(kms.rotateKeyOnDemand({ KeyId }))).toMatch(/^UnsupportedOperationException/);
  });

  test("takes a new name while it is connected, and nothing else", async () => {
    await kms.updateCustomKeyStore({ CustomKeyStoreId, NewCustomKeyStoreName: "renamed" });
    expect(
      (await kms.describeCustomKeyStores({ CustomKeyStoreName: "renamed" })).CustomKeyStores,
    ).toMatchObject([{ CustomKeyStoreId }]);
    for (const change of [{ KeyStorePassword: PASSWORD }, { CloudHsmClusterId: SAME }])
      expect(await refusal(kms.updateCustomKeyStore({ CustomKeyStoreId, ...change }))).toMatch(
        /^CustomKeyStoreInvalidStateException/,
      );
    expect(await refusal(kms.updateCustomKeyStore({ CustomKeyStoreId: "cks-1" }))).toMatch(
      /^CustomKeyStoreNotFoundException/,
    );
  });

  test("is not deleted while it is connected or has keys", async () => {
    expect(await refusal(kms.deleteCustomKeyStore({ CustomKeyStoreId }))).toMatch(
      /^CustomKeyStoreHasCMKsException/,
    );
  });

  test("serves processes that open it later", async () => {
    const program = `
      import { Kms } from ${library("index")};
      const [directory, blob] = process.argv.slice(1);
      const kms = await Kms.open({ directory });
      const EncryptionContext = { tenant: "1" };
      const { Plaintext } = await kms.decrypt({ CiphertextBlob: Buffer.from(blob, "base64"), EncryptionContext });
      process.stdout.write(Plaintext);
      await kms.close();`;
    const blob = Buffer.from(CiphertextBlob as Uint8Array).toString("base64");
    expect((await node(program, [directory, blob])).stdout).toBe("kept");
  });

  test("is connected and disconnected for all processes", async () => {
    const program = `
      import { createInterface } from "node:readline";
      import { Kms } from ${library("index")};
      const [directory, blob] = process.argv.slice(1);
      const kms = await Kms.open({ directory });
      const EncryptionContext = { tenant: "1" };
      const decrypt = () => kms.decrypt({ CiphertextBlob: Buffer.from(blob, "base64"), EncryptionContext });
      const tell = () => decrypt().then(({ Plaintext }) => Buffer.from(Plaintext).toString(), ({ name }) => name);
      console.log(await tell());
      for await (const line of createInterface({ input: process.stdin })) {
        if (line === "runDue") await kms.runDue();
        console.log(await tell());
      }
      await kms.close();`;
    const blob = Buffer.from(CiphertextBlob as Uint8Array).toString("base64");
    const command = ["--input-type=module", "-e", program, directory, blob];
    const child = spawn(process.execPath, command, { stdio: ["pipe", "pipe", "inherit"] });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const said = async () => (await lines.next()).value;
    const ask = (line: string) => {
      child.stdin.write(`${line}\n`);
      return said();
    };
    expect(await said()).toBe("kept");
    await kms.disconnectCustomKeyStore({ CustomKeyStoreId });
    expect(await ask("again")).toBe("KMSInvalidStateException");
    expect(await ask("runDue")).toBe("KMSInvalidStateException");
    await kms.connectCustomKeyStore({ CustomKeyStoreId });
    expect(await ask("again")).toBe("kept");
    child.stdin.end();
    expect((await once(child, "close"))[0]).toBe(0);
  });

  test("makes its keys unavailable when it is disconnected", async () => {
    const EncryptionContext = { tenant: "1" };
    await kms.disconnectCustomKeyStore({ CustomKeyStoreId });
    const described = async () => (await kms.describeKey({ KeyId })).KeyMetadata;
    expect(await described()).toMatchObject({
      KeyState: "Unavailable",
      Enabled: false,
      CloudHsmClusterId: CLUSTER,
    });
    for (const refused of [
      kms.decrypt({ CiphertextBlob, EncryptionContext }),
      kms.encrypt({ KeyId, Plaintext: bytes("x") }),
      kms.generateDataKey({ KeyId, KeySpec: "AES_256" }),
    ])
      expect(await refusal(refused)).toMatch(/^KMSInvalidStateException: arn:aws:kms:.* is unavailable\.$/);
    // What is managed is managed all the same; enabling and disabling count once it is connected again.
    await kms.disableKey({ KeyId });
    expect((await described())?.KeyState).toBe("Unavailable");
    await kms.enableKey({ KeyId });
    await kms.updateKeyDescription({ KeyId, Description: "described" });
    await kms.scheduleKeyDeletion({ KeyId });
    expect((await described())?.KeyState).toBe("PendingDeletion");
    await kms.cancelKeyDeletion({ KeyId });
    expect((await described())?.KeyState).toBe("Unavailable");
    expect(await refusal(kms.cancelKeyDeletion({ KeyId }))).toMatch(/is not pending deletion\.$/);
    await kms.connectCustomKeyStore({ CustomKeyStoreId });
    expect((await described())?.KeyState).toBe("Disabled");
    await kms.enableKey({ KeyId });
    expect(text((await kms.decrypt({ CiphertextBlob, EncryptionContext })).Plaintext)).toBe("kept");
  });

  test("moves to a cluster that has its keys, and to no other", async () => {
    await kms.disconnectCustomKeyStore({ CustomKeyStoreId });
    for (const [change, error] of [
      [{ CloudHsmClusterId: OTHER }, "CloudHsmClusterNotRelatedException"],
      [
        { CloudHsmClusterId: OTHER, KeyStorePassword: "canary-4321" },
        "CloudHsmClusterInvalidConfigurationException",
      ],
      [{ CloudHsmClusterId: ABSENT }, "CloudHsmClusterNotActiveException"],
      [{ CloudHsmClusterId: "cluster-222222222222" }, "CloudHsmClusterNotFoundException"],
    ] as const)
      expect(await refusal(kms.updateCustomKeyStore({ CustomKeyStoreId, ...change }))).toMatch(
        new RegExp(`^${error}`),
      );
    await kms.updateCustomKeyStore({ CustomKeyStoreId, CloudHsmClusterId: SAME });
    await kms.connectCustomKeyStore({ CustomKeyStoreId });
    expect((await kms.describeKey({ KeyId })).KeyMetadata?.CloudHsmClusterId).toBe(SAME);
    const opened = await kms.decrypt({ CiphertextBlob, EncryptionContext: { tenant: "1" } });
    expect(text(opened.Plaintext)).toBe("kept");
  });

  test("says of a key that somebody has destroyed in its token that it is gone, and harms no other", async () => {
    const { KeyMetadata } = await kms.createKey({ Origin: "AWS_CLOUDHSM", CustomKeyStoreId });
    const lost = await kms.encrypt({ KeyId: KeyMetadata?.KeyId, Plaintext: bytes("lost") });
    const own = await kms.encrypt({ KeyId, Plaintext: bytes("kept") });
    const other = await Hsm.open({ module, environment, token: "kmsuser", pin: PASSWORD });
    expect(await other.destroyTokenKey(KeyMetadata?.KeyId as string)).toBe(true);
    await other.close();
    const gone =
      /^KMSInvalidStateException: The material of arn:aws:kms:.* is not in its custom key store any more\.$/;
    expect(await refusal(kms.decrypt({ CiphertextBlob: lost.CiphertextBlob }))).toMatch(gone);
    expect(await refusal(kms.encrypt({ KeyId: KeyMetadata?.KeyId, Plaintext: bytes("x") }))).toMatch(gone);
    const { Entries } = await kms.decryptBatch({
      Entries: [lost, own].map(({ CiphertextBlob }) => ({ CiphertextBlob })),
    });
    expect(Entries.map((entry) => entry.Error?.name ?? text(entry.Plaintext))).toEqual([
      "KMSInvalidStateException",
      "kept",
    ]);
    await kms.scheduleKeyDeletion({ KeyId: KeyMetadata?.KeyId, PendingWindowInDays: 7 });
    clock.advance(8);
    await kms.runDue();
    expect(await refusal(kms.describeKey({ KeyId: KeyMetadata?.KeyId }))).toMatch(/^NotFoundException/);
  });

  test("fails to connect to a cluster that is configured no more", async () => {
    await kms.disconnectCustomKeyStore({ CustomKeyStoreId });
    await kms.close();
    const { [SAME]: _, ...fewer } = clusters;
    kms = await Kms.open({ directory, clock: clock.read, hsm: { clusters: fewer } });
    await kms.connectCustomKeyStore({ CustomKeyStoreId });
    expect(await stateOf(CustomKeyStoreId)).toEqual(["FAILED", "CLUSTER_NOT_FOUND"]);
    await kms.disconnectCustomKeyStore({ CustomKeyStoreId });
    await kms.close();
    kms = await open();
    await kms.connectCustomKeyStore({ CustomKeyStoreId });
  });

  test("says so when its token is lost while it is connected", async () => {
    await kms.close();
    const { [SAME]: _, ...fewer } = clusters;
    kms = await Kms.open({ directory, clock: clock.read, hsm: { clusters: fewer } });
    const refused = refusal(kms.decrypt({ CiphertextBlob, EncryptionContext: { tenant: "1" } }));
    expect(await refused).toMatch(/^KeyUnavailableException: Custom key store .*CLUSTER_NOT_FOUND/);
    await kms.close();
    kms = await open();
  });

  test("destroys the object of a deleted key once it is connected", async () => {
    await kms.scheduleKeyDeletion({ KeyId, PendingWindowInDays: 7 });
    await kms.disconnectCustomKeyStore({ CustomKeyStoreId });
    clock.advance(8);
    await kms.runDue();
    expect(await refusal(kms.describeKey({ KeyId }))).toMatch(/^NotFoundException/);
    expect(await objects()).toHaveLength(1);
    await kms.connectCustomKeyStore({ CustomKeyStoreId });
    await kms.runDue();
    expect(await objects()).toEqual([]);
  });

  test("destroys it at once when it is connected", async () => {
    const { KeyMetadata } = await kms.createKey({ Origin: "AWS_CLOUDHSM", CustomKeyStoreId });
    const { CiphertextBlob } = await kms.encrypt({ KeyId: KeyMetadata?.KeyId, Plaintext: bytes("gone") });
    await kms.scheduleKeyDeletion({ KeyId: KeyMetadata?.KeyId, PendingWindowInDays: 7 });
    expect(await objects()).toHaveLength(1);
    clock.advance(8);
    await kms.runDue();
    expect(await objects()).toEqual([]);
    expect(await refusal(kms.decrypt({ CiphertextBlob }))).toBe("InvalidCiphertextException");
  });

  test("is deleted when it is disconnected and empty", async () => {
    expect(await refusal(kms.deleteCustomKeyStore({ CustomKeyStoreId }))).toMatch(
      /^CustomKeyStoreInvalidStateException/,
    );
    await kms.disconnectCustomKeyStore({ CustomKeyStoreId });
    await kms.deleteCustomKeyStore({ CustomKeyStoreId });
    expect((await kms.describeCustomKeyStores()).CustomKeyStores).toEqual([]);
  });

  test("leaves no password in the trail, nor in any other file", async () => {
    const events = await lastEvents(join(directory, "audit"), 1000);
    expect(events.filter((event) => event.includes("canary"))).toEqual([]);
    expect(events.some((event) => event.includes("UpdateCustomKeyStore"))).toBe(true);
    await kms.close();
    const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    );
    const telling = files.filter((file) => readFileSync(join(file.parentPath, file.name)).includes("canary"));
    expect(telling.map(({ name }) => name)).toEqual([]);
    kms = await open();
  });
});

test("stores are listed in pages, ten at most", async () => {
  const made: (string | undefined)[] = [];
  for (let i = 0; i < 10; i++) {
    const CloudHsmClusterId = `cluster-${"efghijklmn"[i]?.repeat(11)}`;
    await kms.close();
    kms = await Kms.open({
      directory,
      clock: clock.read,
      hsm: { clusters: { [CloudHsmClusterId]: { token: "other" } } },
    });
    const store = { ...settings, CustomKeyStoreName: `store ${i}`, CloudHsmClusterId };
    made.push((await kms.createCustomKeyStore(store)).CustomKeyStoreId);
  }
  expect(await refusal(kms.createCustomKeyStore(settings))).toMatch(/^LimitExceededException/);
  const listed: (string | undefined)[] = [];
  let Marker: string | undefined;
  do {
    const page = await kms.describeCustomKeyStores({ Limit: 3, ...(Marker !== undefined && { Marker }) });
    expect(page.Truncated).toBe(page.NextMarker !== undefined);
    listed.push(...(page.CustomKeyStores ?? []).map((store) => store.CustomKeyStoreId));
    Marker = page.NextMarker;
  } while (Marker !== undefined);
  expect(listed).toEqual(made.toSorted());
  expect(await refusal(kms.describeCustomKeyStores({ Marker: "forged" }))).toMatch(/^InvalidMarkerException/);
});

test.each<[string, object, RegExp]>([
  ["an id that is none", { "cluster-1": { token: "x" } }, /"cluster-1", which is no cluster id/],
  ["no token", { [CLUSTER]: {} }, /must be \{ token: LABEL/],
  ["a PIN", { [CLUSTER]: { token: "x", pin: "1234" } }, /must be \{ token: LABEL/],
])("clusters with %s are refused", async (_, wrong, error) => {
  await expect(
    Kms.open({ directory: join(home, "none"), hsm: { clusters: wrong as never } }),
  ).rejects.toThrow(error);
});
