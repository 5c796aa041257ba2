import { basename } from "node:path";
import type { Kms } from "../kms.ts";
import { CliError, EXIT } from "./exit.ts";
import type { Invocation } from "./invocation.ts";
import { Progress } from "./progress.ts";
import { count } from "./terminal.ts";

/** One thing that was shown, for the table at the end. */
export interface Done {
  what: string;
  /** Records, where it was records. */
  count?: number;
  /** Bytes of plaintext. */
  size: number;
  milliseconds: number;
}

const CONTEXT = { purpose: "keystead start" };
const RECORD = 256;
/** As many as a call takes. */
const A_CALL = 100_000;

/** Records of 256 bytes, encrypted and decrypted by the batch, and compared. */
export async function recordsRoundTrip(
  { err, signal }: Invocation,
  kms: Kms,
  KeyId: string,
  amount: number,
): Promise<Done[]> {
  const records = Array.from({ length: amount }, (_, index) =>
    Buffer.alloc(RECORD, `{"customer":${index},"card":"4111 1111 1111 ${index % 10_000}"} `),
  );
  const batches = Array.from({ length: Math.ceil(amount / A_CALL) }, (_, at) =>
    records.slice(at * A_CALL, (at + 1) * A_CALL),
  );
  const each = async <In, Out>(label: string, items: In[], work: (item: In) => Promise<Out>) => {
    const progress = new Progress(err, label, (done) => `${count(done)} records`);
    const began = performance.now();
    const results: Out[] = [];
    try {
      for (const item of items) {
        signal.throwIfAborted();
        results.push(await work(item));
        progress.update(Math.min(amount, results.length * A_CALL), amount);
      }
    } finally {
      progress.end();
    }
    return { results, milliseconds: performance.now() - began };
  };
  const sealed = await each("encrypting records", batches, async (batch) => {
    const Entries = batch.map((Plaintext) => ({ Plaintext }));
    return (await kms.encryptBatch({ KeyId, EncryptionContext: CONTEXT, Entries })).Entries;
  });
  const opened = await each("decrypting records", sealed.results, async (entries) => {
    const Entries = entries.map(({ CiphertextBlob }) => ({ CiphertextBlob: CiphertextBlob as Uint8Array }));
    return (await kms.decryptBatch({ EncryptionContext: CONTEXT, Entries })).Entries;
  });
  const plaintexts = opened.results.flat();
  const same =
    plaintexts.length === amount &&
    records.every((record, index) => record.equals(plaintexts[index]?.Plaintext ?? new Uint8Array()));
  if (!same) throw new CliError("the records did not decrypt to what they were", { exit: EXIT.notVerified });
  const common = { count: amount, size: amount * RECORD };
  return [
    { what: "encrypted in batches", ...common, milliseconds: sealed.milliseconds },
    { what: "decrypted and compared", ...common, milliseconds: opened.milliseconds },
  ];
}

/** A file through the envelope and back. */
export async function fileRoundTrip(
  { err, signal }: Invocation,
  kms: Kms,
  KeyId: string,
  { file, sealed, opened }: { file: string; sealed: string; opened: string },
): Promise<Done[]> {
  const timed = async (label: string, work: (progress: Progress) => Promise<unknown>) => {
    const progress = new Progress(err, label);
    const began = performance.now();
    try {
      await work(progress);
    } finally {
      progress.end();
    }
    return performance.now() - began;
  };
  const reporting = (progress: Progress) => ({
    signal,
    EncryptionContext: CONTEXT,
    onProgress: ({ done, total }: { done: number; total: number | undefined }) =>
      progress.update(done, total),
  });
  let size = 0;
  const encrypting = await timed(`encrypting ${basename(file)}`, async (progress) => {
    const result = await kms.envelope.encryptFile(file, sealed, { KeyId, ...reporting(progress) });
    size = result.read;
  });
  const decrypting = await timed(`decrypting ${basename(sealed)}`, (progress) =>
    kms.envelope.decryptFile(sealed, opened, reporting(progress)),
  );
  return [
    { what: "encrypted file to file", size, milliseconds: encrypting },
    { what: "decrypted file to file", size, milliseconds: decrypting },
  ];
}
