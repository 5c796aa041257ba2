import type { IncomingMessage } from "node:http";
import { BODY_LIMIT } from "./options.ts";

/** So much beyond the limit is still read and thrown away, so that its sender gets an answer and not a reset. */
const DISCARD_LIMIT = 8 * BODY_LIMIT;
/** Bytes of all bodies that are being read: nobody has said yet who he is. */
const HELD_LIMIT = 128 * BODY_LIMIT;

export type Body = Uint8Array | "too large" | "far too large" | "too many";

/** Whether a body says of itself that it is too large to be read at all. */
export function isHuge({ headers }: IncomingMessage): boolean {
  return Number(headers["content-length"] ?? 0) > DISCARD_LIMIT;
}

/** Reads bodies into memory, as far as the limits of each and of all together let it. */
export class Intake {
  #held = 0;

  /** `done` is called once, or never if the body is cut off. */
  read(request: IncomingMessage, done: (body: Body) => void): void {
    let chunks: Uint8Array[] = [];
    let size = 0;
    let held = 0;
    let full = false;
    request.on("data", (chunk: Uint8Array) => {
      size += chunk.length;
      if (size > DISCARD_LIMIT) {
        request.removeAllListeners("data").removeAllListeners("end");
        done("far too large");
        return;
      }
      full ||= this.#held > HELD_LIMIT;
      if (full || size > BODY_LIMIT) {
        chunks = [];
        return;
      }
      chunks.push(chunk);
      if (chunks.length === 1) return;
      // Most come in one piece and are gone at once; the others count until their requests are over.
      if (chunks.length === 2)
        request.once("close", () => {
          this.#held -= held;
        });
      held += chunk.length;
      this.#held += chunk.length;
    });
    request.on("end", () => {
      if (size > BODY_LIMIT) done("too large");
      else if (full) done("too many");
      else done(chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks, size));
    });
  }
}
