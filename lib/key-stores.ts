import type { XksConfig } from "./config.ts";
import type { ClusterOptions } from "./key-stores/cluster.ts";
import { Clusters } from "./key-stores/clusters.ts";
import type { Backing, Candidate } from "./key-stores/configuration.ts";
import { ProxyFailure } from "./key-stores/failures.ts";
import { Proxies } from "./key-stores/proxies.ts";
import type { Secrets } from "./secrets.ts";
import type { CustomKeyStoreRow, Store } from "./store.ts";

export type { ClusterOptions } from "./key-stores/cluster.ts";
export {
  checkConnected,
  configuration,
  findStore,
  type StoreSettings,
} from "./key-stores/configuration.ts";
export { type HeldKey, held, isHeld, type Use } from "./key-stores/held.ts";
export { storeFor } from "./key-stores/placement.ts";

/** What an external key manager gave back is not what was encrypted. */
export const externalCiphertextRefused = () => new ProxyFailure("ciphertext", "not authentic").as("use");

export interface KeyStoreOptions {
  readonly clusters: Readonly<Record<string, ClusterOptions>>;
  readonly xks: XksConfig;
  /** The certificates of `xks.ca` and all others that are trusted, in PEM. */
  readonly ca: readonly string[] | undefined;
  readonly clock: () => number;
}

/** Custom key stores, and what is behind them. */
export class KeyStores {
  readonly clusters: Clusters;
  readonly proxies: Proxies;
  readonly #secrets: Secrets;
  readonly #backings: Readonly<Record<string, Backing>>;

  constructor(store: Store, secrets: Secrets, { clusters, xks, ca, clock }: KeyStoreOptions) {
    this.#secrets = secrets;
    this.clusters = new Clusters(store, secrets, clusters);
    this.proxies = new Proxies(secrets, xks, ca, clock);
    this.#backings = { AWS_CLOUDHSM: this.clusters, EXTERNAL_KEY_STORE: this.proxies };
  }

  /** Throws what AWS does when a store cannot be reached that way. */
  async check(type: string, candidate: Candidate): Promise<void> {
    await this.#backings[type]?.check(candidate);
  }

  sealSecret(customKeyStoreId: string, secret: string): Promise<Uint8Array> {
    return this.#secrets.seal(customKeyStoreId, Buffer.from(secret));
  }

  /** Connects with what the row says; resolves to the `ConnectionErrorCode` when that fails. Tried once. */
  async connect(row: CustomKeyStoreRow, requestId: string): Promise<string | undefined> {
    return this.#backings[row.type]?.connect(row, requestId);
  }

  /** Lets go of what this process has open of a store. */
  async release({ type, customKeyStoreId }: CustomKeyStoreRow): Promise<void> {
    await this.#backings[type]?.release(customKeyStoreId);
  }

  async close(): Promise<void> {
    this.proxies.close();
    await this.clusters.close();
  }
}
