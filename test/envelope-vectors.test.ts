import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type EncryptedDataKey, Envelope, type KeyProvider } from "../lib/envelope.ts";

interface Vector {
  comment: string;
  dataKey: string;
  message: string;
  plaintext: string;
  code: string;
}

const file = join(import.meta.dirname, "vectors/encryption-sdk.json");
const { opens, refused } = JSON.parse(readFileSync(file, "utf8")) as { opens: Vector[]; refused: Vector[] };

/** The data key that the vector tells, whatever encrypted it. */
const tells = (dataKey: string): KeyProvider => ({
  generate: () => Promise.reject(new Error("not asked for")),
  encrypt: () => Promise.reject(new Error("not asked for")),
  decrypt: async ([encrypted]) => ({
    plaintext: Buffer.from(dataKey, "base64"),
    encrypted: encrypted as EncryptedDataKey,
  }),
});

const open = async ({ dataKey, message }: Vector, streamed: boolean) => {
  const options = { Keys: tells(dataKey), CommitmentPolicy: "REQUIRE_ENCRYPT_ALLOW_DECRYPT" } as const;
  const bytes = Buffer.from(message, "base64");
  if (!streamed) return Buffer.from(await new Envelope().decrypt(bytes, options)).toString();
  const parts = await new Envelope().decrypt([bytes], options).toArray();
  return Buffer.concat(parts).toString();
};
const records = async ({ dataKey, message }: Vector) => {
  const options = { Keys: tells(dataKey), CommitmentPolicy: "REQUIRE_ENCRYPT_ALLOW_DECRYPT" } as const;
  const [opened] = await new Envelope().records(options).decrypt([Buffer.from(message, "base64")]);
  if (opened?.Error) throw opened.Error;
  return Buffer.from(opened?.Plaintext ?? []).toString();
};

test.each(opens)("opens: $comment", async (vector) => {
  expect(await open(vector, false)).toBe(vector.plaintext);
  expect(await open(vector, true)).toBe(vector.plaintext);
  expect(await records(vector)).toBe(vector.plaintext);
});

test.each(refused)("refuses: $comment", async (vector) => {
  for (const opening of [open(vector, false), open(vector, true), records(vector)]) {
    await expect(opening).rejects.toMatchObject({ name: "EnvelopeError" });
  }
});
