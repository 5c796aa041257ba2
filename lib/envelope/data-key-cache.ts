import { EnvelopeError } from "./error.ts";

/**
 * How far one data key is used, as the caching materials manager of the Encryption SDK has it
 * (framework/caching-cmm.md). Access to the KMS key is asked for once for each data key: whoever loses it goes on
 * until the data key at hand is too old.
 */
export interface ReuseLimits {
  /** Milliseconds, from when the data key is there; then it is wiped, used or not. Default 5 minutes. */
  MaxAge?: number | undefined;
  /** Messages that are encrypted under one data key, at most 2^32; default 1,000,000. */
  MaxMessages?: number | undefined;
  /** Bytes of plaintext that are encrypted under one data key; default 64 GiB. */
  MaxBytes?: number | undefined;
}

/** What messages under one data key share. */
export class Shared {
  readonly dataKey: Uint8Array;
  readonly headerTail: Uint8Array;
  readonly frameLength: number;
  #users = 0;
  #retired = false;

  constructor(dataKey: Uint8Array, headerTail: Uint8Array, frameLength: number) {
    this.dataKey = dataKey;
    this.headerTail = headerTail;
    this.frameLength = frameLength;
  }

  /** False when it is too late: the data key is wiped, or about to be. Else release() must follow. */
  use(): boolean {
    if (this.#retired) return false;
    this.#users++;
    return true;
  }

  release(): void {
    this.#users--;
    if (this.#retired && this.#users === 0) this.dataKey.fill(0);
  }

  /** Wipes the data key, as soon as nobody uses it. */
  retire(): void {
    this.#retired = true;
    if (this.#users === 0) this.dataKey.fill(0);
  }
}

interface Kept {
  shared: Shared;
  madeAt: number;
  messages: number;
  bytes: number;
}

/** The data key that is encrypted under now, and those that were decrypted: each fetched once, whoever asks meanwhile. */
export class DataKeyCache {
  readonly #limits: Required<{ [Name in keyof ReuseLimits]: number }>;
  readonly #capacity: number;
  #current: Kept | undefined;
  #making: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #opened = new Map<string, { kept: Promise<Shared>; madeAt: number }>();

  constructor(limits: ReuseLimits, capacity = 1_000) {
    const { MaxAge = 300_000, MaxMessages = 1_000_000, MaxBytes = 64 * 2 ** 30 } = limits;
    for (const [name, value, most] of [
      ["MaxAge", MaxAge, Number.MAX_SAFE_INTEGER],
      ["MaxMessages", MaxMessages, 2 ** 32],
      ["MaxBytes", MaxBytes, Number.MAX_SAFE_INTEGER],
    ] as const) {
      if (!(value >= 1 && value <= most)) throw new TypeError(`${name}: must be a number from 1 to ${most}`);
    }
    this.#limits = { MaxAge, MaxMessages, MaxBytes };
    this.#capacity = capacity;
  }

  /**
   * A data key for as many of the first of these records as it may be used for, at least one, and how many. The caller
   * releases it.
   */
  async reserve(
    sizes: readonly number[],
    make: () => Promise<Shared>,
  ): Promise<{ shared: Shared; count: number }> {
    const { MaxMessages, MaxBytes } = this.#limits;
    if ((sizes[0] as number) > MaxBytes) {
      throw new EnvelopeError(
        "LIMIT",
        `a record has ${sizes[0]} bytes, more than MaxBytes lets a data key encrypt`,
      );
    }
    while (true) {
      const kept = this.#current;
      if (kept && !this.#old(kept.madeAt)) {
        let [count, bytes] = [0, 0];
        for (const size of sizes) {
          if (kept.messages + count + 1 > MaxMessages || kept.bytes + bytes + size > MaxBytes) break;
          count++;
          bytes += size;
        }
        if (count > 0 && kept.shared.use()) {
          kept.messages += count;
          kept.bytes += bytes;
          return { shared: kept.shared, count };
        }
      }
      this.#making ??= make()
        .then((shared) => {
          this.#current?.shared.retire();
          this.#current = { shared, madeAt: performance.now(), messages: 0, bytes: 0 };
          this.#watch();
        })
        .finally(() => {
          this.#making = undefined;
        });
      await this.#making;
    }
  }

  /** The data key behind a header. The caller releases it. */
  async opened(name: string, open: () => Promise<Shared>): Promise<Shared> {
    while (true) {
      const found = this.#opened.get(name);
      const shared = await (found && !this.#old(found.madeAt) ? found.kept : this.#open(name, open));
      if (shared.use()) return shared;
    }
  }

  #open(name: string, open: () => Promise<Shared>): Promise<Shared> {
    this.#drop(name);
    const entry = { kept: open(), madeAt: performance.now() };
    this.#opened.set(name, entry);
    this.#watch();
    entry.kept.catch(() => {
      if (this.#opened.get(name) === entry) this.#opened.delete(name);
    });
    const oldest = this.#opened.size > this.#capacity ? this.#opened.keys().next().value : undefined;
    if (oldest !== undefined) this.#drop(oldest);
    return entry.kept;
  }

  /** Wipes every data key. */
  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#current?.shared.retire();
    this.#current = undefined;
    for (const name of [...this.#opened.keys()]) this.#drop(name);
  }

  /** Sees to it that no data key outlives its time in an idle cache. */
  #watch() {
    const [first] = this.#opened.values();
    const oldest = Math.min(this.#current?.madeAt ?? Infinity, first?.madeAt ?? Infinity);
    if (this.#timer !== undefined || oldest === Infinity) return;
    const left = oldest + this.#limits.MaxAge - performance.now();
    this.#timer = setTimeout(
      () => this.#sweep(),
      Math.min(Math.max(1, Math.ceil(left)), 2 ** 31 - 1),
    ).unref();
  }

  #sweep() {
    this.#timer = undefined;
    if (this.#current && this.#old(this.#current.madeAt)) {
      this.#current.shared.retire();
      this.#current = undefined;
    }
    for (const [name, { madeAt }] of [...this.#opened]) if (this.#old(madeAt)) this.#drop(name);
    this.#watch();
  }

  #drop(name: string) {
    const found = this.#opened.get(name);
    this.#opened.delete(name);
    found?.kept.then(
      (shared) => shared.retire(),
      () => {},
    );
  }

  #old(madeAt: number): boolean {
    return performance.now() - madeAt >= this.#limits.MaxAge;
  }
}
