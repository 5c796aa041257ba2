import { usage } from "./exit.ts";

/** Collects `NAME=VALUE` options given several times; the value may hold further equals signs. */
export function collectPair(text: string, pairs: Record<string, string> = {}): Record<string, string> {
  const at = text.indexOf("=");
  if (at < 1) throw usage(`"${text}" is not NAME=VALUE`, "for example tenant=7");
  const name = text.slice(0, at);
  if (Object.hasOwn(pairs, name)) throw usage(`"${name}" is given twice`);
  return { ...pairs, [name]: text.slice(at + 1) };
}

/** A whole number from `least` to `most`. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < least || value > most)
      throw usage(`"${text}" is not a whole number from ${least} to ${most}`);
    return value;
  };
}

const UNITS: Readonly<Record<string, number>> = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };

/** A size such as 4096, 64k, 256M, 1GiB. */
export function size(text: string): number {
  const [, digits, unit = ""] = /^(\d{1,12})\s*([kmg]?)(?:i?b)?$/i.exec(text) ?? [];
  if (digits === undefined) throw usage(`"${text}" is not a size`, "for example 256M or 1G");
  return Number(digits) * (UNITS[unit.toLowerCase()] as number);
}
