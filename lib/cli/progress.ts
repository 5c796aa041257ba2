import { bytes, duration, rate } from "./quantity.ts";
import type { Terminal } from "./terminal.ts";

const EVERY = 100;
const CELLS = 24;
/** Nothing is foretold from less. */
const SOON = 1_000;

/** One line on a terminal that tells how far long work has come; writes nothing where nobody looks. */
export class Progress {
  #terminal: Terminal;
  #label: string;
  #began = performance.now();
  #last = Number.NEGATIVE_INFINITY;
  #show: (amount: number) => string;
  #drawn = false;

  /** `show` tells an amount to a person; bytes unless told. */
  constructor(terminal: Terminal, label: string, show: (amount: number) => string = bytes) {
    this.#terminal = terminal;
    this.#label = label;
    this.#show = show;
  }

  update(done: number, total?: number): void {
    if (!this.#terminal.interactive) return;
    const now = performance.now();
    if (now - this.#last < EVERY) return;
    this.#last = now;
    const elapsed = now - this.#began;
    const amount =
      total === undefined ? this.#show(done) : `${bar(done / Math.max(1, total))} ${this.#show(done)}`;
    const speed = this.#show === bytes ? `  ${rate(done, elapsed)}` : "";
    const left =
      total === undefined || done === 0 || elapsed < SOON
        ? ""
        : `  ${duration((elapsed * (total - done)) / done)} left`;
    const text = `${this.#label}  ${amount}${speed}${left}`;
    this.#terminal.stream.write(`\r\x1b[2K${text.slice(0, this.#terminal.columns - 1)}`);
    this.#drawn = true;
  }

  /** Takes the line away. */
  end(): void {
    if (this.#drawn) this.#terminal.stream.write("\r\x1b[2K");
    this.#drawn = false;
  }
}

function bar(share: number): string {
  const full = Math.round(Math.min(1, share) * CELLS);
  const percent = `${Math.floor(Math.min(1, share) * 100)} %`.padStart(5);
  return `${"█".repeat(full)}${"░".repeat(CELLS - full)} ${percent}`;
}
