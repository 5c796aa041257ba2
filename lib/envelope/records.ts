import type { RecordJob } from "../hsm.ts";
import { opening, sealing } from "./body.ts";
import { encodeContext, refuseReserved, requireContext } from "./context.ts";
import { DataKeyCache, type ReuseLimits, Shared } from "./data-key-cache.ts";
import { EnvelopeError } from "./error.ts";
import { parseHeader, type ReceivedHeader, serialiseHeader } from "./header.ts";
import { checkKeyCount, openDataKey } from "./message.ts";
import type { DecryptOptions, EncryptOptions } from "./options.ts";
import { inParallel } from "./parallel.ts";
import type { KeyProvider } from "./provider.ts";
import { DEFAULT_SUITE, TAG_LENGTH } from "./suite.ts";

/** What seals and opens small messages, on all cores. */
export interface RecordEngine {
  seal(job: RecordJob): Promise<void>;
  /** Resolves to one byte a record: 1 when it is authentic. */
  open(job: RecordJob): Promise<Uint8Array>;
}

export interface RecordOptions
  extends ReuseLimits,
    Pick<EncryptOptions, "KeyId" | "Keys" | "EncryptionContext" | "FrameLength" | "signal">,
    Pick<DecryptOptions, "CommitmentPolicy" | "MaxEncryptedDataKeys" | "MaxFrameLength"> {}

/** A record that was opened, or why it was not. */
export type OpenedRecord =
  | { Plaintext: Uint8Array; Error?: undefined }
  | { Plaintext?: undefined; Error: Error };

/** Messages of one call whose headers are the same, save the message id and what follows from it. */
interface Group {
  name: string;
  headerTail: Uint8Array;
  received: ReceivedHeader;
  members: number[];
}

/** What the room has to give: kept apart from the options that users see. */
export interface RecordTools {
  keys: KeyProvider;
  engine: RecordEngine;
  frameLength: number;
  limits: { encryptedDataKeys: number; frameLength: number };
  /** Opens what is of another suite, one at a time. */
  otherwise(message: Uint8Array): Promise<Uint8Array>;
}

/** Bytes of a header in front of what messages share, and behind it: version, suite and id; commitment and tag. */
const BEFORE = 3 + DEFAULT_SUITE.messageIdLength;
const COMMITMENT = DEFAULT_SUITE.commitmentLength;
const BEHIND = COMMITMENT + TAG_LENGTH;
/** Data keys that are asked for at the same time. */
const DECRYPTS = 64;
/** Of plaintext, that cross into the engine at once. */
const CROSSING = 8 << 20;

/**
 * Small messages, many at once: each is a whole message of the Encryption SDK under a key of its own, derived from a data
 * key that they share within limits. Safe to use from several tasks at once; close() wipes the data keys.
 */
export class Records {
  readonly #tools: RecordTools;
  readonly #cache: DataKeyCache;
  readonly #context: Readonly<Record<string, string>>;

  constructor(tools: RecordTools, options: RecordOptions) {
    this.#tools = tools;
    this.#cache = new DataKeyCache(options);
    this.#context = { ...options.EncryptionContext };
    refuseReserved(this.#context);
  }

  /** One message a record, in their order. */
  async encrypt(records: readonly Uint8Array[]): Promise<Uint8Array[]> {
    const messages: Promise<Uint8Array[]>[] = [];
    let at = 0;
    while (at < records.length) {
      const some = crossing(records, at);
      const sizes = some.map(({ length }) => length);
      const { shared, count } = await this.#cache.reserve(sizes, () => this.#make());
      const passing = this.#seal(shared, some.slice(0, count)).finally(() => shared.release());
      passing.catch(ignore);
      messages.push(passing);
      at += count;
    }
    return (await Promise.all(messages)).flat();
  }

  /** One plaintext, or one error, a message, in their order. */
  async decrypt(messages: readonly Uint8Array[]): Promise<OpenedRecord[]> {
    const opened: OpenedRecord[] = new Array(messages.length);
    for (let at = 0; at < messages.length; ) {
      const some = crossing(messages, at);
      await this.#openAll(some, at, opened);
      at += some.length;
    }
    return opened;
  }

  /** Wipes the data keys; what is encrypted or decrypted later fetches them anew. */
  close(): void {
    this.#cache.clear();
  }

  async #make(): Promise<Shared> {
    const { keys, frameLength, limits } = this.#tools;
    const suite = DEFAULT_SUITE;
    const context = this.#context;
    const { plaintext, encrypted } = await keys.generate({ length: suite.keyLength, context });
    try {
      checkKeyCount(encrypted, limits.encryptedDataKeys);
    } catch (error) {
      plaintext.fill(0);
      throw error;
    }
    const blank = {
      messageId: new Uint8Array(suite.messageIdLength),
      commitment: new Uint8Array(COMMITMENT),
    };
    const header = serialiseHeader(
      { suite, context, encryptedDataKeys: encrypted, frameLength, ...blank },
      encodeContext(context),
    );
    return new Shared(plaintext, header.subarray(BEFORE, -COMMITMENT), frameLength);
  }

