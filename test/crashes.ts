import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect } from "vitest";

/** Programs that are killed, as by kill -9, right before one of their steps: calls that change what lies in a directory. */

/** How many steps of a program are tried, evenly spread: set it high to try all, for a quarter of an hour. */
export const MOST = Number(process.env.KEYSTEAD_CRASHES ?? 30);

const dieAt = (root: string) => join(root, "die_at");

/** Compiles what watches and kills; to be done once for each `root`. */
export function compileDieAt(root: string): void {
  execFileSync("cc", ["-O2", "-o", dieAt(root), join(import.meta.dirname, "native", "die_at.c")]);
}

/** Runs a program that is killed right before its step N, or never when N is 0. */
async function run(root: string, directory: string, n: number, program: string) {
  const command = [process.execPath, "--input-type=module", "-e", program, directory];
  const child = spawn(dieAt(root), [directory, String(n), ...command], {
    stdio: ["ignore", "pipe", "pipe", "pipe"],
  });
  const [output, errors, log, [code]] = await Promise.all([
    text(child.stdout as NodeJS.ReadableStream),
    text(child.stderr as NodeJS.ReadableStream),
    text(child.stdio[3] as NodeJS.ReadableStream),
    once(child, "close"),
  ]);
  return { code: code as number, output, errors, steps: log.split("\n").slice(0, -1) };
}

/**
 * Kills the program right before each of the steps that `which` picks, or of `MOST` of them, evenly spread, and
 * each time hands what is left to `check`, with what the program had said by then. A few run at a time.
 */
export async function crashes(
  root: string,
  program: string,
  which: (step: string, index: number, steps: string[]) => boolean,
  prepare: (directory: string) => void,
  check: (directory: string, output: string) => Promise<void>,
): Promise<void> {
  const place = (name: string) => {
    const directory = join(root, name);
    prepare(directory);
    return directory;
  };
  const whole = place("whole");
  const { code, steps, output, errors } = await run(root, whole, 0, program);
  expect([code, errors]).toEqual([0, ""]);
  await check(whole, output);
  rmSync(whole, { recursive: true });

  const numbers = steps.flatMap((step, i) => (which(step, i, steps) ? [i + 1] : []));
  expect(numbers.length).toBeGreaterThan(0);
  const stride = Math.max(1, numbers.length / MOST);
  const chosen = numbers.filter((_, i) => Math.floor(i / stride) !== Math.floor((i - 1) / stride));
  const failures: string[] = [];
  const worker = async () => {
    for (let n = chosen.shift(); n !== undefined; n = chosen.shift()) {
      const directory = place(`step-${n}`);
      const died = await run(root, directory, n, program);
      try {
        // Not every run has as many steps: then it ends by itself.
        expect([137, 0], died.errors).toContain(died.code);
        await check(directory, died.output);
      } catch (error) {
        failures.push(`killed before step ${n}, ${died.steps[n - 1]}: ${(error as Error).message}`);
      }
      rmSync(directory, { recursive: true });
    }
  };
  await Promise.all([worker(), worker(), worker()]);
  expect(failures).toEqual([]);
}

/** All steps but those on the index of SQLite's log in shared memory, which is made anew. */
export const any = (step: string) => !step.endsWith("-shm");
/** Those behind the opening, which ends when its lock is let go of. */
export const afterOpening = (step: string, index: number, steps: string[]) =>
  any(step) && index > steps.indexOf("unlink lock.db-journal");
