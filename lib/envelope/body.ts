import type { FrameJob } from "../hsm.ts";
import { EnvelopeError } from "./error.ts";
import { IV_LENGTH, TAG_LENGTH } from "./suite.ts";

/** What seals and opens runs of frames, on all cores. */
export interface FrameEngine {
  seal(job: FrameJob): Promise<void>;
  /** Resolves to whether every frame was authentic; if not, the output is wiped. */
  open(job: FrameJob): Promise<boolean>;
}

/** What all frames of one message share. `key` is wiped by whoever made it, when the body is done. */
export interface Body {
  /** Of the message format. */
  version: 1 | 2;
  key: Uint8Array;
  messageId: Uint8Array;
  /** 0 for a body that is not framed. */
  frameLength: number;
}

/** Consecutive frames, the last of them final or not. */
export interface Run {
  frames: number;
  /** Bytes that go in and that come out. */
  input: number;
  output: number;
}

/** A run on both of its sides. */
export interface Passed {
  input: Uint8Array;
  output: Uint8Array;
}

/** Sealing and opening are the same walk over frames, seen from either side. */
export interface Direction {
  /** A regular frame's bytes, as they go in and as they come out. */
  regular(frameLength: number): { input: number; output: number };
  /** The fewest bytes that can follow a regular frame: with that many at hand, the frame before is no final one. */
  readonly tail: number;
  /** The frames that `available` bytes hold for certain; all that is left of the message when it `ends` there. */
  run(available: number, frameLength: number, ends: boolean): Run;
  /** Whether what goes in ends with the footer of a signed message. */
  readonly footed: boolean;
  /** Which of the two a signature is of. */
  sealed(run: Passed): Uint8Array;
  /** Rejects with NOT_AUTHENTIC when a frame is not what was sealed; `output` is then wiped. */
  start(engine: FrameEngine, job: FrameJob): Promise<void>;
}

const SEQUENCE_LENGTH = 4;
/** In front of the final frame's number. */
const SEQUENCE_END = 0xffffffff;
/** Where the final frame has its length. */
const LENGTH_AT = 2 * SEQUENCE_LENGTH + IV_LENGTH;
/** What a regular frame has beside its content, and what the final one has. */
const REGULAR = SEQUENCE_LENGTH + IV_LENGTH + TAG_LENGTH;
const FINAL = REGULAR + 2 * SEQUENCE_LENGTH;
const MAX_FRAMES = 0xffffffff;

export const sealing: Direction = {
  regular: (frameLength) => ({ input: frameLength, output: frameLength + REGULAR }),
  tail: 1,
  run(available, frameLength, ends) {
    const regular = Math.max(0, Math.floor((available - this.tail) / frameLength));
    if (!ends)
      return { frames: regular, input: regular * frameLength, output: regular * (frameLength + REGULAR) };
    return { frames: regular + 1, input: available, output: available + regular * REGULAR + FINAL };
  },
  footed: false,
  sealed: ({ output }) => output,
  start: (engine, job) => engine.seal(job),
};

export const opening: Direction = {
  regular: (frameLength) => ({ input: frameLength + REGULAR, output: frameLength }),
  tail: FINAL,
  run(available, frameLength, ends) {
    const regular = Math.max(0, Math.floor((available - this.tail) / (frameLength + REGULAR)));
    if (!ends)
      return { frames: regular, input: regular * (frameLength + REGULAR), output: regular * frameLength };
    const last = available - regular * (frameLength + REGULAR) - FINAL;
    if (last < 0 || last > frameLength) {
      throw new EnvelopeError(
        "TRUNCATED",
        "the message ends within a frame, or goes on behind its final one",
      );
    }
    return { frames: regular + 1, input: available, output: regular * frameLength + last };
  },
  footed: true,
  sealed: ({ input }) => input,
  async start(engine, job) {
    if (await engine.open(job)) return;
    throw new EnvelopeError("NOT_AUTHENTIC", "a frame of the message was changed, moved, cut or added");
  },
};

/** The first frame of a run has number `firstSequence`; the first of a message is 1. */
export function checkFrameNumbers(firstSequence: number, run: Run): void {
  if (firstSequence - 1 + run.frames > MAX_FRAMES) {
    throw new EnvelopeError(
      "LIMIT",
      `a message has at most ${MAX_FRAMES} frames: choose a greater FrameLength`,
    );
  }
}

/** How many regular frames make a run of about `bytes`. */
export function framesInRun(bytes: number, frameLength: number): number {
  return Math.max(1, Math.floor(bytes / frameLength));
}

/**
 * How many of the last bytes of a message, from the beginning of a frame, are of frames: what is behind them is a footer,
 * of at most `footerLength` bytes.
 */
export function framesIn(bytes: Uint8Array, frameLength: number, footerLength: number): number {
  if (footerLength === 0) return bytes.length;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const regular = frameLength + REGULAR;
  // No final frame begins before: it and what is behind it would not fill the rest.
  const first = Math.ceil((bytes.length - footerLength - FINAL - frameLength) / regular);
  for (let at = Math.max(0, first) * regular; at + FINAL <= bytes.length; at += regular) {
    if (view.getUint32(at) !== SEQUENCE_END) continue;
    return Math.min(bytes.length, at + FINAL + view.getUint32(at + LENGTH_AT));
  }
  throw new EnvelopeError(
    "TRUNCATED",
    "the message ends before its final frame, or goes on behind its signature",
  );
}
