import {
  constants,
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
} from "node:crypto";
import { encodeContext } from "./context.ts";
import { EnvelopeError } from "./error.ts";
import type { EncryptedDataKey } from "./header.ts";
import type { DataKey, DataKeyRequest, KeyProvider, OpenedDataKey } from "./provider.ts";
import { IV_LENGTH, TAG_LENGTH } from "./suite.ts";

/** By what a message names a raw key: both must be the same where it is opened. */
interface RawName {
  namespace: string;
  name: string;
}

/** A key that is at hand, without any KMS: what the raw keyrings of the Encryption SDK have in common. */
abstract class RawKey implements KeyProvider {
  protected readonly namespace: string;
  protected readonly name: Buffer;

  constructor({ namespace, name }: RawName) {
    if (!namespace || !name) throw new TypeError("a raw key has a namespace and a name");
    if (namespace.startsWith("aws-kms")) throw new TypeError('the namespace "aws-kms" is that of KMS keys');
    this.namespace = namespace;
    this.name = Buffer.from(name);
  }

  async generate(request: DataKeyRequest): Promise<DataKey> {
    const plaintext = randomBytes(request.length);
    return { plaintext, encrypted: [this.wrap(plaintext, request)] };
  }

  async encrypt(dataKey: Uint8Array, request: DataKeyRequest): Promise<readonly EncryptedDataKey[]> {
    return [this.wrap(dataKey, request)];
  }

  async decrypt(
    encrypted: readonly EncryptedDataKey[],
    request: DataKeyRequest,
  ): Promise<OpenedDataKey | undefined> {
    let failure: { error: unknown } | undefined;
    for (const candidate of encrypted) {
      if (candidate.providerId !== this.namespace || !this.owns(candidate.providerInfo)) continue;
      try {
        const plaintext = this.unwrap(candidate, request);
        if (plaintext.length === request.length) return { plaintext, encrypted: candidate };
        plaintext.fill(0);
        throw new EnvelopeError("MALFORMED", "the encrypted data key is of another length");
      } catch (error) {
        failure = { error };
      }
    }
    if (failure) throw failure.error;
    return undefined;
  }

  protected abstract owns(providerInfo: Uint8Array): boolean;
  protected abstract wrap(dataKey: Uint8Array, request: DataKeyRequest): EncryptedDataKey;
  protected abstract unwrap(encrypted: EncryptedDataKey, request: DataKeyRequest): Buffer;
}

/**
 * An AES key of 16, 24 or 32 bytes, which encrypts data keys by AES-GCM. Source: framework/raw-aes-keyring.md: the
 * provider information is name, bits of the tag (4), bytes of the IV (4), IV; the additional data the encryption context.
 */
export class RawAesKey extends RawKey {
  readonly #key: KeyObject;
  readonly #cipher: "aes-256-gcm";

  constructor(options: RawName & { key: Uint8Array | KeyObject }) {
    super(options);
    this.#key = options.key instanceof Uint8Array ? createSecretKey(options.key) : options.key;
    const size = this.#key.symmetricKeySize ?? 0;
    if (![16, 24, 32].includes(size)) throw new TypeError("a raw AES key has 16, 24 or 32 bytes");
    this.#cipher = `aes-${8 * size}-gcm` as "aes-256-gcm";
  }

  protected owns(providerInfo: Uint8Array): boolean {
    return this.#prefix().equals(providerInfo.subarray(0, -IV_LENGTH));
  }

  protected wrap(dataKey: Uint8Array, { context }: DataKeyRequest): EncryptedDataKey {
    const iv = randomBytes(IV_LENGTH);
    const cipher = createCipheriv(this.#cipher, this.#key, iv).setAAD(encodeContext(context));
    const ciphertext = Buffer.concat([cipher.update(dataKey), cipher.final(), cipher.getAuthTag()]);
    return { providerId: this.namespace, providerInfo: Buffer.concat([this.#prefix(), iv]), ciphertext };
  }

  protected unwrap({ providerInfo, ciphertext }: EncryptedDataKey, { context }: DataKeyRequest): Buffer {
    const open = (additional: Uint8Array) => {
      const iv = providerInfo.subarray(-IV_LENGTH);
      const decipher = createDecipheriv(this.#cipher, this.#key, iv, { authTagLength: TAG_LENGTH });
      decipher.setAAD(additional).setAuthTag(ciphertext.subarray(-TAG_LENGTH));
      const plaintext = decipher.update(ciphertext.subarray(0, -TAG_LENGTH));
      decipher.final();
      return plaintext;
    };
    try {
      return open(encodeContext(context));
    } catch {
      // The Encryption SDK for JavaScript, unless told otherwise, sorts so here, though not in the header.
      return open(encodeContext(context, "locale"));
    }
  }

  #prefix(): Buffer {
    const sizes = Buffer.alloc(8);
    sizes.writeUInt32BE(8 * TAG_LENGTH);
    sizes.writeUInt32BE(IV_LENGTH, 4);
    return Buffer.concat([this.name, sizes]);
  }
}

/** How data keys are padded; the hash is MGF1's too. Not by PKCS #1 v1.5, which tells too much when it fails. */
export type RsaPadding = "OAEP_SHA1" | "OAEP_SHA256" | "OAEP_SHA384" | "OAEP_SHA512";

/** An RSA key pair; the public key alone encrypts, the private one decrypts. Source: framework/raw-rsa-keyring.md. */
export class RawRsaKey extends RawKey {
  readonly #public: KeyObject | undefined;
  readonly #private: KeyObject | undefined;
  readonly #padding: { padding: number; oaepHash: string };

  /** Keys are KeyObjects, or PEM. */
  constructor(
    options: RawName & {
      publicKey?: string | KeyObject;
      privateKey?: string | KeyObject;
      padding?: RsaPadding;
    },
  ) {
    super(options);
    const { publicKey, privateKey, padding = "OAEP_SHA256" } = options;
    this.#private = typeof privateKey === "string" ? createPrivateKey(privateKey) : privateKey;
    this.#public = typeof publicKey === "string" ? createPublicKey(publicKey) : publicKey;
    for (const key of [this.#private, this.#public]) {
      if (key && key.asymmetricKeyType !== "rsa") throw new TypeError("a raw RSA key is an RSA key");
    }
    if (!this.#private && !this.#public)
      throw new TypeError("a raw RSA key has a publicKey, a privateKey or both");
    const oaepHash = /^OAEP_(SHA(?:1|256|384|512))$/.exec(padding)?.[1]?.toLowerCase();
    if (oaepHash === undefined) throw new TypeError(`there is no padding ${padding}`);
    this.#padding = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash };
  }

  protected owns(providerInfo: Uint8Array): boolean {
    return this.name.equals(providerInfo);
  }

  protected wrap(dataKey: Uint8Array): EncryptedDataKey {
    if (!this.#public) throw new TypeError(`the raw RSA key ${this.name} has no publicKey to encrypt with`);
    const ciphertext = publicEncrypt({ key: this.#public, ...this.#padding }, dataKey);
    return { providerId: this.namespace, providerInfo: this.name, ciphertext };
  }

  protected unwrap({ ciphertext }: EncryptedDataKey): Buffer {
    if (!this.#private) throw new TypeError(`the raw RSA key ${this.name} has no privateKey to decrypt with`);
    return privateDecrypt({ key: this.#private, ...this.#padding }, ciphertext);
  }
}
