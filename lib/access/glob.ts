/**
 * Wildcards, matched in a time that grows with the text, and with the text's and pattern's lengths together where a
 * pattern has `?` between two `*`: by a 32nd of their product, at worst. No pattern makes it go back and try again.
 */

/** What stands for any run of characters, and for any one; all else is a UTF-16 code unit. */
const RUN = -1;
const ANY = -2;

/** The units of a text; `*` and `?` become wildcards where they are `wild`. Runs are never two in a row. */
export function unitsOf(text: string, wild: boolean, units: number[] = []): number[] {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (wild && unit === 0x2a) {
      if (units.at(-1) !== RUN) units.push(RUN);
    } else units.push(wild && unit === 0x3f ? ANY : unit);
  }
  return units;
}

type Units = readonly number[];

/** Whether a text is what units describe. What stands between two runs is found as early as it can be. */
export function compileGlob(units: Units): (text: string) => boolean {
  const parts: number[][] = [[]];
  for (const unit of units) {
    if (unit === RUN) parts.push([]);
    else parts.at(-1)?.push(unit);
  }
  const [first = [], ...rest] = parts;
  const last = rest.pop();
  if (last === undefined) return (text) => text.length === first.length && isAt(first, text, 0);
  const finds = rest.filter((part) => part.length > 0).map(compileFind);
  const shortest = units.length - parts.length + 1;
  return (text) => {
    const end = text.length - last.length;
    if (text.length < shortest || !isAt(first, text, 0) || !isAt(last, text, end)) return false;
    let at = first.length;
    for (const find of finds) {
      at = find(text, at, end);
      if (at < 0) return false;
    }
    return true;
  };
}

function isAt(part: Units, text: string, at: number): boolean {
  for (let i = 0; i < part.length; i++)
    if (part[i] !== ANY && part[i] !== text.charCodeAt(at + i)) return false;
  return true;
}

/** Where a part ends that is found within a stretch of the text as early as it can be; -1 where it is not there. */
type Find = (text: string, from: number, to: number) => number;

const compileFind = (part: Units): Find => (part.includes(ANY) ? findMasked(part) : findPlain(part));

/** Knuth, Morris, Pratt: after a mismatch, as much of the part as still stands before it. */
function findPlain(part: Units): Find {
  const fallback = new Int32Array(part.length + 1);
  fallback[0] = -1;
  const next = (matched: number, unit: number) => {
    let count = matched;
    while (count >= 0 && part[count] !== unit) count = fallback[count] as number;
    return count + 1;
  };
  for (let i = 1; i < part.length; i++) fallback[i + 1] = next(fallback[i] as number, part[i] as number);
  return (text, from, to) => {
    let matched = 0;
    for (let at = from; at < to; at++) {
      matched = next(matched, text.charCodeAt(at));
      if (matched === part.length) return at + 1;
    }
    return -1;
  };
}

/** Baeza-Yates, Gonnet (shift-and): a bit for each beginning of the part, of whether it ends here. */
function findMasked(part: Units): Find {
  const words = Math.ceil(part.length / 32);
  /** Where any unit fits. */
  const any = new Int32Array(words);
  /** Where else one does: numbers of words, each with its bits behind it. */
  const fits = new Map<number, number[]>();
  for (const [i, unit] of part.entries()) {
    const [word, bit] = [i >> 5, 1 << (i & 31)];
    if (unit === ANY) any[word] = (any[word] as number) | bit;
    else addFit(fits, unit, word, bit);
  }
  const whole = 1 << ((part.length - 1) & 31);
  return (text, from, to) => {
    const state = new Int32Array(words);
    const moved = new Int32Array(words);
    for (let at = from; at < to; at++) {
      let carry = 1;
      for (let word = 0; word < words; word++) {
        const bits = state[word] as number;
        moved[word] = (bits << 1) | carry;
        state[word] = (moved[word] as number) & (any[word] as number);
        carry = bits >>> 31;
      }
      const fit = fits.get(text.charCodeAt(at)) ?? [];
      for (let i = 0; i < fit.length; i += 2) {
        const word = fit[i] as number;
        state[word] = (state[word] as number) | ((moved[word] as number) & (fit[i + 1] as number));
      }
      if ((state[words - 1] as number) & whole) return at + 1;
    }
    return -1;
  };
}

function addFit(fits: Map<number, number[]>, unit: number, word: number, bit: number): void {
  const fit = fits.get(unit);
  if (fit === undefined) fits.set(unit, [word, bit]);
  else if (fit.at(-2) === word) fit.push((fit.pop() as number) | bit);
  else fit.push(word, bit);
}
