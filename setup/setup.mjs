// Makes a checkout work on this machine: installs, compiles, and says what a person must do where it may not.
// A step that has nothing to do says nothing.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import * as checkout from "./checkout.mjs";
import { install, orExit, program, root, say } from "./machine.mjs";

/** Where distributions put SoftHSM's module: the places in which lib/hsm/softhsm.ts looks. */
const softHsmPlaces = [
  "/usr/lib/softhsm/libsofthsm2.so",
  `/usr/lib/${process.arch === "arm64" ? "aarch64" : "x86_64"}-linux-gnu/softhsm/libsofthsm2.so`,
  "/usr/lib64/pkcs11/libsofthsm2.so",
  "/usr/lib64/softhsm/libsofthsm2.so",
  "/usr/local/lib/softhsm/libsofthsm2.so",
  "/opt/homebrew/lib/softhsm/libsofthsm2.so",
];

/**
 * Brings the checkout to where `npm start` runs, with `tests` to where the tests do, and with `prebuild` to where the
 * addon can be compiled. Throws a SetupError that names what only a person can do.
 */
export function setup({ tests = false, prebuild = false, directory = ".keystead" } = {}) {
  const compiles = tests || prebuild || !checkout.addonFits();
  install(missing({ tests, compiles, directory }), [...missingSpeed(), ...(tests ? missingClients() : [])]);

  step(checkout.dependenciesFit, checkout.installDependencies, "installing the npm dependencies");
  if (!prebuild) step(checkout.addonFits, checkout.compileAddon, "compiling the addon, which takes a minute");
  step(
    checkout.libraryFits,
    tests ? checkout.compileWhatCompiles : checkout.compileLibrary,
    "compiling lib to dist",
  );
  if (tests) step(checkout.peerFits, checkout.compilePeer, "compiling pkcs11js, the tests' second opinion");
}

function step(isDone, act, line) {
  if (isDone()) return;
  say(line);
  act();
}

/** The packages without which what is asked for cannot be done. */
function missing({ tests, compiles, directory }) {
  const needs = {
    softhsm: tests
      ? !softHsmPlaces.some(existsSync) || !program("softhsm2-util")
      : !configuredModule(directory) && !softHsmPlaces.some(existsSync),
    compiler: compiles && !["c++", "g++", "clang++"].some(program),
    make: compiles && !program("make"),
    cmake: compiles && !program("cmake"),
    python: tests && !checkout.peerFits() && !program("python3"),
    p11kit: tests && !existsSync("/usr/include/p11-kit-1/p11-kit/pkcs11.h"),
  };
  return Object.keys(needs).filter((name) => needs[name]);
}

/** Intel's library makes bulk encryption faster, and is used where the machine has it. */
function missingSpeed() {
  const places = ["/usr/lib/x86_64-linux-gnu/libIPSec_MB.so.1", "/usr/lib64/libIPSec_MB.so.1"];
  const wanted = process.platform === "linux" && process.arch === "x64";
  return wanted && !places.some((place) => existsSync(place)) ? ["ipsecmb"] : [];
}

/** AWS's own clients, where the distribution has them: test/aws-clients.test.ts runs them against this service. */
function missingClients() {
  if (process.platform !== "linux") return [];
  const places = { awscli: "/usr/bin/aws", boto3: "/usr/lib/python3/dist-packages/boto3" };
  return Object.keys(places).filter((name) => !existsSync(places[name]));
}

function configuredModule(directory) {
  if (process.env.KEYSTEAD_MODULE) return process.env.KEYSTEAD_MODULE;
  const file = path.resolve(root, directory, "keystead.json");
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")).hsm?.module : undefined;
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  orExit(() => setup({ tests: process.argv.includes("--tests") }));
