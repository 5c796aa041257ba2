// The machine that keystead is being set up on: which programs it has, and how it gets more of them.
// Runs before anything is installed, so it needs nothing but Node; and on an older Node it gets as far as saying so.
import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 17)) {
  console.error(`keystead needs Node 20.17 or newer, and this is Node ${process.versions.node}`);
  console.error("  install one from https://nodejs.org/en/download and run the command again");
  process.exit(1);
}

/** The checkout. */
export const root = fileURLToPath(new URL("..", import.meta.url));

/** Something that only a person can put right. Its message says what, and what to do. */
export class SetupError extends Error {}

/** How many compilers to run at the same time. */
export const cores = os.availableParallelism();

/** What can be installed, by what each package manager calls it. */
export const packages = {
  softhsm: { apt: "softhsm2", dnf: "softhsm", brew: "softhsm" },
  compiler: { apt: "g++", dnf: "gcc-c++ libasan libubsan", brew: "llvm" },
  make: { apt: "make", dnf: "make", brew: "make" },
  cmake: { apt: "cmake", dnf: "cmake", brew: "cmake" },
  python: { apt: "python3", dnf: "python3", brew: "python3" },
  p11kit: { apt: "libp11-kit-dev", dnf: "p11-kit-devel", brew: "p11-kit" },
  ipsecmb: { apt: "libipsec-mb1" },
  awscli: { apt: "awscli" },
  boto3: { apt: "python3-boto3" },
};

/** Prints one line about what is going on. */
export function say(line) {
  console.log(`setup: ${line}`);
}

/** The full path of a program, or undefined when the machine has none. */
export function program(name) {
  for (const folder of (process.env.PATH ?? "").split(path.delimiter)) {
    const file = path.join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      if (folder) return file;
    } catch {}
  }
  return undefined;
}

/** Does what it is given, or ends the process with a message that says what is in the way. */
export function orExit(act) {
  try {
    act();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(`setup: ${error.message}`);
    process.exit(1);
  }
}

/** Runs a program and gives its output, which nobody sees unless it fails. */
export function run(command, args, { env = {}, cwd = root } = {}) {
  const result = spawnSync(command, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  if (result.status !== 0) {
    const output = `${result.stdout ?? ""}${result.stderr ?? ""}${result.error?.message ?? ""}`.trimEnd();
    const why = result.signal ?? `code ${result.status}`;
    throw new SetupError(`${output}\n${command} ${args.join(" ")}: failed with ${why}`);
  }
  return result.stdout;
}

/** Runs a Node program of this checkout's dependencies, named by its file. */
export function runNode(file, args, options) {
  return run(process.execPath, [path.join(root, "node_modules", file), ...args], options);
}

/**
 * Installs packages (names of the table above) with apt-get, or says exactly what is to be installed by whom.
 * `optional` ones come along where the machine knows them, and are done without where it does not.
 */
export function install(required, optional = []) {
  if (required.length === 0 && !optional.some(isOffered)) return;
  const apt = program("apt-get") && asRoot({ asking: required.length > 0 });
  if (!apt && required.length === 0) return;
  if (!apt) throw new SetupError(instructions(required));
  const aptGet = (...args) => run(apt[0], [...apt.slice(1), "apt-get", "-q", ...waiting, ...args]);
  const add = (names) => {
    const list = names.map((name) => packages[name].apt);
    if (list.length === 0) return;
    say(`installing ${list.join(", ")} with apt-get`);
    aptGet("install", "-y", "--no-install-recommends", ...list);
  };
  try {
    aptGet("update");
  } catch {
    // One broken source of many fails the update as a whole; what is needed may be known all the same.
  }
  add(required);
  try {
    add(optional.filter(isOffered));
  } catch {
    say("going on without, since it is not needed");
  }
}

// Another apt-get may be at work, as it often is on a machine that has just started.
const waiting = ["-o", "DPkg::Lock::Timeout=120"];

/** The beginning of a command that runs as root, or undefined when this user may run none, or only when asked. */
function asRoot({ asking }) {
  const variables = Object.entries(process.env).filter(([name]) => /^(https?|no|ftp|all)_proxy$/i.test(name));
  const env = [
    "env",
    "DEBIAN_FRONTEND=noninteractive",
    ...variables.map(([name, value]) => `${name}=${value}`),
  ];
  if (process.getuid() === 0) return env;
  if (!program("sudo")) return undefined;
  if (spawnSync("sudo", ["-n", "true"], { stdio: "ignore" }).status === 0) return ["sudo", "-n", ...env];
  return asking && process.stdin.isTTY ? ["sudo", ...env] : undefined;
}

function isOffered(name) {
  if (!program("apt-cache")) return false;
  const { stdout } = spawnSync("apt-cache", ["policy", packages[name].apt], { encoding: "utf8" });
  return /Candidate: (?!\(none\))/.test(stdout ?? "");
}

function instructions(required) {
  const managers = [
    ["apt", "sudo apt-get install"],
    ["dnf", "sudo dnf install"],
    ["brew", "brew install"],
  ];
  const present = managers.filter(([manager]) => program(manager === "apt" ? "apt-get" : manager));
  const lines = (present.length ? present : managers).map(
    ([manager, command]) => `  ${command} ${required.map((name) => packages[name][manager]).join(" ")}`,
  );
  return `this user may install nothing here; install what is missing and run the command again:\n${lines.join("\n")}`;
}
