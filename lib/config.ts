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
  readonly hsm?: HsmConfig;
}

export interface HsmConfig {
  readonly module: string;
  /** Label of the token. */
  readonly token?: string;
  /** Where the PIN is, never the PIN; a relative path is one from the directory. */
  readonly pin?: { readonly file: string } | { readonly env: string };
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
  const { region, regions, account, hsm } = value as Partial<Config>;
  const config = {
    region: checkRegion(region, `region of ${file}`),
    regions: regions && checkRegions(regions, `regions of ${file}`),
    account: checkAccount(account, `account of ${file}`),
  };
  if (hsm === undefined) return config;
  const { module, token, pin } = hsm;
  if (typeof module !== "string")
    throw new TypeError(`hsm.module of ${file} must be the path of a PKCS#11 module`);
  if (token !== undefined && typeof token !== "string")
    throw new TypeError(`hsm.token of ${file} must be the label of a token`);
  return { ...config, hsm: { module, token, pin: pin && pinOf(pin, directory, file) } };
}

function pinOf(pin: unknown, directory: string, file: string): NonNullable<HsmConfig["pin"]> {
  const { file: path, env } = pin as { file?: unknown; env?: unknown };
  if (typeof path === "string") return { file: resolve(directory, path) };
  if (typeof env === "string") return { env };
  throw new TypeError(`hsm.pin of ${file} must be {"file": PATH} or {"env": NAME}: a PIN is not kept there`);
}
