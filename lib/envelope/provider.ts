import type { EncryptionContext } from "../ciphertext.ts";
import type { EncryptedDataKey } from "./header.ts";

/** What data keys are asked for with. */
export interface DataKeyRequest {
  /** Bytes of the data key. */
  length: number;
  /** Of the message, the public key of a signed one included. */
  context: EncryptionContext;
}

export interface DataKey {
  /** Wiped by whoever asked for it. */
  plaintext: Uint8Array;
  encrypted: readonly EncryptedDataKey[];
}

export interface OpenedDataKey {
  /** Wiped by whoever asked for it. */
  plaintext: Uint8Array;
  /** The one that it was opened from. */
  encrypted: EncryptedDataKey;
}

/** What encrypts data keys and decrypts them: a keyring, in the Encryption SDK's words. */
export interface KeyProvider {
  /** A fresh data key, encrypted under each of the provider's keys. Rejects when any of them cannot be used. */
  generate(request: DataKeyRequest): Promise<DataKey>;
  /** A data key that there is already, encrypted under each of the provider's keys. */
  encrypt(dataKey: Uint8Array, request: DataKeyRequest): Promise<readonly EncryptedDataKey[]>;
  /**
   * The data key, from the first of the encrypted ones that can be decrypted; undefined when none is under a key of the
   * provider. Rejects with the last error when there were such and none could be decrypted.
   */
  decrypt(
    encrypted: readonly EncryptedDataKey[],
    request: DataKeyRequest,
  ): Promise<OpenedDataKey | undefined>;
}
