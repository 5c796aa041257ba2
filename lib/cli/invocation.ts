import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { CONFIG_FILE } from "../config.ts";
import { Kms, type KmsOptions } from "../kms.ts";
import { EXIT, type ExitCode } from "./exit.ts";
import { manifest } from "./manifest.ts";
import { Terminal } from "./terminal.ts";

/** Options that every command takes. */
export interface GlobalOptions {
  directory: string;
  json?: boolean;
  as?: string;
  region?: string;
}

/** One run of one command: where it works, for whom, and how it answers. */
export class Invocation {
  readonly directory: string;
  readonly json: boolean;
  readonly as: string | undefined;
  readonly region: string | undefined;
  readonly out = new Terminal(process.stdout);
  readonly err = new Terminal(process.stderr);
  /** Aborts at the first Ctrl-C, so that nothing half done is left. */
  readonly signal: AbortSignal;
  /** What to exit with when nothing is thrown. */
  exit: ExitCode = EXIT.ok;

  constructor({ directory, json = false, as, region }: GlobalOptions, signal: AbortSignal) {
    this.directory = directory;
    this.json = json;
    this.as = as;
    this.region = region;
    this.signal = signal;
  }

  /**
   * Opens the service for as long as `work` takes; `caller` is whom `--as` names, else the account's root, in the
   * Region that `--region` names.
   */
  async withKms<T>(work: (caller: Kms, kms: Kms) => Promise<T>): Promise<T> {
    const { as, region } = this;
    const isNew = !existsSync(join(this.directory, CONFIG_FILE));
    if (isNew) this.note(`setting up ${resolve(this.directory)} with a SoftHSM token of its own`);
    const kms = await this.open(isNew ? { region } : {});
    try {
      const there = region === undefined ? kms : kms.inRegion(region);
      return await work(as === undefined ? there : there.as(as), kms);
    } finally {
      await kms.close();
    }
  }

  /** Opens the service for the account's root. */
  open(options: KmsOptions = {}): Promise<Kms> {
    const audit = { userAgent: `keystead-cli/${manifest.version}` };
    return Kms.open({ audit, ...options, directory: this.directory });
  }

  /** The answer: JSON for programs, or what `human` prints. */
  answer(value: unknown, human: (out: Terminal) => void): void {
    if (this.json) this.out.line(JSON.stringify(value, jsonMember, 2));
    else human(this.out);
  }

  /** A remark beside the answer. */
  readonly note = (text: string): void => {
    if (!this.json) this.err.line(`keystead: ${text}`);
  };
}

/** As AWS's own command line prints: bytes in base64, no metadata of the transport. */
function jsonMember(this: unknown, name: string, value: unknown): unknown {
  if (name === "$metadata") return undefined;
  const raw = (this as Record<string, unknown>)[name];
  return raw instanceof Uint8Array ? Buffer.from(raw).toString("base64") : value;
}
