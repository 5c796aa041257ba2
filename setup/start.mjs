// npm start: sets up, then does the main job on real input (lib/cli).
import { spawnSync } from "node:child_process";
import path from "node:path";
import { orExit, root } from "./machine.mjs";
import { setup } from "./setup.mjs";

const args = process.argv.slice(2);
const at = args.indexOf("--directory");
orExit(() => setup({ directory: at < 0 ? undefined : args[at + 1] }));
const cli = path.join(root, "dist/cli.js");
const { status, signal } = spawnSync(process.execPath, [cli, "start", ...args], { stdio: "inherit" });
if (signal) process.kill(process.pid, signal);
process.exitCode = status ?? 1;
