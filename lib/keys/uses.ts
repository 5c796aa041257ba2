import type { Change, KeyRow, KeyUsageRow, Store } from "../store.ts";

/** How many rows one transaction takes, so that others get their turns in between. */
const ROWS = 1000;

/**
 * When each key was used last. A use costs its request an entry in memory; `save` brings those since the last time
 * to the store. A crash loses them: the audit trail has every use.
 */
export class KeyUses {
  readonly #store: Store;
  /** By Region and key id. */
  #unsaved = new Map<string, Map<string, KeyUsageRow>>();
  #saving: Promise<void> | undefined;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Takes in what an event tells of these keys. */
  note(
    operation: string,
    { time, requestId, eventId = "" }: { time: number; requestId: string; eventId?: string | undefined },
    keys: readonly KeyRow[],
  ): void {
    for (const { region, keyId } of keys)
      this.#keep({ region, keyId, operation, usedAt: time, requestId, eventId });
  }

  #keep(row: KeyUsageRow): void {
    let keys = this.#unsaved.get(row.region);
    if (keys === undefined) {
      keys = new Map();
      this.#unsaved.set(row.region, keys);
    }
    keys.set(row.keyId, row);
  }

  /** The last use that this process or the store knows of. */
  async last(region: string, keyId: string): Promise<KeyUsageRow | undefined> {
    // What is being saved is in neither.
    await this.#saving?.catch(() => {});
    return later(this.#unsaved.get(region)?.get(keyId), await this.#store.row("keyUsage", region, keyId));
  }

  /** Stores what is new. What could not be stored is tried again with the next. */
  save(): Promise<void> {
    this.#saving ??= this.#save().finally(() => {
      this.#saving = undefined;
    });
    return this.#saving;
  }

  async #save(): Promise<void> {
    const rows = [...this.#unsaved.values()].flatMap((keys) => [...keys.values()]);
    this.#unsaved = new Map();
    for (let at = 0; at < rows.length; at += ROWS) {
      try {
        const changes: Change[] = [];
        for (const row of rows.slice(at, at + ROWS))
          if (await this.#isNews(row)) changes.push({ put: "keyUsage", row });
        if (changes.length > 0) await this.#store.apply(changes);
      } catch (cause) {
        for (const row of rows.slice(at)) {
          const { region, keyId } = row;
          if (this.#unsaved.get(region)?.get(keyId) === undefined) this.#keep(row);
        }
        throw cause;
      }
    }
  }

  /** Another process may know of a later use, or may have destroyed the key. */
  async #isNews(row: KeyUsageRow): Promise<boolean> {
    const { region, keyId } = row;
    if ((await this.#store.key(region, keyId)) === undefined) return false;
    return later(row, await this.#store.row("keyUsage", region, keyId)) === row;
  }

  close(): Promise<void> {
    return this.save();
  }
}

function later(one: KeyUsageRow | undefined, other: KeyUsageRow | undefined): KeyUsageRow | undefined {
  return one === undefined || (other !== undefined && other.usedAt > one.usedAt) ? other : one;
}
