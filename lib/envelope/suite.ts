import { createCipheriv, createDecipheriv, hkdfSync, timingSafeEqual } from "node:crypto";

/**
 * An algorithm suite of the AWS Encryption SDK.
 * Source: its specification, framework/algorithm-suites.md.
 */
export interface Suite {
  readonly id: number;
  readonly name: string;
  /** Of the message format. */
  readonly version: 2;
  /** Bytes of the data key and of the key derived from it. */
  readonly keyLength: 32;
  readonly keySpec: "AES_256";
  readonly hash: "sha512";
  readonly messageIdLength: 32;
  readonly commitmentLength: 32;
}

export const DEFAULT_SUITE: Suite = {
  id: 0x0478,
  name: "ALG_AES_256_GCM_HKDF_SHA512_COMMIT_KEY",
  version: 2,
  keyLength: 32,
  keySpec: "AES_256",
  hash: "sha512",
  messageIdLength: 32,
  commitmentLength: 32,
};

export const suites: ReadonlyMap<number, Suite> = new Map([[DEFAULT_SUITE.id, DEFAULT_SUITE]]);

export const TAG_LENGTH = 16;

/** No frame has it: frames count from 1. */
const HEADER_IV = new Uint8Array(12);

/** The key that seals one message, and what commits the message to its data key. */
export function derive(suite: Suite, dataKey: Uint8Array, messageId: Uint8Array) {
  const expand = (info: Uint8Array, length: number) =>
    new Uint8Array(hkdfSync(suite.hash, dataKey, messageId, info, length));
  const id = Buffer.alloc(2);
  id.writeUInt16BE(suite.id);
  return {
    key: expand(Buffer.concat([id, Buffer.from("DERIVEKEY")]), suite.keyLength),
    commitment: expand(Buffer.from("COMMITKEY"), suite.commitmentLength),
  };
}

export function commits(commitment: Uint8Array, expected: Uint8Array): boolean {
  return timingSafeEqual(commitment, expected);
}

/** Of nothing but its additional data, the serialised header body. */
export function headerTag(key: Uint8Array, header: Uint8Array): Uint8Array {
  const cipher = createCipheriv("aes-256-gcm", key, HEADER_IV).setAAD(header);
  cipher.final();
  return cipher.getAuthTag();
}

export function headerIsAuthentic(key: Uint8Array, header: Uint8Array, tag: Uint8Array): boolean {
  const decipher = createDecipheriv("aes-256-gcm", key, HEADER_IV, { authTagLength: TAG_LENGTH });
  decipher.setAAD(header).setAuthTag(tag);
  try {
    decipher.final();
    return true;
  } catch {
    return false;
  }
}