  async #seal(shared: Shared, records: readonly Uint8Array[]): Promise<Uint8Array[]> {
    const extra = BEFORE + shared.headerTail.length + BEHIND;
    const sizes = records.map(({ length }) => extra + sealing.run(length, shared.frameLength, true).output);
    const { job, slices } = pack(shared, records, sizes);
    await this.#tools.engine.seal(job).finally(() => job.input.fill(0));
    return slices();
  }

  async #openAll(messages: readonly Uint8Array[], from: number, opened: OpenedRecord[]): Promise<void> {
    const groups = new Map<string, Group>();
    const others: number[] = [];
    let last: Group | undefined;
    for (const [i, message] of messages.entries()) {
      try {
        if (!(last && begins(message, last.headerTail))) last = this.#group(message, groups);
        if (last) last.members.push(i);
        else others.push(i);
      } catch (error) {
        opened[from + i] = { Error: error as Error };
      }
    }
    await inParallel([...groups.values()], DECRYPTS, async ({ name, headerTail, received, members }) => {
      let shared: Shared | undefined;
      try {
        shared = await this.#cache.opened(name, () => this.#decrypt(received, headerTail));
        await this.#open(shared, messages, members, from, opened);
      } catch (error) {
        for (const i of members) opened[from + i] ??= { Error: error as Error };
      } finally {
        shared?.release();
      }
    });
    await inParallel(others, DECRYPTS, async (i) => {
      opened[from + i] = await this.#tools.otherwise(messages[i] as Uint8Array).then(
        (Plaintext) => ({ Plaintext }),
        (error) => ({ Error: error as Error }),
      );
    });
  }

  async #open(
    shared: Shared,
    messages: readonly Uint8Array[],
    group: readonly number[],
    from: number,
    opened: OpenedRecord[],
  ): Promise<void> {
    const extra = BEFORE + shared.headerTail.length + BEHIND;
    const sizes: number[] = [];
    const fitting: number[] = [];
    for (const i of group) {
      try {
        const available = (messages[i] as Uint8Array).length - extra;
        sizes.push(opening.run(available, shared.frameLength, true).output);
        fitting.push(i);
      } catch (error) {
        opened[from + i] = { Error: error as Error };
      }
    }
    const { job, slices } = pack(
      shared,
      fitting.map((i) => messages[i] as Uint8Array),
      sizes,
    );
    const authentic = await this.#tools.engine.open(job);
    const plaintexts = slices();
    for (const [j, i] of fitting.entries()) {
      opened[from + i] = authentic[j]
        ? { Plaintext: plaintexts[j] as Uint8Array }
        : {
            Error: new EnvelopeError(
              "NOT_AUTHENTIC",
              "the message was changed, or not made with the data key it brings",
            ),
          };
    }
  }

  /** The messages that share this one's header; undefined where it is of another suite or not framed. */
  #group(message: Uint8Array, groups: Map<string, Group>): Group | undefined {
    const received = parseHeader(message, this.#tools.limits);
    if (received.suite !== DEFAULT_SUITE || received.frameLength === 0) return undefined;
    requireContext(received.context, this.#context);
    const headerTail = Buffer.from(received.body.subarray(BEFORE, -COMMITMENT));
    const name = headerTail.toString("latin1");
    const group = groups.get(name) ?? { name, headerTail, received, members: [] };
    groups.set(name, group);
    return group;
  }

  async #decrypt(received: ReceivedHeader, headerTail: Uint8Array): Promise<Shared> {
    const { plaintext } = await openDataKey(this.#tools.keys, received);
    return new Shared(plaintext, headerTail, received.frameLength);
  }
}

/** As many of the records from `at` on as cross at once. */
function crossing(records: readonly Uint8Array[], at: number): readonly Uint8Array[] {
  let bytes = 0;
  let end = at;
  while (end < records.length && (end === at || bytes < CROSSING))
    bytes += (records[end++] as Uint8Array).length;
  return at === 0 && end === records.length ? records : records.slice(at, end);
}

/** Whether the message's header is one under the same data key, as far as can be told without it. */
function begins(message: Uint8Array, headerTail: Uint8Array): boolean {
  const end = BEFORE + headerTail.length;
  if (message.length < end || message[0] !== 2 || message[1] !== 4 || message[2] !== 0x78) return false;
  return Buffer.compare(message.subarray(BEFORE, end), headerTail) === 0;
}

/** A job of the engine's, and what cuts its output into pieces of these sizes. */
function pack(shared: Shared, inputs: readonly Uint8Array[], sizes: readonly number[]) {
  const lengths = Uint32Array.from(inputs, ({ length }) => length);
  const input = Buffer.allocUnsafeSlow(lengths.reduce((sum, length) => sum + length, 0));
  let at = 0;
  for (const one of inputs) {
    input.set(one, at);
    at += one.length;
  }
  const output = Buffer.allocUnsafeSlow(sizes.reduce((sum, size) => sum + size, 0));
  const slices = () => {
    let from = 0;
    return sizes.map((size) => {
      const slice = new Uint8Array(output.buffer, output.byteOffset + from, size);
      from += size;
      return slice;
    });
  };
  const { dataKey, headerTail, frameLength } = shared;
  const job: RecordJob = { dataKey, headerTail, frameLength, input, lengths, output };
  return { job, slices };
}

function ignore(): void {}
