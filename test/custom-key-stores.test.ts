import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { addon } from "../lib/hsm/load.ts";
import { provisionSoftHsm } from "../lib/hsm.ts";
import { Kms } from "../lib/index.ts";
import { ACCOUNT, bytes, Clock, REGION, refusal, text } from "./deployment.ts";

const home = mkdtempSync(join(tmpdir(), "keystead-stores-"));
const directory = join(home, "deployment");
const clock = new Clock();
const CLUSTER = "cluster-234567abcde";
const PASSWORD = "kmsuser-1234";

let kms: Kms;
beforeAll(async () => {
  mkdirSync(directory);
  const { module, environment } = await provisionSoftHsm(directory);
  await addon().initToken({
    module,
    environment,
    label: "kmsuser",
    soPin: bytes("so-pin-1234"),
    pin: bytes(PASSWORD),
  });
  kms = await Kms.open({
    directory,
    region: REGION,
    account: ACCOUNT,
    clock: clock.read,
    hsm: { clusters: { [CLUSTER]: { token: "kmsuser" } } },
  });
});
afterAll(async () => {
  await kms?.close();
  rmSync(home, { recursive: true, force: true });
});

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

describe("a key store", () => {
  test("holds keys that work", async () => {
    const { CustomKeyStoreId } = await kms.createCustomKeyStore({
      CustomKeyStoreName: "store",
      CloudHsmClusterId: CLUSTER,
      KeyStorePassword: PASSWORD,
      TrustAnchorCertificate: CERTIFICATE,
    });
    await kms.connectCustomKeyStore({ CustomKeyStoreId });
    expect((await kms.describeCustomKeyStores()).CustomKeyStores).toMatchObject([
      { ConnectionState: "CONNECTED" },
    ]);
    const { KeyMetadata } = await kms.createKey({ Origin: "AWS_CLOUDHSM", CustomKeyStoreId });
    const { CiphertextBlob } = await kms.encrypt({ KeyId: KeyMetadata?.KeyId, Plaintext: bytes("hi") });
    expect(text((await kms.decrypt({ CiphertextBlob })).Plaintext)).toBe("hi");
    expect(await refusal(kms.deleteCustomKeyStore({ CustomKeyStoreId }))).toMatch(
      /^CustomKeyStoreHasCMKsException/,
    );
  });
});
