import { readHeader } from "./header.ts";
import { type Intake, StreamIntake } from "./intake.ts";
import { type MessageHeader, rewrapHeader } from "./message.ts";
import {
  allowsUncommitted,
  type DecryptOptions,
  type EncryptOptions,
  FRAME_LENGTH,
  headerLimits,
  type RewrapOptions,
  type Under,
} from "./options.ts";
import type { KeyProvider } from "./provider.ts";
import { PUBLIC_KEY } from "./signature.ts";
import { startingWith } from "./stream.ts";

type Pieces = AsyncGenerator<Uint8Array, void, void>;

/** What an envelope can do already. */
export interface RewrapTools {
  keys(under: Under): KeyProvider;
  open(intake: Intake, options: DecryptOptions): Pieces;
  seal(intake: Intake, options: EncryptOptions): Pieces;
}

const PIECE = 1 << 20;

/** The message under other keys, piece by piece. */
export function rewrapped(intake: Intake, options: RewrapOptions, tools: RewrapTools): Pieces {
  const { Body = "reseal" } = options;
  if (Body === "keep") return kept(intake, options, tools);
  if (Body === "reseal") return resealed(intake, options, tools);
  throw new TypeError(`Body: there is no way called ${Body}`);
}

async function* kept(intake: Intake, options: RewrapOptions, tools: RewrapTools): Pieces {
  const { From = {}, To, signal, onProgress } = options;
  const received = await readHeader(intake, headerLimits(From));
  const demands = { context: From.EncryptionContext ?? {}, uncommitted: allowsUncommitted(From) };
  yield await rewrapHeader({ from: tools.keys(From), to: tools.keys(To) }, received, demands);
  let done = received.body.length + received.authentication.length;
  while (true) {
    signal?.throwIfAborted();
    const piece = Buffer.allocUnsafeSlow(PIECE);
    const length = await intake.fill(piece);
    if (length > 0) yield piece.subarray(0, length);
    done += length;
    onProgress?.({ done, total: undefined });
    if (length < piece.length) return;
  }
}

async function* resealed(intake: Intake, options: RewrapOptions, tools: RewrapTools): Pieces {
  const { From, To, signal, onProgress, onHeader } = options;
  let header: MessageHeader | undefined;
  const told = (its: MessageHeader) => {
    header = its;
    return onHeader?.(its);
  };
  const plain = tools.open(intake, { ...From, signal, onProgress, onHeader: told });
  try {
    // The header is told with it.
    const first = await plain.next();
    const { EncryptionContext = {}, FrameLength = 0, Signed = false } = header ?? {};
    const { [PUBLIC_KEY]: _, ...context } = EncryptionContext;
    const source = new StreamIntake(startingWith(first, plain), signal);
    const as = { EncryptionContext: context, FrameLength: FrameLength || FRAME_LENGTH, Signed };
    yield* tools.seal(source, { ...To, ...as, signal });
  } finally {
    await plain.return();
  }
}
