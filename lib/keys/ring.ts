import { randomBytes } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";
import { algorithmOf, type KeySpec } from "../algorithms.ts";
import { type Belonging, bindingContext, writeHead } from "../ciphertext.ts";
import type { Hsm } from "../hsm.ts";
import { isHeld, type KeyStores } from "../key-stores.ts";
import type { BackingKeyRow, Change, CustomKeyStoreRow, KeyRow, New, Soon, Store } from "../store.ts";
import { ExternalMaterial } from "./external.ts";
import { KeyMaterial } from "./material.ts";

/** How many backing keys of a Region are remembered; each takes a few hundred bytes here and none in the token. */
const LIMIT = 1 << 18;

interface Named {
  readonly keyId: string;
  readonly material: KeyMaterial;
}

type KeyPair = KeyMaterial & { readonly publicKey: Uint8Array };

/**
 * The backing keys behind KMS keys: makes new ones in the HSM and names stored ones to it. A named one is
 * remembered by its Region and material id, which belong to one blob for ever, so that it keeps its handle in the
 * token also when the store has dropped the row from its cache.
 */
export class KeyRing {
  readonly #hsm: Hsm;
  readonly #store: Store;
  readonly #keyStores: KeyStores;
  readonly #named = new Map<string, Map<string, Named>>();

  constructor(hsm: Hsm, store: Store, keyStores: KeyStores) {
    this.#hsm = hsm;
    this.#store = store;
    this.#keyStores = keyStores;
  }

  /** Makes material in the HSM. The row is all there is of it: until that is stored, nothing was made. */
  async create(key: Omit<Belonging, "materialId">, createdAt: number): Promise<New<BackingKeyRow>> {
    const { region, keyId, version } = key;
    const materialId = randomBytes(32).toString("hex");
    const context = bindingContext({ ...key, materialId });
    const { material } = algorithmOf(key.keySpec as KeySpec);
    const { blob, publicKey } = await this.#hsm.generateKey({ domain: region, context, material });
    return { region, keyId, version, materialId, blob, publicKey, createdAt, state: "CURRENT" };
  }

  /** Makes material in a custom key store, which may take changes of its own. */
  async createIn(
    store: CustomKeyStoreRow,
    key: Omit<Belonging, "materialId">,
    createdAt: number,
  ): Promise<{ material: New<BackingKeyRow>; changes: readonly Change[] }> {
    // An external key is not ours to make: what is made is what goes within.
    if (store.type === "EXTERNAL_KEY_STORE")
      return { material: await this.create(key, createdAt), changes: [] };
    const { region, keyId, version } = key;
    const materialId = randomBytes(32).toString("hex");
    const changes = await this.#keyStores.clusters.createKey(store, keyId, createdAt);
    return { material: { region, keyId, version, materialId, createdAt, state: "CURRENT" }, changes };
  }

  /** The key's material with this id, undefined when it has none such. Does not touch the token. */
  find(key: KeyRow, materialId: string): Soon<KeyMaterial | undefined> {
    return key.customKeyStoreId === null ? this.#wrapped(key, materialId) : this.#elsewhere(key, materialId);
  }

  /** What the domain key of the Region wraps. */
  #wrapped(key: KeyRow, materialId: string): Soon<KeyMaterial | undefined> {
    const named = this.#named.get(key.region)?.get(materialId);
    // A ciphertext may name one key and the material of another.
    if (named?.keyId === key.keyId) return named.material;
    const row = this.#store.backingKey(key.region, key.keyId, materialId);
    return row instanceof Promise ? row.then((found) => this.#name(key, found)) : this.#name(key, row);
  }

  /** The material that the key seals with now. */
  current(key: KeyRow): Soon<KeyMaterial> {
    const found = key.materialId === null ? undefined : this.find(key, key.materialId);
    return found instanceof Promise ? found.then((material) => present(material, key)) : present(found, key);
  }

