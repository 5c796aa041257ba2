import { open } from "node:fs/promises";
import type { Readable } from "node:stream";
import { inBatches } from "./envelope/batches.ts";
import { readBlock } from "./envelope/block.ts";
import { type Body, type Direction, type FrameEngine, framesIn, opening, sealing } from "./envelope/body.ts";
import { type DirectoryWay, type PerFile, passDirectory, passInPlace, SUFFIX } from "./envelope/directory.ts";
import { EnvelopeError } from "./envelope/error.ts";
import { replaceFile } from "./envelope/file.ts";
import { parseHeader, readHeader } from "./envelope/header.ts";
import { type ByteSource, FileIntake, type Intake, StreamIntake } from "./envelope/intake.ts";
import { clientOf, KmsKeys } from "./envelope/kms-keys.ts";
import { legacyFrames } from "./envelope/legacy.ts";
import { admitMessage, type MessageHeader, newMessage } from "./envelope/message.ts";
import {
  allowsUncommitted,
  checkFrameLength,
  checkSignedMessages,
  type DecryptOptions,
  type DirectoryOptions,
  type DirectoryResult,
  type EncryptOptions,
  type FileResult,
  FRAME_LENGTH,
  headerLimits,
  type PassOptions,
  type RewrapOptions,
  type Under,
} from "./envelope/options.ts";
import type { KeyProvider } from "./envelope/provider.ts";
import { type OpenedRecord, type RecordOptions, Records } from "./envelope/records.ts";
import { type RewrapTools, rewrapFile, rewrapped, rewrapWay } from "./envelope/rewrap.ts";
import { type Passage, passRuns, passWhole, rotating } from "./envelope/runs.ts";
import { finished, type Witness } from "./envelope/signature.ts";
import { held, MAX_HELD_LENGTH, readable, untilAborted, watched } from "./envelope/stream.ts";
import { frames, records } from "./hsm.ts";
import type { Caller } from "./request.ts";

export type { ReuseLimits } from "./envelope/data-key-cache.ts";
export { DirectoryError, SUFFIX } from "./envelope/directory.ts";
export { EnvelopeError, type EnvelopeErrorCode } from "./envelope/error.ts";
export { replaceFile } from "./envelope/file.ts";
export type { EncryptedDataKey } from "./envelope/header.ts";
export type { ByteSource } from "./envelope/intake.ts";
export { type KmsClient, KmsKeys } from "./envelope/kms-keys.ts";
export { LOCK, MANIFEST } from "./envelope/manifest.ts";
export type { MessageHeader } from "./envelope/message.ts";
export { MultiKeys } from "./envelope/multi-keys.ts";
export type {
  CommitmentPolicy,
  DecryptOptions,
  DirectoryEntry,
  DirectoryOptions,
  DirectoryResult,
  EncryptOptions,
  EnvelopeProgress,
  FileResult,
  RewrapOptions,
} from "./envelope/options.ts";
export { inParallel } from "./envelope/parallel.ts";
export type { DataKey, DataKeyRequest, KeyProvider, OpenedDataKey } from "./envelope/provider.ts";
export { RawAesKey, RawRsaKey, type RsaPadding } from "./envelope/raw-keys.ts";
export { type OpenedRecord, type RecordOptions, Records } from "./envelope/records.ts";

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
  witness: Witness | undefined;
  /** Of a body that is not framed: the most bytes it may have. */
  blockLimit?: number;
}

/**
 * Encrypts data of any size in the message format of the AWS Encryption SDK (docs/envelope.md): a data key from
 * the caller's KMS key, the data under that in frames that are sealed in parallel. What is refused rejects with
 * an EnvelopeError. Errors of KMS operations pass through when encrypting; when decrypting they are the cause of
 * an EnvelopeError NO_DATA_KEY. Bytes given as the source must not change before the promise settles.
 */
