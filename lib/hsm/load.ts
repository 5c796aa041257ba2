import { createRequire } from "node:module";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import type { Addon } from "./addon.ts";

// lib/hsm and dist/hsm lie equally deep below the package.
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

let loaded: Addon | undefined;

/** The addon: a build of this checkout if there is one, else the prebuild that fits the platform. */
export function addon(): Addon {
  if (loaded) return loaded;
  const require = createRequire(import.meta.url);
  try {
    loaded = require("node-gyp-build")(root) as Addon;
  } catch (cause) {
    throw new Error(
      `keystead has no addon for ${process.platform}-${process.arch} on Node ${process.version}; ` +
        `with a C++20 compiler, make and cmake installed, build one: npx cmake-js@8 compile --directory "${root}"`,
      { cause },
    );
  }
  return loaded;
}
