import { X509Certificate } from "node:crypto";
import {
  CloudHsmClusterInUseException,
  CloudHsmClusterInvalidConfigurationException,
  CloudHsmClusterNotActiveException,
  CloudHsmClusterNotFoundException,
  CloudHsmClusterNotRelatedException,
  IncorrectTrustAnchorException,
  KeyUnavailableException,
} from "../errors.ts";
import { type Hsm, tokens } from "../hsm.ts";
import type { Secrets } from "../secrets.ts";
import {
  type Change,
  type CustomKeyStoreRow,
  type KeyRow,
  type Store,
  StoreConflict,
  type StrayKeyRow,
} from "../store.ts";
import { type ClusterOptions, ConnectionFailure, openCluster } from "./cluster.ts";
import type { Backing, Candidate } from "./configuration.ts";

/** Milliseconds after which a key that is still being made is nobody's: whoever made it has died. */
const MAKING = 600_000;

interface Opened {
  /** What it was opened with: another secret or cluster is another connection. */
  readonly row: CustomKeyStoreRow;
  readonly hsm: Promise<Hsm>;
}

/**
 * The tokens behind custom key stores of type AWS_CLOUDHSM. Whether a store is connected, its row says, which all
 * processes share: each opens the tokens that it uses, on first use, and closes what is connected no more.
 */
export class Clusters implements Backing {
  readonly #store: Store;
  readonly #secrets: Secrets;
  readonly #clusters: Readonly<Record<string, ClusterOptions>>;
  readonly #opened = new Map<string, Opened>();
  readonly #closing = new Set<Promise<void>>();

  constructor(store: Store, secrets: Secrets, clusters: Readonly<Record<string, ClusterOptions>>) {
    this.#store = store;
    this.#secrets = secrets;
    this.#clusters = clusters;
  }

  async check(candidate: Candidate): Promise<void> {
    const { settings, before } = candidate;
    const id = settings.CloudHsmClusterId as string;
    if (before === undefined) checkCertificate(settings.TrustAnchorCertificate as string);
    const options = this.#options(id);
    if (options === undefined)
      throw new CloudHsmClusterNotFoundException(
        `Cluster ${id} is not found: it must be one of the deployment's hsm.clusters.`,
      );
    if (candidate.others.some(({ settings }) => settings.CloudHsmClusterId === id)) {
      const text = `Cluster ${id} is associated with another custom key store of this account.`;
      throw before === undefined
        ? new CloudHsmClusterInUseException(text)
        : new CloudHsmClusterInvalidConfigurationException(text);
    }
    const found = await tokens(options).catch(() => []);
    if (!found.some(({ label }) => label === options.token))
      throw new CloudHsmClusterNotActiveException(
        `Cluster ${id} has no token '${options.token}' at present.`,
      );
    if (before !== undefined && clusterOf(before) !== id) await this.#checkRelated(candidate, before);
  }

