import { open } from "node:fs/promises";
import { type InPlace, type PerFile, SUFFIX } from "./directory.ts";
import { EnvelopeError } from "./error.ts";
import { replaceFile } from "./file.ts";
import { readHeader } from "./header.ts";
import { FileIntake, type Intake, StreamIntake } from "./intake.ts";
import { type MessageHeader, rewrapHeader } from "./message.ts";
import {
  allowsUncommitted,
  type DecryptOptions,
  type EncryptOptions,
  type EnvelopeProgress,
  FRAME_LENGTH,
  headerLimits,
  type RewrapOptions,
  type Under,
} from "./options.ts";
import type { KeyProvider } from "./provider.ts";
import { PUBLIC_KEY } from "./signature.ts";
import { startingWith, untilAborted, watched } from "./stream.ts";

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

/** The file `to` becomes the message that `from` holds under other keys; it may be the same file. */
export async function rewrapFile(
  from: string,
  to: string,
  options: RewrapOptions & Partial<PerFile>,
  tools: RewrapTools,
): Promise<{ read: number; written: number }> {
  const { signal, onPiece, prefix } = options;
  const file = await open(from);
  try {
    const { size: total } = await file.stat();
    const intake = new FileIntake(file, signal);
    const onProgress =
      options.onProgress && (({ done }: EnvelopeProgress) => options.onProgress?.({ done, total }));
    const pieces = rewrapped(intake, { ...options, onProgress }, tools);
    const written = await replaceFile(to, onPiece ? watched(pieces, onPiece) : pieces, signal, prefix);
    return { read: intake.position, written };
  } finally {
    await file.close();
  }
}

/** For all encrypted files of a directory: what is under none of the keys that `From` names stays as it is. */
export function rewrapWay(options: RewrapOptions, tools: RewrapTools): InPlace {
  const { KeyId, Keys } = options.From ?? {};
  const named = KeyId !== undefined || Keys !== undefined;
  return {
    ours: (name) => name.length > SUFFIX.length && name.endsWith(SUFFIX),
    file: (path, told) =>
      rewrapFile(path, path, { ...options, ...told }, tools).catch((error) => {
        const isOfOthers = error instanceof EnvelopeError && error.code === "NO_DATA_KEY" && !error.cause;
        if (named && isOfOthers) return undefined;
        throw error;
      }),
  };
}

async function* kept(intake: Intake, options: RewrapOptions, tools: RewrapTools): Pieces {
  const { From = {}, To, signal, onProgress } = options;
  const limits = headerLimits(From);
  const received = await readHeader(intake, limits);
  const demands = {
    context: From.EncryptionContext ?? {},
    uncommitted: allowsUncommitted(From),
    maxKeys: limits.encryptedDataKeys,
  };
  const header = rewrapHeader({ from: tools.keys(From), to: tools.keys(To) }, received, demands);
  yield await untilAborted(header, signal);
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
    yield* tools.seal(source, { ...To, ...as, MaxEncryptedDataKeys: From?.MaxEncryptedDataKeys, signal });
  } finally {
    await plain.return();
  }
}
