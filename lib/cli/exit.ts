/** What the process says by its exit status; docs/cli.md has the table. */
export const EXIT = {
  ok: 0,
  failure: 1,
  usage: 2,
  accessDenied: 3,
  notFound: 4,
  notVerified: 5,
  tokenUnavailable: 6,
  wrongState: 7,
  storeOrAuditUnavailable: 8,
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** An error that says all there is to say: text, what to do instead, exit status. */
export class CliError extends Error {
  override name = "CliError";
  readonly exit: ExitCode;
  readonly hint: string | undefined;

  constructor(message: string, options: { exit?: ExitCode; hint?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.exit = options.exit ?? EXIT.failure;
    this.hint = options.hint;
  }
}

export const usage = (message: string, hint?: string) => new CliError(message, { exit: EXIT.usage, hint });
