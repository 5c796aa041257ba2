#!/usr/bin/env node
/**
 * The ciphertext format once more, from docs/ciphertext.md alone: nothing but node:crypto, and none of lib/.
 *
 *   node test/decrypt-ciphertext.mjs BACKING_KEY_HEX FILE [KEY=VALUE…]   decrypts a file to stdout
 *   node test/decrypt-ciphertext.mjs --check VECTORS.json                checks test vectors
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

export function encrypt({ backingKey, keyId, materialId, nonce, item, context, plaintext }) {
  const multiRegion = keyId.startsWith("mrk-");
  const head = Buffer.concat([
    Buffer.from([1, multiRegion ? 1 : 0]),
    Buffer.from(multiRegion ? keyId.slice(4) : keyId.replaceAll("-", ""), "hex"),
    Buffer.from(materialId, "hex"),
    nonce,
    uint32(item),
  ]);
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

/** What is wrong with a vector; undefined when all is as it says. */
export function check(vector) {
  const hex = (name) => Buffer.from(vector[name], "hex");
  const backingKey = hex("backingKey");
  if (vector.fails !== undefined) {
    try {
      decrypt(backingKey, hex("ciphertext"), vector.context);
    } catch {
      return undefined;
    }
    return `opens, though it must not: ${vector.fails}`;
  }
  const fields = { backingKey, nonce: hex("nonce"), plaintext: hex("plaintext") };
  if (encrypt({ ...vector, ...fields }).toString("hex") !== vector.ciphertext)
    return "encrypts to something else";
  if (decrypt(backingKey, hex("ciphertext"), vector.context).toString("hex") !== vector.plaintext)
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
  process.stdout.write(decrypt(Buffer.from(first, "hex"), readFileSync(file), context));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) main(process.argv.slice(2));
