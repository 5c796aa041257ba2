import { createHash, createPublicKey, type KeyObject, verify } from "node:crypto";
import { open, readFile, rename } from "node:fs/promises";
import { join } from "node:path";

/** The HSM's key that signs heads; `Hsm.signer` gives one. */
export interface HeadSigner {
  /** SPKI DER of an EC P-256 key. */
  publicKey: Uint8Array;
  /** ECDSA over a SHA-256 digest, as DER. */
  sign(digest: Uint8Array): Promise<Uint8Array>;
}

/** A signed statement: the stream's line `sequence` has this digest, and so all lines before it are fixed. */
export interface AuditHead {
  /** 16 hex digits. */
  stream: string;
  sequence: number;
  /** 64 hex digits. */
  digest: string;
  /** The file that holds the line. */
  file: string;
  /** Milliseconds. */
  time: number;
  /** Set by an orderly close: nothing comes behind. */
  closed: boolean;
  /** Base64 of the DER signature. */
  signature: string;
}

/** The bytes that are signed. */
export function headBytes(head: Omit<AuditHead, "signature">): Buffer {
  const { stream, sequence, digest, file, time, closed } = head;
  return Buffer.from(
    `keystead audit head 1\n${stream}\n${sequence}\n${digest}\n${file}\n${time}\n${closed}\n`,
  );
}

export async function signHead(signer: HeadSigner, head: Omit<AuditHead, "signature">): Promise<AuditHead> {
  const signature = await signer.sign(createHash("sha256").update(headBytes(head)).digest());
  return { ...head, signature: Buffer.from(signature).toString("base64") };
}

export function isAuthentic(head: AuditHead, publicKey: KeyObject): boolean {
  return verify("sha256", headBytes(head), publicKey, Buffer.from(head.signature, "base64"));
}

export const headName = (stream: string) => `${stream}.head`;

/** Replaces the stream's head file so that a crash leaves the old one or the new one. */
export async function writeHead(directory: string, head: AuditHead): Promise<void> {
  const path = join(directory, headName(head.stream));
  const file = await open(`${path}.new`, "w", 0o600);
  try {
    await file.writeFile(`${JSON.stringify(head)}\n`);
    await file.datasync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
}

/** The head in a file, or undefined when its content is not one. */
export async function readHead(path: string): Promise<AuditHead | undefined> {
  let head: unknown;
  try {
    head = JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  return isHead(head) ? head : undefined;
}

function isHead(value: unknown): value is AuditHead {
  if (typeof value !== "object" || value === null) return false;
  const { stream, sequence, digest, file, time, closed, signature } = value as Record<string, unknown>;
  return (
    typeof stream === "string" &&
    Number.isSafeInteger(sequence) &&
    typeof digest === "string" &&
    typeof file === "string" &&
    Number.isSafeInteger(time) &&
    typeof closed === "boolean" &&
    typeof signature === "string"
  );
}

export function publicKeyOf(key: Uint8Array | string): KeyObject {
  return typeof key === "string"
    ? createPublicKey(key)
    : createPublicKey({ key: Buffer.from(key), format: "der", type: "spki" });
}

/** SHA-256 of the key's SPKI DER in hex: what to note down outside of this machine. */
export function fingerprint(key: KeyObject): string {
  return createHash("sha256")
    .update(key.export({ format: "der", type: "spki" }))
    .digest("hex");
}
