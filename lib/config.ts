import { randomUUID } from "node:crypto";
import { open, readFile, rename } from "node:fs/promises";
import { join, resolve } from "node:path";
import { isAccount } from "./arn.ts";

/** `keystead.json` in a data directory: what `Kms.open` takes from there when it is not told otherwise. */
export interface Config {
  readonly region: string;
  /** Further ones that are served. */
  readonly regions?: readonly string[] | undefined;
  /** 12 digits. */
  readonly account: string;
  /** Left out where the directory has a SoftHSM token of its own. */
  readonly hsm?: HsmConfig | undefined;
  readonly xks?: XksConfig | undefined;
}

/** How the proxies of external key stores are reached. */
export interface XksConfig {
  /** A PEM file of certificates to trust besides those that Node does; a relative path is one from the directory. */
  readonly ca?: string | undefined;
  /** Where proxies are, by their host names, unless at port 443 of these: `{ "xks.example.com": "10.0.0.5:8443" }`. */
  readonly addresses?: Readonly<Record<string, string>> | undefined;
  /** Milliseconds that a proxy's answer may take; 250, as in AWS. */
  readonly timeout?: number | undefined;
}

export interface HsmConfig {
  /** Left out where the directory has a SoftHSM token of its own. */
  readonly module?: string | undefined;
  /** Label of the token. */
  readonly token?: string | undefined;
  /** Where the PIN is, never the PIN; a relative path is one from the directory. */
  readonly pin?: { readonly file: string } | { readonly env: string } | undefined;
  /** Further tokens, which custom key stores of type AWS_CLOUDHSM name by these ids ("cluster-…"). */
  readonly clusters?: Readonly<Record<string, ClusterConfig>> | undefined;
}

export interface ClusterConfig {
  /** The module; the one of the deployment's own token. */
  readonly module?: string | undefined;
  /** Set in the process before the module is initialised. */
  readonly environment?: Record<string, string> | undefined;
  /** Label of the token, whose user PIN is the password of the custom key store. */
  readonly token: string;
}

export const CONFIG_FILE = "keystead.json";
export const DEFAULT_DIRECTORY = "./.keystead";
export const DEFAULT_REGION = "us-east-1";
export const DEFAULT_ACCOUNT = "000000000000";

const region = /^([a-z]+-){2,3}\d+$/;

/** Throws a TypeError that says what to give instead. `name` is what the caller knows the value by. */
export function checkRegion(text: unknown, name: string): string {
  if (typeof text === "string" && region.test(text) && text.length <= 32) return text;
  throw new TypeError(`${name} must be a Region, such as "us-east-1"; ${JSON.stringify(text)} is none`);
}

export function checkRegions(list: unknown, name: string): readonly string[] {
  if (!Array.isArray(list)) throw new TypeError(`${name} must be a list of Regions`);
  return list.map((text, index) => checkRegion(text, `${name}[${index}]`));
}

export function checkAccount(text: unknown, name: string): string {
  if (typeof text === "string" && isAccount(text)) return text;
  throw new TypeError(`${name} must be a string of 12 digits, such as "${DEFAULT_ACCOUNT}"`);
}

const clusterId = /^cluster-[2-7a-zA-Z]{11,16}$/;

export function checkClusters(value: unknown, name: string): Readonly<Record<string, ClusterConfig>> {
  if (typeof value !== "object" || value === null) throw new TypeError(`${name} must be an object`);
  for (const [id, cluster] of Object.entries(value)) {
    if (!clusterId.test(id))
      throw new TypeError(
        `${name} has ${JSON.stringify(id)}, which is no cluster id such as "cluster-234567abcde"`,
      );
    const { token, module, environment, ...others } = (cluster ?? {}) as Record<string, unknown>;
    const texts = module === undefined || (typeof module === "string" && module !== "");
    const variables = Object.values(environment ?? {}).every((text) => typeof text === "string");
    if (typeof token !== "string" || token === "" || !texts || !variables || Object.keys(others).length > 0)
      throw new TypeError(
        `${name}[${JSON.stringify(id)}] must be { token: LABEL, module?: PATH, environment?: { NAME: TEXT } }`,
      );
  }
  return value as Readonly<Record<string, ClusterConfig>>;
}

