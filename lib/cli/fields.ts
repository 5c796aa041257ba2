/**
 * Texts of records are byte strings here (latin1), so that every byte that is not of a chosen field comes out as it went
 * in. What is written into the place of a value is ASCII.
 */
export interface Row {
  text: string;
  /** What ended it: nothing, "\n" or "\r\n". */
  end: string;
  /** Number of its first line, from 1. */
  line: number;
}

/** Where the value of a field stands in a row. */
export interface Span {
  field: string;
  from: number;
  to: number;
}

/** How records are laid out in a text. */
export interface Layout {
  /** Whether a row may go on behind this newline. */
  readonly quoted: boolean;
  /** Where the fields are, in the order in which they stand; undefined where the row goes through as it is. */
  spans(row: Row): Span[] | undefined;
  /** The text that holds a message in place of the value, and the message that a text holds. */
  put(message: Uint8Array): string;
  take(text: string): Buffer;
}

/** Rows of a stream of bytes. A byte order mark is a row of its own, without a text. */
export async function* rowsOf(
  source: AsyncIterable<Uint8Array>,
  quoted: boolean,
): AsyncGenerator<Row, void, void> {
  let kept = "";
  let line = 1;
  let begun = false;
  // Where the search for the end goes on, and where in a cell that is.
  let at = 0;
  let place: Place = "before";
  for await (const bytes of source) {
    kept += Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
    if (!begun) {
      if (kept.length < MARK.length && MARK.startsWith(kept)) continue;
      begun = true;
      if (kept.startsWith(MARK)) {
        yield { text: "", end: MARK, line };
        kept = kept.slice(MARK.length);
      }
    }
    let from = 0;
    while (true) {
      const newline = kept.indexOf("\n", at);
      const until = newline < 0 ? kept.length : newline;
      if (quoted) for (let i = at; i < until; i++) place = follow(place, kept.charCodeAt(i));
      at = newline < 0 ? until : newline + 1;
      if (newline < 0) break;
      if (place === "quoted") continue;
      place = "before";
      const row = rowOf(kept.slice(from, newline + 1), line);
      line += quoted ? row.text.split("\n").length : 1;
      yield row;
      from = newline + 1;
    }
    kept = kept.slice(from);
    at -= from;
    if (kept.length > LONGEST) throw new RangeError(`line ${line}: a record has more than ${LONGEST} bytes`);
  }
  if (kept.length > 0) yield rowOf(kept, line);
}

const LONGEST = 64 << 20;
const QUOTE = 0x22;
const COMMA = 0x2c;
/** Of UTF-8. */
const MARK = "\xef\xbb\xbf";

/**
 * Where in a cell of CSV one is: in front of it, among plain text, within quotes, or behind a quote that ends them unless
 * another follows. A quote means that only where it begins the cell: elsewhere readers differ, and it stands for itself.
 */
type Place = "before" | "plain" | "quoted" | "behind";

function follow(place: Place, char: number): Place {
  if (place === "quoted") return char === QUOTE ? "behind" : "quoted";
  if (char === COMMA) return "before";
  return char === QUOTE && place !== "plain" ? "quoted" : "plain";
}

function rowOf(text: string, line: number): Row {
  const end = /\r?\n$/.exec(text)?.[0] ?? "";
  return { text: text.slice(0, text.length - end.length), end, line };
}

function unBase64(text: string): Buffer {
  const bytes = Buffer.from(text, "base64");
  if (text === "" || bytes.toString("base64") !== text) throw new SyntaxError("the value is not Base64");
  return bytes;
}

/**
 * JSON objects, one a line; a value is any JSON, and its message a string of Base64. A field in an object within is named by
 * its path, with dots between.
 */
export function ndjson(fields: readonly string[]): Layout {
  const wanted = new Set(fields);
  return {
    quoted: false,
    spans({ text }) {
      if (text.trim() === "") return undefined;
      const value = parsed(text);
      if (typeof value !== "object" || value === null || Array.isArray(value)) {
        throw new SyntaxError("the line is JSON, but not an object");
      }
      return members(text, wanted);
    },
    put: (message) =>
      `"${Buffer.from(message.buffer, message.byteOffset, message.byteLength).toString("base64")}"`,
    take(text) {
      if (!/^".*"$/.test(text)) throw new SyntaxError("the value is not a string");
      return unBase64(text.slice(1, -1));
    },
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(utf8(text));
  } catch {
    // JSON.parse would quote the line, and with it what is to be kept secret.
    throw new SyntaxError("the line is not JSON");
  }
}

