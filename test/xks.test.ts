import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { lastEvents } from "../lib/audit.ts";
import { Kms } from "../lib/index.ts";
import { ACCOUNT, bytes, Clock, REGION, refusal, text } from "./deployment.ts";
import { CREDENTIAL, HOST, URI_PATH, XksProxy } from "./xks-proxy.ts";

const home = mkdtempSync(join(tmpdir(), "keystead-xks-"));
const directory = join(home, "deployment");
const clock = new Clock();
/** Ample, so that a busy machine is not taken for a slow proxy. */
const AMPLE = 20_000;

let proxy: XksProxy;
const { openExternal } = await import(join(import.meta.dirname, "decrypt-ciphertext.mjs"));

let kms: Kms;

beforeAll(async () => {
  proxy = await XksProxy.start(home, clock.read);
  mkdirSync(directory);
  kms = await open();
});
afterEach(() => {
  proxy.misbehaviour = {};
  proxy.health = "ACTIVE";
});
afterAll(async () => {
  await kms?.close();
  await proxy?.close();
  rmSync(home, { recursive: true, force: true });
});

function open(xks = {}): Promise<Kms> {
  const addresses = {
    [HOST]: proxy.address,
    "absent.example.com": "127.0.0.1:1",
    "other.example.com": proxy.address,
  };
  const trust = { ca: XksProxy.ca(home), addresses, timeout: AMPLE };
  return Kms.open({
    directory,
    region: REGION,
    account: ACCOUNT,
    clock: clock.read,
    xks: { ...trust, ...xks },
  });
}

const settings = {
  CustomKeyStoreName: "external",
  CustomKeyStoreType: "EXTERNAL_KEY_STORE",
  XksProxyConnectivity: "PUBLIC_ENDPOINT",
  XksProxyUriEndpoint: `https://${HOST}`,
  XksProxyUriPath: URI_PATH,
  XksProxyAuthenticationCredential: CREDENTIAL,
} as const;

const stateOf = async (CustomKeyStoreId: string | undefined) => {
  const { CustomKeyStores } = await kms.describeCustomKeyStores({ CustomKeyStoreId });
  const { ConnectionState, ConnectionErrorCode } = CustomKeyStores?.[0] ?? {};
  return [ConnectionState, ConnectionErrorCode];
};

/** Failures of a proxy that any request can meet, and how CreateCustomKeyStore and ConnectCustomKeyStore tell them. */
const FAILURES: [string, () => void, string, string][] = [
  [
    "that rejects the signature",
    () => {
      proxy.credential = { ...CREDENTIAL, RawSecretAccessKey: "another".padEnd(43, "x") };
    },
    "XksProxyIncorrectAuthenticationCredentialException",
    "INVALID_CREDENTIALS",
  ],
  [
    "that hangs up",
    () => (proxy.misbehaviour = { hangUp: true }),
    "XksProxyUriUnreachableException",
    "XKS_PROXY_NOT_REACHABLE",
  ],
  [
    "whose external key managers are all unavailable",
    () => (proxy.health = "UNAVAILABLE"),
    "XksProxyUriUnreachableException",
    "XKS_PROXY_NOT_REACHABLE",
  ],
  ...(
    [
      [200, "not JSON", "XksProxyInvalidResponseException", "XKS_PROXY_INVALID_RESPONSE"],
      [200, "[]", "XksProxyInvalidResponseException", "XKS_PROXY_INVALID_RESPONSE"],
      [200, "{}", "XksProxyInvalidResponseException", "XKS_PROXY_INVALID_RESPONSE"],
      [500, "<html>", "XksProxyInvalidResponseException", "XKS_PROXY_INVALID_RESPONSE"],
      [200, "x".repeat(70_000), "XksProxyInvalidResponseException", "XKS_PROXY_INVALID_RESPONSE"],
      [400, '{"errorName":"malformed"}', "XksProxyInvalidResponseException", "XKS_PROXY_INVALID_RESPONSE"],
      [
        404,
        '{"errorName":"InvalidUriPathException"}',
        "XksProxyInvalidConfigurationException",
        "XKS_PROXY_INVALID_CONFIGURATION",
      ],
      [
        403,
        '{"errorName":"AccessDeniedException"}',
        "XksProxyInvalidConfigurationException",
        "XKS_PROXY_ACCESS_DENIED",
      ],
      [
        429,
        '{"errorName":"ThrottlingException"}',
        "XksProxyUriUnreachableException",
        "XKS_PROXY_NOT_REACHABLE",
      ],
      [
        503,
        '{"errorName":"DependencyTimeoutException"}',
        "XksProxyUriUnreachableException",
        "XKS_PROXY_TIMED_OUT",
      ],
      [
        500,
        '{"errorName":"InternalException"}',
        "XksProxyInvalidResponseException",
        "XKS_PROXY_INVALID_RESPONSE",
      ],
    ] as const
  ).map(([status, body, error, code]): (typeof FAILURES)[number] => [
    `that answers ${status} ${body.slice(0, 50)}`,
    () => (proxy.misbehaviour = { answer: { status, body } }),
    error,
    code,
  ]),
];

