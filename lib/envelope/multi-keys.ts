import type { EncryptedDataKey } from "./header.ts";
import type { DataKey, DataKeyRequest, KeyProvider, OpenedDataKey } from "./provider.ts";

/**
 * Several providers as one: the generator makes the data key, and all encrypt it; any one opens the message. Source: the
 * specification's framework/multi-keyring.md.
 */
export class MultiKeys implements KeyProvider {
  readonly #generator: KeyProvider | undefined;
  readonly #all: readonly KeyProvider[];
  readonly #children: readonly KeyProvider[];

  /** Without a generator it only opens messages. */
  constructor({ generator, children = [] }: { generator?: KeyProvider; children?: readonly KeyProvider[] }) {
    this.#generator = generator;
    this.#children = children;
    this.#all = generator ? [generator, ...children] : children;
    if (this.#all.length === 0) throw new TypeError("there is neither a generator nor a child");
  }

  async generate(request: DataKeyRequest): Promise<DataKey> {
    if (!this.#generator) throw new TypeError("there is no generator: these keys only open messages");
    const { plaintext, encrypted } = await this.#generator.generate(request);
    try {
      return { plaintext, encrypted: [...encrypted, ...(await under(this.#children, plaintext, request))] };
    } catch (error) {
      plaintext.fill(0);
      throw error;
    }
  }

  encrypt(dataKey: Uint8Array, request: DataKeyRequest): Promise<readonly EncryptedDataKey[]> {
    return under(this.#all, dataKey, request);
  }

  async decrypt(
    encrypted: readonly EncryptedDataKey[],
    request: DataKeyRequest,
  ): Promise<OpenedDataKey | undefined> {
    let failure: { error: unknown } | undefined;
    for (const provider of this.#all) {
      try {
        const opened = await provider.decrypt(encrypted, request);
        if (opened !== undefined) return opened;
      } catch (error) {
        failure = { error };
      }
    }
    if (failure) throw failure.error;
    return undefined;
  }
}

async function under(providers: readonly KeyProvider[], dataKey: Uint8Array, request: DataKeyRequest) {
  const settled = await Promise.allSettled(providers.map((provider) => provider.encrypt(dataKey, request)));
  return settled.flatMap((one) => {
    if (one.status === "rejected") throw one.reason;
    return one.value;
  });
}
