import {
  type Algorithm,
  algorithmOf,
  type EncryptionAlgorithm,
  encryptionAlgorithmOf,
  type KeySpec,
  oaepHash,
} from "../algorithms.ts";
import { encodeContext } from "../ciphertext.ts";
import { ValidationException } from "../errors.ts";
import { type OaepHash, publicKeys } from "../hsm.ts";
import type { KeyRow } from "../store.ts";
import type { KeyRing } from "./ring.ts";

/** How a key encrypts and decrypts in one request. */
export interface Encryption {
  readonly key: KeyRow;
  readonly algorithm: EncryptionAlgorithm;
  /** Of RSAES-OAEP; undefined of the service's own format. */
  readonly hash: OaepHash | undefined;
  /** The canonical encryption context. */
  readonly context: Uint8Array;
}

type Context = Readonly<Record<string, string>> | undefined;

/** Throws when the key knows no such algorithm, or when that takes no encryption context. */
export function encryptionUnder(
  key: KeyRow,
  name: EncryptionAlgorithm | undefined,
  context: Context,
): Encryption {
  const algorithm = encryptionAlgorithmOf(algorithmOf(key.keySpec as KeySpec), name);
  const hash = oaepHash[algorithm];
  if (hash !== undefined && context !== undefined && Object.keys(context).length > 0)
    throw new ValidationException(`EncryptionContext is not supported with algorithm ${algorithm}.`);
  return { key, algorithm, hash, context: encodeContext(context) };
}

/** Throws `ValidationException` when the plaintext is longer than the algorithm takes. */
export function checkLength({ key, algorithm }: Encryption, plaintext: Uint8Array): void {
  const { longestPlaintext }: Algorithm = algorithmOf(key.keySpec as KeySpec);
  const longest = longestPlaintext[algorithm] as number;
  if (plaintext.length > longest)
    throw new ValidationException(
      `Algorithm ${algorithm} and key spec ${key.keySpec} cannot encrypt data larger than ${longest} bytes.`,
    );
}

/** Encrypts under the key's current material. */
export function seal(ring: KeyRing, how: Encryption, plaintext: Uint8Array): Promise<Uint8Array> {
  const { key, hash, context } = how;
  if (hash !== undefined)
    return ring.pair(key).then(({ publicKey }) => publicKeys.encrypt({ publicKey, hash, plaintext }));
  const material = ring.current(key);
  return material instanceof Promise
    ? material.then((held) => held.seal(plaintext, context))
    : material.seal(plaintext, context);
}

/** New random bytes, of the HSM and the host, and the same encrypted under the key's current material. */
export async function sealRandom(
  ring: KeyRing,
  { key, context }: Encryption,
  length: number,
): Promise<{ plaintext: Uint8Array; ciphertext: Uint8Array }> {
  const material = await ring.current(key);
  // So few bytes V8 would else keep on its heap, and leave copies of where it moves them.
  const plaintext = new Uint8Array(new ArrayBuffer(length));
  return { plaintext, ciphertext: await material.sealRandom(plaintext, context) };
}

/** Decrypts under the material with this id; resolves to undefined when there is none, or it did not seal this. */
export async function open(
  ring: KeyRing,
  { key, hash, context }: Encryption,
  materialId: string,
  ciphertext: Uint8Array,
): Promise<Uint8Array | undefined> {
  const material = await ring.find(key, materialId);
  return hash === undefined ? material?.open(ciphertext, context) : material?.decrypt(hash, ciphertext);
}
