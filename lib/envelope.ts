import { open } from "node:fs/promises";
import type { Readable } from "node:stream";
import type { EncryptionContext } from "./ciphertext.ts";
import { type Body, type Direction, type FrameEngine, opening, sealing } from "./envelope/body.ts";
import { replaceFile } from "./envelope/file.ts";
import { parseHeader, readHeader } from "./envelope/header.ts";
import { type ByteSource, FileIntake, type Intake } from "./envelope/intake.ts";
import { admitMessage, type MessageHeader, newMessage } from "./envelope/message.ts";
import { type Passage, passRuns, passWhole, rotating } from "./envelope/runs.ts";
import { readable } from "./envelope/stream.ts";
import { frames } from "./hsm.ts";
import type { Caller } from "./request.ts";

export { EnvelopeError, type EnvelopeErrorCode } from "./envelope/error.ts";
export { replaceFile } from "./envelope/file.ts";
export type { ByteSource } from "./envelope/intake.ts";
export type { MessageHeader } from "./envelope/message.ts";

interface PassOptions {
  /** Stops the work and rejects with the signal's reason; a file is then left as it was. */
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: EnvelopeProgress) => void) | undefined;
  /** Told the header before the first byte comes out. What it throws, or rejects with, stops the work. */
  onHeader?: ((header: MessageHeader) => void | Promise<void>) | undefined;
}

export interface EncryptOptions extends PassOptions {
  /** Key id, key ARN, alias name or alias ARN. */
  KeyId: string;
  /** Stored readably in the message, and bound to it. */
  EncryptionContext?: EncryptionContext | undefined;
  /** Bytes of plaintext in a frame, 1 to 16 MiB. Default 64 KiB. */
  FrameLength?: number | undefined;
}

export interface DecryptOptions extends PassOptions {
  /** Pairs that the message's encryption context must have; it may have more. */
  EncryptionContext?: EncryptionContext | undefined;
  /** Only data keys under these keys are tried: key ARNs or key ids. Default: any that the caller may use. */
  KeyId?: string | string[] | undefined;
  /** Default 16. */
  MaxEncryptedDataKeys?: number | undefined;
  /** Default 16 MiB. A stream or a file takes about six times as much memory. */
  MaxFrameLength?: number | undefined;
}

export interface EnvelopeProgress {
  /** Bytes of the source that are done. */
  done: number;
  /** Bytes of the source in all, where that is known. */
  total: number | undefined;
}

export interface FileResult {
  /** Bytes of `from` and of `to`. */
  read: number;
  written: number;
  header: MessageHeader;
}

const FRAME_LENGTH = 64 << 10;
const MAX_FRAME_LENGTH = 16 << 20;
const MAX_ENCRYPTED_DATA_KEYS = 16;

const RUN_IN_STREAM = 1 << 20;
const RUN_IN_FILE = 4 << 20;

/** How a source that is not all in memory is taken in, and where room comes from for what comes out. */
interface Pace {
  runLength: number;
  allocate: (length: number) => Uint8Array;
  /** Bytes of the source, where that is known. */
  total?: number;
}

/** A message whose header is done: what remains is its body. */
interface Started {
  direction: Direction;
  body: Body;
  /** What comes out before the body does. */
  head: Uint8Array;
  /** How many bytes of the source are used up already. */
  used: number;
}

/**
 * Encrypts data of any size in the message format of the AWS Encryption SDK (docs/envelope.md): a data key from
 * the caller's KMS key, the data under that in frames that are sealed in parallel. What is refused rejects with
 * an EnvelopeError. Errors of KMS operations pass through when encrypting; when decrypting they are the cause of
 * an EnvelopeError NO_DATA_KEY. Bytes given as the source must not change before the promise settles.
 */
export class Envelope {
  readonly #caller: Caller;
  readonly #engine: FrameEngine;

  constructor(caller: Caller, engine: FrameEngine = frames) {
    this.#caller = caller;
    this.#engine = engine;
  }

  /** Bytes give bytes, a stream gives a stream. */
  encrypt(source: Uint8Array, options: EncryptOptions): Promise<Uint8Array>;
  encrypt(source: ByteSource, options: EncryptOptions): Readable;
  encrypt(source: Uint8Array | ByteSource, options: EncryptOptions): Promise<Uint8Array> | Readable {
    if (source instanceof Uint8Array) return this.#whole(source, options, this.#begin(options));
    return readable(source, options.signal, (intake, signal) =>
      this.#runs(intake, inStream(), { ...options, signal }, () => this.#begin(options)),
    );
  }

