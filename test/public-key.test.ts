import { execFile } from "node:child_process";
import { constants, createHash, generateKeyPairSync, privateDecrypt, randomBytes, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Signing, VerifyBatchJob } from "../lib/hsm/addon.ts";
import { addon } from "../lib/hsm/load.ts";
import { provisionSoftHsm } from "../lib/hsm.ts";

// Vectors of others (test/vectors/signatures.py says whose), and node:crypto as the other side.

const minutes = 60_000;

interface Group {
  scheme: Signing["scheme"];
  hash?: string;
  publicKey: string;
  tests: { comment: string; input: string; signature: string; valid: boolean }[];
}

const folder = join(import.meta.dirname, "vectors/signatures");
const read = (name: string) => JSON.parse(readFileSync(join(folder, `${name}.json`), "utf8"));
const hex = (text: string) => Buffer.from(text, "hex");
const signingOf = ({ scheme, hash }: Group) => (hash ? { scheme, hash } : { scheme }) as Signing;
const spki = (key: { export(options: { type: "spki"; format: "der" }): Buffer }) =>
  key.export({ type: "spki", format: "der" });
const digest = (hash: string, message: Uint8Array) =>
  createHash(hash.replace("-", "").toLowerCase()).update(message).digest();

function packed(group: Group): VerifyBatchJob {
  const inputs = group.tests.map(({ input }) => hex(input));
  const signatures = group.tests.map(({ signature }) => hex(signature));
  return {
    publicKey: hex(group.publicKey),
    signing: signingOf(group),
    inputs: Buffer.concat(inputs),
    inputLengths: Uint32Array.from(inputs, ({ length }) => length),
    signatures: Buffer.concat(signatures),
    signatureLengths: Uint32Array.from(signatures, ({ length }) => length),
  };
}

const code = (promise: Promise<unknown>) =>
  promise.then(
    () => "resolved",
    (error) => (error.name === "EngineError" ? error.code : `${error}`),
  );

describe("vectors of others", () => {
  const families = addon().software().mlDsa ? ["rsa", "ecdsa", "eddsa", "ml-dsa"] : ["rsa", "ecdsa", "eddsa"];
  for (const group of families.flatMap((family) => read(family) as Group[])) {
    const title = `${group.scheme} ${group.hash ?? ""} ${group.publicKey.slice(-8)}`;
    it(`${title}: ${group.tests.length} signatures, right and wrong`, async () => {
      const publicKey = hex(group.publicKey);
      for (const { comment, input, signature, valid } of group.tests) {
        const job = { publicKey, signing: signingOf(group), input: hex(input), signature: hex(signature) };
        expect(await addon().verify(job), comment).toBe(valid);
      }
      const batch = await addon().verifyBatch(packed(group));
      expect([...batch]).toEqual(group.tests.map(({ valid }) => Number(valid)));
    });
  }

  it("refuses keys that are none", async () => {
    const signing: Signing = { scheme: "ecdsa", hash: "SHA-256" };
    const keys: { comment: string; publicKey: string }[] = read("not-keys");
    expect(keys.length).toBeGreaterThan(40);
    for (const { comment, publicKey } of keys) {
      const job = {
        publicKey: hex(publicKey),
        signing,
        input: new Uint8Array(32),
        signature: hex("3006020101020101"),
      };
      expect(await code(addon().verify(job)), comment).toBe("PUBLIC_KEY");
      const plaintext = new Uint8Array(1);
      expect(
        await code(addon().encrypt({ publicKey: hex(publicKey), hash: "SHA-256", plaintext })),
        comment,
      ).toBe("PUBLIC_KEY");
    }
  });
});

