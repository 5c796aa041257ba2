import { createReadStream } from "node:fs";
import { MAX_LINE } from "./line.ts";

const NEWLINE = 10;

/** A line without its newline; `complete` is false for bytes at the end that no newline ends. */
export interface RawLine {
  bytes: Buffer;
  complete: boolean;
}

/** The lines of a file by the chunk; a line beyond MAX_LINE is cut there, and so no longer a log line. */
export async function* linesOf(path: string): AsyncGenerator<RawLine[]> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    const lines: RawLine[] = [];
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      const piece = chunk.subarray(from, end);
      lines.push({ bytes: rest.length > 0 ? join(rest, piece) : piece, complete: true });
      rest = rest.subarray(0, 0);
      from = end + 1;
    }
    if (from < chunk.length) rest = join(rest, chunk.subarray(from));
    yield lines;
  }
  if (rest.length > 0) yield [{ bytes: rest, complete: false }];
}

const join = (rest: Buffer, piece: Buffer) => Buffer.concat([rest, piece]).subarray(0, MAX_LINE);
