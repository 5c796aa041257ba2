import { spawnSync } from "node:child_process";
import {
  closeSync,
  copyFileSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type AuditReport, verify } from "../lib/audit.ts";
import { Kms, type KmsError, type KmsOptions } from "../lib/index.ts";
import { openDatabase } from "../lib/store/binding.ts";
import { library, node } from "./child.ts";
import { bytes, newKey, openTestDeployment, text } from "./deployment.ts";

const home = mkdtempSync(join(tmpdir(), "keystead-damage-"));

/** A file system of so many bytes, which fills up as disks do; undefined where nobody may mount one. */
const mounts: string[] = [];
function smallDisk(size: string): string | undefined {
  const directory = mkdtempSync(join(home, "disk-"));
  const { status } = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${size},mode=700`, "tmpfs", directory]);
  if (status !== 0) return undefined;
  mounts.push(directory);
  return directory;
}
afterAll(() => {
  for (const directory of mounts) spawnSync("umount", ["-l", directory]);
  rmSync(home, { recursive: true });
});

/** Takes all the room there is; the returned function gives it back. */
function fill(directory: string): () => void {
  const file = join(directory, "filler");
  const descriptor = openSync(file, "w");
  for (let size = 1 << 16; size >= 1; size >>= 1) {
    try {
      for (;;) writeSync(descriptor, new Uint8Array(size));
    } catch (error) {
      expect((error as NodeJS.ErrnoException).code).toBe("ENOSPC");
    }
  }
  closeSync(descriptor);
  return () => rmSync(file);
}

const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => expect.fail("was answered"),
    (error: KmsError) => error,
  );

let kms: Kms;
let directory: string;
let KeyId: string;
let CiphertextBlob: Uint8Array | undefined;
const audit = smallDisk("1m");
beforeAll(async () => {
  const options: KmsOptions = audit === undefined ? {} : { audit: { directory: join(audit, "trail") } };
  ({ kms, directory } = await openTestDeployment(options));
  ({ KeyId } = await newKey(kms));
  ({ CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: bytes("before") }));
});

const listed = async () => (await kms.listKeys({ Limit: 1000 })).Keys?.map((key) => key.KeyId);

describe("an audit directory that is full", () => {
  test.skipIf(audit === undefined)("refuses every request until there is room, and loses none", async () => {
    const before = await listed();
    const empty = fill(audit as string);
    for (const run of [
      () => kms.generateDataKey({ KeyId, KeySpec: "AES_256" }),
      () => kms.decrypt({ CiphertextBlob }),
      () => kms.encryptBatch({ KeyId, Entries: Array(100).fill({ Plaintext: bytes("x") }) }),
      () => kms.createKey(),
      () => kms.disableKey({ KeyId }),
      () => kms.describeKey({ KeyId: "alias/none" }),
    ]) {
      // What room is left may take a line or two.
      let error: KmsError | undefined;
      for (let i = 0; i < 20 && error?.name !== "KMSInternalException"; i++)
        error = await run().then(
          () => undefined,
          (reason: KmsError) => reason,
        );
      expect([error?.name, error?.message, (error?.cause as Error | undefined)?.name]).toEqual([
        "KMSInternalException",
        "The request could not be recorded in the audit log, so that it is refused.",
        "AuditError",
      ]);
      expect(await failure(run())).toMatchObject({ name: "KMSInternalException" });
    }
    empty();
    expect(text((await kms.decrypt({ CiphertextBlob })).Plaintext)).toBe("before");
    expect((await kms.describeKey({ KeyId })).KeyMetadata?.KeyState).toBe("Enabled");
    expect(await listed()).toEqual(before);
    const trail = join(audit as string, "trail");
    const report: AuditReport = await verify(trail, readFileSync(join(trail, "audit.pem"), "utf8"));
    expect(report.problems).toEqual([]);
  });
});

describe("a database", () => {
  test("that another process holds refuses changes, not reads, and takes them again", async () => {
    const before = await listed();
    const holder = openDatabase(join(directory, "keystead.db"), 0);
    holder.exec("BEGIN IMMEDIATE");
    const error = await failure(kms.createKey());
    expect([error.name, error.$fault]).toEqual(["KMSInternalException", "server"]);
    expect(error.cause).toMatchObject({ name: "StoreUnavailable", reason: "locked" });
    expect(text((await kms.decrypt({ CiphertextBlob })).Plaintext)).toBe("before");
    holder.exec("ROLLBACK");
    holder.close();
    expect(await listed()).toEqual(before);
    await newKey(kms);
    expect(await listed()).toHaveLength((before?.length ?? 0) + 1);
  });

  test("that is damaged is refused with what to do, and serves again once it is restored", async () => {
    // In a process of its own, which has no row in memory.
    const program = `
      import { Kms } from ${library("index")};
      const kms = await Kms.open({ directory: process.argv[1] }).catch((error) => {
        console.log(error.name, error.message);
        process.exit(0);
      });
      const outcome = await kms.describeKey({ KeyId: process.argv[2] }).then(() => "described", (error) => error);
      console.log(outcome.name ?? outcome, outcome.cause?.name, outcome.cause?.message);
      await kms.close();`;
    const said = async () => `${(await node(program, [directory, KeyId])).stdout}`;
    await kms.close();
    const file = join(directory, "keystead.db");
    copyFileSync(file, join(home, "backup.db"));
    const whole = readFileSync(file);
    for (const damage of [
      (bytes: Buffer) => bytes.fill(0x55),
      (bytes: Buffer) => bytes.fill(0x55, 4096),
      (bytes: Buffer) => bytes.subarray(0, 5000),
    ]) {
      writeFileSync(file, damage(Buffer.from(whole)));
      expect(await said()).toMatch(
        /StoreUnavailable .*keystead\.db is damaged: stop the service, keep a copy/,
      );
    }
    copyFileSync(join(home, "backup.db"), file);
    for (const name of readdirSync(directory)) if (/-(wal|shm)$/.test(name)) rmSync(join(directory, name));
    expect(await said()).toMatch(/^described/);
    kms = await Kms.open({ directory });
    expect(text((await kms.decrypt({ CiphertextBlob })).Plaintext)).toBe("before");
    await kms.close();
  });
});

describe("a token", () => {
  test("that is full says so, and goes on once there is room", async (context) => {
    const disk = smallDisk("200k");
    if (disk === undefined) return context.skip("this machine lets nobody mount");
    const full = join(home, "full");
    const program = `
      import { Kms } from ${library("index")};
      const [, directory, region] = process.argv;
      try {
        const kms = await Kms.open({ directory, region });
        const { KeyMetadata } = await kms.createKey();
        const { CiphertextBlob } = await kms.encrypt({ KeyId: KeyMetadata.KeyId, Plaintext: new Uint8Array(1) });
        console.log((await kms.decrypt({ CiphertextBlob })).Plaintext.length);
        await kms.close();
      } catch (error) {
        console.log(error.name, error.message, error.code);
      }`;
    const run = async (region: string) => `${(await node(program, [full, region])).stdout}`;
    expect(await run("eu-west-1")).toBe("1\n");
    spawnSync("cp", ["-a", `${join(full, "token")}/.`, disk]);
    spawnSync("mount", ["--bind", disk, join(full, "token")]);
    mounts.unshift(join(full, "token"));
    expect(await run("eu-west-1")).toBe("1\n");
    const empty = fill(disk);
    expect(await run("us-west-2")).toMatch(/^Pkcs11Error C_GenerateKey: CKR_/);
    expect(await run("eu-west-1")).toMatch(
      /^Error .*token\.object.*, a part of the token, cannot be written: ENOSPC/,
    );
    empty();
    expect(await run("eu-west-1")).toBe("1\n");
    expect(await run("us-west-2")).toBe("1\n");
  });
});
