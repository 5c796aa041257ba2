import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { EXIT } from "../lib/cli/exit.ts";

const cli = join(import.meta.dirname, "../dist/cli.js");
const home = mkdtempSync(join(tmpdir(), "keystead-cli-life-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));

interface Run {
  status: number;
  out: string;
  err: string;
}

/** Runs the compiled command line in a process of its own. */
function keystead(...args: string[]): Promise<Run> {
  return new Promise((done) =>
    execFile(process.execPath, [cli, ...args], { cwd: home }, (error, out, err) =>
      done({ status: error === null ? 0 : (error.code as unknown as number), out, err }),
    ),
  );
}

/** The answer of a command that succeeds. */
async function answer(...args: string[]): Promise<string> {
  const { status, out, err } = await keystead(...args);
  expect(err).toBe("");
  expect(status).toBe(EXIT.ok);
  return out;
}

// biome-ignore lint/suspicious/noExplicitAny: what a command answers
const json = async (...args: string[]): Promise<any> => JSON.parse(await answer(...args, "--json"));

/** What a command that is refused says. */
async function refused(exit: number, ...args: string[]): Promise<string> {
  const { status, out, err } = await keystead(...args);
  expect(out).toBe("");
  expect(err).toMatch(/^keystead: [^\n]+\n$/);
  expect({ err, status }).toEqual({ err, status: exit });
  return err;
}

const ACCOUNT = "111122223333";
const APP = `arn:aws:iam::${ACCOUNT}:role/app`;

let keyId: string;
beforeAll(async () => {
  await answer("init", "--account", ACCOUNT, "--region", "eu-west-1");
  keyId = (await json("key", "create", "--alias", "orders")).KeyMetadata.KeyId;
});

test("key create makes keys of every kind", async () => {
  const { KeyMetadata } = await json("key", "create", "--spec", "ECC_NIST_P256", "--usage", "SIGN_VERIFY");
  expect(KeyMetadata).toMatchObject({ KeySpec: "ECC_NIST_P256", KeyUsage: "SIGN_VERIFY" });
  expect(await refused(EXIT.usage, "key", "create", "--spec", "RSA_2048")).toContain("KeyUsage");
  expect(await refused(EXIT.usage, "key", "create", "--spec", "rsa", "--usage", "SIGN_VERIFY")).toContain(
    "must satisfy enum value set",
  );
});

test("key rotate gives new material, and key rotation shows all there was", async () => {
  expect(await answer("key", "rotation", "alias/orders")).toContain(
    `not rotated by itself; to change that: keystead key rotation ${keyId} --every 365\n`,
  );
  const { CurrentKeyMaterialId } = await json("key", "rotate", "alias/orders");
  const { Rotations } = await json("key", "rotation", keyId);
  expect(Rotations).toMatchObject([
    { KeyMaterialState: "NON_CURRENT" },
    { KeyMaterialId: CurrentKeyMaterialId, KeyMaterialState: "CURRENT", RotationType: "ON_DEMAND" },
  ]);
  const shown = await answer("key", "rotation", "alias/orders", "--every", "90");
  expect(shown).toMatch(/^rotated every 90 days, next on \d{4}-\d\d-\d\d\n/);
  expect(shown).toContain(CurrentKeyMaterialId);
  expect(shown).toMatch(/NON_CURRENT\s+the beginning/);
  expect(await json("key", "rotation", keyId, "--off")).toMatchObject({ KeyRotationEnabled: false });
  expect(await answer("key", "rotate", keyId)).toContain("what it encrypted before still opens");
});

test("key rotation refuses what it cannot do", async () => {
  expect(await refused(EXIT.usage, "key", "rotation", keyId, "--every", "89")).toContain("from 90 to 2560");
  expect(await refused(EXIT.usage, "key", "rotation", keyId, "--every", "90", "--off")).toContain(
    "contradict",
  );
  expect(await refused(EXIT.notFound, "key", "rotate", "alias/none")).toContain("alias/none is not found");
});

test("tag adds, lists and removes", async () => {
  expect(await answer("tag", "list", "alias/orders")).toContain(`keystead tag add ${keyId} NAME=VALUE`);
  expect(await answer("tag", "add", "alias/orders", "team=sales", "cost=7=8")).toBe(
    `${keyId} is tagged with team, cost\n`,
  );
  expect(await answer("tag", "list", keyId)).toMatch(/^TAG +VALUE\ncost +7=8\nteam +sales\n$/);
  expect((await json("tag", "remove", keyId, "team", "none")).Tags).toEqual([
    { TagKey: "cost", TagValue: "7=8" },
  ]);
  expect(await refused(EXIT.usage, "tag", "add", keyId, "aws:x=y")).toContain("reserved");
  expect(await refused(EXIT.usage, "tag", "add", keyId, "team")).toContain("is not NAME=VALUE");
});

test("grant creates, lists, retires and revokes", async () => {
  const args = ["grant", "create", "alias/orders", "--to", APP, "--allow", "Decrypt", "RetireGrant"];
  const made = await json(...args, "--context", "tenant=7", "--exactly", "--name", "n");
  expect(made).toEqual({ KeyId: keyId, GrantId: expect.any(String), GrantToken: expect.any(String) });
  expect((await json(...args, "--context", "tenant=7", "--exactly", "--name", "n")).GrantId).toBe(
    made.GrantId,
  );
  const listed = await answer("grant", "list", "alias/orders");
  expect(listed).toMatch(
    new RegExp(`${made.GrantId} +${keyId} +${APP} +Decrypt RetireGrant +tenant=7 exactly +n\n`),
  );
  expect((await json("grant", "list", keyId, "--to", `${APP}2`)).Grants).toEqual([]);
  expect(await refused(EXIT.accessDenied, "--as", `${APP}2`, "grant", "retire", made.GrantToken)).toContain(
    "kms:RetireGrant",
  );
  expect(await answer("--as", APP, "grant", "retire", made.GrantToken)).toBe("the grant is retired\n");
  expect(await answer("grant", "list", keyId)).toBe("no grants\n");

  const retirer = `arn:aws:iam::${ACCOUNT}:user/retirer`;
  const other = await json(...args, "--retire-by", retirer);
  expect((await json("grant", "list", "--retirable-by", retirer)).Grants).toMatchObject([
    { GrantId: other.GrantId, RetiringPrincipal: retirer },
  ]);
  await answer("grant", "retire", "--key", "alias/orders", "--id", other.GrantId);
  const last = await json(...args);
  expect(await answer("grant", "revoke", "alias/orders", last.GrantId)).toContain("is revoked");
  expect(await refused(EXIT.notFound, "grant", "revoke", keyId, last.GrantId)).toContain("not found");
});

test("grant refuses what says too little or too much", async () => {
  expect(await refused(EXIT.usage, "grant", "create", keyId, "--to", APP)).toContain("--allow");
  expect(
    await refused(EXIT.usage, "grant", "create", keyId, "--to", APP, "--allow", "Decrypt", "--exactly"),
  ).toContain("--exactly needs a --context");
  expect(await refused(EXIT.usage, "grant", "create", keyId, "--to", "app", "--allow", "Decrypt")).toContain(
    "valid principal",
  );
  expect(await refused(EXIT.usage, "grant", "create", keyId, "--to", APP, "--allow", "Sign")).toContain(
    "Sign",
  );
  expect(await refused(EXIT.usage, "grant", "list")).toContain("which grants");
  expect(await refused(EXIT.usage, "grant", "retire")).toContain("--key and --id");
  expect(await refused(EXIT.usage, "grant", "retire", "token", "--id", "x")).toContain("--key and --id");
  expect(await refused(EXIT.usage, "grant", "retire", "token")).toContain(
    "as keystead grant create printed it",
  );
  expect(await refused(EXIT.usage, "grant", "revoke", keyId, "x")).toContain("see keystead grant list");
});
