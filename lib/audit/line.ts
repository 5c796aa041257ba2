import { hash } from "node:crypto";

/**
 * The form of a log line: `BODY,"sequence":N,"digest":"HEX"}` and a newline, where BODY is a JSON object that
 * lacks its closing brace and HEX = SHA-256(hex digest of the line before, BODY, `,"sequence":N`).
 */

/** Stands for the digest before a stream's first line. */
export const ORIGIN = "0".repeat(64);

/** What an attacker may not make us hold in memory while verifying. */
export const MAX_LINE = 1 << 20;
/** Characters of a body, of up to three bytes each, that always make a line which can be verified. */
export const MAX_BODY = Math.floor((MAX_LINE - 256) / 3);

const TAIL = /,"sequence":(\d{1,15}),"digest":"([0-9a-f]{64})"\}$/;
/** Bytes of `,"digest":"` + 64 + `"}`. */
const DIGEST_MEMBER = 77;
const TAIL_MOST = DIGEST_MEMBER + `,"sequence":`.length + 15;

/** What a line (without its newline) says of itself, or undefined when it is no log line. */
export function readLine(line: Buffer): { sequence: number; digest: string; signed: Buffer } | undefined {
  const tail = line.toString("latin1", Math.max(0, line.length - TAIL_MOST));
  const match = TAIL.exec(tail);
  if (match?.[1] === undefined || match[2] === undefined) return undefined;
  const signed = line.subarray(0, line.length - DIGEST_MEMBER);
  return { sequence: Number(match[1]), digest: match[2], signed };
}

/** The digest that a line must carry behind a line with the digest `previous`. */
export function digestOf(previous: string, signed: Buffer): string {
  return hash("sha256", Buffer.concat([Buffer.from(previous, "latin1"), signed]), "hex");
}

/** The first line of a file: what the file is and what it continues. */
export interface FileHeader {
  auditVersion: 1;
  stream: string;
  file: string;
  /** The stream's file before this one, or null at its start. */
  previousFile: string | null;
  /** Digest of that file's last line, or ORIGIN. */
  previousDigest: string;
  /** ISO time. */
  created: string;
}

export const headerBody = (header: FileHeader) => JSON.stringify(header).slice(0, -1);

export interface FileName {
  stream: string;
  number: number;
}

/** `20261123T195249Z-STREAM-000001.jsonl`: sorts by time, then by stream and number. */
export function fileName(time: number, { stream, number }: FileName): string {
  const stamp = new Date(time).toISOString().slice(0, 19).replace(/[-:]/g, "");
  return `${stamp}Z-${stream}-${String(number).padStart(6, "0")}.jsonl`;
}

export function parseFileName(name: string): FileName | undefined {
  const match = /^\d{8}T\d{6}Z-([0-9a-f]{16})-(\d{6,9})\.jsonl$/.exec(name);
  return match?.[1] === undefined ? undefined : { stream: match[1], number: Number(match[2]) };
}
