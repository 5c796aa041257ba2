// npm test: sets up, runs every check there is, and ends with one line that counts them all.
// With arguments (npm test -- test/store.test.ts) it runs only vitest, and hands them on.
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { files } from "./checkout.mjs";
import { cores, root, SetupError } from "./machine.mjs";
import { setup } from "./setup.mjs";

const report = (name) => path.join(root, "build", name);
const tool = (file, ...args) => [process.execPath, path.join(root, "node_modules", file), ...args];

// Biome wraps each letter in colours of its own wherever it is run.
const plain = process.stdout.isTTY ? [] : ["--colors=off"];

/** Runs a command in the open; true when it succeeded. */
function succeeds([command, ...args]) {
  return spawnSync(command, args, { cwd: root, stdio: "inherit" }).status === 0;
}

/** A check that counts as one. */
function check(...command) {
  return succeeds(command) ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
}

// Its rules for the same style differ from one version to the next.
const clangFormatVersion = 14;

function clangFormat() {
  const version = spawnSync("clang-format", ["--version"], { encoding: "utf8" }).stdout?.match(
    /version (\d+)/,
  )?.[1];
  if (Number(version) !== clangFormatVersion) {
    console.log(`left out: there is no clang-format ${clangFormatVersion} here`);
    return { passed: 0, failed: 0 };
  }
  const sources = [...files("native", /\.(cc|h)$/), ...files("test", /\.(c|cc|h)$/)];
  return check("clang-format", "--dry-run", "-Werror", ...sources);
}

/** The engine alone, without Node, under the address and undefined behaviour sanitizers. */
function engine() {
  const folder = report("engine");
  const results = report("engine.xml");
  rmSync(results, { force: true });
  const options = [
    "-DKEYSTEAD_TESTS=ON",
    "-DKEYSTEAD_SANITIZE=address,undefined",
    "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
  ];
  const built =
    succeeds(["cmake", "-S", root, "-B", folder, ...options, "-Wno-dev"]) &&
    succeeds(["cmake", "--build", folder, "--parallel", String(cores)]);
  if (!built) return { passed: 0, failed: 1 };
  const run = ["ctest", "--test-dir", folder, "--parallel", String(cores), "--output-junit", results];
  const passed = succeeds([...run, "--output-on-failure", "--no-tests=error", "--timeout", "300"]);
  return counted(passed, () => {
    const suite = readFileSync(results, "utf8").match(/<testsuite\b[^>]*>/)[0];
    const number = (name) => Number(suite.match(new RegExp(`\\b${name}="(\\d+)"`))?.[1] ?? 0);
    const failed = number("failures");
    return { passed: number("tests") - failed - number("skipped") - number("disabled"), failed };
  });
}

function vitest(args) {
  const results = report("vitest.json");
  rmSync(results, { force: true });
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${results}`];
  const passed = succeeds(tool("vitest/vitest.mjs", "run", ...reporters, ...args));
  return counted(passed, () => {
    const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(results, "utf8"));
    // A file that could not even be loaded fails without a test that says so.
    const broken = testResults.filter(
      (file) => file.status === "failed" && !file.assertionResults.some((test) => test.status === "failed"),
    );
    return { passed: numPassedTests, failed: numFailedTests + broken.length };
  });
}

/** What a runner's report says, and never less than one failure when the runner itself says so. */
function counted(succeeded, read) {
  let counts;
  try {
    counts = read();
  } catch (error) {
    console.error(`no report: ${error.message}`);
    return { passed: 0, failed: 1 };
  }
  const failed = succeeded && counts.passed > 0 ? counts.failed : Math.max(counts.failed, 1);
  return { passed: counts.passed, failed };
}

const args = process.argv.slice(2);
const stages = {
  "format and lint": () =>
    check(...tool("@biomejs/biome/bin/biome", "ci", "--error-on-warnings", ...plain, ".")),
  "format of C++": clangFormat,
  "types of lib": () => check(...tool("typescript/bin/tsc", "-p", "tsconfig.json", "--noEmit")),
  "types of tests": () => check(...tool("typescript/bin/tsc", "-p", "test/tsconfig.json")),
  engine,
  vitest: () => vitest(args),
};

const total = { passed: 0, failed: 0 };
const summary = [];
try {
  setup({ tests: true });
  for (const [name, stage] of Object.entries(args.length ? { vitest: stages.vitest } : stages)) {
    console.log(`\n── ${name}`);
    const started = Date.now();
    const { passed, failed } = stage();
    total.passed += passed;
    total.failed += failed;
    summary.push(
      `${name.padEnd(16)} ${passed} passed, ${failed} failed, ${Math.round((Date.now() - started) / 1000)} s`,
    );
  }
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  console.error(`setup: ${error.message}`);
  total.failed += 1;
}
console.log(`\n${summary.join("\n")}\n`);
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed > 0 ? 1 : 0;
