import { once } from "node:events";
import { addAbortSignal, type Readable } from "node:stream";
import { type Command, Option } from "commander";
import { type Records, replaceFile } from "../envelope.ts";
import type { Kms } from "../kms.ts";
import type { Action, Work } from "./action.ts";
import { keyArnOf } from "./envelope.ts";
import { CliError, EXIT, usage } from "./exit.ts";
import { csv, type Layout, ndjson, type Row, rowsOf, type Span } from "./fields.ts";
import type { Invocation } from "./invocation.ts";
import { collectPair } from "./pairs.ts";
import { Progress } from "./progress.ts";
import { many } from "./quantity.ts";
import { harmless } from "./terminal.ts";
import { read } from "./transfer.ts";

/** Rows that are done at once. */
const ROWS = 2_000;
/** So many failures are told one by one. */
const TOLD = 20;
/** In the encryption context: a value cannot be moved to another field. */
const FIELD = "keystead:field";

interface Options {
  fields: string;
  key?: string;
  context?: Record<string, string>;
  format?: "ndjson" | "csv";
  output?: string;
}

interface Failure {
  Line: number;
  Error: string;
}

export function recordCommands(program: Command, action: Action): void {
  const common = (name: string, description: string, key: string) =>
    program
      .command(name)
      .description(description)
      .argument("[file]", "- or nothing is standard input")
      .requiredOption("--fields <names>", "their names, with commas between")
      .addOption(
        new Option("--format <format>", "by the file's name, or ndjson, unless told").choices([
          "ndjson",
          "csv",
        ]),
      )
      .option("-k, --key <key>", key)
      .option("--context <name=value>", "encryption context; may be repeated", collectPair)
      .option("-o, --output <file>", "where it goes; standard output unless told");
  common(
    "encrypt-records",
    "encrypt fields of NDJSON or CSV, each value by itself",
    "key id, ARN or alias",
  ).action(action(pass(true)));
  common(
    "decrypt-records",
    "decrypt what encrypt-records encrypted",
    "open only what is under this key",
  ).action(action(pass(false)));
}

const pass =
  (sealing: boolean): Work =>
  async (invocation, args, given) => {
    const { fields: list, key, context, format, output } = given as Options;
    const file = args[0] as string | undefined;
    const fields = list.split(",").map((name) => name.trim());
    if (fields.includes("")) throw usage("--fields has an empty name");
    if (sealing && key === undefined) throw usage("--key is missing");
    if (output === undefined && invocation.json)
      throw usage("--json and the data would both go to standard output", "give -o FILE");
    const chosen = format ?? (file?.toLowerCase().endsWith(".csv") ? "csv" : "ndjson");
    const layout = chosen === "csv" ? csv(fields, usage) : ndjson(fields);
    const source = file === undefined || file === "-" ? process.stdin : read(file);
    const progress = new Progress(invocation.err, sealing ? "encrypting" : "decrypting", (n) =>
      many(n, "record"),
    );
    await invocation.withKms(async (kms) => {
      const resolved = sealing ? key : await keyArnOf(kms, key);
      const passing = new Passing(kms, layout, fields, { sealing, key: resolved, context });
      const tell = (failure: Failure) => {
        if (passing.failures.length <= TOLD)
          invocation.note(`line ${failure.Line}: ${harmless(failure.Error)}`);
      };
      const pieces = passing.run(source, (done) => progress.update(done), tell, invocation.signal);
      try {
        if (output === undefined) await toStandardOutput(pieces, invocation);
        else await replaceFile(output, pieces, invocation.signal);
      } finally {
        progress.end();
        passing.close();
        source.destroy();
      }
      const { records, failures } = passing;
      const absent = fields.filter((field) => !passing.found.has(field));
      if (records > 0 && absent.length > 0) invocation.note(`no record has a field ${absent.join(" or ")}`);
      if (output !== undefined)
        invocation.answer({ To: output, Records: records, Failed: failures }, (out) =>
          out.line(`${sealing ? "encrypted" : "decrypted"} ${many(records, "record")}`),
        );
      if (failures.length > 0)
        throw new CliError(`${many(failures.length, "record")} left out, of ${records + failures.length}`, {
          exit: sealing ? EXIT.failure : EXIT.notVerified,
        });
    });
  };

/** One text on its way: rows in, pieces of text out, in the same order. */
class Passing {
  records = 0;
  readonly failures: Failure[] = [];
  /** The fields that records have. */
  readonly found = new Set<string>();
  readonly #layout: Layout;
  readonly #sealing: boolean;
  readonly #ofField: Map<string, Records>;

