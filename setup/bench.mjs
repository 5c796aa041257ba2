// npm run bench: sets up, peers included, then measures every figure that the README claims (bench/).
import { spawnSync } from "node:child_process";
import path from "node:path";
import { cores, orExit, root, run } from "./machine.mjs";
import { setup } from "./setup.mjs";

orExit(() => {
  setup({ tests: true });
  const folder = path.join(root, "build/loop");
  run("cmake", ["-S", root, "-B", folder, "-DKEYSTEAD_BENCH=ON", "-DCMAKE_BUILD_TYPE=Release", "-Wno-dev"]);
  run("cmake", ["--build", folder, "--parallel", String(cores)]);
});
const bench = path.join(root, "bench/bench.mjs");
process.exitCode =
  spawnSync(process.execPath, [bench, ...process.argv.slice(2)], { stdio: "inherit" }).status ?? 1;
