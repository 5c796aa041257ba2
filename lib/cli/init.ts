import { existsSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import {
  CONFIG_FILE,
  checkAccount,
  checkRegion,
  checkRegions,
  DEFAULT_ACCOUNT,
  DEFAULT_REGION,
  type HsmConfig,
  readConfig,
  writeConfig,
} from "../config.ts";
import type { Kms, KmsOptions } from "../kms.ts";
import type { Action, Work } from "./action.ts";
import { CliError, usage } from "./exit.ts";
import type { Invocation } from "./invocation.ts";
import { readSecret } from "./prompt.ts";

interface Options {
  account: string;
  alsoRegion?: string[];
  module?: string;
  token?: string;
  pinFile?: string;
  pinEnv?: string;
}

/** Where a PIN that was typed in is kept, in the data directory. */
const PIN_FILE = "pin";

export function initCommand(program: Command, action: Action): void {
  program
    .command("init")
    .description("set up a data directory, with a SoftHSM token of its own or on the HSM that is named")
    .option("--account <id>", "account, 12 digits", DEFAULT_ACCOUNT)
    .option("--also-region <name...>", "further Regions to serve, beside that of --region")
    .option("--module <path>", "PKCS#11 module of the HSM (default: SoftHSM, if installed)")
    .option("--token <label>", "label of the token (default: the only one)")
    .option("--pin-file <path>", "file whose first line is the user PIN (default: asked for)")
    .option("--pin-env <name>", "environment variable that holds the user PIN")
    .action(action(init));
}

const init: Work = async (invocation, _, options) => {
  const { account, alsoRegion: regions, module, token, pinFile, pinEnv } = options as Options;
  const { directory, region = DEFAULT_REGION } = invocation;
  if ((await readConfig(directory)) !== undefined)
    throw new CliError(`${directory} is set up already`, {
      hint: `see keystead doctor, edit ${join(directory, CONFIG_FILE)}, or choose another --directory`,
    });
  checkAccount(account, "--account");
  checkRegion(region, "--region");
  if (regions !== undefined) checkRegions(regions, "--also-region");
  const served = { account, region, regions };
  if (module === undefined) {
    if (token !== undefined || pinFile !== undefined || pinEnv !== undefined)
      throw usage(
        "--token and --pin-file need --module",
        "without it, a SoftHSM token is made with a PIN of its own",
      );
    return open(invocation, served);
  }
  if (!existsSync(module))
    throw new CliError(`there is no PKCS#11 module ${module}`, {
      exit: 6,
      hint: "give the path of the .so file that came with the HSM; SoftHSM's is /usr/lib/softhsm/libsofthsm2.so",
    });
  if (pinFile !== undefined && pinEnv !== undefined) throw usage("--pin-file and --pin-env are both given");
  const hsm: HsmConfig = { module: resolve(module), ...(token !== undefined && { token }) };
  if (pinFile !== undefined)
    return open(invocation, { ...served, hsm: { ...hsm, pin: { file: resolve(pinFile) } } });
  if (pinEnv !== undefined) return open(invocation, { ...served, hsm: { ...hsm, pin: { env: pinEnv } } });
  const pin = await readSecret(`PIN of the user of ${token ?? "the token"}: `);
  await open(invocation, { ...served, hsm: { ...hsm, pin } });
  await writeFile(join(directory, PIN_FILE), `${pin}\n`, { mode: 0o600, flag: "wx" });
  await writeConfig(directory, { ...served, hsm: { ...hsm, pin: { file: PIN_FILE } } });
  invocation.note(`the PIN is kept in ${join(directory, PIN_FILE)}, for its owner alone`);
};

/** Opens the deployment for the first time, which makes it. What could not be opened can be set up again. */
async function open(invocation: Invocation, options: KmsOptions): Promise<void> {
  const { directory } = invocation;
  let kms: Kms;
  try {
    kms = await invocation.open(options);
  } catch (error) {
    await rm(join(directory, CONFIG_FILE), { force: true });
    throw error;
  }
  const { account, region, hsm } = kms;
  await kms.close();
  const { regions } = options;
  invocation.answer(
    {
      Directory: resolve(directory),
      Account: account,
      Region: region,
      ...(regions !== undefined && { AlsoRegions: regions }),
      Token: hsm.label,
    },
    (out) => {
      out.table(undefined, [
        ["directory", resolve(directory)],
        ["account", account],
        ["region", [region, ...(regions ?? [])].join(", ")],
        ["token", `${hsm.label} (${hsm.manufacturer}, ${hsm.model}, serial ${hsm.serial})`],
      ]);
      out.line("next: keystead key create --alias first");
    },
  );
}