const utf8 = (text: string) => Buffer.from(text, "latin1").toString();

/** The wanted members of the object that `text` is, which is known to be JSON. */
function members(text: string, wanted: ReadonlySet<string>): Span[] {
  const spans: Span[] = [];
  const space = () => {
    while (/\s/.test(text.charAt(at))) at++;
  };
  const string = () => {
    const from = at++;
    while (text.charCodeAt(at) !== QUOTE) at += text[at] === "\\" ? 2 : 1;
    at++;
    return text.slice(from, at);
  };
  const value = () => {
    for (let depth = 0; depth > 0 || !/[,}\s]/.test(text.charAt(at)); ) {
      const char = text[at];
      if (char === '"') {
        string();
        continue;
      }
      if (char === "{" || char === "[") depth++;
      if (char === "}" || char === "]") depth--;
      at++;
    }
  };
  const object = (path: string) => {
    at++;
    for (space(); text[at] !== "}"; space()) {
      if (text[at] === ",") at++;
      space();
      const field = path + (JSON.parse(utf8(string())) as string);
      space();
      at++; // the colon
      space();
      const from = at;
      const inside = `${field}.`;
      if (!wanted.has(field) && text[at] === "{" && [...wanted].some((one) => one.startsWith(inside))) {
        object(inside);
        continue;
      }
      value();
      if (wanted.has(field)) spans.push({ field, from, to: at });
    }
    at++;
  };
  let at = text.indexOf("{");
  object("");
  return spans;
}

/** RFC 4180, with a header; a value is a cell as it stands, its quotes included, and its message Base64. */
export function csv(fields: readonly string[], unusable: (reason: string) => Error): Layout {
  let columns: (string | undefined)[] | undefined;
  return {
    quoted: true,
    spans({ text }) {
      if (text === "") return undefined;
      if (columns === undefined) {
        columns = columnsOf(text, fields, unusable);
        return undefined;
      }
      const found = cells(text);
      if (found.length !== columns.length) {
        throw new SyntaxError(`the row has ${found.length} cells, the header ${columns.length}`);
      }
      return found.flatMap(([from, to], i) => {
        const field = columns?.[i];
        return field === undefined ? [] : [{ field, from, to }];
      });
    },
    put: (message) => Buffer.from(message.buffer, message.byteOffset, message.byteLength).toString("base64"),
    take: (text) => unBase64(/^"(.*)"$/s.exec(text)?.[1] ?? text),
  };
}

function columnsOf(text: string, fields: readonly string[], unusable: (reason: string) => Error) {
  let names: string[];
  try {
    names = cells(text).map(([from, to]) => nameOf(utf8(text.slice(from, to))));
  } catch (cause) {
    throw unusable(`the header cannot be read: ${(cause as Error).message}`);
  }
  const absent = fields.find((field) => !names.includes(field));
  if (absent !== undefined) throw unusable(`the header has no column ${JSON.stringify(absent)}`);
  return names.map((name) => (fields.includes(name) ? name : undefined));
}

/** Refuses what readers of CSV take in different ways, lest a value that is to be encrypted counts as part of another. */
function cells(text: string): [number, number][] {
  const found: [number, number][] = [];
  let from = 0;
  let place: Place = "before";
  for (let at = 0; at < text.length; at++) {
    const next = follow(place, text.charCodeAt(at));
    if (next === "before") {
      found.push([from, at]);
      from = at + 1;
    }
    if (next === "plain" && (place === "behind" || text.charCodeAt(at) === QUOTE)) {
      throw new SyntaxError("a cell has a quote in its middle: quote it as a whole, and double its quotes");
    }
    place = next;
  }
  if (place === "quoted") throw new SyntaxError("a quote is not closed");
  found.push([from, text.length]);
  return found;
}

const nameOf = (cell: string) => /^"(.*)"$/s.exec(cell)?.[1]?.replaceAll('""', '"') ?? cell;
