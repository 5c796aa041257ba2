import { readFileSync } from "node:fs";

/** The package's own package.json; lib/cli and dist/cli lie equally deep below it. */
export const manifest: { version: string; description: string } = JSON.parse(
  readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
);
