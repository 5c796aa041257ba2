import { resolve } from "node:path";
import {
  type ClusterConfig,
  checkAccount,
  checkClusters,
  checkRegion,
  checkRegions,
  checkXks,
  DEFAULT_DIRECTORY,
  type XksConfig,
} from "../config.ts";
import type { HsmOptions, PinSource } from "../hsm.ts";
import type { WorkerOptions } from "../worker.ts";

/** Every member has a default that serves a laptop: all lies in `directory`, and is made there on first use. */
export interface KmsOptions {
  /** Where the embedded deployment lies; "./.keystead". */
  directory?: string;
  /** The Region that is served; that of the directory's keystead.json, else "us-east-1". */
  region?: string;
  /** Further Regions that are served, each with its own keys; those of keystead.json. */
  regions?: readonly string[];
  /** The account whose root the opener is, 12 digits; that of keystead.json, else "000000000000". */
  account?: string;
  /** The token; that of keystead.json, else a SoftHSM token in the directory. */
  hsm?: Partial<Omit<HsmOptions, "pin">> & {
    pin?: PinSource;
    /** Further tokens, by the cluster ids that custom key stores name; those of keystead.json. */
    clusters?: Readonly<Record<string, ClusterConfig>>;
  };
  /** How the proxies of external key stores are reached; as keystead.json says. */
  xks?: XksConfig;
  store?: {
    /** The SQLite database; DIRECTORY/keystead.db. */
    file?: string;
    /** How many rows of each kind are kept in memory. */
    cachedRows?: number;
  };
  audit?: {
    /** Where the trail is written; DIRECTORY/audit. */
    directory?: string;
    /** Bytes after which a file is followed by the next. */
    rotateAt?: number;
    /** Milliseconds between signed heads while events come in. */
    headInterval?: number;
    /** Named in the events. */
    userAgent?: string;
  };
  /** Milliseconds since the epoch; Date.now. */
  clock?: () => number;
  /** How it is looked for what is due: keys to be destroyed or rotated. */
  worker?: WorkerOptions;
}

const known: Readonly<Record<keyof KmsOptions, string>> = {
  directory: "a path",
  region: "a Region",
  regions: "a list of Regions",
  account: "an account",
  hsm: "{ module, token, pin }",
  xks: "{ ca, addresses, timeout }",
  store: "{ file }",
  audit: "{ directory }",
  clock: "a function that gives milliseconds",
  worker: "{ interval }",
};
const members = {
  hsm: ["module", "environment", "token", "pin", "handles", "sessions", "clusters"],
  store: ["file", "cachedRows"],
  audit: ["directory", "rotateAt", "headInterval", "userAgent"],
  worker: ["interval", "timer"],
} as const;
const texts = ["hsm.module", "hsm.token", "store.file", "audit.directory", "audit.userAgent"];
const counts = ["hsm.handles", "store.cachedRows", "audit.rotateAt", "audit.headInterval", "worker.interval"];

/** Throws a TypeError for what no deployment can be opened with; a misspelt option is not ignored. */
export function checkOptions(options: unknown): KmsOptions & { directory: string } {
  if (typeof options !== "object" || options === null)
    throw new TypeError("Kms.open takes an object of options, or nothing");
  refuseUnknown(options, Object.keys(known), "");
  const { directory = DEFAULT_DIRECTORY, region, regions, account, clock, xks } = options as KmsOptions;
  if (typeof directory !== "string" || directory === "") throw new TypeError("directory must be a path");
  if (region !== undefined) checkRegion(region, "region");
  if (regions !== undefined) checkRegions(regions, "regions");
  if (account !== undefined) checkAccount(account, "account");
  if (xks !== undefined) checkXks(xks, "xks");
  if (clock !== undefined && typeof clock !== "function") throw new TypeError(`clock must be ${known.clock}`);
  for (const [name, allowed] of Object.entries(members)) {
    const part: unknown = options[name as keyof object];
    if (part === undefined) continue;
    if (typeof part !== "object" || part === null)
      throw new TypeError(`${name} must be an object such as ${known[name as keyof KmsOptions]}`);
    refuseUnknown(part, allowed, `${name}.`);
    for (const [member, value] of Object.entries(part)) checkMember(`${name}.${member}`, value);
  }
  return { ...withAbsolutePaths(options), directory: resolve(directory) };
}

/** A path means the same file wherever the process, or the next to read keystead.json, is working by then. */
function withAbsolutePaths(options: KmsOptions): KmsOptions {
  const { hsm, xks, store, audit } = options;
  const absolute = (path: string | undefined) => path && resolve(path);
  const pin = hsm?.pin;
  const fromFile = typeof pin === "object" && "file" in pin ? { file: resolve(pin.file) } : pin;
  return {
    ...options,
    hsm: hsm && { ...hsm, module: absolute(hsm.module), pin: fromFile },
    xks: xks && { ...xks, ca: absolute(xks.ca) },
    store: store && { ...store, file: absolute(store.file) },
    audit: audit && { ...audit, directory: absolute(audit.directory) },
  };
}

function refuseUnknown(value: object, allowed: readonly string[], prefix: string): void {
  for (const name of Object.keys(value)) {
    if (!allowed.includes(name))
      throw new TypeError(`there is no option ${prefix}${name}; known are ${allowed.join(", ")}`);
  }
}

function checkMember(name: string, value: unknown): void {
  if (value === undefined) return;
  if (texts.includes(name) && (typeof value !== "string" || value === ""))
    throw new TypeError(`${name} must be a text that is not empty`);
  if (counts.includes(name) && (!Number.isSafeInteger(value) || (value as number) < 1))
    throw new TypeError(`${name} must be a whole number from 1`);
  if (name === "hsm.sessions" && (!Number.isSafeInteger(value) || (value as number) < 0))
    throw new TypeError(`${name} must be a whole number from 0; 0 lets the token's limits decide`);
  if (name === "hsm.environment" && !isRecordOfTexts(value))
    throw new TypeError(`${name} must be an object of texts, such as { SOFTHSM2_CONF: PATH }`);
  if (name === "hsm.clusters") checkClusters(value, name);
  if (name === "hsm.pin" && !isPinSource(value))
    throw new TypeError(
      `${name} must be text, bytes, { file: PATH }, { env: NAME } or a function that gives it`,
    );
}

const isRecordOfTexts = (value: unknown) =>
  typeof value === "object" &&
  value !== null &&
  Object.values(value).every((text) => typeof text === "string");

function isPinSource(value: unknown): boolean {
  if (typeof value === "string" || typeof value === "function" || value instanceof Uint8Array) return true;
  const { file, env } = (value ?? {}) as { file?: unknown; env?: unknown };
  return typeof (file ?? env) === "string";
}
