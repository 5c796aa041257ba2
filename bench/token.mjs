// A SoftHSM token for the contenders that are not Keystead.
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findSoftHsm } from "../dist/hsm.js";

/** Makes the token below `directory`; gives the environment in which a contender finds it. */
export function makeToken(directory) {
  const tokens = join(directory, "tokens");
  mkdirSync(tokens, { recursive: true });
  const conf = join(directory, "softhsm2.conf");
  writeFileSync(conf, `directories.tokendir = ${tokens}\nobjectstore.backend = file\nlog.level = ERROR\n`);
  const environment = {
    SOFTHSM2_CONF: conf,
    BENCH_MODULE: findSoftHsm(),
    BENCH_TOKEN: "bench",
    BENCH_PIN: "1234",
  };
  const args = ["--init-token", "--free", "--label", "bench", "--so-pin", "5678", "--pin", "1234"];
  execFileSync("softhsm2-util", args, { env: { ...process.env, ...environment } });
  return environment;
}