  /** Bytes give bytes, a stream gives a stream; no byte of it comes out before its frame is authentic. */
  decrypt(source: Uint8Array, options?: DecryptOptions): Promise<Uint8Array>;
  decrypt(source: ByteSource, options?: DecryptOptions): Readable;
  decrypt(source: Uint8Array | ByteSource, options: DecryptOptions = {}): Promise<Uint8Array> | Readable {
    if (source instanceof Uint8Array) return this.#whole(source, options, this.#admit(source, options));
    return readable(source, options.signal, (intake, signal) =>
      this.#runs(intake, inStream(), { ...options, signal }, () => this.#admit(intake, options)),
    );
  }

  /** Replaces the file `to` as a whole, or not at all; its mode becomes 0600. `from` may be the same file. */
  encryptFile(from: string, to: string, options: EncryptOptions): Promise<FileResult> {
    return this.#file(from, to, options, (_, told) => this.#begin(told));
  }

  /** As encryptFile. */
  decryptFile(from: string, to: string, options: DecryptOptions = {}): Promise<FileResult> {
    return this.#file(from, to, options, (intake, told) => this.#admit(intake, told));
  }

  async #begin(options: EncryptOptions): Promise<Started> {
    options.signal?.throwIfAborted();
    const { KeyId, EncryptionContext = {}, FrameLength = FRAME_LENGTH } = options;
    if (!Number.isInteger(FrameLength) || FrameLength < 1 || FrameLength > MAX_FRAME_LENGTH) {
      throw new TypeError(`FrameLength: must be a whole number from 1 to ${MAX_FRAME_LENGTH}`);
    }
    const message = { keyId: KeyId, context: EncryptionContext, frameLength: FrameLength };
    const { head, body, header } = await newMessage(this.#caller, message);
    await tell(options, header, body);
    return { direction: sealing, body, head, used: 0 };
  }

  async #admit(source: Uint8Array | Intake, options: DecryptOptions): Promise<Started> {
    options.signal?.throwIfAborted();
    const limits = {
      encryptedDataKeys: options.MaxEncryptedDataKeys ?? MAX_ENCRYPTED_DATA_KEYS,
      frameLength: options.MaxFrameLength ?? MAX_FRAME_LENGTH,
    };
    const received =
      source instanceof Uint8Array ? parseHeader(source, limits) : await readHeader(source, limits);
    const required = options.EncryptionContext ?? {};
    const keys = typeof options.KeyId === "string" ? [options.KeyId] : options.KeyId;
    const { body, header } = await admitMessage(this.#caller, received, { keys, context: required });
    await tell(options, header, body);
    const used = received.body.length + received.tag.length;
    return { direction: opening, body, head: new Uint8Array(0), used };
  }

  async #whole(source: Uint8Array, options: PassOptions, starting: Promise<Started>): Promise<Uint8Array> {
    const started = await starting;
    const { direction, body, head, used } = started;
    try {
      const input = source.subarray(used);
      const output = Buffer.allocUnsafeSlow(
        head.length + direction.run(input.length, body.frameLength, true).output,
      );
      output.set(head);
      await passWhole(this.#passage(started, options, source.length), input, output.subarray(head.length));
      return output;
    } finally {
      body.key.fill(0);
    }
  }

  async *#runs(intake: Intake, pace: Pace, options: PassOptions, start: () => Promise<Started>) {
    const started = await start();
    try {
      if (started.head.length > 0) yield started.head;
      yield* passRuns({ ...this.#passage(started, options, pace.total), ...pace, intake });
    } finally {
      started.body.key.fill(0);
    }
  }

  async #file<Options extends PassOptions>(
    from: string,
    to: string,
    options: Options,
    start: (intake: Intake, told: Options) => Promise<Started>,
  ): Promise<FileResult> {
    const file = await open(from);
    try {
      const stat = await file.stat();
      if (!stat.isFile()) throw new TypeError(`${from} is not a regular file: open it as a stream instead`);
      const intake = new FileIntake(file, options.signal);
      let header: MessageHeader | undefined;
      const onHeader: PassOptions["onHeader"] = (its) => {
        header = its;
        return options.onHeader?.(its);
      };
      const pace = { runLength: RUN_IN_FILE, allocate: rotating(3), total: stat.size };
      const pieces = this.#runs(intake, pace, options, () => start(intake, { ...options, onHeader }));
      const written = await replaceFile(to, pieces, options.signal);
      return { read: intake.position, written, header: header as MessageHeader };
    } finally {
      await file.close();
    }
  }

  #passage({ direction, body, used }: Started, { signal, onProgress }: PassOptions, total?: number): Passage {
    const progress = onProgress && ((done: number) => onProgress({ done: used + done, total }));
    return { engine: this.#engine, direction, body, signal, progress };
  }
}

function inStream(): Pace {
  return { runLength: RUN_IN_STREAM, allocate: (length) => Buffer.allocUnsafeSlow(length) };
}

async function tell({ onHeader }: PassOptions, header: MessageHeader, body: Body): Promise<void> {
  try {
    await onHeader?.(header);
  } catch (error) {
    body.key.fill(0);
    throw error;
  }
}
