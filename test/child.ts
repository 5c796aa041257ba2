import { type ExecFileOptions, execFile } from "node:child_process";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";

/** A module of the compiled library, for programs in processes of their own; `npm test` keeps it up to date. */
export function library(module: string): string {
  const path = new URL(`../dist/${module}.js`, pathToFileURL(import.meta.filename));
  return JSON.stringify(path.href);
}

/** Runs a program, an ES module given as text, in a new process; its arguments begin at `process.argv[1]`. */
export function node(program: string, args: string[], options: ExecFileOptions = {}) {
  const run = ["--input-type=module", "-e", program, ...args];
  return promisify(execFile)(process.execPath, run, { encoding: "utf8", ...options });
}
