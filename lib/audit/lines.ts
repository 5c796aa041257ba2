import { createReadStream } from "node:fs";
import { MAX_LINE } from "./line.ts";

const NEWLINE = 10;

/** A line without its newline; `complete` is false for bytes at the end that no newline ends. */
export interface RawLine {
  bytes: Buffer;
  complete: boolean;
}

/**
 * The lines of a file by the chunk; a line beyond MAX_LINE is cut there, and so no longer a log line. A zero byte ends
 * them: it is filler of a file under way, or of one whose process was killed. What else is behind it is no whole line.
 */
export async function* linesOf(path: string): AsyncGenerator<RawLine[]> {
  let rest: Buffer = Buffer.alloc(0);
  let filler = false;
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    if (filler) {
      if (rest.length === 0 && chunk.some((byte) => byte !== 0)) rest = chunk.subarray(0, 1);
      continue;
    }
    const lines: RawLine[] = [];
    const zero = chunk.indexOf(0);
    filler = zero >= 0;
    const text = filler ? chunk.subarray(0, zero) : chunk;
    let from = 0;
    for (let end = text.indexOf(NEWLINE); end >= 0; end = text.indexOf(NEWLINE, from)) {
      const piece = text.subarray(from, end);
      lines.push({ bytes: rest.length > 0 ? join(rest, piece) : piece, complete: true });
      rest = rest.subarray(0, 0);
      from = end + 1;
    }
    if (from < text.length) rest = join(rest, text.subarray(from));
    if (filler && rest.length === 0 && chunk.subarray(zero).some((byte) => byte !== 0))
      rest = chunk.subarray(zero);
    yield lines;
  }
  if (rest.length > 0) yield [{ bytes: rest, complete: false }];
}

const join = (rest: Buffer, piece: Buffer) => Buffer.concat([rest, piece]).subarray(0, MAX_LINE);
