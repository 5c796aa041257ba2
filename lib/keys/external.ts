import { EXTERNAL_VERSION, HEAD_BYTES, readExternal, writeExternal, writeHead } from "../ciphertext.ts";
import { externalCiphertextRefused, type HeldKey, type KeyStores } from "../key-stores.ts";
import { KeyMaterial } from "./material.ts";

/**
 * The material of a key in an external key store: data are sealed in the HSM of this service first, then by the
 * external key, so that neither alone opens them (docs/ciphertext.md, version 2).
 */
export class ExternalMaterial extends KeyMaterial {
  readonly #key: HeldKey;
  readonly #head: Uint8Array;
  readonly #proxies: KeyStores["proxies"];

  constructor(inner: KeyMaterial, key: HeldKey, materialId: string, proxies: KeyStores["proxies"]) {
    super(inner.hsm, inner.native, undefined);
    this.#key = key;
    this.#head = writeHead({ keyId: key.keyId, materialId }, EXTERNAL_VERSION);
    this.#proxies = proxies;
  }

  override async seal(plaintext: Uint8Array, context: Uint8Array): Promise<Uint8Array> {
    return this.#sealAgain(await super.seal(plaintext, context), context);
  }

  override async sealRandom(plaintext: Uint8Array, context: Uint8Array): Promise<Uint8Array> {
    return this.#sealAgain(await super.sealRandom(plaintext, context), context);
  }

  async #sealAgain(inner: Uint8Array, context: Uint8Array): Promise<Uint8Array> {
    const outer = await this.#proxies.encrypt(this.#key, inner, Buffer.concat([this.#head, context]));
    return writeExternal(this.#head, outer);
  }

  override async open(ciphertext: Uint8Array, context: Uint8Array): Promise<Uint8Array | undefined> {
    const outer = readExternal(ciphertext, HEAD_BYTES);
    if (outer === undefined) return undefined;
    const inner = await this.#proxies.decrypt(this.#key, outer, Buffer.concat([this.#head, context]));
    const plaintext = await super.open(inner, context);
    if (plaintext === undefined) throw externalCiphertextRefused();
    return plaintext;
  }
}
