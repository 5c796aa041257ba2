import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { addon } from "./load.ts";
import type { PinSource } from "./pin.ts";
import { copyTokens, restoreTokens } from "./token-copy.ts";

/** Where distributions put SoftHSM's module. */
const places = [
  "/usr/lib/softhsm/libsofthsm2.so",
  `/usr/lib/${process.arch === "arm64" ? "aarch64" : "x86_64"}-linux-gnu/softhsm/libsofthsm2.so`,
  "/usr/lib64/pkcs11/libsofthsm2.so",
  "/usr/lib64/softhsm/libsofthsm2.so",
  "/usr/local/lib/softhsm/libsofthsm2.so",
  "/opt/homebrew/lib/softhsm/libsofthsm2.so",
];

const label = "keystead";

/** A token of SoftHSM that lies in a directory of ours. */
export interface SoftHsmToken {
  module: string;
  environment: { SOFTHSM2_CONF: string };
  token: string;
  pin: PinSource;
}

/** The path of SoftHSM's module, or undefined where none is installed. */
export function findSoftHsm(): string | undefined {
  return [process.env.KEYSTEAD_MODULE, ...places].find((place) => place && existsSync(place));
}

export interface SoftHsmOptions {
  module?: string;
  /** Makes what a new token needs, before anybody else can see it. */
  furnish?: (token: SoftHsmToken) => Promise<void>;
}

/**
 * The SoftHSM token of a data directory, made on first use: `token/` with its `softhsm2.conf`, and random PINs in
 * `pin` and `so-pin`, all private to the owner. The token is made and furnished aside and renamed, so that a
 * crash leaves either all of it or nothing: SoftHSM writes an object in dozens of steps. The caller holds the
 * directory's lock.
 */
export async function provisionSoftHsm(
  directory: string,
  { module = findSoftHsm(), furnish }: SoftHsmOptions = {},
): Promise<SoftHsmToken> {
  if (!module) {
    throw new Error(
      "no PKCS#11 module is configured and SoftHSM is not installed; " +
        "give hsm.module or KEYSTEAD_MODULE, or install SoftHSM: apt-get install softhsm2",
    );
  }
  const home = resolve(directory);
  const conf = join(home, "softhsm2.conf");
  const tokens = join(home, "token");
  const token = {
    module,
    environment: { SOFTHSM2_CONF: conf },
    token: label,
    pin: { file: join(home, "pin") },
  };
  if (existsSync(tokens)) {
    if (!existsSync(token.pin.file))
      throw new Error(`${tokens} has a token, but its PIN file ${token.pin.file} is gone`);
    await writeConf(conf, tokens);
    await restoreTokens(tokens);
    return token;
  }
  const made = join(home, "token.new");
  const madeConf = join(home, "softhsm2.conf.new");
  await rm(made, { recursive: true, force: true });
  await mkdir(made, { mode: 0o700 });
  await writeConf(madeConf, made);
  await addon().initToken({
    module,
    environment: { SOFTHSM2_CONF: madeConf },
    label,
    soPin: await privateFile(join(home, "so-pin")),
    pin: await privateFile(token.pin.file),
  });
  await furnish?.({ ...token, environment: { SOFTHSM2_CONF: madeConf } });
  await copyTokens(made);
  await syncTree(made);
  await writeConf(conf, tokens);
  await rename(made, tokens);
  await rm(madeConf);
  await sync(home);
  return token;
}

/** Makes the objects of a token durable once a login has worked: SoftHSM itself never calls fsync. */
export async function syncSoftHsm(directory: string): Promise<void> {
  const tokens = join(directory, "token");
  if (!existsSync(tokens)) return;
  await copyTokens(tokens);
  await syncTree(tokens);
}

function writeConf(file: string, tokens: string): Promise<void> {
  const lines = [`directories.tokendir = ${tokens}`, "objectstore.backend = file", "log.level = ERROR"];
  return write(file, `${lines.join("\n")}\n`);
}

/** The PIN in the file, which is made with a random one when it does not exist. */
async function privateFile(file: string): Promise<Uint8Array> {
  if (!existsSync(file)) await write(file, `${randomBytes(16).toString("hex")}\n`);
  return Uint8Array.from(Buffer.from((await readFile(file, "latin1")).trim()));
}

async function write(file: string, text: string): Promise<void> {
  if (existsSync(file) && (await readFile(file, "utf8")) === text) return;
  const handle = await open(`${file}.part`, "w", 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(`${file}.part`, file);
}

async function sync(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function syncTree(path: string): Promise<void> {
  for (const entry of await readdir(path, { withFileTypes: true })) {
    const child = join(path, entry.name);
    await (entry.isDirectory() ? syncTree(child) : sync(child));
  }
  await sync(path);
}
