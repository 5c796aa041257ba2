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

/** Rows of a stream of bytes. */
export async function* rowsOf(
  source: AsyncIterable<Uint8Array>,
  quoted: boolean,
): AsyncGenerator<Row, void, void> {
  let kept = "";
  let line = 1;
  // Where the search for the end goes on, and whether that is within quotes.
  let at = 0;
  let inside = false;
  for await (const bytes of source) {
    kept += Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
    let from = 0;
    while (true) {
      const newline = kept.indexOf("\n", at);
      const until = newline < 0 ? kept.length : newline;
      if (quoted) for (let i = at; i < until; i++) if (kept.charCodeAt(i) === QUOTE) inside = !inside;
      at = newline < 0 ? until : newline + 1;
      if (newline < 0) break;
      if (inside) continue;
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

function rowOf(text: string, line: number): Row {
  const end = /\r?\n$/.exec(text)?.[0] ?? "";
  return { text: text.slice(0, text.length - end.length), end, line };
}

function unBase64(text: string): Buffer {
  const bytes = Buffer.from(text, "base64");
  if (text === "" || bytes.toString("base64") !== text) throw new SyntaxError("the value is not Base64");
  return bytes;
}

/** JSON objects, one a line; a value is any JSON, and its message a string of Base64. */
export function ndjson(fields: readonly string[]): Layout {
  const wanted = new Set(fields);
  return {
    quoted: false,
    spans({ text }) {
      if (text.trim() === "") return undefined;
      const value: unknown = JSON.parse(utf8(text));
      if (typeof value !== "object" || value === null || Array.isArray(value)) {
        throw new SyntaxError("the line is JSON, but not an object");
      }
      return members(text).filter(({ field }) => wanted.has(field));
    },
    put: (message) =>
      `"${Buffer.from(message.buffer, message.byteOffset, message.byteLength).toString("base64")}"`,
    take(text) {
      if (!/^".*"$/.test(text)) throw new SyntaxError("the value is not a string");
      return unBase64(text.slice(1, -1));
    },
  };
}

const utf8 = (text: string) => Buffer.from(text, "latin1").toString();

/** The members of the object that `text` is, which is known to be JSON. */
function members(text: string): Span[] {
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
  let at = text.indexOf("{") + 1;
  for (space(); text[at] !== "}"; space()) {
    if (text[at] === ",") at++;
    space();
    const field = JSON.parse(utf8(string())) as string;
    space();
    at++; // the colon
    space();
    const from = at;
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
    spans.push({ field, from, to: at });
  }
  return spans;
}

/** RFC 4180, with a header; a value is a cell as it stands, its quotes included, and its message Base64. */
export function csv(fields: readonly string[], missing: (field: string) => Error): Layout {
  let columns: (string | undefined)[] | undefined;
  return {
    quoted: true,
    spans({ text }) {
      if (columns === undefined) {
        const names = cells(text).map(([from, to]) => nameOf(utf8(text.slice(from, to))));
        const absent = fields.find((field) => !names.includes(field));
        if (absent !== undefined) throw missing(absent);
        columns = names.map((name) => (fields.includes(name) ? name : undefined));
        return undefined;
      }
      if (text === "") return undefined;
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

function cells(text: string): [number, number][] {
  const found: [number, number][] = [];
  let from = 0;
  let inside = false;
  for (let at = 0; at <= text.length; at++) {
    if (text.charCodeAt(at) === QUOTE) inside = !inside;
    if (at < text.length && (inside || text[at] !== ",")) continue;
    found.push([from, at]);
    from = at + 1;
  }
  return found;
}

const nameOf = (cell: string) =>
  (/^"(.*)"$/s.exec(cell)?.[1]?.replaceAll('""', '"') ?? cell).replace(/^\ufeff/, "");
