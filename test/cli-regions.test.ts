import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";

const cli = join(import.meta.dirname, "../dist/cli.js");
const root = mkdtempSync(join(tmpdir(), "keystead-cli-regions-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const [IRELAND, OSAKA] = ["eu-west-1", "ap-northeast-3"];

function keystead(...args: string[]): Promise<{ status: number; out: string; err: string }> {
  return new Promise((done) => {
    const child = execFile(process.execPath, [cli, ...args], { cwd: root }, (_, out, err) =>
      done({ status: child.exitCode ?? -1, out, err }),
    );
  });
}

async function json(...args: string[]) {
  const { status, out, err } = await keystead(...args, "--json");
  expect([status, err]).toEqual([0, ""]);
  return JSON.parse(out);
}

test("one key in several Regions, by the command line", async () => {
  const made = await json("init", "--region", IRELAND, "--also-region", OSAKA);
  expect(made).toMatchObject({ Region: IRELAND, AlsoRegions: [OSAKA] });
  const { KeyMetadata } = await json("key", "create", "--multi-region", "--alias", "orders");
  const KeyId = KeyMetadata.KeyId as string;
  expect(KeyId).toMatch(/^mrk-/);
  const { ReplicaKeyMetadata } = await json(
    "key",
    "replicate",
    "alias/orders",
    OSAKA,
    "--description",
    "there",
  );
  expect(ReplicaKeyMetadata.Arn).toContain(`:${OSAKA}:`);
  const told = await keystead("--region", OSAKA, "key", "describe", KeyId);
  expect(told.out).toMatch(/regions +primary eu-west-1, replica ap-northeast-3/);
  // Aliases stay in their Region.
  expect((await keystead("key", "describe", "alias/orders", "--region", OSAKA)).status).toBe(4);

  expect(await json("key", "update-primary-region", "alias/orders", OSAKA)).toEqual({
    KeyId,
    PrimaryRegion: OSAKA,
  });
  expect((await keystead("key", "rotate", KeyId)).err).toContain("is a multi-Region replica key");
  await json("--region", OSAKA, "key", "rotate", KeyId);
  const removed = await keystead("--region", OSAKA, "key", "delete", KeyId, "--days", "9");
  expect(removed.out).toContain(`${KeyId} will be destroyed 9 days after its last replica`);
  const again = await keystead("key", "replicate", KeyId, "sa-east-1");
  expect([again.status, again.err]).toEqual([
    1,
    expect.stringContaining("is not a multi-Region primary key"),
  ]);
  const elsewhere = await keystead("--region", "sa-east-1", "key", "list");
  expect([elsewhere.status, elsewhere.err]).toEqual([
    2,
    expect.stringContaining('region "sa-east-1" is not served here'),
  ]);
});
