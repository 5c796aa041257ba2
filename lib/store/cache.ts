/**
 * A bounded map that forgets what was not asked for lately. Two halves stand for the order of use: what is
 * found in the old half moves to the young one, and when the young half is full the old one is dropped whole.
 * So a hit costs one look-up, where an exact order would cost a removal and an insertion.
 */
export class Cache<Row> {
  readonly #half: number;
  #young = new Map<string, Row>();
  #old = new Map<string, Row>();

  /** Holds the last `limit / 2` rows for certain, and never more than `limit`. */
  constructor(limit: number) {
    this.#half = Math.max(1, limit >> 1);
  }

  get(key: string): Row | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) {
      this.#old.delete(key);
      this.set(key, old);
    }
    return old;
  }

  set(key: string, row: Row): Row {
    if (this.#young.size >= this.#half) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, row);
    return row;
  }

  delete(key: string): void {
    this.#young.delete(key);
    this.#old.delete(key);
  }
}