describe("signatures of node:crypto", () => {
  const message = randomBytes(100);
  const hashes = ["SHA-256", "SHA-384", "SHA-512"] as const;

  it.each([2048, 3072, 4096])("RSA %i", async (modulusLength) => {
    const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength });
    for (const hash of hashes) {
      const input = digest(hash, message);
      const node = { "rsa-pss": constants.RSA_PKCS1_PSS_PADDING, "rsa-pkcs1": constants.RSA_PKCS1_PADDING };
      for (const scheme of ["rsa-pss", "rsa-pkcs1"] as const) {
        const options = { key: privateKey, padding: node[scheme], saltLength: input.length };
        const signature = sign(hash.replace("-", "").toLowerCase(), message, options);
        const job = { publicKey: spki(publicKey), signing: { scheme, hash }, input, signature };
        expect(await addon().verify(job)).toBe(true);
        for (const other of hashes.filter((name) => name !== hash)) {
          const another = { ...job, signing: { scheme, hash: other }, input: digest(other, message) };
          expect(await addon().verify(another)).toBe(false);
        }
      }
    }
  });

  it.each(["prime256v1", "secp384r1", "secp521r1", "secp256k1"])("ECDSA %s", async (namedCurve) => {
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve });
    for (const hash of hashes) {
      const signing: Signing = { scheme: "ecdsa", hash };
      for (let round = 0; round < 20; round++) {
        const message = randomBytes(round);
        const signature = sign(hash.replace("-", "").toLowerCase(), message, privateKey);
        const job = { publicKey: spki(publicKey), signing, input: digest(hash, message), signature };
        expect(await addon().verify(job)).toBe(true);
        expect(await addon().verify({ ...job, input: digest(hash, randomBytes(9)) })).toBe(false);
      }
    }
  });

  it("Ed25519", async () => {
    const { privateKey, publicKey } = generateKeyPairSync("ed25519");
    for (const size of [0, 1, 100, 4096, 100_000]) {
      const input = randomBytes(size);
      const signature = sign(null, input, privateKey);
      const job = { publicKey: spki(publicKey), signing: { scheme: "ed25519" }, input, signature } as const;
      expect(await addon().verify(job)).toBe(true);
      expect(await addon().verify({ ...job, input: Buffer.concat([input, input, Buffer.of(1)]) })).toBe(
        false,
      );
    }
  });

  it("a thousand at the same time, by more keys than are kept", async () => {
    const pairs = Array.from({ length: 1200 }, () => generateKeyPairSync("ed25519"));
    const jobs = pairs.map(({ privateKey, publicKey }, index) => {
      const signature = sign(null, message, privateKey);
      const input = index % 3 ? message : randomBytes(100);
      return { publicKey: spki(publicKey), signing: { scheme: "ed25519" } as const, input, signature };
    });
    for (let round = 0; round < 2; round++) {
      const answers = await Promise.all(jobs.map((job) => addon().verify(job)));
      expect(answers).toEqual(jobs.map((_, index) => index % 3 > 0));
    }
  });
});

describe("RSAES-OAEP", () => {
  const hashes = ["SHA-1", "SHA-256"] as const;

  it.each([2048, 3072, 4096])("RSA %i encrypts what node:crypto decrypts", async (modulusLength) => {
    const { privateKey: key, publicKey } = generateKeyPairSync("rsa", { modulusLength });
    for (const hash of hashes) {
      const most = modulusLength / 8 - 2 * (hash === "SHA-1" ? 20 : 32) - 2;
      const oaepHash = hash.replace("-", "").toLowerCase();
      for (const size of [0, 1, 32, most]) {
        const plaintext = randomBytes(size);
        const ciphertext = await addon().encrypt({ publicKey: spki(publicKey), hash, plaintext });
        expect(ciphertext.length).toBe(modulusLength / 8);
        expect(privateDecrypt({ key, oaepHash }, ciphertext)).toEqual(plaintext);
        expect(await addon().encrypt({ publicKey: spki(publicKey), hash, plaintext })).not.toEqual(
          ciphertext,
        );
      }
      const plaintext = randomBytes(most + 1);
      expect(await code(addon().encrypt({ publicKey: spki(publicKey), hash, plaintext }))).toBe(
        "PLAINTEXT_SIZE",
      );
    }
  });
});

