import type { Hsm, Mac, NativeKey, OaepHash, Signatures, Signing } from "../hsm.ts";

/** The material of a KMS key, by the HSM that can use it. */
export class KeyMaterial {
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

  /** Fills `plaintext` with random bytes of the HSM and the host, and seals it. */
  sealRandom(plaintext: Uint8Array, context: Uint8Array): Promise<Uint8Array> {
    return this.hsm.sealRandom(this.native, plaintext, context);
  }

  /** Opens one ciphertext; resolves to undefined when it is not authentic. */
  open(ciphertext: Uint8Array, context: Uint8Array): Promise<Uint8Array | undefined> {
    return this.hsm.open(this.native, ciphertext, context);
  }

  sign(signing: Signing, input: Uint8Array): Promise<Uint8Array> {
    return this.hsm.sign(this.native, signing, input);
  }

  /** Signs messages one behind the other; when any cannot be signed, none is answered. */
  signBatch(
    signing: Signing,
    { input, lengths }: { readonly input: Uint8Array; readonly lengths: Uint32Array },
  ): Promise<Signatures> {
    const counts = Uint32Array.of(lengths.length);
    return this.hsm.signBatch({ keys: [this.native], signings: [signing], counts, input, lengths });
  }

  mac(hash: Mac["hash"], message: Uint8Array): Promise<Uint8Array> {
    return this.hsm.mac(this.native, { hash, message });
  }

  /** RSAES-OAEP; resolves to undefined when it does not decrypt. */
  decrypt(hash: OaepHash, ciphertext: Uint8Array): Promise<Uint8Array | undefined> {
    return this.hsm.decrypt(this.native, { hash, ciphertext });
  }

  /** ECDH with another's public key (SPKI) of the same curve: the x coordinate. */
  deriveSecret(publicKey: Uint8Array): Promise<Uint8Array> {
    return this.hsm.deriveSecret(this.native, publicKey);
  }
}
