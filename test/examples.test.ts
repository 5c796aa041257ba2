import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, expect, test } from "vitest";

const directory = mkdtempSync(join(tmpdir(), "keystead-examples-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const examples: Record<string, RegExp> = {
  "first-key":
    /^4111 1111 1111 1111 was under arn:aws:kms:.*\nwith another context: InvalidCiphertextException\n$/,
  batch: /^record 0\nInvalidCiphertextException\nrecord 2\n$/,
  envelope: /^the same bytes\n$/,
  policies:
    /^the app encrypted 91 bytes\nUser: arn:aws:iam::111122223333:role\/app is not authorized to perform: kms:Decrypt on/,
};

test.each(Object.entries(examples))("examples/%s.mjs prints what it says", async (name, output) => {
  const example = join(import.meta.dirname, "..", "examples", `${name}.mjs`);
  const cwd = mkdtempSync(join(directory, name));
  const { stdout } = await promisify(execFile)(process.execPath, [example], { cwd });
  expect(stdout).toMatch(output);
});
