import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { headersOfNode } from "../setup/checkout.mjs";

const run = promisify(execFile);
const checkout = resolve(import.meta.dirname, "..");
const platform = `${process.platform}-${process.arch}`;
const minutes = 60_000;

/** The versions of Node that the package promises to run on, beside the one that runs the tests. */
const versions = ["20", "22", "24", "26"];

let home: string;
let source: string;
let tarball: string;
let app: string;
let environment: NodeJS.ProcessEnv;

/** npm as a user runs it: an empty home, nothing configured but where packages come from. */
async function emptyHome(): Promise<NodeJS.ProcessEnv> {
  const configured = async (name: string) => (await run("npm", ["config", "get", name])).stdout.trim();
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(npm_|VITEST|NODE_ENV|KEYSTEAD_)/i.test(name),
  );
  return {
    ...Object.fromEntries(kept),
    HOME: home,
    npm_config_registry: await configured("registry"),
    npm_config_cache: await configured("cache"),
    npm_config_update_notifier: "false",
  };
}

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "keystead-package-"));
  environment = await emptyHome();
  // What is packed is made in a copy, so that no other test meets an addon that is being compiled.
  source = join(home, "source");
  const { files } = JSON.parse(await readFile(join(checkout, "package.json"), "utf8")) as { files: string[] };
  const made = ["dist", "prebuilds"];
  const written = files.filter((name) => !name.startsWith("!") && !made.includes(name));
  const rest = ["package.json", "package-lock.json", "tsconfig.json", "README.md", "LICENSE", "lib", "setup"];
  for (const name of [...written, ...rest])
    await cp(join(checkout, name), join(source, name), { recursive: true });
  await symlink(join(checkout, "node_modules"), join(source, "node_modules"));
  await run("npm", ["run", "prebuild"], { cwd: source, env: environment });
  const pack = ["pack", "--json", "--pack-destination", home];
  const [packed] = JSON.parse((await run("npm", pack, { cwd: source, env: environment })).stdout);
  tarball = join(home, packed.filename);
  app = join(home, "app");
  await mkdir(app);
  await writeFile(join(app, "package.json"), "{}");
  await run("npm", ["install", "--ignore-scripts", tarball], { cwd: app, env: environment });
}, 10 * minutes);

afterAll(() => rm(home, { recursive: true, force: true }));

const packaged = () => join(app, "node_modules/keystead");

