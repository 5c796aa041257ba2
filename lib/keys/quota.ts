import { LimitExceededException } from "../errors.ts";
import type { Store } from "../store.ts";

const KEYS_PER_ACCOUNT = 100_000;
/** The part of the free room that is given out before the keys are counted again. */
const SHARE = 0.01;

/**
 * The limit on the keys of an account in a Region. To count many keys takes the store milliseconds, so they are
 * counted the less often the more room there is; beside the limit, each time. Processes that share a store can
 * together pass it by the share that each gives out.
 */
export class KeyQuota {
  readonly #store: Store;
  readonly #limit: number;
  /** Keys that may be made before the next count, by Region and account. */
  readonly #room = new Map<string, number>();

  constructor(store: Store, limit = KEYS_PER_ACCOUNT) {
    this.#store = store;
    this.#limit = limit;
  }

  /** Takes the room of one key, or throws `LimitExceededException`. */
  async take(region: string, account: string): Promise<void> {
    const owner = `${region} ${account}`;
    if (!this.#room.get(owner)) this.#room.set(owner, await this.#count(region, account));
    this.#room.set(owner, (this.#room.get(owner) as number) - 1);
  }

  async #count(region: string, account: string): Promise<number> {
    const free = this.#limit - (await this.#store.countKeys(region, account));
    if (free > 0) return Math.ceil(free * SHARE);
    throw new LimitExceededException(
      `This account has ${this.#limit} keys in ${region}, which is the limit.`,
    );
  }
}
