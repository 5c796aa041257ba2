import type { IncomingMessage } from "node:http";
import { BODY_LIMIT } from "./options.ts";

/** So much beyond the limit is still read and thrown away, so that its sender gets an answer and not a reset. */
const DISCARD_LIMIT = 8 * BODY_LIMIT;

export type Body = Uint8Array | "too large" | "far too large";

/** Whether a body says of itself that it is too large to be read at all. */
export function isHuge({ headers }: IncomingMessage): boolean {
  return Number(headers["content-length"] ?? 0) > DISCARD_LIMIT;
}

/** Reads a body into memory, as far as the limit lets it; `done` is called once, or never if it is cut off. */
export function readBody(request: IncomingMessage, done: (body: Body) => void): void {
  let chunks: Uint8Array[] = [];
  let size = 0;
  request.on("data", (chunk: Uint8Array) => {
    size += chunk.length;
    if (size <= BODY_LIMIT) chunks.push(chunk);
    else chunks = [];
    if (size > DISCARD_LIMIT) {
      request.removeAllListeners("data").removeAllListeners("end");
      done("far too large");
    }
  });
  request.on("end", () => {
    if (size > BODY_LIMIT) done("too large");
    else done(chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks, size));
  });
}
