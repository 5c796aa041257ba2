import type { Invocation } from "./invocation.ts";

/** What a command does: with its arguments in order, of which Commander has refused too few, and its own options. */
export type Work = (
  invocation: Invocation,
  args: readonly [string, string],
  options: object,
) => Promise<void>;

/** Turns a command's work into what Commander calls. */
export type Action = (work: Work) => (...args: unknown[]) => Promise<void>;
