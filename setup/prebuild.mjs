// npm run prebuild: the addon for this platform as the package carries it, in prebuilds/, and what it needs of a machine.
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { promisify } from "node:util";
import { orExit, root } from "./machine.mjs";
import { setup } from "./setup.mjs";

// The newest C library that a prebuild may ask for, which is what compilers on Debian 12 make: RHEL 9 has it, too.
const newestGlibc = "2.34";

orExit(() => setup({ prebuild: true }));
const prebuildify = promisify(createRequire(import.meta.url)("prebuildify"));
await prebuildify({
  cwd: root,
  napi: true,
  strip: true,
  tagLibc: process.platform === "linux",
  nodeGyp: path.join(root, "setup/prebuild-compile.mjs"),
}).catch((error) => {
  console.error(`prebuild: ${error.message}`);
  process.exit(1);
});
const folder = path.join(root, "prebuilds", `${process.platform}-${process.arch}`);
for (const file of readdirSync(folder)) {
  if (process.platform === "linux") checkNeeds(path.join(folder, file));
  console.log(`prebuild: ${path.relative(root, path.join(folder, file))}`);
}

/** Prints the newest version of each library that a binary asks for, and refuses what older machines lack. */
function checkNeeds(file) {
  const symbols = execFileSync("objdump", ["-T", file], { encoding: "utf8" });
  const newest = {};
  for (const [, library, version] of symbols.matchAll(/\((GLIBC|GLIBCXX|CXXABI|GCC)_([\d.]+)\)/g)) {
    if (!newest[library] || compare(version, newest[library]) > 0) newest[library] = version;
  }
  console.log(
    `prebuild: needs ${Object.entries(newest)
      .map((need) => need.join(" "))
      .join(", ")}`,
  );
  if (newest.GLIBC && compare(newest.GLIBC, newestGlibc) > 0) {
    const culprits = symbols.split("\n").filter((line) => line.includes(`(GLIBC_${newest.GLIBC})`));
    console.error(`prebuild: asks for a glibc newer than ${newestGlibc}, for\n${culprits.join("\n")}`);
    process.exitCode = 1;
  }
}

function compare(a, b) {
  return a.localeCompare(b, "en", { numeric: true });
}
