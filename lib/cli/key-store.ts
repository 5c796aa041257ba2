import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import type { Kms } from "../kms.ts";
import type { Action, Work } from "./action.ts";
import { CliError, EXIT, usage } from "./exit.ts";
import { readSecret } from "./prompt.ts";
import { harmless, type Terminal } from "./terminal.ts";

type Store = NonNullable<Awaited<ReturnType<Kms["describeCustomKeyStores"]>>["CustomKeyStores"]>[number];

export function keyStoreCommands(program: Command, action: Action): void {
  const store = program.command("key-store").description("keep keys in another HSM or key manager");
  withSettings(store.command("create"))
    .argument("<name>", "a name of its own")
    .option("--trust-anchor <file>", "certificate of the cluster, PEM")
    .description("name a cluster of hsm.clusters, or an external key store proxy, as a key store")
    .action(action(create));
  store
    .command("list")
    .description("list all key stores and whether they are connected")
    .action(action(list));
  for (const [name, description, work] of [
    ["connect", "connect a key store, so that its keys can be used", connect],
    ["disconnect", "disconnect a key store; its keys are unavailable then", disconnect],
    ["delete", "forget a key store that has no keys; what is behind it stays", remove],
  ] as const)
    store
      .command(name)
      .argument("<key-store>", "its id or name")
      .description(description)
      .action(action(work));
  withSettings(store.command("update"))
    .argument("<key-store>", "its id or name")
    .option("--rename <name>", "give it this name")
    .option("--password", "ask for a new password")
    .description("change a key store; for most, disconnect it first")
    .action(action(update));
}

const withSettings = (command: Command) =>
  command
    .option("--cluster <id>", 'cluster id, as in hsm.clusters of keystead.json: "cluster-…"')
    .option(
      "--password-file <path>",
      "file whose first line is the user PIN of its token (default: asked for)",
    )
    .option("--password-env <name>", "environment variable that holds the user PIN of its token")
    .option("--proxy <uri>", "endpoint of an external key store proxy: https://HOST")
    .option(
      "--proxy-config <file>",
      "its configuration file, JSON: path and credentials, as AWS's console takes it",
    )
    .option(
      "--vpc-service <name>",
      "reach the proxy by a private address, under the name of this VPC endpoint service",
    );

interface Settings {
  cluster?: string;
  trustAnchor?: string;
  password?: boolean;
  passwordFile?: string;
  passwordEnv?: string;
  proxy?: string;
  proxyConfig?: string;
  vpcService?: string;
  rename?: string;
}

const create: Work = (invocation, [name], options) =>
  invocation.withKms(async (kms) => {
    const given = options as Settings;
    if ((given.cluster === undefined) === (given.proxy === undefined))
      throw usage("a key store has either --cluster or --proxy", "see keystead key-store create --help");
    const { CustomKeyStoreId } = await kms.createCustomKeyStore({
      CustomKeyStoreName: name,
      CustomKeyStoreType: given.proxy === undefined ? "AWS_CLOUDHSM" : "EXTERNAL_KEY_STORE",
      TrustAnchorCertificate: given.trustAnchor && (await readFile(given.trustAnchor, "utf8")),
      ...(await settingsOf(given, given.cluster !== undefined)),
      XksProxyConnectivity: given.proxy === undefined ? undefined : connectivity(given),
    });
    invocation.answer({ CustomKeyStoreId }, (out) =>
      out.line(`${CustomKeyStoreId} is there; connect it with keystead key-store connect ${harmless(name)}`),
    );
  });

const connectivity = ({ vpcService }: Settings) =>
  vpcService === undefined ? ("PUBLIC_ENDPOINT" as const) : ("VPC_ENDPOINT_SERVICE" as const);

/** What the options say; a password comes from a file, the environment or the terminal, never from an argument. */
async function settingsOf(given: Settings, askPassword: boolean) {
  const { cluster, passwordFile, passwordEnv, proxy, proxyConfig, vpcService } = given;
  if (passwordFile !== undefined && passwordEnv !== undefined)
    throw usage("--password-file and --password-env are both given");
  const config = proxyConfig === undefined ? undefined : await proxyConfiguration(proxyConfig);
  return {
    CloudHsmClusterId: cluster,
    KeyStorePassword: await passwordOf(given, askPassword),
    XksProxyUriEndpoint: proxy,
    XksProxyUriPath: config?.XksProxyUriPath,
    XksProxyAuthenticationCredential: config?.XksProxyAuthenticationCredential,
    XksProxyVpcEndpointServiceName: vpcService,
  };
}

async function passwordOf(
  { passwordFile, passwordEnv }: Settings,
  ask: boolean,
): Promise<string | undefined> {
  if (passwordFile !== undefined) return (await readFile(passwordFile, "utf8")).split(/\r?\n/, 1)[0];
  if (passwordEnv !== undefined) {
    const password = process.env[passwordEnv];
    if (password !== undefined) return password;
    throw usage(`the environment variable ${passwordEnv} is not set`);
  }
  return ask
    ? readSecret("password of the key store: ", { what: "password", option: "--password-file" })
    : undefined;
}

