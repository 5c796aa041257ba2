import {
  createPublicKey,
  createSign,
  createVerify,
  ECDH,
  generateKeyPair,
  type KeyObject,
} from "node:crypto";
import { promisify } from "node:util";
import { EnvelopeError } from "./error.ts";
import type { SignatureAlgorithm } from "./suite.ts";

/** Where a signed message's encryption context has the public key: the point, compressed, in Base64. */
export const PUBLIC_KEY = "aws-crypto-public-key";

/** As node:crypto names the curves where no JWK is asked for. */
const CURVES = { "P-256": "prime256v1", "P-384": "secp384r1" } as const;
const LENGTH = 2;

/** Sees all of a signed message in front of its footer go by, from the first byte of the header, in order. */
export interface Witness {
  /** Bytes of the longest footer. */
  readonly footerLength: number;
  update(sealed: Uint8Array): void;
  /** Gives the footer of what is sealed; checks that of what is opened, and gives nothing. */
  finish(footer: Uint8Array): Uint8Array;
}

/** A key pair for one message. Source: client-apis/encrypt.md and data-format/message-footer.md. */
export async function newSigner(
  algorithm: SignatureAlgorithm,
): Promise<{ publicKey: string; signer: Witness }> {
  const { curve, hash, maxLength } = algorithm;
  const pair = await promisify(generateKeyPair)("ec", { namedCurve: curve });
  const signing = createSign(hash);
  const signer: Witness = {
    footerLength: LENGTH + maxLength,
    update: (sealed) => void signing.update(sealed),
    finish() {
      const signature = signing.sign(pair.privateKey);
      return Buffer.concat([Uint8Array.of(signature.length >> 8, signature.length), signature]);
    },
  };
  return { publicKey: compressed(pair.publicKey, curve), signer };
}

export function newVerifier(algorithm: SignatureAlgorithm, publicKey: string | undefined): Witness {
  const { curve, hash, maxLength } = algorithm;
  if (publicKey === undefined) {
    throw new EnvelopeError(
      "MALFORMED",
      `the message is signed, but its encryption context has no ${PUBLIC_KEY}`,
    );
  }
  const key = uncompressed(publicKey, curve);
  const verifying = createVerify(hash);
  return {
    footerLength: LENGTH + maxLength,
    update: (sealed) => void verifying.update(sealed),
    finish(footer) {
      const bytes = Buffer.from(footer.buffer, footer.byteOffset, footer.byteLength);
      if (bytes.length < LENGTH || bytes.length !== LENGTH + bytes.readUInt16BE()) {
        throw new EnvelopeError("TRUNCATED", "the message ends within its signature, or goes on behind it");
      }
      if (!verifying.verify(key, bytes.subarray(LENGTH))) {
        throw new EnvelopeError("NOT_AUTHENTIC", "the signature of the message is wrong");
      }
      return bytes.subarray(bytes.length);
    },
  };
}

/** The footer of what was sealed; where the signature of what was opened is wrong, that is wiped. */
export function finished(witness: Witness | undefined, footer: Uint8Array, passed: Uint8Array): Uint8Array {
  try {
    return witness?.finish(footer) ?? new Uint8Array(0);
  } catch (error) {
    passed.fill(0);
    throw error;
  }
}

function compressed(key: KeyObject, curve: SignatureAlgorithm["curve"]): string {
  const { x = "", y = "" } = key.export({ format: "jwk" });
  const point = Buffer.concat([Uint8Array.of(4), Buffer.from(x, "base64url"), Buffer.from(y, "base64url")]);
  return ECDH.convertKey(point, CURVES[curve], undefined, "base64", "compressed") as string;
}

function uncompressed(text: string, curve: SignatureAlgorithm["curve"]): KeyObject {
  try {
    const point = ECDH.convertKey(text, CURVES[curve], "base64", undefined, "uncompressed") as Buffer;
    const half = (point.length - 1) / 2;
    const [x, y] = [point.subarray(1, 1 + half), point.subarray(1 + half)].map((part) =>
      part.toString("base64url"),
    );
    return createPublicKey({ format: "jwk", key: { kty: "EC", crv: curve, x, y } as never });
  } catch (cause) {
    throw new EnvelopeError("MALFORMED", `the message's ${PUBLIC_KEY} is not a point of ${curve}`, { cause });
  }
}
