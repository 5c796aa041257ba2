import { randomBytes, randomUUID } from "node:crypto";
import { type Belonging, bindingContext, encodeContext, writeHead } from "./ciphertext.ts";
import type { Hsm, NativeKey } from "./hsm.ts";
import type { Store } from "./store.ts";

/** Where the store keeps the wrapped key. */
const META = "secrets key";

interface Kept extends Belonging {
  /** The key blob, in base64. */
  readonly blob: string;
}

/**
 * Secrets of the service's own at rest, such as those of access keys: sealed by the HSM under a key that is nobody's
 * KMS key, each bound to what it belongs to.
 */
export class Secrets {
  readonly #hsm: Hsm;
  readonly #key: NativeKey;

  private constructor(hsm: Hsm, key: NativeKey) {
    this.#hsm = hsm;
    this.#key = key;
  }

  /**
   * Finds the key, or makes it under the domain key of `region`: one at a time for one store. `openDomain` is called
   * with the Region whose domain key it is under.
   */
  static async open(
    hsm: Hsm,
    store: Store,
    region: string,
    openDomain: (region: string) => Promise<void>,
  ): Promise<Secrets> {
    const found = await store.meta(META);
    const kept: Kept = found === undefined ? await make(hsm, store, region) : JSON.parse(found);
    await openDomain(kept.region);
    const key = hsm.key({
      domain: kept.region,
      blob: Buffer.from(kept.blob, "base64"),
      context: bindingContext(kept),
      header: writeHead(kept),
    });
    return new Secrets(hsm, key);
  }

  /** `owner` says what the secret belongs to: only with the same it is opened again. */
  seal(owner: string, secret: Uint8Array): Promise<Uint8Array> {
    return this.#hsm.seal(this.#key, secret, contextOf(owner));
  }

  /** The receiver wipes it. Rejects when what is stored is not what was sealed for this owner. */
  async open(owner: string, sealed: Uint8Array): Promise<Uint8Array> {
    const secret = await this.#hsm.open(this.#key, sealed, contextOf(owner));
    if (secret === undefined)
      throw new Error(`the stored secret of ${owner} is damaged, or was moved there from another`);
    return secret;
  }
}

const contextOf = (owner: string) => encodeContext({ "keystead:secret-of": owner });

async function make(hsm: Hsm, store: Store, region: string): Promise<Kept> {
  const belonging = {
    region,
    account: "",
    keyId: randomUUID(),
    keySpec: "SYMMETRIC_DEFAULT",
    version: 1,
    materialId: randomBytes(32).toString("hex"),
  };
  const context = bindingContext(belonging);
  const { blob } = await hsm.generateKey({
    domain: region,
    context,
    material: { type: "secret", bytes: 32 },
  });
  const kept = { ...belonging, blob: Buffer.from(blob).toString("base64") };
  await store.apply([{ put: "meta", row: { name: META, value: JSON.stringify(kept) } }]);
  return kept;
}