interface ProxyConfiguration {
  XksProxyUriPath?: string;
  XksProxyAuthenticationCredential?: { AccessKeyId: string; RawSecretAccessKey: string };
}

async function proxyConfiguration(file: string): Promise<ProxyConfiguration> {
  const text = await readFile(file, "utf8");
  try {
    return JSON.parse(text);
  } catch {
    // What the parser says may show a part of the secret.
    throw usage(`${file} is not JSON`, "give the proxy configuration file of the external key store proxy");
  }
}

const list: Work = (invocation) =>
  invocation.withKms(async (kms) => {
    const stores = await allStores(kms);
    invocation.answer({ CustomKeyStores: stores }, (out) => {
      if (stores.length === 0) return out.line("no key stores yet; make one with keystead key-store create");
      out.table(
        ["KEY STORE", "NAME", "BEHIND IT", "STATE"],
        stores.map((store) => [
          store.CustomKeyStoreId ?? "",
          harmless(store.CustomKeyStoreName ?? ""),
          store.CloudHsmClusterId ?? store.XksProxyConfiguration?.UriEndpoint ?? "",
          stateOf(out, store),
        ]),
      );
    });
  });

const colours = { CONNECTED: "green", FAILED: "red" } as const;

function stateOf(out: Terminal, { ConnectionState = "DISCONNECTED", ConnectionErrorCode }: Store): string {
  const text =
    ConnectionErrorCode === undefined ? ConnectionState : `${ConnectionState}: ${ConnectionErrorCode}`;
  const colour = colours[ConnectionState as keyof typeof colours];
  return colour === undefined ? text : out.paint(colour, text);
}

const connect: Work = (invocation, [reference]) =>
  invocation.withKms(async (kms) => {
    const CustomKeyStoreId = await storeIdOf(kms, reference);
    await kms.connectCustomKeyStore({ CustomKeyStoreId });
    const { CustomKeyStores } = await kms.describeCustomKeyStores({ CustomKeyStoreId });
    const { ConnectionState, ConnectionErrorCode } = CustomKeyStores?.[0] ?? {};
    if (ConnectionState !== "CONNECTED")
      throw new CliError(`the key store could not be connected: ${ConnectionErrorCode}`, {
        exit: EXIT.tokenUnavailable,
        hint: "it was tried once: disconnect it, correct it with keystead key-store update, and connect it again",
      });
    invocation.answer({ CustomKeyStoreId, ConnectionState }, (out) =>
      out.line(`${CustomKeyStoreId} is connected; make keys with keystead key create --key-store`),
    );
  });

const disconnect: Work = (invocation, [reference]) =>
  invocation.withKms(async (kms) => {
    const CustomKeyStoreId = await storeIdOf(kms, reference);
    await kms.disconnectCustomKeyStore({ CustomKeyStoreId });
    invocation.answer({ CustomKeyStoreId }, (out) => out.line(`${CustomKeyStoreId} is disconnected`));
  });

const remove: Work = (invocation, [reference]) =>
  invocation.withKms(async (kms) => {
    const CustomKeyStoreId = await storeIdOf(kms, reference);
    await kms.deleteCustomKeyStore({ CustomKeyStoreId });
    invocation.answer({ CustomKeyStoreId }, (out) => out.line(`${CustomKeyStoreId} is gone`));
  });

const update: Work = (invocation, [reference], options) =>
  invocation.withKms(async (kms) => {
    const given = options as Settings;
    const CustomKeyStoreId = await storeIdOf(kms, reference);
    await kms.updateCustomKeyStore({
      CustomKeyStoreId,
      NewCustomKeyStoreName: given.rename,
      ...(await settingsOf(given, given.password === true)),
      XksProxyConnectivity:
        given.proxy === undefined && given.vpcService === undefined ? undefined : connectivity(given),
    });
    invocation.answer({ CustomKeyStoreId }, (out) => out.line(`${CustomKeyStoreId} is changed`));
  });

/** The id of the key store that an id or a name stands for. */
export async function storeIdOf(kms: Kms, reference: string): Promise<string> {
  if (/^cks-[0-9a-f]{17}$/.test(reference)) return reference;
  const { CustomKeyStores } = await kms.describeCustomKeyStores({ CustomKeyStoreName: reference });
  return CustomKeyStores?.[0]?.CustomKeyStoreId as string;
}

async function allStores(kms: Kms): Promise<Store[]> {
  const stores: Store[] = [];
  let Marker: string | undefined;
  do {
    const page = await kms.describeCustomKeyStores({ Limit: 100, Marker });
    stores.push(...(page.CustomKeyStores ?? []));
    Marker = page.NextMarker;
  } while (Marker !== undefined);
  return stores;
}
