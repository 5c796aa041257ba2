// npm run bench: sets up, peers included, then measures every figure that the README claims (bench/).
import { spawnSync } from "node:child_process";
import path from "node:path";
import { orExit, root } from "./machine.mjs";
import { setup } from "./setup.mjs";

orExit(() => setup({ tests: true }));
const bench = path.join(root, "bench/bench.mjs");
process.exitCode =
  spawnSync(process.execPath, [bench, ...process.argv.slice(2)], { stdio: "inherit" }).status ?? 1;