describe("what a caller gets wrong", () => {
  const ec = spki(generateKeyPairSync("ec", { namedCurve: "prime256v1" }).publicKey);
  const rsa = spki(generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey);
  const input = new Uint8Array(32);
  const signature = new Uint8Array(64);

  it("a scheme of another kind", async () => {
    const verify = (publicKey: Uint8Array, signing: Signing) =>
      code(addon().verify({ publicKey, signing, input, signature }));
    expect(await verify(ec, { scheme: "rsa-pss", hash: "SHA-256" })).toBe("SIGNING_SCHEME");
    expect(await verify(rsa, { scheme: "ecdsa", hash: "SHA-256" })).toBe("SIGNING_SCHEME");
    expect(await verify(ec, { scheme: "ed25519" })).toBe("SIGNING_SCHEME");
    expect(await code(addon().encrypt({ publicKey: ec, hash: "SHA-1", plaintext: input }))).toBe(
      "SIGNING_SCHEME",
    );
  });

  it("a digest of another size", async () => {
    const verify = (publicKey: Uint8Array, signing: Signing) =>
      code(addon().verify({ publicKey, signing, input, signature }));
    expect(await verify(ec, { scheme: "ecdsa", hash: "SHA-384" })).toBe("DIGEST_SIZE");
    expect(await verify(rsa, { scheme: "rsa-pkcs1", hash: "SHA-512" })).toBe("DIGEST_SIZE");
  });

  it("a batch whose lengths do not add up", async () => {
    const one = Uint32Array.of(32);
    const job = {
      publicKey: ec,
      signing: { scheme: "ecdsa", hash: "SHA-256" } as const,
      inputs: input,
      inputLengths: one,
      signatures: input,
      signatureLengths: one,
    };
    expect([...(await addon().verifyBatch(job))]).toEqual([0]);
    for (const wrong of [
      { inputLengths: Uint32Array.of(31) },
      { inputLengths: Uint32Array.of(33) },
      { signatureLengths: Uint32Array.of(16, 16) },
      { inputLengths: new Uint32Array() },
    ])
      await expect(addon().verifyBatch({ ...job, ...wrong })).rejects.toThrow(RangeError);
    const none = new Uint8Array();
    const nothing = { inputs: none, signatures: none };
    const lengths = { inputLengths: new Uint32Array(), signatureLengths: new Uint32Array() };
    expect(await addon().verifyBatch({ ...job, ...nothing, ...lengths })).toEqual(new Uint8Array());
  });
});

/**
 * Checks all vectors, then signatures that this Node's crypto makes, then lets it check those of keys that a token derives;
 * prints what was not as it should be.
 */
