#!/usr/bin/env node
// What prebuildify runs in place of node-gyp: compiles the addon with cmake-js, so that a prebuild is made by the
// same CMakeLists.txt as any other build. node-gyp's arguments choose headers, and Node-API has only one kind.
//
// The C++ library goes in statically, since one of a new compiler is missing on older machines, and nothing but the
// addon's entry is exported, so that Node's own C++ library cannot be mixed into it. That is safe because no exception,
// object or allocation of C++ crosses the addon's edge: Node-API, PKCS#11 and OpenSSL are C. libgcc stays shared:
// every machine has one, and a process ought to have one unwinder.
import { rmSync } from "node:fs";
import path from "node:path";
import { cores, orExit, root, runNode } from "./machine.mjs";

const entry = path.join(root, "setup/prebuild.map");
const linker =
  process.platform === "linux" ? `-static-libstdc++ -Wl,--gc-sections -Wl,--version-script="${entry}"` : "";
const flags = ["--out", "build", `--CDCMAKE_SHARED_LINKER_FLAGS=${linker}`];
orExit(() => {
  rmSync(path.join(root, "build/CMakeCache.txt"), { force: true });
  rmSync(path.join(root, "build/Release"), { recursive: true, force: true });
  runNode("cmake-js/bin/cmake-js", ["configure", ...flags]);
  runNode("cmake-js/bin/cmake-js", ["build", ...flags, "--parallel", String(cores)]);
  // The next ordinary build is to be configured afresh.
  rmSync(path.join(root, "build/CMakeCache.txt"));
});
