import { randomBytes } from "node:crypto";
import type { Hsm, Material, OaepHash } from "../hsm.ts";
import type { KeyRow } from "../store.ts";

/** How a caller wraps material, by AWS's names. */
export const wrappings = {
  RSAES_OAEP_SHA_1: { scheme: "rsa-oaep", hash: "SHA-1" },
  RSAES_OAEP_SHA_256: { scheme: "rsa-oaep", hash: "SHA-256" },
  RSA_AES_KEY_WRAP_SHA_1: { scheme: "rsa-aes-key-wrap", hash: "SHA-1" },
  RSA_AES_KEY_WRAP_SHA_256: { scheme: "rsa-aes-key-wrap", hash: "SHA-256" },
} as const satisfies Record<string, { scheme: string; hash: OaepHash }>;

export type WrappingAlgorithm = keyof typeof wrappings;

/** What an import token says; all of it is bound to the wrapping key that it carries. */
export interface ImportTerms {
  readonly region: string;
  readonly keyId: string;
  readonly algorithm: WrappingAlgorithm;
  /** Milliseconds since the epoch. */
  readonly validTo: number;
}

/** A token that was opened: nothing in it is known to be true until its wrapping key is used. */
export interface ImportToken extends ImportTerms {
  readonly wrapping: { domain: string; blob: Uint8Array; context: Uint8Array };
}

const VERSION = 1;
const LABEL = "Keystead import token v1\0";

/**
 * Makes a wrapping key in the HSM for one import. The token is all there is of it, so nothing is kept of imports that
 * are never made: [version (1), size of the terms (2), the terms as JSON, with a nonce, the key blob (docs/key-blob.md)
 * of the private key], the blob being bound to the terms.
 */
export async function makeImportToken(
  hsm: Hsm,
  { region, keyId }: KeyRow,
  { algorithm, validTo, material }: Pick<ImportTerms, "algorithm" | "validTo"> & { material: Material },
): Promise<{ token: Uint8Array; publicKey: Uint8Array }> {
  const nonce = randomBytes(16).toString("hex");
  const terms = Buffer.from(JSON.stringify({ region, keyId, algorithm, validTo, nonce }));
  const context = contextOf(terms);
  const { blob, publicKey } = await hsm.generateKey({ domain: region, context, material });
  const head = Buffer.alloc(3);
  head.writeUInt8(VERSION);
  head.writeUInt16BE(terms.length, 1);
  return { token: Buffer.concat([head, terms, blob]), publicKey: publicKey as Uint8Array };
}

/** Undefined for what is no token for this key. */
export function readImportToken(token: Uint8Array, { region, keyId }: KeyRow): ImportToken | undefined {
  const bytes = Buffer.from(token.buffer, token.byteOffset, token.length);
  if (bytes.length < 3 || bytes.readUInt8() !== VERSION) return undefined;
  const end = 3 + bytes.readUInt16BE(1);
  if (end >= bytes.length) return undefined;
  const text = bytes.subarray(3, end);
  const terms = parse(text.toString());
  if (terms?.region !== region || terms.keyId !== keyId) return undefined;
  if (typeof terms.validTo !== "number" || !Object.hasOwn(wrappings, String(terms.algorithm)))
    return undefined;
  const wrapping = { domain: region, blob: bytes.subarray(end), context: contextOf(text) };
  return { ...(terms as ImportTerms), wrapping };
}

const contextOf = (terms: Uint8Array) => Buffer.concat([Buffer.from(LABEL), terms]);

function parse(text: string): Partial<ImportTerms> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