  /** The same for what has a public key. */
  async pair(key: KeyRow): Promise<KeyPair> {
    const material = await this.current(key);
    if (material.publicKey === undefined) throw new Error(`${key.keySpec} has no public key`);
    return material as KeyPair;
  }

  /**
   * Destroys what this process's sessions hold of material that the store has no more, whichever process deleted
   * it.
   */
  async forgetDeleted(): Promise<void> {
    let seen = 0;
    for (const [region, named] of this.#named) {
      for (const [materialId, { keyId, material }] of named) {
        // There may be many: others get their turns in between.
        if (++seen % 1000 === 0) await turn();
        const row = await this.#store.backingKey(region, keyId, materialId);
        // What a custom key store holds, and imported material that is gone, have no blob.
        if (row !== undefined && (row.blob !== null || material.hsm !== this.#hsm)) continue;
        material.hsm.forget(material.native);
        named.delete(materialId);
      }
    }
  }

  /** The material of a key that is in a custom key store. */
  async #elsewhere(key: KeyRow, materialId: string): Promise<KeyMaterial | undefined> {
    if (materialId !== key.materialId) return undefined;
    if (!isHeld(key)) throw new Error(`key ${key.keyId} was not admitted with its custom key store`);
    if (key.xksKeyId !== null) {
      const inner = await this.#wrapped(key, materialId);
      return inner && new ExternalMaterial(inner, key, materialId, this.#keyStores.proxies);
    }
    const { region, keyId } = key;
    const hsm = await this.#keyStores.clusters.hsm(key.heldBy);
    const named = this.#named.get(region)?.get(materialId);
    if (named?.material.hsm === hsm) return named.material;
    const native = hsm.tokenKey({ id: keyId, header: writeHead({ keyId, materialId }) });
    return this.#remember(region, materialId, { keyId, material: new KeyMaterial(hsm, native, undefined) });
  }

  /** A key's material for its replica in another Region: the same, under the domain key there, and bound to it. */
  async replicate(key: KeyRow, row: New<BackingKeyRow>, region: string): Promise<New<BackingKeyRow>> {
    const { blob } = row;
    if (!blob) throw new Error(`${key.keyId} of ${key.region} has no material ${row.materialId}`);
    const belonging = { ...row, account: key.account, keySpec: key.keySpec };
    const rewrapped = await this.#hsm.rewrapKey({
      domain: key.region,
      blob,
      context: bindingContext(belonging),
      to: { domain: region, context: bindingContext({ ...belonging, region }) },
    });
    return { ...row, region, blob: rewrapped };
  }

  #name(key: KeyRow, row: BackingKeyRow | undefined): KeyMaterial | undefined {
    if (row === undefined || row.blob === null) return undefined;
    const { region, keyId, materialId, blob, publicKey } = row;
    const native = this.#hsm.key({
      domain: region,
      blob,
      context: bindingContext({ ...row, account: key.account, keySpec: key.keySpec }),
      header: writeHead({ keyId, materialId }),
    });
    const material = new KeyMaterial(this.#hsm, native, publicKey ?? undefined);
    return this.#remember(region, materialId, { keyId, material });
  }

  #remember(region: string, materialId: string, one: Named): KeyMaterial {
    const named = this.#named.get(region) ?? new Map<string, Named>();
    if (named.size === 0) this.#named.set(region, named);
    if (named.size >= LIMIT) dropOlderHalf(named);
    named.set(materialId, one);
    return one.material;
  }
}

/** The native keys go with the last request that uses them. */
function dropOlderHalf(named: Map<string, Named>): void {
  let excess = LIMIT / 2;
  for (const materialId of named.keys()) {
    if (excess-- === 0) break;
    named.delete(materialId);
  }
}

function present(material: KeyMaterial | undefined, { keyId, region, materialId }: KeyRow): KeyMaterial {
  if (material !== undefined) return material;
  throw new Error(
    `the store has key ${keyId} of ${region} without its material ${materialId}: it is damaged`,
  );
}
