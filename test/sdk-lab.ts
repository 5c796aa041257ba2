import { constants, createPublicKey, publicEncrypt, randomBytes, randomUUID } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as sdk from "@aws-sdk/client-kms";
import { addon } from "../lib/hsm/load.ts";
import { provisionSoftHsm } from "../lib/hsm.ts";
import { Kms } from "../lib/index.ts";
import { ACCOUNT, bytes, REGION } from "./deployment.ts";
import { CREDENTIAL, URI_PATH, XksProxy } from "./xks-proxy.ts";

/** The SDK's clients with all that they may need: several Regions, tokens for key stores, proxies, the time of day. */
export const ELSEWHERE = "us-west-2";
const PASSWORD = "crypto-user-1";
const WAYS = ["http", "process"] as const;
/** The ways in, and what to call them. */
export const ways = [
  ["http", "over HTTP"],
  ["process", "in process"],
] as const;

/** What the SDK can ask for that is not of the 54 operations: it is newer than the model. */
export const NEWER = ["Decapsulate", "Encapsulate"] as const;
type Named<Suffix extends string> = {
  [Name in keyof typeof sdk]: Name extends `${infer Before}${Suffix}` ? Before : never;
}[keyof typeof sdk];
export type Operation = Exclude<Named<"Command">, "$" | (typeof NEWER)[number]>;
export type ErrorName = `${Exclude<Named<"Exception">, "KMSService">}Exception`;

/** A request of the SDK's, and how it ended. */
export interface Ended {
  command: string;
  output?: { $metadata: sdk.KMSServiceException["$metadata"] };
  error?: sdk.KMSServiceException;
}

/** How the SDK reaches the service, with clusters and a proxy that are for nobody else. */
export interface Way {
  aws: sdk.KMS;
  elsewhere: sdk.KMS;
  proxy: XksProxy;
  ended: Ended[];
  /** What CreateCustomKeyStore takes; `name` is of "user", "keys", "other", or "absent", which is no token. */
  cluster(name?: string): sdk.CreateCustomKeyStoreRequest & { CloudHsmClusterId: string };
  external: sdk.CreateCustomKeyStoreRequest & { XksProxyUriEndpoint: string };
  /** Sends one request later: the clocks of the service and of its clients go forward, and back. */
  later<T>(milliseconds: number, send: () => Promise<T>): Promise<T>;
}

export interface Lab {
  ways: Record<(typeof WAYS)[number], Way>;
  kms: Kms;
  directory: string;
  url: string;
  credentials: { accessKeyId: string; secretAccessKey: string };
  close(): Promise<void>;
}