const address = /^(\[[0-9a-fA-F:]+\]|[^:/\s]+):\d{1,5}$/;

export function checkXks(value: unknown, name: string): XksConfig {
  const { ca, addresses = {}, timeout, ...others } = (value ?? {}) as Record<string, unknown>;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined)
    throw new TypeError(`there is no option ${name}.${unknown}; known are ca, addresses, timeout`);
  if (ca !== undefined && (typeof ca !== "string" || ca === ""))
    throw new TypeError(`${name}.ca must be the path of a PEM file`);
  if (timeout !== undefined && (!Number.isSafeInteger(timeout) || (timeout as number) < 1))
    throw new TypeError(`${name}.timeout must be a whole number of milliseconds from 1`);
  const places = typeof addresses === "object" && addresses !== null ? Object.values(addresses) : [undefined];
  if (!places.every((place) => typeof place === "string" && address.test(place)))
    throw new TypeError(`${name}.addresses must be like { "xks.example.com": "10.0.0.5:8443" }`);
  return value as XksConfig;
}

/** The configuration of a directory, undefined when it has none yet. Throws when the file is not one. */
export async function readConfig(directory: string): Promise<Config | undefined> {
  const file = join(directory, CONFIG_FILE);
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  return check(parse(text, file), directory, file);
}

/** Replaces the file as a whole, with mode 0600. */
export async function writeConfig(directory: string, config: Config): Promise<void> {
  const file = join(directory, CONFIG_FILE);
  check(config, directory, file);
  const draft = `${file}.${randomUUID()}.new`;
  const handle = await open(draft, "wx", 0o600);
  try {
    await handle.writeFile(`${JSON.stringify(config, null, 2)}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(draft, file);
}

function parse(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new TypeError(`${file} is not JSON: ${(cause as Error).message}`, { cause });
  }
}

function check(value: unknown, directory: string, file: string): Config {
  if (typeof value !== "object" || value === null) throw new TypeError(`${file} must hold a JSON object`);
  const { region, regions, account, hsm, xks } = value as Partial<Config>;
  const config = {
    region: checkRegion(region, `region of ${file}`),
    regions: regions && checkRegions(regions, `regions of ${file}`),
    account: checkAccount(account, `account of ${file}`),
    xks: xks && withPath(checkXks(xks, `xks of ${file}`), directory),
  };
  if (hsm === undefined) return config;
  const { module, token, pin, clusters } = hsm;
  if (typeof module !== "string" && (module !== undefined || clusters === undefined))
    throw new TypeError(`hsm.module of ${file} must be the path of a PKCS#11 module`);
  if (token !== undefined && typeof token !== "string")
    throw new TypeError(`hsm.token of ${file} must be the label of a token`);
  return {
    ...config,
    hsm: {
      module,
      token,
      pin: pin && pinOf(pin, directory, file),
      clusters: clusters && checkClusters(clusters, `hsm.clusters of ${file}`),
    },
  };
}

function pinOf(pin: unknown, directory: string, file: string): NonNullable<HsmConfig["pin"]> {
  const { file: path, env } = pin as { file?: unknown; env?: unknown };
  if (typeof path === "string") return { file: resolve(directory, path) };
  if (typeof env === "string") return { env };
  throw new TypeError(`hsm.pin of ${file} must be {"file": PATH} or {"env": NAME}: a PIN is not kept there`);
}

const withPath = (xks: XksConfig, directory: string): XksConfig => ({
  ...xks,
  ca: xks.ca && resolve(directory, xks.ca),
});