export class Envelope {
  readonly #caller: Caller | undefined;
  readonly #engine: FrameEngine;
  readonly #tools: RewrapTools = {
    keys: (under) => this.#keys(under),
    open: (source, told) => this.#runs(source, inStream(), told, () => this.#admit(source, told)),
    seal: (source, told) => this.#runs(source, inStream(), told, () => this.#begin(told)),
  };

  /** Without a caller, all keys have to be given as `Keys`. */
  constructor(caller?: Caller, engine: FrameEngine = frames) {
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
    return readable(source, options.signal, (intake, signal) => {
      let signed = false;
      const onHeader = (header: MessageHeader) => {
        signed = header.Signed;
        return options.onHeader?.(header);
      };
      const told = { ...options, signal, onHeader };
      const pieces = this.#runs(intake, inStream(), told, () => this.#admit(intake, told));
      if (options.SignedMessages !== "hold") return pieces;
      return held(pieces, () => signed, options.MaxHeldLength ?? MAX_HELD_LENGTH);
    });
  }

  /** Replaces the file `to` as a whole, or not at all; its mode becomes 0600. `from` may be the same file. */
  encryptFile(from: string, to: string, options: EncryptOptions): Promise<FileResult> {
    return this.#file(from, to, options, (_, told) => this.#begin(told));
  }

  /** As encryptFile. */
  decryptFile(from: string, to: string, options: DecryptOptions = {}): Promise<FileResult> {
    return this.#file(from, to, options, (intake, told) => this.#admit(intake, told));
  }

  /** The same message under other keys; see RewrapOptions.Body. */
  rewrap(source: Uint8Array, options: RewrapOptions): Promise<Uint8Array>;
  rewrap(source: ByteSource, options: RewrapOptions): Readable;
  rewrap(source: Uint8Array | ByteSource, options: RewrapOptions): Promise<Uint8Array> | Readable {
    const bytes = source instanceof Uint8Array;
    const pieces = readable(bytes ? [source] : source, options.signal, (intake, signal) =>
      rewrapped(intake, { ...options, signal }, this.#tools),
    );
    return bytes ? pieces.toArray().then((all) => Buffer.concat(all)) : pieces;
  }

  /** As encryptFile; `from` may be the same file. */
  rewrapFile(from: string, to: string, options: RewrapOptions): Promise<{ read: number; written: number }> {
    return rewrapFile(from, to, options, this.#tools);
  }

  /**
   * Each FILE.keystead below the directory, in its place, one file after the other whole or not at all; its manifest tells the
   * new digests. What has no data key under the keys of `From`, where that names any, is left out: so a run that was
   * interrupted goes on where it was.
   */
  rewrapDirectory(
    directory: string,
    options: RewrapOptions & Omit<DirectoryOptions, "Force">,
  ): Promise<DirectoryResult> {
    return passInPlace(directory, rewrapWay(options, this.#tools), options);
  }

  /**
   * Each file below the directory `from` becomes FILE.keystead below `to`, which also gets a manifest (.keystead-manifest,
   * JSON lines with the SHA-256 of what was written). A run that was interrupted goes on where it was.
   */
  encryptDirectory(
    from: string,
    to: string,
    options: EncryptOptions & DirectoryOptions,
  ): Promise<DirectoryResult> {
    const way: DirectoryWay = {
      rename: (name) => name + SUFFIX,
      keepsManifest: true,
      file: (source, target, told) =>
        this.#file(source, target, { ...options, ...told }, (_, its) => this.#begin(its)),
    };
    return passDirectory(from, to, way, options);
  }

  /** As encryptDirectory, the other way round; files whose names do not end in .keystead are left out. */
  decryptDirectory(
    from: string,
    to: string,
    options: DecryptOptions & DirectoryOptions = {},
  ): Promise<DirectoryResult> {
    const way: DirectoryWay = {
      rename: (name) =>
        name.length > SUFFIX.length && name.endsWith(SUFFIX) ? name.slice(0, -SUFFIX.length) : undefined,
      keepsManifest: false,
      file: (source, target, told) =>
        this.#file(source, target, { ...options, ...told }, (intake, its) => this.#admit(intake, its)),
    };
    return passDirectory(from, to, way, options);
  }

  /** For small messages under one data key within limits; see Records. */
  records(options: RecordOptions = {}): Records {
    const { FrameLength: frameLength = FRAME_LENGTH } = options;
    checkFrameLength(frameLength);
    const keys = this.#keys(options);
    const { KeyId, Keys, EncryptionContext, CommitmentPolicy } = options;
    const limits = headerLimits(options);
    const otherwise = (message: Uint8Array) => {
      const { encryptedDataKeys: MaxEncryptedDataKeys, frameLength: MaxFrameLength } = limits;
      const told = { KeyId, Keys, EncryptionContext, CommitmentPolicy, MaxEncryptedDataKeys, MaxFrameLength };
      return this.decrypt(message, told);
    };
    return new Records({ keys, engine: records, frameLength, limits, otherwise }, options);
  }

  /** A message for each record, in their order. What is given must not change before its message is there. */
  async *encryptRecords(
    source: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
    options: RecordOptions,
  ): AsyncGenerator<Uint8Array, void, void> {
    const ours = this.records(options);
    yield* inBatches(
      source,
      (batch) => ours.encrypt(batch),
      () => ours.close(),
      options.signal,
    );
  }

  /** A plaintext, or an error, for each message, in their order. */
  async *decryptRecords(
    source: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
    options: RecordOptions = {},
  ): AsyncGenerator<OpenedRecord, void, void> {
    const ours = this.records(options);
    yield* inBatches(
      source,
      (batch) => ours.decrypt(batch),
      () => ours.close(),
      options.signal,
    );
  }

  async #begin(options: EncryptOptions): Promise<Started> {
    options.signal?.throwIfAborted();
    const { EncryptionContext = {}, FrameLength = FRAME_LENGTH, Signed = false } = options;
    checkFrameLength(FrameLength);
    const { encryptedDataKeys: maxKeys } = headerLimits(options);
    const message = { context: EncryptionContext, frameLength: FrameLength, signed: Signed, maxKeys };
    const made = newMessage(this.#keys(options), message);
    const { head, body, header, witness } = await untilAborted(made, options.signal, wipe);
    await tell(options, header, body);
    return { direction: sealing, body, head, used: 0, witness };
  }

  async #admit(source: Uint8Array | Intake, options: DecryptOptions): Promise<Started> {
    options.signal?.throwIfAborted();
    checkSignedMessages(options);
    const limits = headerLimits(options);
    const received =
      source instanceof Uint8Array ? parseHeader(source, limits) : await readHeader(source, limits);
    if (received.suite.signature && options.SignedMessages === "refuse") {
      throw new EnvelopeError("UNSUPPORTED", "the message is signed, which SignedMessages refuses");
    }
    const demands = { context: options.EncryptionContext ?? {}, uncommitted: allowsUncommitted(options) };
    const admitted = admitMessage(this.#keys(options), received, demands);
    const opened = await untilAborted(admitted, options.signal, wipe);
    await tell(options, opened.header, opened.body);
    const used = received.body.length + received.authentication.length;
    const blockLimit = limits.frameLength;
    return { direction: opening, ...opened, head: new Uint8Array(0), used, blockLimit };
  }

  #keys({ KeyId, Keys }: Under): KeyProvider {
    if (Keys !== undefined) {
      if (KeyId === undefined) return Keys;
      throw new TypeError("KeyId and Keys are both given");
    }
    if (this.#caller === undefined)
      throw new TypeError("Keys: there is no KMS here, so they have to be given");
    return new KmsKeys(clientOf(this.#caller), typeof KeyId === "string" ? [KeyId] : KeyId);
  }

  async #whole(source: Uint8Array, options: PassOptions, starting: Promise<Started>): Promise<Uint8Array> {
    const started = await starting;
    const { direction, body, head, used, witness } = started;
    try {
      const input = source.subarray(used);
      if (body.frameLength === 0)
        return await this.#block(started, new StreamIntake([input], options.signal), options);
      const footerLength = witness?.footerLength ?? 0;
      const length = direction.footed ? framesIn(input, body.frameLength, footerLength) : input.length;
      const frames = direction.run(length, body.frameLength, true).output;
      const room = head.length + frames + (direction.footed ? 0 : footerLength);
      const output = Buffer.allocUnsafeSlow(room);
      output.set(head);
      const between = output.subarray(head.length, head.length + frames);
      await passWhole(this.#passage(started, options, source.length), input.subarray(0, length), between);
      const footer = finished(witness, input.subarray(length), between);
      output.set(footer, head.length + frames);
      return output.subarray(0, head.length + frames + footer.length);
    } finally {
      body.key.fill(0);
    }
  }

  async *#runs(
    intake: Intake,
    pace: Pace,
    options: PassOptions,
    start: () => Promise<Started>,
  ): AsyncGenerator<Uint8Array, void, void> {
    const started = await start();
    try {
      if (started.body.frameLength === 0) {
        yield await this.#block(started, intake, options, pace.total);
        return;
      }
      if (started.head.length > 0) yield started.head;
      yield* passRuns({ ...this.#passage(started, options, pace.total), ...pace, intake });
    } finally {
      started.body.key.fill(0);
    }
  }

  async #block(
    started: Started,
    intake: Intake,
    { onProgress }: PassOptions,
    total?: number,
  ): Promise<Uint8Array> {
    const { body, witness, blockLimit: limit = 0, used } = started;
    const plaintext = await readBlock(body, intake, { limit, witness });
    onProgress?.({ done: used + plaintext.length, total });
    return plaintext;
  }

  async #file<Options extends PassOptions & Partial<Pick<PerFile, "onPiece" | "prefix">>>(
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
      const seen = options.onPiece ? watched(pieces, options.onPiece) : pieces;
      const written = await replaceFile(to, seen, options.signal, options.prefix);
      return { read: intake.position, written, header: header as MessageHeader };
    } finally {
      await file.close();
    }
  }

  #passage(started: Started, { signal, onProgress }: PassOptions, total?: number): Passage {
    const { direction, body, used, witness } = started;
    const progress = onProgress && ((done: number) => onProgress({ done: used + done, total }));
    const engine = body.version === 1 ? legacyFrames : this.#engine;
    return { engine, direction, body, witness, signal, progress };
  }
}

function inStream(): Pace {
  return { runLength: RUN_IN_STREAM, allocate: (length) => Buffer.allocUnsafeSlow(length) };
}

function wipe({ body }: { body: Body }): void {
  body.key.fill(0);
}

async function tell({ onHeader }: PassOptions, header: MessageHeader, body: Body): Promise<void> {
  try {
    await onHeader?.(header);
  } catch (error) {
    body.key.fill(0);
    throw error;
  }
}
