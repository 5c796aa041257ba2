// cp of the same file, to another file of the same file system: into the page cache, and forced to the disk.
import { execFile } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { contend } from "../round.mjs";

const { BENCH_FILE, BENCH_OUT, BENCH_SIZE } = process.env;
const output = join(BENCH_OUT, "cp.copy");
const run = promisify(execFile);

contend(
  {
    cp: async () => {
      await run("cp", ["--reflink=never", BENCH_FILE, output]);
      return Number(BENCH_SIZE);
    },
    "cp and sync": async () => {
      await run("cp", ["--reflink=never", BENCH_FILE, output]);
      await run("sync", [output]);
      return Number(BENCH_SIZE);
    },
  },
  undefined,
  () => rmSync(output, { force: true }),
);
