import { stripVTControlCharacters } from "node:util";

const STYLES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 } as const;
type Style = keyof typeof STYLES;
export type Cell = string | number;

/** One output stream: colours and moving lines only where a person looks at it. */
export class Terminal {
  readonly stream: NodeJS.WriteStream;
  readonly #colours: boolean;

  constructor(stream: NodeJS.WriteStream, environment: NodeJS.ProcessEnv = process.env) {
    this.stream = stream;
    this.#colours = this.interactive && !environment.NO_COLOR && environment.TERM !== "dumb";
  }

  get interactive(): boolean {
    return this.stream.isTTY === true;
  }

  get columns(): number {
    return this.stream.columns ?? 80;
  }

  paint(style: Style, text: string): string {
    return this.#colours ? `\x1b[${STYLES[style]}m${text}\x1b[0m` : text;
  }

  line(text = ""): void {
    this.stream.write(`${text}\n`);
  }

  /** Columns as wide as their widest cell, numbers to the right. */
  table(header: readonly string[] | undefined, rows: readonly (readonly Cell[])[]): void {
    const texts = rows.map((row) => row.map((cell) => (typeof cell === "number" ? count(cell) : cell)));
    const all = header === undefined ? texts : [header, ...texts];
    const widths = (all[0] ?? []).map((_, at) => Math.max(...all.map((row) => width(row[at] ?? ""))));
    const right = widths.map((_, at) => typeof rows[0]?.[at] === "number");
    const layout = (row: readonly string[]) =>
      row
        .map((cell, at) => {
          const gap = " ".repeat((widths[at] ?? 0) - width(cell));
          return right[at] ? gap + cell : cell + gap;
        })
        .join("  ")
        .trimEnd();
    if (header !== undefined) this.line(this.paint("dim", layout(header)));
    for (const row of texts) this.line(layout(row));
  }
}

const width = (cell: string) => stripVTControlCharacters(cell).length;

/** 1234567 → "1,234,567". */
export const count = (value: number) => Math.round(value).toLocaleString("en-US");

/** Text from elsewhere, without what could steer a terminal. */
export const harmless = (text: string) => text.replace(/[\p{Cc}\p{Cf}]/gu, "\uFFFD");