  async connect(row: CustomKeyStoreRow): Promise<string | undefined> {
    void this.release(row.customKeyStoreId);
    // What is being closed is still logged in, with the password of then.
    await Promise.all(this.#closing);
    try {
      await this.#open(row);
      return undefined;
    } catch (error) {
      this.#opened.delete(row.customKeyStoreId);
      if (error instanceof ConnectionFailure) return error.code;
      throw error;
    }
  }

  /** The token of a store of type AWS_CLOUDHSM that is connected. */
  async hsm(row: CustomKeyStoreRow): Promise<Hsm> {
    const opened = this.#opened.get(row.customKeyStoreId);
    if (opened !== undefined && sameConnection(opened.row, row)) return unlessFailed(row, opened.hsm);
    if (opened !== undefined) await this.release(row.customKeyStoreId);
    return unlessFailed(row, this.#open(row));
  }

  /** Lets go of what this process has open of a store. */
  release(customKeyStoreId: string): Promise<void> {
    const opened = this.#opened.get(customKeyStoreId);
    if (opened === undefined) return Promise.resolve();
    this.#opened.delete(customKeyStoreId);
    const closing = opened.hsm
      .then((hsm) => hsm.close())
      .catch(() => {})
      .finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
    return closing;
  }

  /** Makes a key in the store's token. Until the changes are in the store, it is a stray one that `sweep` destroys. */
  async createKey(row: CustomKeyStoreRow, keyId: string, now: number): Promise<readonly Change[]> {
    const hsm = await this.hsm(row);
    const clusterId = clusterOf(row);
    await this.#store.apply([{ insert: "strayKey", row: { clusterId, keyId, dueAt: now + MAKING } }]);
    await hsm.createTokenKey({ id: keyId, material: { type: "secret", bytes: 32 } });
    return [{ delete: "strayKey", clusterId, keyId, revision: 1 }];
  }

  /** What goes with the deletion of a key, so that `sweep` destroys its key in the token too. */
  async deleteKey(key: KeyRow, now: number): Promise<readonly Change[]> {
    if (key.origin !== "AWS_CLOUDHSM") return [];
    const row = await this.#store.row("customKeyStore", key.region, key.customKeyStoreId as string);
    if (row === undefined) return [];
    return [{ insert: "strayKey", row: { clusterId: clusterOf(row), keyId: key.keyId, dueAt: now } }];
  }

  /**
   * Destroys the keys in tokens that no KMS key stands for, as far as their tokens are connected, and closes what is
   * connected no more. Who is still making a key that is being destroyed cannot store it then.
   */
  async sweep(now: number): Promise<void> {
    const connected = await this.#store.connectedKeyStores();
    for (const id of this.#opened.keys())
      if (!connected.some((row) => row.customKeyStoreId === id)) await this.release(id);
    const failures: unknown[] = [];
    for (const stray of await this.#store.strayKeys(now)) {
      const row = connected.find((row) => clusterOf(row) === stray.clusterId);
      if (row !== undefined) await this.#destroy(row, stray).catch((error) => failures.push(error));
    }
    // Another process may have been at the same.
    const failed = failures.filter((error) => !(error instanceof StoreConflict));
    if (failed.length > 0) throw failed[0];
  }

  async close(): Promise<void> {
    for (const id of this.#opened.keys()) void this.release(id);
    await Promise.all(this.#closing);
  }

  /** Another cluster must have the keys of the store. */
  async #checkRelated({ settings, secret }: Candidate, before: CustomKeyStoreRow): Promise<void> {
    const { region, customKeyStoreId } = before;
    const id = settings.CloudHsmClusterId as string;
    const keys = await this.#store.keysOfCustomKeyStore(region, customKeyStoreId, -1);
    if (keys.length === 0) return;
    const password = secret === undefined ? await this.#password(before) : Buffer.from(secret);
    const hsm = await openCluster(id, this.#options(id), password).catch((cause) => {
      throw new CloudHsmClusterInvalidConfigurationException(
        `Cluster ${id} cannot be logged in to (${(cause as ConnectionFailure).code}): give its KeyStorePassword too.`,
        { cause },
      );
    });
    try {
      for (const { keyId } of keys) await hsm.mac(hsm.tokenKey({ id: keyId, header: HEAD }), PROBE);
    } catch (cause) {
      if ((cause as { code?: unknown }).code !== "KEY_NOT_FOUND") throw cause;
      throw new CloudHsmClusterNotRelatedException(
        `Cluster ${id} does not have all keys of custom key store ${customKeyStoreId}.`,
        { cause },
      );
    } finally {
      await hsm.close();
    }
  }

  async #destroy(row: CustomKeyStoreRow, stray: StrayKeyRow): Promise<void> {
    const hsm = await this.hsm(row);
    const { clusterId, keyId, dueAt, revision } = stray;
    // From here on the revision is another than the one that who makes it has seen.
    await this.#store.apply([{ update: "strayKey", clusterId, keyId, revision, set: { dueAt } }]);
    await hsm.destroyTokenKey(keyId);
    await this.#store.apply([{ delete: "strayKey", clusterId, keyId, revision: revision + 1 }]);
  }

  #open(row: CustomKeyStoreRow): Promise<Hsm> {
    const hsm = this.#logIn(row);
    this.#opened.set(row.customKeyStoreId, { row, hsm });
    hsm.catch((error) => {
      // A refused password is kept in mind until another is given: it is never tried again by itself.
      const kept = error instanceof ConnectionFailure && error.code === "INVALID_CREDENTIALS";
      if (!kept && this.#opened.get(row.customKeyStoreId)?.hsm === hsm)
        this.#opened.delete(row.customKeyStoreId);
    });
    return hsm;
  }

  async #logIn(row: CustomKeyStoreRow): Promise<Hsm> {
    const id = clusterOf(row);
    return openCluster(id, this.#options(id), await this.#password(row));
  }

  #options(id: string): ClusterOptions | undefined {
    return Object.hasOwn(this.#clusters, id) ? this.#clusters[id] : undefined;
  }

  #password({ customKeyStoreId, secret }: CustomKeyStoreRow): Promise<Uint8Array> {
    return this.#secrets.open(customKeyStoreId, secret as Uint8Array);
  }
}

/** To ask a key whether it is there. */
const PROBE = { hash: "SHA-256", message: new Uint8Array() } as const;
const HEAD = new Uint8Array(50);

/** There is no TLS to a token of PKCS#11 that it could vouch for: it need only be what it is said to be. */
function checkCertificate(pem: string): void {
  try {
    if (pem.includes("-----BEGIN CERTIFICATE-----")) return void new X509Certificate(pem);
  } catch {}
  throw new IncorrectTrustAnchorException("TrustAnchorCertificate must be a certificate in PEM.");
}

const clusterOf = ({ settings }: CustomKeyStoreRow) => settings.CloudHsmClusterId as string;

const sameConnection = (a: CustomKeyStoreRow, b: CustomKeyStoreRow) =>
  clusterOf(a) === clusterOf(b) && Buffer.compare(a.secret as Uint8Array, b.secret as Uint8Array) === 0;

function unlessFailed({ customKeyStoreId }: CustomKeyStoreRow, hsm: Promise<Hsm>): Promise<Hsm> {
  return hsm.catch((cause) => {
    if (!(cause instanceof ConnectionFailure)) throw cause;
    throw new KeyUnavailableException(
      `Custom key store ${customKeyStoreId} cannot be reached at present (${cause.code}); try again later, or reconnect it.`,
      { cause },
    );
  });
}
