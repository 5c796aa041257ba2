import { readFileSync, unwatchFile, watchFile } from "node:fs";
import type { Server } from "node:https";
import { createSecureContext, type SecureContextOptions } from "node:tls";

/** Milliseconds between two looks at the files. */
const INTERVAL = 2_000;

/** A key and its certificates in two PEM files, which are read again when one of them changes. */
export class Certificate {
  readonly #files: { readonly key: string; readonly cert: string };
  #reload: (() => void) | undefined;

  constructor(files: { readonly key: string; readonly cert: string }) {
    this.#files = files;
  }

  /** Throws when the files cannot be read, or do not belong together. */
  read(): SecureContextOptions {
    const { key, cert } = this.#files;
    const context = { key: readFileSync(key), cert: readFileSync(cert), minVersion: "TLSv1.2" as const };
    try {
      createSecureContext(context);
    } catch (cause) {
      const reason = (cause as Error).message;
      throw new Error(`${key} and ${cert} are no key and its certificates: ${reason}`, { cause });
    }
    return context;
  }

  /** Gives the server what the files say by then; what cannot be used is told, and the last that could be stays. */
  watch(server: Server, onError: (error: Error) => void): void {
    this.#reload = () => {
      try {
        server.setSecureContext(this.read());
      } catch (error) {
        onError(error as Error);
      }
    };
    for (const file of Object.values(this.#files))
      watchFile(file, { interval: INTERVAL, persistent: false }, this.#reload);
  }

  close(): void {
    if (this.#reload === undefined) return;
    for (const file of Object.values(this.#files)) unwatchFile(file, this.#reload);
  }
}
