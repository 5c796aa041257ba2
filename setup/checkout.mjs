// What of this checkout is made rather than written, and whether it is still up to date.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import path from "node:path";
import { cores, root, run, runNode, say } from "./machine.mjs";

/** Whether node_modules holds what package-lock.json says, at the versions that it says. */
export function dependenciesFit() {
  const locked = lockedPackages("package-lock.json");
  const installed = lockedPackages("node_modules/.package-lock.json");
  if (!locked || !installed) return false;
  return Object.entries(locked).every(
    ([place, { version, optional }]) =>
      place === "" || installed[place]?.version === version || (optional && !installed[place]),
  );
}

function lockedPackages(file) {
  const place = path.join(root, file);
  return existsSync(place) ? JSON.parse(readFileSync(place, "utf8")).packages : undefined;
}

/** Installs exactly what package-lock.json says; no package runs a script of its own. */
export function installDependencies() {
  const npm = process.env.npm_execpath;
  const args = ["ci", "--ignore-scripts", "--include=dev", "--no-audit", "--no-fund"];
  if (npm?.endsWith("npm-cli.js")) run(process.execPath, [npm, ...args]);
  else run("npm", args);
}

/** Whether the addon that the loader would choose was made from the sources as they are now, and loads. */
export function addonFits() {
  const addon = [
    ...files("build/Release", /\.node$/),
    ...files(`prebuilds/${process.platform}-${process.arch}`, /\.node$/),
  ][0];
  if (!addon) return false;
  const sources = [path.join(root, "CMakeLists.txt"), ...files("native", /\.(h|cc)$/)];
  return isNewer(addon, sources) && loads(addon);
}

/** In a process of its own, since what does not fit may also crash. */
function loads(addon) {
  const program = `process.dlopen({ exports: {} }, ${JSON.stringify(addon)})`;
  return spawnSync(process.execPath, ["-e", program], { stdio: "ignore" }).status === 0;
}

export function compileAddon() {
  // CMake refuses a cache that was made elsewhere, as it is after the checkout has been moved or copied.
  const cache = path.join(root, "build/CMakeCache.txt");
  const home =
    existsSync(cache) && readFileSync(cache, "utf8").match(/^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$/m);
  if (home && path.resolve(home[1]) !== path.resolve(root))
    rmSync(path.join(root, "build"), { recursive: true });
  runNode("cmake-js/bin/cmake-js", ["configure", "--out", "build"]);
  runNode("cmake-js/bin/cmake-js", ["build", "--out", "build", "--parallel", String(cores)]);
}

/** Whether dist was compiled from lib as it is now. */
export function libraryFits() {
  const sources = [
    path.join(root, "tsconfig.json"),
    path.join(root, "package-lock.json"),
    ...files("lib", /\.ts$/),
  ];
  return isNewer(path.join(root, "dist/index.js"), sources);
}

/** Compiles lib into an empty dist, so that nothing stays there whose source is gone. */
export function compileLibrary() {
  rmSync(path.join(root, "dist"), { recursive: true, force: true });
  runNode("typescript/bin/tsc", ["-p", "tsconfig.json"]);
}

/** The same for the tests, whose type check counts what is wrong: it stops nothing else. */
export function compileWhatCompiles() {
  try {
    compileLibrary();
  } catch {
    say("lib has type errors");
  }
}

/** Whether the peer of the tests and benches, which ships no binary, has been compiled. */
export function peerFits() {
  return existsSync(path.join(root, "node_modules/pkcs11js/build/Release/pkcs11.node"));
}

export function compilePeer() {
  const nodedir = process.env.npm_config_nodedir || headersOfNode();
  runNode("node-gyp/bin/node-gyp.js", ["rebuild"], {
    cwd: path.join(root, "node_modules/pkcs11js"),
    env: nodedir ? { npm_config_nodedir: nodedir } : {},
  });
}

/** Where this very Node's headers lie, so that none need to be fetched; undefined when they lie nowhere. */
export function headersOfNode() {
  const prefixes = [path.resolve(process.execPath, "../.."), "/usr"];
  return prefixes.find((prefix) => {
    const header = path.join(prefix, "include/node/node_version.h");
    if (!existsSync(header)) return false;
    const text = readFileSync(header, "utf8");
    const part = (name) => text.match(new RegExp(`#define NODE_${name}_VERSION (\\d+)`))?.[1];
    return [part("MAJOR"), part("MINOR"), part("PATCH")].join(".") === process.versions.node;
  });
}

/** The files below a folder of the checkout whose names match. */
export function files(folder, pattern) {
  const place = path.join(root, folder);
  if (!existsSync(place)) return [];
  return readdirSync(place, { recursive: true })
    .filter((name) => pattern.test(name))
    .map((name) => path.join(place, name));
}

function isNewer(made, sources) {
  if (!existsSync(made)) return false;
  const age = statSync(made).mtimeMs;
  return sources.every((source) => statSync(source).mtimeMs <= age);
}