async function tree(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

describe("the package", () => {
  it("holds what it needs to run and to be compiled, and no tests", async () => {
    const names = (await tree(packaged())).map((file) => file.slice(packaged().length + 1));
    for (const name of [
      "dist/index.js",
      "dist/index.d.ts",
      "dist/cli.js",
      `prebuilds/${platform}/keystead${process.platform === "linux" ? ".glibc" : ""}.node`,
      "native/addon.cc",
      "native/engine/batch.cc",
      "binding.gyp",
      "CMakeLists.txt",
      "README.md",
      "LICENSE",
      "CHANGELOG.md",
      "docs/ciphertext.md",
    ])
      expect(names).toContain(name);
    expect(names.filter((name) => /test|vectors|node_modules|\.env|\.npmrc/i.test(name))).toEqual([]);
  });

  it("names no path of the machine that it was made on", async () => {
    const paths = [`${checkout}/`, `${home}/`, `${homedir()}/`, `${dirname(process.execPath)}/node`];
    for (const file of await tree(packaged())) {
      const content = await readFile(file, "latin1");
      for (const path of paths) expect(content.includes(path), `${path} in ${file}`).toBe(false);
    }
  });

  it("runs no script when it is installed, and needs none that does", async () => {
    const lock = JSON.parse(await readFile(join(app, "package-lock.json"), "utf8"));
    for (const [place, entry] of Object.entries<{ hasInstallScript?: boolean }>(lock.packages))
      expect(entry.hasInstallScript, place).toBeUndefined();
    const { scripts, gypfile } = JSON.parse(await readFile(join(packaged(), "package.json"), "utf8"));
    expect(gypfile, "npm else compiles binding.gyp by itself").toBe(false);
    for (const name of ["preinstall", "install", "postinstall", "prepare"])
      expect(scripts).not.toHaveProperty(name);
  });
});

const program = `
import { readFileSync, writeFileSync, existsSync } from "node:fs";
import { createRequire } from "node:module";
import { Kms } from "keystead";

const kms = await Kms.open();
const EncryptionContext = { made: "by the version before" };
if (existsSync("ciphertext")) {
  const { Plaintext } = await kms.decrypt({ CiphertextBlob: readFileSync("ciphertext"), EncryptionContext });
  console.log(Buffer.from(Plaintext).toString());
} else {
  const { KeyMetadata } = await kms.createKey({});
  await kms.createAlias({ AliasName: "alias/orders", TargetKeyId: KeyMetadata.KeyId });
}
const Plaintext = Buffer.from(process.version);
const { CiphertextBlob } = await kms.encrypt({ KeyId: "alias/orders", Plaintext, EncryptionContext });
writeFileSync("ciphertext", CiphertextBlob);
await kms.close();
if (process.features.require_module) {
  console.log(createRequire(import.meta.url)("keystead").Kms === Kms ? "required" : "required another");
}
`;

const workers = `
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { Kms } from "keystead";

const directory = "workers";
if (isMainThread) {
  const kms = await Kms.open({ directory });
  const { KeyMetadata } = await kms.createKey();
  const { CiphertextBlob } = await kms.encrypt({ KeyId: KeyMetadata.KeyId, Plaintext: Buffer.from("kept") });
  for (let i = 0; i < 30; i++) {
    const worker = new Worker(new URL(import.meta.url), { workerData: KeyMetadata.KeyId });
    await once(worker, "message");
    if (i % 2) await once(worker, "message");
    await sleep(Math.random() * 40);
    await worker.terminate();
  }
  const again = await Kms.open({ directory });
  for (const service of [kms, again]) {
    console.log(Buffer.from((await service.decrypt({ CiphertextBlob })).Plaintext).toString());
    await service.createKey();
    await service.close();
  }
} else {
  parentPort.postMessage("opening");
  const kms = await Kms.open({ directory });
  parentPort.postMessage("open");
  const encrypt = async () => {
    for (;;) await kms.encrypt({ KeyId: workerData, Plaintext: Buffer.from("x") });
  };
  for (let i = 0; i < 8; i++) encrypt();
  for (let i = 0; ; i++) await kms.updateKeyDescription({ KeyId: workerData, Description: String(i) });
}
`;

describe("installed without scripts", () => {
  let previous: string | undefined;

  /** The binary of a version of Node, from npm's registry; the present one for its own. */
  async function node(version: string): Promise<string> {
    if (process.versions.node.startsWith(`${version}.`)) return process.execPath;
    const folder = join(home, `node-${version}`);
    const args = ["install", "--ignore-scripts", "--prefix", folder, `node-${platform}@${version}`];
    await run("npm", args, { env: environment });
    return join(folder, "node_modules", `node-${platform}`, "bin/node");
  }

  it.each(versions)(
    "encrypts on Node %s, and decrypts what the version before encrypted",
    async (version) => {
      await writeFile(join(app, "program.mjs"), program);
      const { stdout, stderr } = await run(await node(version), ["program.mjs"], {
        cwd: app,
        env: environment,
      });
      const [decrypted, required] = previous ? stdout.split("\n") : [previous, stdout.trim()];
      expect(decrypted).toBe(previous);
      expect(required === "required" || (version === "20" && required === "")).toBe(true);
      expect(stderr).not.toMatch(/keystead|sqlite/i);
      previous = (await run(await node(version), ["--version"])).stdout.trim();
    },
    5 * minutes,
  );

  // Node 20 has no SQLite: libsql would abort the process there.
  it.each(versions.filter((version) => version !== "20"))(
    "goes on when its workers are terminated in the midst of their work, on Node %s",
    async (version) => {
      await writeFile(join(app, "workers.mjs"), workers);
      const result = await run(await node(version), ["workers.mjs"], { cwd: app, env: environment });
      expect(result).toEqual({ stdout: "kept\nkept\n", stderr: "" });
    },
    5 * minutes,
  );

  it("has a command", async () => {
    const command = join(app, "node_modules/.bin/keystead");
    const { stdout } = await run(command, ["key", "list", "--json"], { cwd: app, env: environment });
    expect(stdout).toContain("KeyId");
  });
});

describe("without a prebuild that fits", () => {
  const load = [
    "--input-type=module",
    "--eval",
    `await (await import("keystead")).Kms.open({ directory: "other" })`,
  ];

  beforeAll(() => rm(join(packaged(), "prebuilds"), { recursive: true }));

  it(
    "says which command compiles the addon, and the command does",
    async () => {
      const failure = await run(process.execPath, load, { cwd: app, env: environment }).catch(
        (error) => error,
      );
      const command = /npx cmake-js@8 (compile --directory "(.*)")/.exec(failure.stderr);
      expect(command?.[2]).toBe(packaged());
      const cmakeJs = join(checkout, "node_modules/cmake-js/bin/cmake-js");
      await run(process.execPath, [cmakeJs, "compile", "--directory", packaged()], {
        cwd: app,
        env: environment,
      });
      await expect(readdir(join(packaged(), "build/Release"))).resolves.toContain("keystead.node");
      await expect(loads()).resolves.toBe(true);
    },
    10 * minutes,
  );

  it(
    "compiles with node-gyp as well",
    async () => {
      await rm(join(packaged(), "build"), { recursive: true });
      const nodeGyp = join(checkout, "node_modules/node-gyp/bin/node-gyp.js");
      const nodedir = headersOfNode();
      const env = nodedir ? { ...environment, npm_config_nodedir: nodedir } : environment;
      await run(process.execPath, [nodeGyp, "rebuild", "--jobs", "max"], { cwd: packaged(), env });
      await expect(loads()).resolves.toBe(true);
    },
    10 * minutes,
  );

  /** Whether a program decrypts what was encrypted before. */
  async function loads(): Promise<boolean> {
    const { stdout } = await run(process.execPath, ["program.mjs"], { cwd: app, env: environment });
    return stdout.length > 0;
  }
});
