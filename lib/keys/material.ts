import type { Hsm, NativeKey } from "../hsm.ts";

/** The material of a KMS key, by the HSM that can use it. */
export class Material {
  readonly hsm: Hsm;
  readonly native: NativeKey;
  /** Of key pairs: SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array | undefined;

  constructor(hsm: Hsm, native: NativeKey, publicKey: Uint8Array | undefined) {
    this.hsm = hsm;
    this.native = native;
    this.publicKey = publicKey;
  }

  /** Seals one plaintext, which must stay as it is until the promise settles. */
  seal(plaintext: Uint8Array, context: Uint8Array): Promise<Uint8Array> {
    return this.hsm.seal(this.native, plaintext, context);
  }

  /** Opens one ciphertext; resolves to undefined when it is not authentic. */
  open(ciphertext: Uint8Array, context: Uint8Array): Promise<Uint8Array | undefined> {
    return this.hsm.open(this.native, ciphertext, context);
  }
}
