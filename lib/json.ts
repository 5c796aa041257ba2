/** JSON that may nest this deep; nothing that is spoken here comes near it. */
const DEEPEST = 100;

/**
 * As `JSON.parse`, but an object that names a member twice is a `SyntaxError`: which of the two counts would be
 * up to each reader. So is what nests deeper than anything that is spoken here.
 */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  refuseTwins(text);
  return value;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const OPENS_LIST = 0x5b;
const CLOSES_LIST = 0x5d;
const OPENS_OBJECT = 0x7b;
const CLOSES_OBJECT = 0x7d;

/** `text` is known to be JSON: a string right after `{` or after a comma within braces is a member's name. */
function refuseTwins(text: string): void {
  const open: (Set<string> | undefined)[] = [];
  let nameNext = false;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case QUOTE: {
        const end = endOfString(text, at);
        if (nameNext) addName(open.at(-1) as Set<string>, text.slice(at + 1, end), at);
        nameNext = false;
        at = end;
        break;
      }
      case OPENS_OBJECT:
        open.push(new Set());
        nameNext = true;
        break;
      case OPENS_LIST:
        open.push(undefined);
        nameNext = false;
        break;
      case CLOSES_LIST:
      case CLOSES_OBJECT:
        open.pop();
        nameNext = false;
        break;
      case COMMA:
        nameNext = open.at(-1) !== undefined;
    }
    if (open.length > DEEPEST) throw new SyntaxError(`it nests deeper than ${DEEPEST}, at position ${at}`);
  }
}

/** Where the quote is that closes the string whose opening quote is at `start`. */
function endOfString(text: string, start: number): number {
  let end = start;
  for (;;) {
    end = text.indexOf('"', end + 1);
    let escapes = 0;
    while (text.charCodeAt(end - 1 - escapes) === BACKSLASH) escapes++;
    if (escapes % 2 === 0) return end;
  }
}

function addName(names: Set<string>, raw: string, at: number): void {
  const name: string = raw.includes("\\") ? JSON.parse(`"${raw}"`) : raw;
  if (names.has(name)) throw new SyntaxError(`the member '${name}' is there twice, at position ${at}`);
  names.add(name);
}