describe("CreateCustomKeyStore", () => {
  test.each(FAILURES)("refuses a proxy %s", async (_, misbehave, error) => {
    misbehave();
    const refused = await refusal(kms.createCustomKeyStore(settings));
    proxy.credential = CREDENTIAL;
    expect(refused).toMatch(new RegExp(`^${error}: `));
    expect(refused).not.toContain("canary");
  });

  test.each<[string, object, string]>([
    [
      "that nobody listens for",
      { XksProxyUriEndpoint: "https://absent.example.com" },
      "XksProxyUriUnreachableException: AWS KMS cannot communicate",
    ],
    [
      "whose certificate is for another host",
      { XksProxyUriEndpoint: "https://other.example.com" },
      "XksProxyUriUnreachableException: AWS KMS cannot establish a TLS connection",
    ],
    [
      "that is no address either",
      { XksProxyUriEndpoint: "https://256.256.256.256" },
      "XksProxyInvalidConfigurationException",
    ],
    [
      "that is an address",
      { XksProxyUriEndpoint: "https://127.0.0.1" },
      "XksProxyInvalidConfigurationException",
    ],
    ["of another path", { XksProxyUriPath: "/tenant-2/kms/xks/v1" }, "XksProxyInvalidConfigurationException"],
    [
      "without credentials",
      { XksProxyAuthenticationCredential: undefined },
      "ValidationException: XksProxyAuthenticationCredential is required",
    ],
    [
      "with a password",
      { KeyStorePassword: "kmsuser-1234" },
      "ValidationException: KeyStorePassword is not a property",
    ],
    [
      "with a VPC endpoint service",
      { XksProxyVpcEndpointServiceName: "com.amazonaws.vpce.eu-west-1.vpce-svc-1" },
      "ValidationException",
    ],
    ["of a VPC without its service", { XksProxyConnectivity: "VPC_ENDPOINT_SERVICE" }, "ValidationException"],
    [
      "of a VPC that is nowhere",
      {
        XksProxyConnectivity: "VPC_ENDPOINT_SERVICE",
        XksProxyUriEndpoint: "https://private.example.com",
        XksProxyVpcEndpointServiceName: "com.amazonaws.vpce.eu-west-1.vpce-svc-1",
      },
      "XksProxyVpcEndpointServiceNotFoundException",
    ],
  ])("refuses a proxy %s", async (_, change, error) => {
    expect(await refusal(kms.createCustomKeyStore({ ...settings, ...change }))).toMatch(
      new RegExp(`^${error}`),
    );
  });

  test("refuses a proxy that it does not trust", async () => {
    const wary = await open({ ca: undefined });
    try {
      expect(await refusal(wary.createCustomKeyStore(settings))).toMatch(
        /^XksProxyUriUnreachableException: AWS KMS cannot establish a TLS connection/,
      );
    } finally {
      await wary.close();
    }
  });

  test("gives a proxy 250 ms", async () => {
    const strict = await open({ timeout: undefined });
    proxy.misbehaviour = { delay: 2000 };
    try {
      const before = performance.now();
      expect(await refusal(strict.createCustomKeyStore(settings))).toMatch(
        /^XksProxyUriUnreachableException: AWS KMS rejected the request because .* did not respond/,
      );
      expect(performance.now() - before).toBeGreaterThan(245);
      expect(performance.now() - before).toBeLessThan(1900);
    } finally {
      await strict.close();
    }
  });
});