export async function openLab(): Promise<Lab> {
  const home = mkdtempSync(join(tmpdir(), "keystead-sdk-"));
  const directory = join(home, "deployment");
  mkdirSync(directory);
  let ahead = 0;
  const clock = () => Date.now() + ahead;
  const tokens = ["user", "keys", "other"];
  const { module, environment } = await provisionSoftHsm(directory);
  for (const label of tokens)
    await addon().initToken({
      module,
      environment,
      label,
      soPin: bytes("so-pin-1234"),
      pin: bytes(PASSWORD),
    });

  const hostOf = (way: string) => `${way}.example.com`;
  const clusterOf = (way: string, token: string) =>
    `cluster-${`${way}${token}`.padEnd(15, "a").slice(0, 15)}`;
  const proxies = {} as Record<string, XksProxy>;
  for (const way of WAYS) proxies[way] = await XksProxy.start(home, clock, hostOf(way));
  const ca = join(home, "ca.pem");
  writeFileSync(ca, WAYS.map((way) => readFileSync(XksProxy.ca(home, hostOf(way)), "utf8")).join(""));
  const each = <T>(name: (way: string) => [string, T][]) => Object.fromEntries(WAYS.flatMap(name));
  const kms = await Kms.open({
    directory,
    region: REGION,
    regions: [ELSEWHERE],
    account: ACCOUNT,
    clock,
    hsm: {
      clusters: each((way) => [...tokens, "absent"].map((token) => [clusterOf(way, token), { token }])),
    },
    xks: {
      ca,
      addresses: each((way) => [[hostOf(way), (proxies[way] as XksProxy).address]]),
      timeout: 20_000,
    },
  });
  const { AccessKeyId = "", SecretAccessKey = "" } = await kms.createAccessKey();
  const credentials = { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey };
  const { url } = await kms.listen();
  const clients: sdk.KMS[] = [];

  const wayOf = (way: (typeof WAYS)[number]): Way => {
    const ended: Ended[] = [];
    const client = (region: string) => {
      const served = kms.inRegion(region);
      const reached = way === "http" ? { endpoint: url } : { requestHandler: served.requestHandler() };
      const aws = new sdk.KMS({ region, credentials, ...reached });
      clients.push(aws);
      aws.middlewareStack.add(
        (next, { commandName = "" }) =>
          async (args) => {
            const command = commandName.replace(/Command$/, "");
            try {
              const result = await next(args);
              ended.push({ command, output: result.output as Ended["output"] });
              return result;
            } catch (error) {
              ended.push({ command, error: error as sdk.KMSServiceException });
              throw error;
            }
          },
        { step: "initialize", priority: "high" },
      );
      return aws;
    };
    return {
      aws: client(REGION),
      elsewhere: client(ELSEWHERE),
      proxy: proxies[way] as XksProxy,
      ended,
      cluster: (name = "user") => ({
        CustomKeyStoreName: `${way} ${name}`,
        CloudHsmClusterId: clusterOf(way, name),
        KeyStorePassword: PASSWORD,
        TrustAnchorCertificate: readFileSync(XksProxy.ca(home, hostOf(way)), "utf8"),
      }),
      external: {
        CustomKeyStoreName: `${way} external`,
        CustomKeyStoreType: "EXTERNAL_KEY_STORE",
        XksProxyConnectivity: "PUBLIC_ENDPOINT",
        XksProxyUriEndpoint: `https://${hostOf(way)}`,
        XksProxyUriPath: URI_PATH,
        XksProxyAuthenticationCredential: CREDENTIAL,
      },
      async later(milliseconds, send) {
        const set = (to: number) => {
          ahead = to;
          for (const { config } of clients) config.systemClockOffset = to;
        };
        set(milliseconds);
        try {
          return await send();
        } finally {
          set(0);
        }
      },
    };
  };
  const ways = { http: wayOf("http"), process: wayOf("process") };
  return {
    ways,
    kms,
    directory,
    url,
    credentials,
    async close() {
      for (const client of clients) client.destroy();
      await kms.close();
      for (const proxy of Object.values(proxies)) await proxy.close();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

export const MESSAGE = bytes("what is told to nobody");
export const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
export const APP = `arn:aws:iam::${ACCOUNT}:role/app`;

export async function newKey(aws: sdk.KMS, input: sdk.CreateKeyRequest = {}) {
  const { KeyMetadata } = await aws.createKey(input);
  return { KeyId: KeyMetadata?.KeyId as string, Arn: KeyMetadata?.Arn as string };
}
export const keyOf = (aws: sdk.KMS, KeySpec: sdk.KeySpec, KeyUsage: sdk.KeyUsageType) =>
  newKey(aws, { KeySpec, KeyUsage });
export const newAlias = async (aws: sdk.KMS, TargetKeyId: string) => {
  const AliasName = `alias/${randomUUID()}`;
  await aws.createAlias({ AliasName, TargetKeyId });
  return AliasName;
};
export const stateOf = async (aws: sdk.KMS, KeyId: string) =>
  (await aws.describeKey({ KeyId })).KeyMetadata?.KeyState;
export const newGrant = async (aws: sdk.KMS, KeyId: string, more: Partial<sdk.CreateGrantRequest> = {}) => {
  const made = await aws.createGrant({ KeyId, GranteePrincipal: APP, Operations: ["Encrypt"], ...more });
  return { GrantId: made.GrantId as string, GrantToken: made.GrantToken as string };
};

export const wrapping = { WrappingAlgorithm: "RSAES_OAEP_SHA_256", WrappingKeySpec: "RSA_2048" } as const;
export const forImport = async (aws: sdk.KMS, KeyId: string, material: Uint8Array) => {
  const { PublicKey, ImportToken } = await aws.getParametersForImport({ KeyId, ...wrapping });
  const key = createPublicKey({ key: Buffer.from(PublicKey as Uint8Array), format: "der", type: "spki" });
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  const EncryptedKeyMaterial = publicEncrypt({ key, oaepHash: "sha256", padding }, material);
  return {
    KeyId,
    ImportToken,
    EncryptedKeyMaterial,
    ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE",
  } as const;
};
export const imported = async (aws: sdk.KMS, material: Uint8Array = randomBytes(32)) => {
  const { KeyId, Arn } = await newKey(aws, { Origin: "EXTERNAL" });
  const { KeyMaterialId } = await aws.importKeyMaterial(await forImport(aws, KeyId, material));
  return { KeyId, Arn, KeyMaterialId };
};

/** Runs `use` with a custom key store, which is gone afterwards. */
export async function withStore(way: Way, use: (CustomKeyStoreId: string) => Promise<void>) {
  const { aws } = way;
  const { CustomKeyStoreId = "" } = await aws.createCustomKeyStore(way.cluster());
  await use(CustomKeyStoreId);
  const { CustomKeyStores } = await aws.describeCustomKeyStores({ CustomKeyStoreId });
  if (CustomKeyStores?.[0]?.ConnectionState !== "DISCONNECTED")
    await aws.disconnectCustomKeyStore({ CustomKeyStoreId });
  await aws.deleteCustomKeyStore({ CustomKeyStoreId });
}
