import { createCipheriv, createDecipheriv, hkdfSync, timingSafeEqual } from "node:crypto";

/**
 * An algorithm suite of the AWS Encryption SDK.
 * Source: its specification, framework/algorithm-suites.md.
 */
export interface Suite {
  readonly id: number;
  readonly name: string;
  /** Of the message format. */
  readonly version: 1 | 2;
  /** Bytes of the data key and of the key derived from it. */
  readonly keyLength: 16 | 24 | 32;
  readonly cipher: "aes-128-gcm" | "aes-192-gcm" | "aes-256-gcm";
  /** Of HKDF; where there is none, the data key itself seals. */
  readonly hash?: "sha256" | "sha384" | "sha512";
  readonly messageIdLength: 16 | 32;
  /** 0 where the message is not committed to its data key. */
  readonly commitmentLength: 0 | 32;
  readonly signature?: SignatureAlgorithm;
}

/** ECDSA over everything in front of the footer. */
export interface SignatureAlgorithm {
  readonly curve: "P-256" | "P-384";
  readonly hash: "sha256" | "sha384";
  /** Bytes of the longest signature, which is DER. */
  readonly maxLength: number;
}

const P256: SignatureAlgorithm = { curve: "P-256", hash: "sha256", maxLength: 72 };
const P384: SignatureAlgorithm = { curve: "P-384", hash: "sha384", maxLength: 104 };

function aes(bits: 128 | 192 | 256) {
  return { keyLength: (bits / 8) as Suite["keyLength"], cipher: `aes-${bits}-gcm` } as const;
}
const first = { version: 1, messageIdLength: 16, commitmentLength: 0 } as const;
const committing = {
  version: 2,
  messageIdLength: 32,
  commitmentLength: 32,
  hash: "sha512",
  ...aes(256),
} as const;

const rows: readonly Suite[] = [
  { id: 0x0014, name: "ALG_AES_128_GCM_IV12_TAG16_NO_KDF", ...first, ...aes(128) },
  { id: 0x0046, name: "ALG_AES_192_GCM_IV12_TAG16_NO_KDF", ...first, ...aes(192) },
  { id: 0x0078, name: "ALG_AES_256_GCM_IV12_TAG16_NO_KDF", ...first, ...aes(256) },
  { id: 0x0114, name: "ALG_AES_128_GCM_IV12_TAG16_HKDF_SHA256", ...first, ...aes(128), hash: "sha256" },
  { id: 0x0146, name: "ALG_AES_192_GCM_IV12_TAG16_HKDF_SHA256", ...first, ...aes(192), hash: "sha256" },
  { id: 0x0178, name: "ALG_AES_256_GCM_IV12_TAG16_HKDF_SHA256", ...first, ...aes(256), hash: "sha256" },
  {
    id: 0x0214,
    name: "ALG_AES_128_GCM_IV12_TAG16_HKDF_SHA256_ECDSA_P256",
    ...first,
    ...aes(128),
    hash: "sha256",
    signature: P256,
  },
  {
    id: 0x0346,
    name: "ALG_AES_192_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384",
    ...first,
    ...aes(192),
    hash: "sha384",
    signature: P384,
  },
  {
    id: 0x0378,
    name: "ALG_AES_256_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384",
    ...first,
    ...aes(256),
    hash: "sha384",
    signature: P384,
  },
  { id: 0x0478, name: "ALG_AES_256_GCM_HKDF_SHA512_COMMIT_KEY", ...committing },
  {
    id: 0x0578,
    name: "ALG_AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384",
    ...committing,
    signature: P384,
  },
];

/** Every suite of the specification, by its id. */
export const suites: ReadonlyMap<number, Suite> = new Map(rows.map((suite) => [suite.id, suite]));

/** What is written: signed or not. */
export const DEFAULT_SUITE = suites.get(0x0478) as Suite;
export const SIGNED_SUITE = suites.get(0x0578) as Suite;

export const TAG_LENGTH = 16;
export const IV_LENGTH = 12;

/** No frame has it: frames count from 1. */
export const HEADER_IV: Uint8Array = new Uint8Array(IV_LENGTH);

/** The key that seals one message, and what commits the message to its data key: empty where nothing does. */
export function derive(suite: Suite, dataKey: Uint8Array, messageId: Uint8Array) {
  const { hash, keyLength, commitmentLength } = suite;
  const id = Buffer.alloc(2);
  id.writeUInt16BE(suite.id);
  if (hash === undefined) return { key: Uint8Array.from(dataKey), commitment: new Uint8Array(0) };
  const expand = (salt: Uint8Array, info: Uint8Array, length: number) =>
    new Uint8Array(hkdfSync(hash, dataKey, salt, info, length));
  if (commitmentLength === 0) {
    return {
      key: expand(id.subarray(0, 0), Buffer.concat([id, messageId]), keyLength),
      commitment: Buffer.alloc(0),
    };
  }
  return {
    key: expand(messageId, Buffer.concat([id, Buffer.from("DERIVEKEY")]), keyLength),
    commitment: expand(messageId, Buffer.from("COMMITKEY"), commitmentLength),
  };
}

export function commits(commitment: Uint8Array, expected: Uint8Array): boolean {
  return timingSafeEqual(commitment, expected);
}

/** Of nothing but its additional data, the serialised header body. */
export function headerTag(suite: Suite, key: Uint8Array, iv: Uint8Array, header: Uint8Array): Uint8Array {
  const cipher = createCipheriv(suite.cipher, key, iv).setAAD(header);
  cipher.final();
  return cipher.getAuthTag();
}

export function headerIsAuthentic(
  suite: Suite,
  key: Uint8Array,
  { iv, body, tag }: { iv: Uint8Array; body: Uint8Array; tag: Uint8Array },
): boolean {
  const decipher = createDecipheriv(suite.cipher, key, iv, { authTagLength: TAG_LENGTH });
  decipher.setAAD(body).setAuthTag(tag);
  try {
    decipher.final();
    return true;
  } catch {
    return false;
  }
}
