import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findSoftHsm } from "../lib/hsm.ts";
import { Kms } from "../lib/kms.ts";

// A token that is a millisecond away at every call: SoftHSM behind the module that the bench measures with.

const root = join(import.meta.dirname, "..");
const directory = mkdtempSync(join(tmpdir(), "keystead-network-"));
const module = join(directory, "network_module.so");
const trace = join(directory, "trace");
const home = join(directory, "home");
const Plaintext = new TextEncoder().encode("attack at dawn");

let kms: Kms;
beforeAll(async () => {
  const source = join(root, "bench/native/network_module.cc");
  const options = ["-std=c++20", "-O1", "-fPIC", "-shared", "-I", join(root, "native")];
  execFileSync("c++", [...options, source, "-o", module, "-ldl"]);
  await (await Kms.open({ directory: home })).close(); // makes the token
  kms = await Kms.open({
    directory: home,
    hsm: {
      module,
      environment: {
        SOFTHSM2_CONF: join(home, "softhsm2.conf"),
        KEYSTEAD_REAL_MODULE: findSoftHsm() as string,
        KEYSTEAD_NETWORK_TRACE: trace,
      },
      token: "keystead",
      pin: { file: join(home, "pin") },
      sessions: 64,
    },
    audit: { headInterval: 3_600_000 }, // heads are signed by the token, at any time
  });
}, 60_000);
afterAll(async () => {
  await kms?.close();
  rmSync(directory, { recursive: true, force: true });
});

const newKey = async (options = {}) => (await kms.createKey(options)).KeyMetadata?.KeyId as string;

/** The calls of the module that `work` costs, in their order. */
async function calls(work: () => Promise<unknown>): Promise<string[]> {
  const made = () => readFileSync(trace, "utf8").split("\n").slice(0, -1);
  const before = made().length;
  await work();
  return made().slice(before);
}

const derivation = ["C_SignInit", "C_Sign"];

describe("64 sessions", () => {
  test("calls under many keys all get their own answers", async () => {
    const ids = await Promise.all(Array.from({ length: 128 }, () => newKey()));
    const sealed = await Promise.all(
      ids.map((KeyId, i) => kms.encrypt({ KeyId, Plaintext, EncryptionContext: { i: `${i}` } })),
    );
    const opened = await Promise.all(
      sealed.map(({ CiphertextBlob }, i) =>
        kms.decrypt({ CiphertextBlob, EncryptionContext: { i: `${i}` } }),
      ),
    );
    expect(opened.map(({ KeyId }) => KeyId)).toEqual(sealed.map(({ KeyId }) => KeyId));
    expect(opened.every((answer) => Buffer.from(answer.Plaintext as Uint8Array).equals(Plaintext))).toBe(
      true,
    );
    // A batch of ciphertexts from everywhere, of which each needs a key of its own.
    const damaged = Uint8Array.from(sealed[7]?.CiphertextBlob as Uint8Array);
    damaged[damaged.length - 1] = (damaged.at(-1) as number) ^ 1;
    const { Entries } = await kms.decryptBatch({
      Entries: sealed.map(({ CiphertextBlob }, i) => ({
        CiphertextBlob: i === 7 ? damaged : CiphertextBlob,
        EncryptionContext: { i: `${i}` },
      })),
    });
    for (const [i, entry] of Entries.entries()) {
      if (i === 7) expect(entry).toMatchObject({ Error: { name: "InvalidCiphertextException" } });
      else expect(Buffer.from(entry.Plaintext as Uint8Array).equals(Plaintext)).toBe(true);
    }
  });

  test("signatures of a batch are right, each in its place", async () => {
    const KeyId = await newKey({ KeySpec: "ECC_NIST_P256", KeyUsage: "SIGN_VERIFY" });
    const SigningAlgorithm = "ECDSA_SHA_256";
    const messages = Array.from({ length: 200 }, (_, i) => new TextEncoder().encode(`message ${i}`));
    const made = await kms.signBatch({
      KeyId,
      SigningAlgorithm,
      Entries: messages.map((Message) => ({ Message })),
    });
    const verdict = await kms.verifyBatch({
      KeyId,
      SigningAlgorithm,
      Entries: made.Entries.map(({ Signature }, i) => ({
        Message: messages[i] as Uint8Array,
        Signature: Signature as Uint8Array,
      })),
    });
    expect(verdict.Entries.every(({ SignatureValid }) => SignatureValid)).toBe(true);
  });
});

describe("no call is made in vain", () => {
  test("by a key that is in use", async () => {
    const KeyId = await newKey();
    const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext });
    expect(await calls(() => kms.encrypt({ KeyId, Plaintext }))).toEqual(["C_GenerateRandom", ...derivation]);
    expect(await calls(() => kms.decrypt({ CiphertextBlob }))).toEqual(derivation);
    const Entries = Array.from({ length: 1_000 }, () => ({ Plaintext }));
    expect(await calls(() => kms.encryptBatch({ KeyId, Entries }))).toEqual([
      "C_GenerateRandom",
      ...derivation,
    ]);
    expect(await calls(() => kms.describeKey({ KeyId }))).toEqual([]);
  });

  test("by what is asked for together", async () => {
    const KeyId = await newKey();
    await kms.encrypt({ KeyId, Plaintext });
    const made = await calls(() =>
      Promise.all(Array.from({ length: 300 }, () => kms.encrypt({ KeyId, Plaintext }))),
    );
    expect(made.length).toBeLessThan(300); // alone each costs 3
  });

  test("by a signature", async () => {
    for (const [KeySpec, SigningAlgorithm] of [
      ["RSA_2048", "RSASSA_PKCS1_V1_5_SHA_256"],
      ["ECC_NIST_P256", "ECDSA_SHA_256"],
      ["ECC_NIST_EDWARDS25519", "ED25519_SHA_512"],
    ] as const) {
      const KeyId = await newKey({ KeySpec, KeyUsage: "SIGN_VERIFY" });
      const sign = () => kms.sign({ KeyId, SigningAlgorithm, Message: Plaintext });
      await sign();
      expect(await calls(sign)).toEqual(["C_SignInit", "C_Sign"]);
    }
  });

  test("by a new key, and by new material of it", async () => {
    let KeyId = "";
    const made = ["C_GenerateKey", "C_WrapKey", "C_DestroyObject", ...derivation];
    expect(
      await calls(async () => {
        KeyId = await newKey();
      }),
    ).toEqual(made);
    expect(await calls(() => kms.rotateKeyOnDemand({ KeyId }))).toEqual(made);
    // The handle is made of the blob that is kept, whose binding is checked.
    expect(await calls(() => kms.encrypt({ KeyId, Plaintext }))).toEqual([
      "C_GenerateRandom",
      ...derivation,
      "C_UnwrapKey",
      ...derivation,
    ]);
  });
});
