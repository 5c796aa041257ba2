import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ACCOUNT } from "./deployment.ts";

const cli = join(import.meta.dirname, "../dist/cli.js");
const home = mkdtempSync(join(tmpdir(), "keystead-iam-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));

/** Runs the compiled command line in a process of its own; `json` is its answer, where that is JSON. */
function keystead(...args: string[]) {
  return new Promise<{ status: unknown; out: string; err: string; json: () => Record<string, never> }>(
    (resolve) => {
      const { KEYSTEAD_DIRECTORY, FORCE_COLOR, ...env } = process.env;
      execFile(process.execPath, [cli, ...args], { cwd: home, env }, (error, out, err) =>
        resolve({ status: error?.code ?? 0, out, err, json: () => JSON.parse(out) }),
      );
    },
  );
}

function file(name: string, content: object | string): string {
  const path = join(home, name);
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

const ANN = `arn:aws:iam::${ACCOUNT}:user/ann`;
const encrypts = {
  Version: "2012-10-17",
  Statement: {
    ...{ Sid: "orders", Effect: "Allow", Action: "kms:Encrypt", Resource: "*" },
    Condition: { StringEquals: { "kms:EncryptionContext:team": "orders" } },
  },
};

describe("keystead iam", () => {
  beforeAll(async () => {
    expect(await keystead("init", "--account", ACCOUNT)).toMatchObject({ status: 0 });
    expect(await keystead("key", "create", "--alias", "alias/orders")).toMatchObject({ status: 0 });
  });

  test("makes users and roles, and tells of them", async () => {
    expect(await keystead("iam", "list")).toMatchObject({
      out: "no identities are kept here; make one with keystead iam create-user\n",
    });
    expect(await keystead("iam", "create-user", "ann", "--tag", "team=orders")).toMatchObject({
      ...{ status: 0, out: `${ANN} is made; it may nothing yet\n` },
    });
    const trust = {
      Version: "2012-10-17",
      Statement: { Effect: "Allow", Principal: { AWS: ANN }, Action: "sts:AssumeRole" },
    };
    await keystead("iam", "create-role", "app", "--trust", file("trust.json", trust));
    await keystead("iam", "attach", "user/ann", "encrypts", file("encrypts.json", encrypts));
    await keystead("iam", "boundary", "user/ann", file("boundary.json", encrypts));
    expect((await keystead("iam", "list")).out.split("\n").map((line) => line.split(/\s+/)[0])).toEqual([
      ...["IDENTITY", `arn:aws:iam::${ACCOUNT}:role/app`, `arn:aws:iam::${ACCOUNT}:root`, ANN, ""],
    ]);
    const shown = (await keystead("iam", "show", "user/ann", "--json")).json();
    expect(shown).toMatchObject({
      Principal: {
        ...{ Arn: ANN, Policies: { encrypts: JSON.stringify(encrypts) } },
        ...{ PermissionsBoundary: JSON.stringify(encrypts), Tags: [{ Key: "team", Value: "orders" }] },
      },
    });
    expect((await keystead("iam", "show", "user/ann")).out).toContain("policy encrypts\n{");
    await keystead("iam", "tag", "user/ann", "a=b", "--remove", "team");
    await keystead("iam", "boundary", "user/ann");
    const { Principal } = (await keystead("iam", "show", ANN, "--json")).json();
    expect(Principal).toMatchObject({ Tags: [{ Key: "a", Value: "b" }] });
    expect(Principal).not.toHaveProperty("PermissionsBoundary");
  });

  test("gives a session's credentials", async () => {
    const { json } = await keystead(
      "iam",
      "assume-role",
      "role/app",
      "--as",
      ANN,
      "--session",
      "s1",
      "--json",
    );
    expect(json()).toMatchObject({
      Credentials: { AccessKeyId: expect.stringMatching(/^ASIA/), SessionToken: expect.any(String) },
      AssumedRoleUser: { Arn: `arn:aws:sts::${ACCOUNT}:assumed-role/app/s1` },
    });
    expect(await keystead("iam", "assume-role", "role/app")).toMatchObject({
      ...{ status: 3, err: expect.stringContaining("roles may not be assumed by root accounts") },
    });
  });

  test("explains", async () => {
    const ask = ["explain", "--as", ANN, "--operation", "Encrypt", "--key", "alias/orders"];
    const allowed = await keystead(...ask, "--context", "team=orders");
    expect(allowed.status).toBe(0);
    expect(allowed.out).toMatch(/^allowed: kms:Encrypt on arn:aws:kms:/);
    expect(allowed.out).toContain("by identity policy encrypts, statement orders (0)");
    const refused = await keystead(...ask, "--context", "team=billing");
    expect(refused.status).toBe(3);
    expect(refused.out).toContain(
      'StringEquals kms:EncryptionContext:team ["orders"]: the request has ["billing"]; does not hold',
    );
    expect(refused.out).toContain("to allow it, ");
    const { Allowed, Decisions } = (await keystead(...ask, "--json")).json();
    expect({ Allowed, Decisions }).toMatchObject({ Allowed: false, Decisions: [{ allowed: false }] });
  });

  test("takes identities away again", async () => {
    expect(await keystead("iam", "detach", "user/ann", "encrypts")).toMatchObject({ status: 0 });
    expect(await keystead("iam", "detach", "user/ann", "encrypts")).toMatchObject({ status: 4 });
    expect(await keystead("iam", "delete", "user/ann")).toMatchObject({ status: 0 });
    expect(await keystead("iam", "show", "user/ann")).toMatchObject({ status: 4 });
  });
});

describe("keystead simulate", () => {
  const request = {
    principal: ANN,
    action: "kms:Encrypt",
    resource: `arn:aws:kms:eu-west-1:${ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab`,
    encryptionContext: { team: "orders" },
  };
  const keyPolicy = {
    Statement: { Effect: "Allow", Principal: { AWS: ACCOUNT }, Action: "kms:*", Resource: "*" },
  };

  test("decides by files alone", async () => {
    const files = [
      ...["--policy", file("key.json", keyPolicy), "--identity", file("encrypts.json", encrypts)],
    ];
    const allowed = await keystead(
      "simulate",
      ...files,
      "--request",
      file("request.json", request),
      "--json",
    );
    expect(allowed).toMatchObject({ status: 0 });
    expect(allowed.json()).toMatchObject({
      ...{ allowed: true, reason: "key policy delegates and identity policy allows" },
    });
    const deny = { Statement: { Effect: "Deny", Action: "kms:*", Resource: "*" } };
    for (const narrowing of ["--scp", "--boundary", "--session-policy"]) {
      const refused = await keystead(
        ...["simulate", ...files, "--request", file("request.json", request)],
        ...[narrowing, file("deny.json", deny)],
      );
      expect(refused.status).toBe(3);
      expect(refused.out).toContain("its Deny would have to leave out this request");
    }
  });

  test("says what is wrong with a file", async () => {
    expect(await keystead("simulate", "--request", file("bad.json", "{"))).toMatchObject({
      ...{ status: 2, err: expect.stringContaining("bad.json is not JSON") },
    });
    const policy = ["--policy", file("bad-policy.json", { Statement: {} })];
    expect(await keystead("simulate", ...policy, "--request", file("request.json", request))).toMatchObject({
      ...{ status: 2, err: expect.stringContaining("keyPolicy: Statement[0].Effect") },
    });
  });
});