  constructor(
    kms: Kms,
    layout: Layout,
    fields: readonly string[],
    options: { sealing: boolean; key: string | undefined; context: Record<string, string> | undefined },
  ) {
    this.#layout = layout;
    this.#sealing = options.sealing;
    this.#ofField = new Map(
      fields.map((field) => {
        const EncryptionContext = { ...options.context, [FIELD]: field };
        return [field, kms.envelope.records({ KeyId: options.key, EncryptionContext })];
      }),
    );
  }

  async *run(
    source: Readable,
    progress: (done: number) => void,
    tell: (failure: Failure) => void,
    signal: AbortSignal,
  ): AsyncGenerator<Buffer, void, void> {
    addAbortSignal(signal, source);
    let rows: Row[] = [];
    const flush = async () => {
      const before = this.failures.length;
      const texts = await this.#pass(rows);
      rows = [];
      for (const failure of this.failures.slice(before)) tell(failure);
      progress(this.records);
      return Buffer.from(texts.join(""), "latin1");
    };
    for await (const row of rowsOf(source, this.#layout.quoted)) {
      rows.push(row);
      if (rows.length === ROWS) yield await flush();
    }
    if (rows.length > 0) yield await flush();
    if (this.records === 0 || this.found.size > 0) return;
    const names = [...this.#ofField.keys()].join(" or ");
    throw usage(
      `no record has a field ${names}: nothing was ${this.#sealing ? "encrypted" : "decrypted"}`,
      "give names with commas between; a field of an object within by its path, as in a.b",
    );
  }

  close(): void {
    for (const records of this.#ofField.values()) records.close();
  }

  async #pass(rows: readonly Row[]): Promise<string[]> {
    const values = new Map<string, { row: number; bytes: Uint8Array; span: Span }[]>();
    const failed = new Map<number, unknown>();
    const whole = new Set<number>();
    for (const [i, row] of rows.entries()) {
      try {
        const spans = this.#layout.spans(row);
        if (spans === undefined) whole.add(i);
        const taken = (spans ?? []).map((span) => ({ row: i, bytes: this.#bytes(row, span), span }));
        for (const one of taken) {
          const there = values.get(one.span.field);
          if (there) there.push(one);
          else values.set(one.span.field, [one]);
        }
      } catch (error) {
        if (error instanceof CliError) throw error;
        failed.set(i, error);
      }
    }
    const replaced = new Map<number, { span: Span; text: string }[]>();
    const put = (row: number, span: Span, text: string) => {
      const there = replaced.get(row);
      if (there) there.push({ span, text });
      else replaced.set(row, [{ span, text }]);
    };
    await Promise.all(
      [...values].map(async ([field, list]) => {
        this.found.add(field);
        const records = this.#ofField.get(field) as Records;
        const inputs = list.map(({ bytes }) => bytes);
        if (this.#sealing) {
          const messages = await records.encrypt(inputs);
          for (const [i, { row, span }] of list.entries())
            put(row, span, this.#layout.put(messages[i] as Uint8Array));
          return;
        }
        const opened = await records.decrypt(inputs);
        for (const [i, { row, span }] of list.entries()) {
          const { Plaintext, Error: error } = opened[i] as { Plaintext?: Uint8Array; Error?: Error };
          if (Plaintext === undefined) failed.set(row, error);
          else put(row, span, Buffer.from(Plaintext).toString("latin1"));
        }
      }),
    );
    return rows.map((row, i) => {
      if (failed.has(i)) {
        const error = failed.get(i);
        this.failures.push({ Line: row.line, Error: error instanceof Error ? error.message : String(error) });
        return "";
      }
      if (!whole.has(i)) this.records++;
      return spliced(row, replaced.get(i) ?? []);
    });
  }

  #bytes({ text }: Row, { from, to, field }: Span): Uint8Array {
    const value = text.slice(from, to);
    if (this.#sealing) return Buffer.from(value, "latin1");
    try {
      return this.#layout.take(value);
    } catch (cause) {
      throw new Error(`${field}: ${(cause as Error).message}`, { cause });
    }
  }
}

function spliced({ text, end }: Row, parts: { span: Span; text: string }[]): string {
  let out = "";
  let at = 0;
  for (const part of parts.sort((a, b) => a.span.from - b.span.from)) {
    out += text.slice(at, part.span.from) + part.text;
    at = part.span.to;
  }
  return out + text.slice(at) + end;
}

async function toStandardOutput(pieces: AsyncIterable<Buffer>, { signal }: Invocation): Promise<void> {
  for await (const piece of pieces) {
    signal.throwIfAborted();
    if (!process.stdout.write(piece)) await once(process.stdout, "drain", { signal });
  }
}