const program = `
import { createHash, createPublicKey, generateKeyPairSync, sign, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [path, folder, options] = process.argv.slice(1);
const addon = createRequire(path)(path);
const wrong = [];
let checked = 0;
const check = async (what, valid, publicKey, signing, input, signature) => {
  checked++;
  if ((await addon.verify({ publicKey, signing, input, signature })) !== valid) wrong.push(what);
};
const hex = (text) => Buffer.from(text, "hex");
for (const family of ["rsa", "ecdsa", "eddsa", "ml-dsa"])
  for (const { publicKey, tests, ...signing } of JSON.parse(readFileSync(folder + "/" + family + ".json", "utf8")))
    for (const { comment, valid, input, signature } of tests)
      await check(signing.scheme + ": " + comment, valid, hex(publicKey), signing, hex(input), hex(signature));

const shake = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash("shake256", { outputLength: 64 })).digest();
for (const set of [44, 65, 87]) {
  const { publicKey, privateKey } = generateKeyPairSync("ml-dsa-" + set);
  const spki = publicKey.export({ type: "spki", format: "der" });
  for (const size of [0, 1, 4096]) {
    const message = Buffer.alloc(size, set);
    const mu = shake(shake(spki.subarray(22)), Buffer.of(0, 0), message);
    const signature = sign(null, message, privateKey);
    await check("ml-dsa", true, spki, { scheme: "ml-dsa" }, message, signature);
    await check("ml-dsa-mu", true, spki, { scheme: "ml-dsa-mu" }, mu, signature);
    await check("mu as a message", false, spki, { scheme: "ml-dsa" }, mu, signature);
    signature[7] ^= 1;
    await check("ml-dsa, damaged", false, spki, { scheme: "ml-dsa" }, message, signature);
    await check("ml-dsa-mu, damaged", false, spki, { scheme: "ml-dsa-mu" }, mu, signature);
  }
}

const { pin, ...softHsm } = JSON.parse(options);
const token = await addon.openToken({ ...softHsm, pin: Buffer.from(readFileSync(pin, "utf8").trim()), handles: 10, sessions: 0 });
await token.openDomain("test", true);
const context = Buffer.from("what the key belongs to");
for (const material of [{ type: "ed25519" }, ...[44, 65, 87].map((parameterSet) => ({ type: "ml-dsa", parameterSet }))]) {
  const { blob, publicKey } = await token.generateKey({ domain: "test", context, material });
  const key = token.key({ domain: "test", blob, context, header: Buffer.alloc(50) });
  const theirs = createPublicKey({ key: publicKey, type: "spki", format: "der" });
  const message = Buffer.alloc(1000, 7);
  const schemes = { [material.type]: message };
  if (material.type === "ml-dsa") schemes["ml-dsa-mu"] = shake(shake(publicKey.subarray(22)), Buffer.of(0, 0), message);
  for (const [scheme, input] of Object.entries(schemes)) {
    const signature = await token.signWith(key, { scheme }, input);
    checked++;
    if (!verify(null, message, theirs, signature)) wrong.push("of the token: " + scheme);
    await check(scheme, true, publicKey, { scheme }, input, signature);
  }
  if (material.type === "ed25519") {
    const input = createHash("sha512").update(message).digest();
    const signature = await token.signWith(key, { scheme: "ed25519ph" }, input);
    await check("ed25519ph", true, publicKey, { scheme: "ed25519ph" }, input, signature);
  }
}
await token.close();
console.log(JSON.stringify({ software: addon.software(), checked, wrong }));
`;

describe("another OpenSSL", () => {
  const run = promisify(execFile);
  const root = resolve(import.meta.dirname, "..");
  const require = createRequire(import.meta.url);
  const platform = `${process.platform}-${process.arch}`;
  let home: string;

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), "keystead-openssl-"));
  });
  afterAll(() => rm(home, { recursive: true, force: true }));

  it(
    "checks and signs the same on Node 24, and ML-DSA with it",
    async () => {
      await run("npm", ["install", "--ignore-scripts", "--prefix", home, `node-${platform}@24`]);
      const node = join(home, "node_modules", `node-${platform}`, "bin/node");
      const { module, environment, token: label } = await provisionSoftHsm(home);
      const options = JSON.stringify({ module, environment, label, pin: join(home, "pin") });
      const path = require("node-gyp-build").path(root);
      const args = ["--input-type=module", "--eval", program, path, folder, options];
      const { software, checked, wrong } = JSON.parse((await run(node, args)).stdout);
      expect(software).toEqual({ mlDsa: true, ed25519ph: true });
      expect(checked).toBeGreaterThan(700);
      expect(wrong).toEqual([]);
    },
    5 * minutes,
  );

  it("says what it lacks", async () => {
    const [group] = read("ml-dsa") as [Group];
    const [test] = group.tests as [Group["tests"][0]];
    const job = { publicKey: hex(group.publicKey), input: hex(test.input), signature: hex(test.signature) };
    const { mlDsa } = addon().software();
    expect(await code(addon().verify({ ...job, signing: { scheme: "ml-dsa" } }))).toBe(
      mlDsa ? "resolved" : "MECHANISM_MISSING",
    );
  });
});
