import { readFile } from "node:fs/promises";

/** Where a PIN comes from: itself, a file whose first line it is, an environment variable, or a callback. */
export type PinSource =
  | string
  | Uint8Array
  | { file: string }
  | { env: string }
  | (() => string | Uint8Array | Promise<string | Uint8Array>);

/** Reads a PIN into a fresh buffer that the engine wipes after the login. No message ever holds the PIN. */
export async function readPin(source: PinSource): Promise<Uint8Array> {
  const pin = await resolve(source);
  if (typeof pin !== "string" && !(pin instanceof Uint8Array))
    throw new TypeError("hsm.pin gave neither text nor bytes; give the user PIN of the token");
  const bytes = typeof pin === "string" ? new TextEncoder().encode(pin) : Uint8Array.from(pin);
  if (bytes.length === 0) throw new TypeError("hsm.pin is empty; give the user PIN of the token");
  return bytes;
}

async function resolve(source: PinSource): Promise<string | Uint8Array> {
  if (typeof source === "string" || source instanceof Uint8Array) return source;
  if (typeof source === "function") return source();
  if ("file" in source) return firstLine(await readPinFile(source.file));
  const value = process.env[source.env];
  if (value === undefined)
    throw new TypeError(`hsm.pin names the environment variable ${source.env}, which is not set`);
  return value;
}

function readPinFile(file: string): Promise<Buffer> {
  return readFile(file).catch((cause) => {
    throw new Error(`the file of hsm.pin cannot be read: ${cause.message}`, { cause });
  });
}

function firstLine(bytes: Buffer): Uint8Array {
  const end = bytes.findIndex((byte) => byte === 0x0a || byte === 0x0d);
  const line = Uint8Array.prototype.slice.call(bytes, 0, end < 0 ? bytes.length : end);
  bytes.fill(0);
  return line;
}
