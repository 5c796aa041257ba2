import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { addon } from "../lib/hsm/load.ts";
import { provisionSoftHsm } from "../lib/hsm.ts";
import { bytes } from "./deployment.ts";
import { CREDENTIAL, HOST, URI_PATH, XksProxy } from "./xks-proxy.ts";

const cli = join(import.meta.dirname, "../dist/cli.js");
const certificate = join(import.meta.dirname, "vectors/customer-ca.pem");
const home = mkdtempSync(join(tmpdir(), "keystead-cli-stores-"));
const directory = join(home, "data");
const CLUSTER = "cluster-234567abcde";
const PASSWORD = "kmsuser-1234";

let proxy: XksProxy;

beforeAll(async () => {
  proxy = await XksProxy.start(home, Date.now);
  proxy.addKey("key-1");
  mkdirSync(directory);
  const { module, environment } = await provisionSoftHsm(directory);
  await addon().initToken({
    module,
    environment,
    label: "kmsuser",
    soPin: bytes("so-pin-1234"),
    pin: bytes(PASSWORD),
  });
  const config = {
    region: "eu-west-1",
    account: "111122223333",
    hsm: { clusters: { [CLUSTER]: { token: "kmsuser" } } },
    xks: { ca: XksProxy.ca(home), addresses: { [HOST]: proxy.address }, timeout: 20_000 },
  };
  writeFileSync(join(directory, "keystead.json"), JSON.stringify(config));
  writeFileSync(join(home, "pin"), `${PASSWORD}\n`);
  writeFileSync(
    join(home, "proxy.json"),
    JSON.stringify({ XksProxyUriPath: URI_PATH, XksProxyAuthenticationCredential: CREDENTIAL }),
  );
});
afterAll(async () => {
  await proxy?.close();
  rmSync(home, { recursive: true, force: true });
});

/** Runs the compiled command line in a process of its own. */
function keystead(args: string[], env: NodeJS.ProcessEnv = {}) {
  return new Promise<{ status: number; out: string; err: string }>((resolve) => {
    const options = { cwd: home, env: { ...process.env, ...env } };
    const child = execFile(process.execPath, [cli, "-d", directory, ...args], options, (error, out, err) =>
      resolve({ status: error === null ? 0 : Number(error.code), out, err }),
    );
    child.stdin?.end();
  });
}

async function json(args: string[], env: NodeJS.ProcessEnv = {}) {
  const { status, out, err } = await keystead([...args, "--json"], env);
  expect({ status, err }).toEqual({ status: 0, err: "" });
  return JSON.parse(out);
}

test("a key store on another token, from its making to its end", async () => {
  const making = ["key-store", "create", "payments", "--cluster", CLUSTER, "--trust-anchor", certificate];
  expect(await keystead(making)).toEqual({
    status: 2,
    out: "",
    err: "keystead: the password is needed, and there is no terminal to ask for it; give --password-file\n",
  });
  const { CustomKeyStoreId } = await json([...making, "--password-env", "SECRET"], { SECRET: "another-pin" });
  expect(await keystead(["key", "create", "--key-store", "payments"])).toMatchObject({ status: 7, out: "" });
  const failed = await keystead(["key-store", "connect", "payments"]);
  expect(failed).toMatchObject({ status: 6, out: "" });
  expect(failed.err).toMatch(/^keystead: the key store could not be connected: INVALID_CREDENTIALS; /);
  expect((await keystead(["key-store", "list"])).out).toMatch(
    /payments +cluster-234567abcde +FAILED: INVALID_CREDENTIALS/,
  );
  await json(["key-store", "disconnect", "payments"]);
  await json(["key-store", "update", "payments", "--password-file", "pin", "--rename", "orders"]);
  expect(await json(["key-store", "connect", CustomKeyStoreId])).toEqual({
    CustomKeyStoreId,
    ConnectionState: "CONNECTED",
  });
  const { KeyMetadata } = await json(["key", "create", "--key-store", "orders", "--alias", "orders"]);
  expect(KeyMetadata).toMatchObject({ Origin: "AWS_CLOUDHSM", CloudHsmClusterId: CLUSTER });
  writeFileSync(join(home, "plain"), "plain");
  await json(["encrypt", "plain", "--key", "alias/orders"]);
  expect((await keystead(["decrypt", "plain.keystead", "-o", "-"])).out).toBe("plain");
  expect((await keystead(["key-store", "delete", "orders"])).err).toMatch(/keystead key delete\n$/);
  expect(await keystead(["key-store", "connect", "none"])).toMatchObject({ status: 4 });
});

test("a key store behind a proxy", async () => {
  const making = ["key-store", "create", "vault", "--proxy", `https://${HOST}`, "--proxy-config"];
  writeFileSync(join(home, "broken.json"), `{"RawSecretAccessKey": "canary`);
  expect((await keystead([...making, "broken.json"])).err).toBe(
    "keystead: broken.json is not JSON; give the proxy configuration file of the external key store proxy\n",
  );
  const { CustomKeyStoreId } = await json([...making, "proxy.json"]);
  await json(["key-store", "connect", "vault"]);
  const making1 = ["key", "create", "--key-store", "vault", "--external-key", "key-1"];
  const { KeyMetadata } = await json(making1);
  expect(KeyMetadata).toMatchObject({ Origin: "EXTERNAL_KEY_STORE", XksKeyConfiguration: { Id: "key-1" } });
  const listed = await json(["key-store", "list"]);
  expect(listed.CustomKeyStores).toContainEqual(expect.objectContaining({ CustomKeyStoreId }));
  expect(JSON.stringify(listed)).not.toContain("canary");
});

test("either a cluster or a proxy", async () => {
  expect(await keystead(["key-store", "create", "neither"])).toMatchObject({
    status: 2,
    err: "keystead: a key store has either --cluster or --proxy; see keystead key-store create --help\n",
  });
});
