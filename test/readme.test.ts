import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const checkout = resolve(import.meta.dirname, "..");
const readme = readFileSync(join(checkout, "README.md"), "utf8");
const [program = "", opening = ""] = [...readme.matchAll(/^```ts\n(.*?)^```/gms)].map(([, code]) => code);

/** A program's folder, in which "keystead" is this checkout as it was compiled. */
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "keystead-readme-"));
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(checkout, join(folder, "node_modules/keystead"));
  for (const name of ["@types", "undici-types"])
    symlinkSync(join(checkout, "node_modules", name), join(folder, "node_modules", name));
  writeFileSync(join(folder, "package.json"), `{ "type": "module" }`);
  writeFileSync(join(folder, "program.ts"), program);
  writeFileSync(join(folder, "opening.ts"), `import { Kms } from "keystead";\n${opening}`);
  writeFileSync(join(folder, "dump.sql"), "INSERT INTO orders VALUES (7);\n");
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Without `skipLibCheck`: our declarations are checked as well. What tsc has to say comes on standard output. */
function tsc(...options: string[]): string {
  const compiler = join(checkout, "node_modules/typescript/bin/tsc");
  const always = ["--strict", "--target", "es2022", "--lib", "es2022,esnext.disposable", "--types", "node"];
  try {
    const args = [compiler, ...always, ...options, "program.ts", "opening.ts"];
    return execFileSync(process.execPath, args, { cwd: folder, encoding: "utf8" });
  } catch (error) {
    return `${(error as { stdout?: string }).stdout}`;
  }
}

describe("the program", () => {
  test.each([
    ["nodenext", "nodenext"],
    ["node16", "node16"],
    ["esnext", "bundler"],
  ])("compiles as a module of %s, resolved as %s does", (module, resolution) => {
    expect(tsc("--noEmit", "--module", module, "--moduleResolution", resolution)).toBe("");
  });

  test("runs, and a second one finds what the first has made", () => {
    tsc("--module", "nodenext", "--outDir", ".");
    const run = () =>
      execFileSync(process.execPath, ["program.js"], { cwd: folder, encoding: "utf8", stdio: "pipe" });
    expect(run()).toBe("");
    expect(existsSync(join(folder, ".keystead/keystead.json"))).toBe(true);
    expect(readFileSync(join(folder, "dump.sql.enc")).subarray(0, 3).toString("hex")).toBe("020478");
    expect(run).toThrow(/AlreadyExistsException.*alias\/orders/);
  });
});

test("the page is short, and names files that are there", () => {
  expect(readme.split("\n").length).toBeLessThan(150);
  const named = [...readme.matchAll(/\]\((?!http)([^)#]+)\)|\b(test\/[\w-]+\.test\.ts)/g)];
  expect(named.length).toBeGreaterThan(10);
  for (const [, link, file] of named) {
    const path = (link ?? file) as string;
    // What the bench writes is there once it has run.
    if (path !== "bench/results.md") expect(existsSync(join(checkout, path)), path).toBe(true);
  }
});