describe("an external key store", () => {
  let CustomKeyStoreId: string | undefined;
  let KeyId: string;

  beforeAll(async () => {
    proxy.addKey("key-1");
    ({ CustomKeyStoreId } = await kms.createCustomKeyStore(settings));
    expect(proxy.seen.at(-1)).toMatchObject({
      verb: "health",
      body: { requestMetadata: { kmsOperation: "CreateCustomKeyStore", kmsRequestId: expect.any(String) } },
    });
  });

  test("is told of without its secret", async () => {
    const { CustomKeyStores } = await kms.describeCustomKeyStores({ CustomKeyStoreName: "external" });
    expect(CustomKeyStores).toEqual([
      {
        CustomKeyStoreId,
        CustomKeyStoreName: "external",
        CustomKeyStoreType: "EXTERNAL_KEY_STORE",
        ConnectionState: "DISCONNECTED",
        CreationDate: new Date(clock.now),
        XksProxyConfiguration: {
          Connectivity: "PUBLIC_ENDPOINT",
          AccessKeyId: CREDENTIAL.AccessKeyId,
          UriEndpoint: `https://${HOST}`,
          UriPath: URI_PATH,
        },
      },
    ]);
  });

  test("has an address of its own", async () => {
    const other = { ...settings, CustomKeyStoreName: "other" };
    expect(await refusal(kms.createCustomKeyStore(other))).toMatch(/^XksProxyUriInUseException/);
    const vpc = {
      ...other,
      XksProxyUriPath: "/tenant-2/kms/xks/v1",
      XksProxyConnectivity: "VPC_ENDPOINT_SERVICE",
      XksProxyVpcEndpointServiceName: "com.amazonaws.vpce.eu-west-1.vpce-svc-1",
    } as const;
    expect(await refusal(kms.createCustomKeyStore(vpc))).toMatch(/^XksProxyUriEndpointInUseException/);
    const { CustomKeyStoreId: id } = await kms.createCustomKeyStore({
      ...vpc,
      XksProxyUriEndpoint: "https://other.example.com",
    });
    const { CustomKeyStores } = await kms.describeCustomKeyStores({ CustomKeyStoreId: id });
    expect(CustomKeyStores?.[0]?.XksProxyConfiguration).toMatchObject({
      Connectivity: "VPC_ENDPOINT_SERVICE",
      VpcEndpointServiceName: "com.amazonaws.vpce.eu-west-1.vpce-svc-1",
      VpcEndpointServiceOwner: ACCOUNT,
    });
    expect(
      await refusal(
        kms.createCustomKeyStore({
          ...vpc,
          CustomKeyStoreName: "third",
          XksProxyUriEndpoint: "https://absent.example.com",
        }),
      ),
    ).toMatch(/^XksProxyVpcEndpointServiceInUseException/);
    await kms.deleteCustomKeyStore({ CustomKeyStoreId: id });
  });

  test.each(FAILURES)("fails to connect to a proxy %s", async (_, misbehave, __, code) => {
    misbehave();
    await kms.connectCustomKeyStore({ CustomKeyStoreId });
    proxy.credential = CREDENTIAL;
    expect(await stateOf(CustomKeyStoreId)).toEqual(["FAILED", code]);
    expect(await refusal(kms.connectCustomKeyStore({ CustomKeyStoreId }))).toMatch(
      /^CustomKeyStoreInvalidStateException/,
    );
    await kms.disconnectCustomKeyStore({ CustomKeyStoreId });
    expect(await stateOf(CustomKeyStoreId)).toEqual(["DISCONNECTED", undefined]);
  });

  test("connects", async () => {
    const key = { Origin: "EXTERNAL_KEY_STORE", CustomKeyStoreId, XksKeyId: "key-1" } as const;
    expect(await refusal(kms.createKey(key))).toMatch(/^CustomKeyStoreInvalidStateException/);
    await kms.connectCustomKeyStore({ CustomKeyStoreId });
    expect(await stateOf(CustomKeyStoreId)).toEqual(["CONNECTED", undefined]);
    expect(proxy.seen.at(-1)?.body.requestMetadata.kmsOperation).toBe("ConnectCustomKeyStore");
  });

  test("takes keys that the proxy has", async () => {
    const key = { Origin: "EXTERNAL_KEY_STORE", CustomKeyStoreId, XksKeyId: "key-1" } as const;
    const { KeyMetadata } = await kms.createKey(key);
    KeyId = KeyMetadata?.KeyId as string;
    expect(KeyMetadata).toMatchObject({
      Origin: "EXTERNAL_KEY_STORE",
      KeyManager: "CUSTOMER",
      KeyState: "Enabled",
      CustomKeyStoreId,
      XksKeyConfiguration: { Id: "key-1" },
    });
    expect(KeyMetadata).not.toHaveProperty("CloudHsmClusterId");
    expect(KeyMetadata).not.toHaveProperty("CurrentKeyMaterialId");
    expect((await kms.describeKey({ KeyId })).KeyMetadata).toEqual(KeyMetadata);
    expect(proxy.seen.at(-1)).toMatchObject({
      verb: "metadata",
      keyId: "key-1",
      body: { requestMetadata: { awsPrincipalArn: kms.principal, kmsOperation: "CreateKey" } },
    });
    expect(proxy.seen.at(-1)?.body.requestMetadata).not.toHaveProperty("kmsKeyArn");
    expect(await refusal(kms.createKey(key))).toMatch(/^XksKeyAlreadyInUseException/);
  });

  test.each<[string, object, object, string]>([
    ["that it does not have", { XksKeyId: "none" }, {}, "XksKeyNotFoundException: The external key"],
    ["of another kind", {}, { keySpec: "RSA_2048" }, "XksKeyInvalidConfigurationException"],
    ["that may not decrypt", {}, { keyUsage: ["ENCRYPT"] }, "XksKeyInvalidConfigurationException"],
    ["that is disabled", {}, { keyStatus: "DISABLED" }, "XksKeyInvalidConfigurationException"],
    ["without an id", { XksKeyId: undefined }, {}, "ValidationException"],
    ["of several Regions", { MultiRegion: true }, {}, "UnsupportedOperationException"],
    ["to sign with", { KeySpec: "RSA_2048", KeyUsage: "SIGN_VERIFY" }, {}, "UnsupportedOperationException"],
    ["of the other Origin", { Origin: "AWS_CLOUDHSM" }, {}, "ValidationException"],
    ["of no Origin", { Origin: undefined }, {}, "ValidationException"],
    ["of no store", { CustomKeyStoreId: undefined }, {}, "ValidationException"],
    ["of a store that there is not", { CustomKeyStoreId: "cks-1" }, {}, "CustomKeyStoreNotFoundException"],
  ])("takes no key %s", async (_, change, external, error) => {
    proxy.addKey("key-2", external);
    const key = { Origin: "EXTERNAL_KEY_STORE", CustomKeyStoreId, XksKeyId: "key-2", ...change } as const;
    expect(await refusal(kms.createKey(key))).toMatch(new RegExp(`^${error}`));
  });

  test("takes no key whose metadata cannot be read", async () => {
    proxy.misbehaviour = { answer: { status: 200, body: "{}" } };
    const key = { Origin: "EXTERNAL_KEY_STORE", CustomKeyStoreId, XksKeyId: "key-2" } as const;
    expect(await refusal(kms.createKey(key))).toMatch(
      /^CustomKeyStoreInvalidStateException: AWS KMS cannot interpret/,
    );
  });

  test.each([
    ["an IV of 12 bytes and metadata", 12, "key_version=1"],
    ["an IV of 16 bytes and no metadata", 16, ""],
    ["the longest metadata", 12, "x".repeat(20)],
  ])("encrypts twice: %s", async (_, ivLength, metadata) => {
    Object.assign(proxy, { ivLength, metadata: Buffer.from(metadata) });
    const EncryptionContext = { tenant: "ä", order: "1" };
    const Plaintext = bytes("the plaintext");
    const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext, EncryptionContext });
    const asked = proxy.seen.at(-1);
    expect(asked).toMatchObject({
      verb: "encrypt",
      keyId: "key-1",
      body: {
        requestMetadata: {
          awsPrincipalArn: kms.principal,
          kmsKeyArn: `arn:aws:kms:${REGION}:${ACCOUNT}:key/${KeyId}`,
          kmsOperation: "Encrypt",
          kmsRequestId: expect.any(String),
        },
        encryptionAlgorithm: "AES_GCM",
        ciphertextDataIntegrityValueAlgorithm: "SHA_256",
      },
    });
    const blob = Buffer.from(CiphertextBlob as Uint8Array);
    const inner: Buffer = openExternal(proxy.keys.get("key-1")?.key, blob, EncryptionContext);
    expect(inner.toString("base64")).toBe(asked?.body.plaintext);
    // A ciphertext of version 1, of the same key and material: alone it opens nothing.
    expect(inner[0]).toBe(1);
    expect(inner.subarray(1, 50)).toEqual(blob.subarray(1, 50));
    expect(inner.includes("the plaintext")).toBe(false);
    expect(await refusal(kms.decrypt({ CiphertextBlob: inner, EncryptionContext }))).toBe(
      "InvalidCiphertextException",
    );
    const opened = await kms.decrypt({ CiphertextBlob, EncryptionContext });
    expect(text(opened.Plaintext)).toBe("the plaintext");
    expect(opened).not.toHaveProperty("KeyMaterialId", expect.any(String));
    expect(await refusal(kms.decrypt({ CiphertextBlob }))).toMatch(
      /^KMSInvalidStateException: The external key store proxy rejected .* encryption context/,
    );
  });

  test("seals as much as any key, and no more", async () => {
    const Plaintext = new Uint8Array(4096).fill(7);
    const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext });
    expect((await kms.decrypt({ CiphertextBlob })).Plaintext).toEqual(Plaintext);
    const EncryptionContext = { long: "x".repeat(8192 - 50 - 16) };
    expect((await kms.encrypt({ KeyId, Plaintext, EncryptionContext })).CiphertextBlob).toBeDefined();
    EncryptionContext.long += "x";
    expect(await refusal(kms.encrypt({ KeyId, Plaintext, EncryptionContext }))).toMatch(
      /^ValidationException: The encryption context is too long for an external key store/,
    );
  });

  test("makes data keys, and re-encrypts from and to other keys", async () => {
    const made = await kms.generateDataKey({ KeyId, KeySpec: "AES_256" });
    expect(proxy.seen.at(-1)?.body.requestMetadata.kmsOperation).toBe("GenerateDataKey");
    expect((await kms.decrypt({ CiphertextBlob: made.CiphertextBlob })).Plaintext).toEqual(made.Plaintext);
    const { KeyMetadata } = await kms.createKey();
    const moved = await kms.reEncrypt({
      CiphertextBlob: made.CiphertextBlob,
      DestinationKeyId: KeyMetadata?.KeyId,
    });
    expect(proxy.seen.at(-1)?.body.requestMetadata.kmsOperation).toBe("ReEncrypt");
    expect((await kms.decrypt({ CiphertextBlob: moved.CiphertextBlob })).Plaintext).toEqual(made.Plaintext);
    expect(await refusal(kms.generateDataKeyPair({ KeyId, KeyPairSpec: "ECC_NIST_P256" }))).toMatch(
      /^UnsupportedOperationException/,
    );
  });

  test("takes no batches", async () => {
    const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: bytes("one") });
    expect(await refusal(kms.encryptBatch({ KeyId, Entries: [{ Plaintext: bytes("one") }] }))).toMatch(
      /^UnsupportedOperationException/,
    );
    const { KeyMetadata } = await kms.createKey();
    const own = await kms.encrypt({ KeyId: KeyMetadata?.KeyId, Plaintext: bytes("own") });
    const { Entries } = await kms.decryptBatch({
      Entries: [{ CiphertextBlob }, { CiphertextBlob: own.CiphertextBlob as Uint8Array }],
    });
    expect(Entries[0]?.Error?.name).toBe("UnsupportedOperationException");
    expect(text(Entries[1]?.Plaintext)).toBe("own");
  });

  test("opens nothing of a damaged ciphertext", async () => {
    const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: bytes("whole") });
    const blob = Buffer.from(CiphertextBlob as Uint8Array);
    const failures = new Set<string>();
    for (let at = 0; at < blob.length; at++) {
      const damaged = Buffer.from(blob);
      damaged[at] = (damaged[at] as number) ^ 1;
      failures.add((await refusal(kms.decrypt({ CiphertextBlob: damaged, KeyId }))).replace(/:.*/, ""));
    }
    for (const length of [0, 1, 50, 51, 52, 100, blob.length - 1])
      failures.add(
        (await refusal(kms.decrypt({ CiphertextBlob: blob.subarray(0, length), KeyId }))).replace(/:.*/, ""),
      );
    expect([...failures].sort()).toEqual([
      "InvalidCiphertextException",
      "KMSInvalidStateException",
      "ValidationException",
    ]);
  });

  const flip = (name: string) => (answer: Record<string, unknown>) => {
    const damaged = Buffer.from(String(answer[name]), "base64");
    damaged[0] = (damaged[0] as number) ^ 1;
    return { ...answer, [name]: damaged.toString("base64") };
  };
  const without = (name: string) => (answer: Record<string, unknown>) => ({ ...answer, [name]: undefined });
  test.each<[string, (answer: Record<string, unknown>) => Record<string, unknown>]>([
    ["a flipped bit of the ciphertext", flip("ciphertext")],
    ["a flipped bit of the IV", flip("initializationVector")],
    ["a flipped bit of the tag", flip("authenticationTag")],
    ["another integrity value", flip("ciphertextDataIntegrityValue")],
    ["no integrity value", without("ciphertextDataIntegrityValue")],
    ["no tag", without("authenticationTag")],
    ["a short IV", (answer) => ({ ...answer, initializationVector: "AAAA" })],
    ["long metadata", (answer) => ({ ...answer, ciphertextMetadata: Buffer.alloc(21).toString("base64") })],
    ["metadata that is no text", (answer) => ({ ...answer, ciphertextMetadata: 1 })],
    ["a ciphertext that is not base64", (answer) => ({ ...answer, ciphertext: "***" })],
    ["a longer ciphertext", (answer) => ({ ...answer, ciphertext: `AAAA${answer.ciphertext}` })],
  ])("does not take %s", async (_, twist) => {
    proxy.misbehaviour = { twist };
    expect(await refusal(kms.encrypt({ KeyId, Plaintext: bytes("secret") }))).toMatch(
      /^KMSInvalidStateException: AWS KMS cannot interpret the response/,
    );
  });

  test.each<[string, (answer: Record<string, unknown>) => Record<string, unknown>, RegExp]>([
    [
      "another plaintext",
      flip("plaintext"),
      /^KMSInvalidStateException: The ciphertext that the external key store/,
    ],
    [
      "a shorter plaintext",
      () => ({ plaintext: "AAAA" }),
      /^KMSInvalidStateException: AWS KMS cannot interpret/,
    ],
    ["no plaintext", () => ({}), /^KMSInvalidStateException: AWS KMS cannot interpret/],
  ])("does not take %s", async (_, twist, error) => {
    const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: bytes("secret") });
    proxy.misbehaviour = { twist };
    expect(await refusal(kms.decrypt({ CiphertextBlob }))).toMatch(error);
  });

  test.each([
    ["ValidationException", "AWS KMS cannot interpret the response"],
    [
      "InvalidStateException",
      "The external key associated with this KMS key in an external key store is not enabled",
    ],
    ["InvalidKeyUsageException", "The external key .* does not support the requested operation"],
    ["AuthenticationFailedException", "The external key store proxy rejected .* could not authenticate"],
    ["AccessDeniedException", "The external key store proxy denied access"],
    ["KeyNotFoundException", "The external key .* was not found"],
    ["InvalidUriPathException", "The external key store proxy rejected .* invalid URI path"],
    ["UnsupportedOperationException", "The external key store proxy rejected .* does not support"],
    ["DependencyTimeoutException", "The external key store proxy did not respond"],
    ["ThrottlingException", "The external key store proxy rejected .* very high request rate"],
    [
      "InternalException",
      "The external key store proxy rejected .* cannot communicate with the external key manager",
    ],
  ])("says of the proxy's %s what AWS does", async (errorName, words) => {
    const body = JSON.stringify({ errorName, errorMessage: "canary of the proxy" });
    proxy.misbehaviour = { answer: { status: 400, body } };
    const refused = await refusal(kms.encrypt({ KeyId, Plaintext: bytes("secret") }));
    expect(refused).toMatch(new RegExp(`^KMSInvalidStateException: ${words}`));
    expect(refused).not.toContain("canary");
  });

  test("keeps connections, and makes them anew when the proxy has closed them", async () => {
    const Plaintext = bytes("kept");
    await kms.encrypt({ KeyId, Plaintext });
    const { connections } = proxy;
    for (let i = 0; i < 5; i++) await kms.encrypt({ KeyId, Plaintext });
    expect(proxy.connections).toBe(connections);
    proxy.dropConnections();
    await kms.encrypt({ KeyId, Plaintext });
    expect(proxy.connections).toBe(connections + 1);
  });

  test("gives up once, also on a connection that was kept", async () => {
    const strict = await open({ timeout: 1000 });
    try {
      await strict.encrypt({ KeyId, Plaintext: bytes("kept") });
      const { requests } = proxy;
      proxy.misbehaviour = { delay: 3000 };
      expect(await refusal(strict.encrypt({ KeyId, Plaintext: bytes("late") }))).toMatch(
        /^KMSInvalidStateException: AWS KMS rejected the request because .* did not respond/,
      );
      proxy.misbehaviour = {};
      await strict.encrypt({ KeyId, Plaintext: bytes("in time") });
      expect(proxy.requests).toBe(requests + 2);
    } finally {
      await strict.close();
    }
  });

  test("takes new credentials and a new path while it is connected, and nothing else", async () => {
    const XksProxyAuthenticationCredential = {
      AccessKeyId: "TSRQPONMLKJIHGFEDCBA",
      RawSecretAccessKey: "canary+another+secret+of+the+proxy/0123456789=",
    };
    const update = { CustomKeyStoreId, XksProxyAuthenticationCredential };
    expect(await refusal(kms.updateCustomKeyStore(update))).toMatch(
      /^XksProxyIncorrectAuthenticationCredentialException/,
    );
    proxy.credential = XksProxyAuthenticationCredential;
    expect(await refusal(kms.encrypt({ KeyId, Plaintext: bytes("x") }))).toMatch(/could not authenticate/);
    await kms.updateCustomKeyStore(update);
    await kms.encrypt({ KeyId, Plaintext: bytes("x") });
    proxy.credential = CREDENTIAL;
    await kms.updateCustomKeyStore({ CustomKeyStoreId, XksProxyAuthenticationCredential: CREDENTIAL });
    expect(
      await refusal(
        kms.updateCustomKeyStore({ CustomKeyStoreId, XksProxyUriEndpoint: "https://other.example.com" }),
      ),
    ).toMatch(/^CustomKeyStoreInvalidStateException/);
  });

  test("works after the service was opened anew", async () => {
    const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: bytes("kept") });
    await kms.close();
    kms = await open();
    expect(text((await kms.decrypt({ CiphertextBlob })).Plaintext)).toBe("kept");
  });

  test("is disconnected: its keys are unavailable until it is connected again", async () => {
    const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: bytes("kept") });
    await kms.disconnectCustomKeyStore({ CustomKeyStoreId });
    expect((await kms.describeKey({ KeyId })).KeyMetadata).toMatchObject({
      KeyState: "Unavailable",
      Enabled: false,
    });
    expect(await refusal(kms.decrypt({ CiphertextBlob }))).toMatch(
      /^KMSInvalidStateException: .* is unavailable\.$/,
    );
    await kms.connectCustomKeyStore({ CustomKeyStoreId });
    expect(text((await kms.decrypt({ CiphertextBlob })).Plaintext)).toBe("kept");
  });

  test("loses a deleted key, and the external key stays", async () => {
    await kms.scheduleKeyDeletion({ KeyId, PendingWindowInDays: 7 });
    clock.advance(8);
    expect(await kms.runDue()).toBeGreaterThanOrEqual(1);
    expect(await refusal(kms.describeKey({ KeyId }))).toMatch(/^NotFoundException/);
    expect(proxy.keys.has("key-1")).toBe(true);
    await kms.disconnectCustomKeyStore({ CustomKeyStoreId });
    await kms.deleteCustomKeyStore({ CustomKeyStoreId });
    expect(await refusal(kms.describeCustomKeyStores({ CustomKeyStoreId }))).toMatch(
      /^CustomKeyStoreNotFoundException/,
    );
  });

  test("leaves no secret in the trail, nor in any other file", async () => {
    const events = await lastEvents(join(directory, "audit"), 1000);
    expect(events.some((event) => event.includes("CreateCustomKeyStore"))).toBe(true);
    expect(events.filter((event) => event.includes("canary"))).toEqual([]);
    await kms.close();
    const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    );
    const telling = files.filter((file) => readFileSync(join(file.parentPath, file.name)).includes("canary"));
    expect(telling.map(({ name }) => name)).toEqual([]);
  });
});
