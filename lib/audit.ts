import { type KeyObject, randomUUID } from "node:crypto";
import { link, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type AuditEvent, eventBody } from "./audit/event.ts";
import type { Journal } from "./audit/file.ts";
import { type AuditHead, fingerprint, type HeadSigner, publicKeyOf } from "./audit/head.ts";
import { AuditError, Log } from "./audit/log.ts";

export { type AuditEvent, type AuditPrincipal, countedId } from "./audit/event.ts";
export type { Journal } from "./audit/file.ts";
export { type AuditHead, fingerprint, type HeadSigner, publicKeyOf } from "./audit/head.ts";
export { AuditError } from "./audit/log.ts";
export { followEvents, lastEvents } from "./audit/tail.ts";
export { type AuditProblem, type AuditReport, type StreamReport, verify } from "./audit/verify.ts";

/** Where the directory keeps the public key that its heads are signed with. */
export const PUBLIC_KEY_FILE = "audit.pem";

export interface AuditOptions {
  /** Made with mode 0700 when missing; several processes may share it. */
  directory: string;
  signer: HeadSigner;
  /** Makes lines durable: that of `lib/hsm.ts`. */
  journal: Journal;
  /** Keeps each head outside of the directory, e.g. in the store. A rejection is tried again with the next. */
  keepHead?: (head: AuditHead) => unknown;
  clock?: () => number;
  /** Named in events that name no other. */
  userAgent?: string;
  /** Bytes after which a file is followed by the next; 64 MiB. */
  rotateAt?: number;
  /** Milliseconds between signed heads while events come in; 1,000. */
  headInterval?: number;
}

/** The audit trail of one process: see docs/audit.md for the files and what they prove. */
export class Audit {
  readonly directory: string;
  /** SHA-256 of the public key (SPKI DER), hex. */
  readonly fingerprint: string;
  #log: Log;
  #userAgent: string;

  private constructor(directory: string, key: KeyObject, log: Log, userAgent: string) {
    this.directory = directory;
    this.fingerprint = fingerprint(key);
    this.#log = log;
    this.#userAgent = userAgent;
  }

  /** Rejects with AuditError when the directory cannot be written, or is signed by another key than `signer`. */
  static async open(options: AuditOptions): Promise<Audit> {
    const { directory, signer, journal, keepHead, clock = Date.now, userAgent = "keystead" } = options;
    const { rotateAt = 64 << 20, headInterval = 1_000 } = options;
    const key = publicKeyOf(signer.publicKey);
    const log = new Log({ directory, signer, journal, keepHead, clock, rotateAt, headInterval });
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      await claim(directory, key);
      await log.open();
    } catch (cause) {
      if (cause instanceof AuditError) throw cause;
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new AuditError(`the audit log in ${directory} could not be opened: ${reason}`, { cause });
    }
    return new Audit(directory, key, log, userAgent);
  }

  /**
   * Resolves once the event is on the disk. Rejects with AuditError when it could not be written: then the
   * answer must not leave, and the event may or may not be found in the log.
   */
  record(event: AuditEvent): Promise<void> {
    return this.#log.append(eventBody(event, this.#userAgent));
  }

  /** The stream and file in use, its lines, and the last failure to write or to sign, if it still holds. */
  status(): ReturnType<Log["status"]> {
    return this.#log.status();
  }

  /** Writes what was recorded and signs the last head; close it before the HSM and the store. */
  close(): Promise<void> {
    return this.#log.close();
  }
}

/** Lays the public key into the directory, or makes sure that it is the one there. */
async function claim(directory: string, key: KeyObject): Promise<void> {
  const path = join(directory, PUBLIC_KEY_FILE);
  const draft = `${path}.${randomUUID()}.new`;
  await writeFile(draft, key.export({ format: "pem", type: "spki" }), { mode: 0o600 });
  try {
    await link(draft, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    if (!publicKeyOf(await readFile(path, "utf8")).equals(key))
      throw new AuditError(
        `the audit log in ${directory} is signed by another key (${PUBLIC_KEY_FILE}) than the token's; ` +
          "use the token that it belongs to, or another directory",
      );
  } finally {
    await rm(draft, { force: true });
  }
}
