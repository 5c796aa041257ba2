import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { cp, mkdir, mkdtemp, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const origin = resolve(import.meta.dirname, "..");
let checkout: string;

interface Result {
  code: number;
  /** What it printed, errors last. */
  output: string;
  stdout: string;
}

function node(args: string[], env: NodeJS.ProcessEnv = {}): Promise<Result> {
  return new Promise((done) => {
    const options = { cwd: checkout, env: { ...process.env, VITEST: undefined, ...env } };
    const child = execFile(process.execPath, args, options, (_, stdout, stderr) =>
      done({ code: child.exitCode ?? -1, output: stdout + stderr, stdout }),
    );
  });
}

/** A checkout that has been set up, as far as files go: it shares the dependencies of this one. */
beforeAll(async () => {
  checkout = await mkdtemp(join(tmpdir(), "keystead-setup-"));
  const names = ["setup", "lib", "native", "dist", "build/Release", "vitest.config.ts", "tsconfig.json"];
  for (const name of [...names, "CMakeLists.txt", "package.json", "package-lock.json"])
    await cp(join(origin, name), join(checkout, name), { recursive: true, preserveTimestamps: true });
  await symlink(join(origin, "node_modules"), join(checkout, "node_modules"));
  // Whatever is going on in the original: here, what is made is newer than what is written.
  const now = new Date();
  for (const made of ["dist/index.js", "build/Release/keystead.node"])
    await utimes(join(checkout, made), now, now);
});

afterAll(() => rm(checkout, { recursive: true, force: true }));

describe("setup", () => {
  it("has nothing to say when there is nothing to do", async () => {
    expect(await node(["setup/setup.mjs", "--tests"])).toMatchObject({ code: 0, output: "" });
  });

  it("compiles lib again when a file of it is newer than dist, and only then", async () => {
    const later = new Date(Date.now() + 1000);
    await utimes(join(checkout, "lib/arn.ts"), later, later);
    await writeFile(join(checkout, "dist/gone.js"), "");
    expect(await node(["setup/setup.mjs", "--tests"])).toMatchObject({
      code: 0,
      output: expect.stringContaining("setup: compiling lib to dist\n"),
    });
    expect(existsSync(join(checkout, "dist/gone.js"))).toBe(false);
    await utimes(join(checkout, "lib/arn.ts"), new Date(0), new Date(0));
    expect(await node(["setup/setup.mjs", "--tests"])).toMatchObject({ code: 0, output: "" });
  });

  it("says what to install, by each package manager's names, where it may not", async () => {
    const empty = join(checkout, "empty");
    await mkdir(empty);
    const { code, output } = await node(["setup/setup.mjs", "--tests"], { PATH: empty });
    expect(code).toBe(1);
    expect(output).toMatch(/sudo apt-get install (softhsm2 )?g\+\+ make cmake/);
    expect(output).toMatch(/sudo dnf install (softhsm )?gcc-c\+\+ .*make cmake/);
    expect(output).toMatch(/brew install (softhsm )?llvm make cmake/);

    await writeFile(join(empty, "dnf"), "", { mode: 0o755 });
    const fedora = await node(["setup/setup.mjs", "--tests"], { PATH: empty });
    expect(fedora.output).toContain("sudo dnf install");
    expect(fedora.output).not.toMatch(/apt-get|brew/);
  });

  it("does not begin on a Node that is too old", async () => {
    const older = join(checkout, "older.cjs");
    await writeFile(
      older,
      `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.16.0" } })`,
    );
    const { code, output } = await node(["--require", older, "setup/start.mjs"]);
    expect(code).toBe(1);
    expect(output).toMatch(/^keystead needs Node 20\.17 or newer, and this is Node 20\.16\.0\n/);
  });

  it("looks for SoftHSM where the library does", () => {
    const places = (file: string) =>
      /laces = (\[[^\]]*\])/.exec(readFileSync(join(origin, file), "utf8"))?.[1];
    expect(places("setup/setup.mjs")).toContain("libsofthsm2.so");
    expect(places("setup/setup.mjs")).toBe(places("lib/hsm/softhsm.ts"));
  });
});

describe("npm test", () => {
  beforeAll(async () => {
    const file = (name: string, text: string) => writeFile(join(checkout, "test", `${name}.test.ts`), text);
    await mkdir(join(checkout, "test"));
    const one = `import { expect, it } from "vitest"; it("holds", () => expect(1).toBe(1));`;
    await file("good", one);
    await file("bad", `${one} it("does not", () => expect(1).toBe(2));`);
    await file("broken", `throw new Error("cannot even be loaded");`);
    await file("stray", `${one} void Promise.reject(new Error("nobody caught this"));`);
  });

  const lastLine = ({ stdout }: Result) => stdout.trimEnd().split("\n").at(-1);

  it.each([
    ["passes", ["good"], "1 passed, 0 failed", 0],
    ["counts a failed test", ["good", "bad"], "2 passed, 1 failed", 1],
    ["counts a file that cannot be loaded", ["good", "broken"], "1 passed, 1 failed", 1],
    ["counts an error outside of any test", ["stray"], "1 passed, 1 failed", 1],
    ["fails when no test ran", ["nothing"], "0 passed, 1 failed", 1],
  ])("%s", async (_, names, line, code) => {
    const result = await node(["setup/test.mjs", ...names]);
    expect(lastLine(result)).toBe(line);
    expect(result.code).toBe(code);
  });
});

describe("package-lock.json", () => {
  // npm ci refuses one that leaves any out, and npm install leaves out what the registry at hand does not have.
  it("names every optional dependency of every package", () => {
    type Entry = { optionalDependencies?: Record<string, string> };
    const lock = JSON.parse(readFileSync(join(origin, "package-lock.json"), "utf8"));
    const packages: Record<string, Entry> = lock.packages;
    for (const [place, { optionalDependencies = {} }] of Object.entries(packages)) {
      for (const name of Object.keys(optionalDependencies)) {
        const places = Object.keys(packages).filter((other) => other.endsWith(`node_modules/${name}`));
        expect(places, `${name}, which ${place} may use`).not.toEqual([]);
      }
    }
  });
});
