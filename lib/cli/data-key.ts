import { writeFile } from "node:fs/promises";
import type { Command } from "commander";
import type { Action, Work } from "./action.ts";
import { CliError, usage } from "./exit.ts";
import { collectPair, wholeNumber } from "./pairs.ts";

interface Options {
  key: string;
  spec?: "AES_128" | "AES_256";
  bytes?: number;
  context?: Record<string, string>;
  plaintext?: string;
}

export function dataKeyCommand(program: Command, action: Action): void {
  program
    .command("data-key")
    .description("make a data key; it comes encrypted, and in the clear only where --plaintext says")
    .requiredOption("-k, --key <key>", "key id, ARN or alias to encrypt it under")
    .option("--spec <spec>", "AES_256 or AES_128 (default: AES_256)")
    .option("--bytes <number>", "its length instead, 1 to 1024", wholeNumber(1, 1024))
    .option("--context <name=value>", "encryption context; may be repeated", collectPair)
    .option("--plaintext <file>", "new file for the key in the clear, for its owner alone; - prints it")
    .action(action(dataKey));
}

const dataKey: Work = (invocation, _, options) =>
  invocation.withKms(async (kms) => {
    const { key, spec, bytes, context, plaintext } = options as Options;
    if (spec !== undefined && bytes !== undefined) throw usage("--spec and --bytes are both given");
    const input = {
      KeyId: key,
      ...(bytes === undefined ? { KeySpec: spec ?? "AES_256" } : { NumberOfBytes: bytes }),
      ...(context !== undefined && { EncryptionContext: context }),
    } as const;
    if (plaintext === undefined) {
      const output = await kms.generateDataKeyWithoutPlaintext(input);
      return invocation.answer(output, (out) => out.line(base64(output.CiphertextBlob)));
    }
    const { Plaintext, ...output } = await kms.generateDataKey(input);
    const secret = Plaintext as Uint8Array;
    if (plaintext === "-")
      return invocation.answer({ ...output, Plaintext: secret }, (out) =>
        out.table(undefined, [
          ["encrypted", base64(output.CiphertextBlob)],
          ["plaintext", base64(secret)],
        ]),
      );
    try {
      await writeFile(plaintext, secret, { mode: 0o600, flag: "wx" });
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause;
      throw new CliError(`${plaintext} exists already`, { hint: "a data key never replaces a file", cause });
    } finally {
      secret.fill(0);
    }
    invocation.answer({ ...output, PlaintextFile: plaintext }, (out) =>
      out.line(base64(output.CiphertextBlob)),
    );
  });

const base64 = (value: Uint8Array | undefined) => Buffer.from(value ?? []).toString("base64");
