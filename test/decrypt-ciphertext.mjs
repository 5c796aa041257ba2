#!/usr/bin/env node
/**
 * The ciphertext format once more, from docs/ciphertext.md alone: nothing but node:crypto, and none of lib/.
 *
 *   node test/decrypt-ciphertext.mjs KEYS_HEX FILE [KEY=VALUE…]  decrypts a file to stdout
 *   node test/decrypt-ciphertext.mjs --check VECTORS.json         checks test vectors
 *
 * KEYS_HEX is the backing key; of version 2, the backing key, a comma and the external key.
 */
import { createCipheriv, createDecipheriv, createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const LABEL = "Keystead ciphertext v1";

const uint32 = (n) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(n);
  return bytes;
};

const deriveKey = (backingKey, nonce) =>
  createHmac("sha256", backingKey)
    .update(Buffer.concat([uint32(1), Buffer.from(LABEL), Buffer.from([0]), nonce, uint32(256)]))
    .digest();

export function canonicalContext(context) {
  const pairs = Object.entries(context)
    .map((pair) => pair.map((text) => Buffer.from(text)))
    .sort(([a], [b]) => Buffer.compare(a, b));
  const parts = pairs.flat().flatMap((bytes) => [uint32(bytes.length), bytes]);
  return Buffer.concat([uint32(pairs.length), ...parts]);
}

function headOf(version, { keyId, materialId }) {
  const multiRegion = keyId.startsWith("mrk-");
  return Buffer.concat([
    Buffer.from([version, multiRegion ? 1 : 0]),
    Buffer.from(multiRegion ? keyId.slice(4) : keyId.replaceAll("-", ""), "hex"),
    Buffer.from(materialId, "hex"),
  ]);
}

/** Version 1. */
export function encrypt({ backingKey, keyId, materialId, nonce, item, context, plaintext }) {
  const head = Buffer.concat([headOf(1, { keyId, materialId }), nonce, uint32(item)]);
  const iv = Buffer.concat([Buffer.alloc(8), uint32(item)]);
  const cipher = createCipheriv("aes-256-gcm", deriveKey(backingKey, nonce), iv);
  cipher.setAAD(Buffer.concat([head, canonicalContext(context)]));
  return Buffer.concat([head, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

/** Throws when the ciphertext is not authentic. */
export function decrypt(backingKey, ciphertext, context) {
  if (ciphertext.length <= 86) throw new Error("too short for a ciphertext");
  if (ciphertext[0] !== 1) throw new Error("not of format version 1");
  if (ciphertext[1] > 1) throw new Error("no kind of key id");
  const iv = Buffer.concat([Buffer.alloc(8), ciphertext.subarray(66, 70)]);
  const decipher = createDecipheriv("aes-256-gcm", deriveKey(backingKey, ciphertext.subarray(50, 66)), iv);
  decipher.setAAD(Buffer.concat([ciphertext.subarray(0, 70), canonicalContext(context)]));
  decipher.setAuthTag(ciphertext.subarray(-16));
  return Buffer.concat([decipher.update(ciphertext.subarray(70, -16)), decipher.final()]);
}

/** What the proxy adds to the additional authenticated data that it is given: its metadata, both with their lengths. */
function proxyAad(given, metadata) {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(given.length);
  return Buffer.concat([length, given, Buffer.of(metadata.length), metadata]);
}

/** Version 2: a ciphertext of version 1, encrypted once more under the external key. */
export function encryptExternal({ externalKey, metadata, iv, ...inside }) {
  const head = headOf(2, inside);
  const cipher = createCipheriv("aes-256-gcm", externalKey, iv);
  cipher.setAAD(proxyAad(Buffer.concat([head, canonicalContext(inside.context)]), metadata));
  const outer = Buffer.concat([cipher.update(encrypt(inside)), cipher.final()]);
  return Buffer.concat([
    head,
    Buffer.of(metadata.length, iv.length),
    metadata,
    iv,
    cipher.getAuthTag(),
    outer,
  ]);
}

/** The ciphertext of version 1 within one of version 2; throws when the outer one is not authentic. */
export function openExternal(externalKey, ciphertext, context) {
  if (ciphertext[0] !== 2) throw new Error("not of format version 2");
  if (ciphertext[1] > 1) throw new Error("no kind of key id");
  const [metadataLength, ivLength] = ciphertext.subarray(50, 52);
  if (metadataLength > 20) throw new Error("metadata of more than 20 bytes");
  if (ivLength !== 12 && ivLength !== 16) throw new Error("an IV of neither 12 nor 16 bytes");
  const ivAt = 52 + metadataLength;
  const tagAt = ivAt + ivLength;
  if (ciphertext.length <= tagAt + 16) throw new Error("too short for a ciphertext");
  const metadata = ciphertext.subarray(52, ivAt);
  const decipher = createDecipheriv("aes-256-gcm", externalKey, ciphertext.subarray(ivAt, tagAt));
  decipher.setAAD(proxyAad(Buffer.concat([ciphertext.subarray(0, 50), canonicalContext(context)]), metadata));
  decipher.setAuthTag(ciphertext.subarray(tagAt, tagAt + 16));
  return Buffer.concat([decipher.update(ciphertext.subarray(tagAt + 16)), decipher.final()]);
}

/** Either version, by whether there is an external key; throws when the ciphertext is not authentic. */
function decryptUnder({ backingKey, externalKey }, ciphertext, context) {
  const inner = externalKey === undefined ? ciphertext : openExternal(externalKey, ciphertext, context);
  return decrypt(backingKey, inner, context);
}

/** What is wrong with a vector; undefined when all is as it says. */
export function check(vector) {
  const hex = (name) => (vector[name] === undefined ? undefined : Buffer.from(vector[name], "hex"));
  const keys = { backingKey: hex("backingKey"), externalKey: hex("externalKey") };
  if (vector.fails !== undefined) {
    try {
      decryptUnder(keys, hex("ciphertext"), vector.context);
    } catch {
      return undefined;
    }
    return `opens, though it must not: ${vector.fails}`;
  }
  const fields = {
    nonce: hex("nonce"),
    plaintext: hex("plaintext"),
    metadata: hex("metadata"),
    iv: hex("iv"),
  };
  const sealing = vector.externalKey === undefined ? encrypt : encryptExternal;
  if (sealing({ ...vector, ...keys, ...fields }).toString("hex") !== vector.ciphertext)
    return "encrypts to something else";
  if (decryptUnder(keys, hex("ciphertext"), vector.context).toString("hex") !== vector.plaintext)
    return "decrypts to something else";
  return undefined;
}

function main([first, file, ...pairs]) {
  if (first === "--check") {
    const vectors = JSON.parse(readFileSync(file, "utf8"));
    const wrong = vectors.filter((vector) => check(vector) !== undefined);
    for (const vector of wrong) console.error(`${vector.name}: ${check(vector)}`);
    console.log(`${vectors.length - wrong.length} passed, ${wrong.length} failed`);
    process.exitCode = wrong.length > 0 ? 1 : 0;
    return;
  }
  const context = Object.fromEntries(
    pairs.map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]),
  );
  const [backingKey, externalKey] = first.split(",").map((key) => Buffer.from(key, "hex"));
  process.stdout.write(decryptUnder({ backingKey, externalKey }, readFileSync(file), context));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) main(process.argv.slice(2));
