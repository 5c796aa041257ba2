import {
  constants,
  createCipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  type KeyPairKeyObjectResult,
  publicEncrypt,
  randomBytes,
  sign,
  verify,
} from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Mac, Material, NativeKey, Signing, SignJob } from "../lib/hsm.ts";
import { Hsm, provisionSoftHsm } from "../lib/hsm.ts";

const directory = mkdtempSync(join(tmpdir(), "keystead-hsm-keys-"));
const bytes = (text: string) => new TextEncoder().encode(text);
const context = bytes("whose it is");
const header = new Uint8Array(50).fill(1);

let hsm: Hsm;
beforeAll(async () => {
  hsm = await Hsm.open(await provisionSoftHsm(directory));
  await hsm.openDomain("d", true);
});
afterAll(async () => {
  await hsm?.close();
  rmSync(directory, { recursive: true, force: true });
});

const name = (blob: Uint8Array, bound = context): NativeKey =>
  hsm.key({ domain: "d", blob, context: bound, header });
const spki = (publicKey: Uint8Array | undefined): KeyObject =>
  createPublicKey({ key: Buffer.from(publicKey ?? []), format: "der", type: "spki" });

async function make(material: Material) {
  const { blob, publicKey } = await hsm.generateKey({ domain: "d", context, material });
  return { blob, publicKey, key: name(blob) };
}

const HASHES = ["SHA-256", "SHA-384", "SHA-512"] as const;
const digest = (hash: string, message: Uint8Array) =>
  createHash(hash.replace("-", "")).update(message).digest();

/** Whether node:crypto takes the signature for the message's. */
function verifies(
  publicKey: KeyObject,
  signing: Signing,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  const hash = "hash" in signing ? signing.hash.replace("-", "") : null;
  const padding =
    signing.scheme === "rsa-pss"
      ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
      : {};
  return verify(hash, message, { key: publicKey, ...padding }, signature);
}

/** Everything that signs digests, with what it signs them by. */
const SIGNERS: [string, Material, Signing[]][] = [
  ...([2048, 3072, 4096] as const).map((bits): [string, Material, Signing[]] => [
    `RSA ${bits}`,
    { type: "rsa", bits },
    HASHES.flatMap((hash) => [
      { scheme: "rsa-pss", hash },
      { scheme: "rsa-pkcs1", hash },
    ]),
  ]),
  ...(
    [
      ["P-256", "SHA-256"],
      ["P-384", "SHA-384"],
      ["P-521", "SHA-512"],
      ["secp256k1", "SHA-256"],
    ] as const
  ).map(([curve, hash]): [string, Material, Signing[]] => [
    curve,
    { type: "ec", curve },
    [{ scheme: "ecdsa", hash }],
  ]),
];

describe("key pairs", () => {
  test.each(SIGNERS)(
    "%s signs what node:crypto verifies, also after its handle is gone",
    async (_, material, signings) => {
      const { key, publicKey } = await make(material);
      const known = spki(publicKey);
      // The encoding is the one that node:crypto writes.
      expect(known.export({ format: "der", type: "spki" })).toEqual(Buffer.from(publicKey ?? []));
      if (material.type === "rsa") {
        expect(known.asymmetricKeyDetails).toEqual({ modulusLength: material.bits, publicExponent: 65537n });
      }
      for (const signing of signings) {
        for (let i = 0; i < 8; i++) {
          const message = randomBytes(i);
          const input = digest("hash" in signing ? signing.hash : "", message);
          const signature = await hsm.sign(key, signing, input);
          expect(verifies(known, signing, message, signature)).toBe(true);
          expect(verifies(known, signing, bytes("another"), signature)).toBe(false);
        }
        hsm.forget(key);
      }
    },
    60_000,
  );

  test("a digest of another size is refused before the token sees it", async () => {
    const { key } = await make({ type: "ec", curve: "P-256" });
    const signature = hsm.sign(key, { scheme: "ecdsa", hash: "SHA-256" }, new Uint8Array(31));
    await expect(signature).rejects.toMatchObject({ name: "EngineError", code: "DIGEST_SIZE" });
  });

  test("many at once are spread over the lanes, each with its own answer", async () => {
    const pairs = await Promise.all(
      (["P-256", "secp256k1"] as const).map((curve) => make({ type: "ec", curve })),
    );
    const signing = { scheme: "ecdsa", hash: "SHA-256" } as const;
    const messages = Array.from({ length: 200 }, (_, i) => bytes(`message ${i}`));
    const signatures = await Promise.all(
      messages.map((message, i) =>
        hsm.sign((pairs[i % 2] as { key: NativeKey }).key, signing, digest("SHA-256", message)),
      ),
    );
    const known = pairs.map(({ publicKey }) => spki(publicKey));
    messages.forEach((message, i) => {
      expect(verifies(known[i % 2] as KeyObject, signing, message, signatures[i] as Uint8Array)).toBe(true);
    });
  });
});

describe("a batch of signatures", () => {
  const RSA = { scheme: "rsa-pss", hash: "SHA-256" } as const;
  const EC = { scheme: "ecdsa", hash: "SHA-384" } as const;
  const ED = { scheme: "ed25519" } as const;

  function job(groups: { key: NativeKey; signing: Signing; inputs: Uint8Array[] }[]): SignJob {
    const inputs = groups.flatMap((group) => group.inputs);
    return {
      keys: groups.map(({ key }) => key),
      signings: groups.map(({ signing }) => signing),
      counts: Uint32Array.from(groups, (group) => group.inputs.length),
      input: Buffer.concat(inputs),
      lengths: Uint32Array.from(inputs, (input) => input.length),
    };
  }

  test("of several keys and kinds, each signature in its place", async () => {
    const [rsa, ec, ed] = await Promise.all([
      make({ type: "rsa", bits: 2048 }),
      make({ type: "ec", curve: "P-384" }),
      make({ type: "ed25519" }),
    ]);
    const messages = Array.from({ length: 100 }, (_, i) => bytes(`message ${"x".repeat(i)}`));
    const digests = (hash: string) => messages.map((message) => digest(hash, message));
    const { signatures, lengths } = await hsm.signBatch(
      job([
        { key: ec.key, signing: EC, inputs: digests("SHA-384") },
        { key: ed.key, signing: ED, inputs: messages },
        { key: rsa.key, signing: RSA, inputs: digests("SHA-256") },
        { key: ec.key, signing: EC, inputs: [] },
      ]),
    );
    expect(lengths.length).toBe(300);
    let at = 0;
    lengths.forEach((length, i) => {
      const signature = signatures.subarray(at, at + length);
      at += length;
      const message = messages[i % 100] as Uint8Array;
      const [pair, signing] = (
        [
          [ec, EC],
          [ed, ED],
          [rsa, RSA],
        ] as const
      )[Math.floor(i / 100)] as [typeof ec, Signing];
      expect(verifies(spki(pair.publicKey), signing, message, signature)).toBe(true);
    });
    expect(at).toBe(signatures.length);
    const none = await hsm.signBatch(job([]));
    expect([none.signatures.length, none.lengths.length]).toEqual([0, 0]);
  });

  test("leaves room for others, and fails whole", async () => {
    const { key, blob, publicKey } = await make({ type: "ec", curve: "P-384" });
    const input = digest("SHA-384", bytes("m"));
    const many = hsm.signBatch(job([{ key, signing: EC, inputs: Array(5000).fill(input) }]));
    let done = false;
    void many.then(() => {
      done = true;
    });
    const alone = await hsm.sign(key, EC, input);
    expect(verifies(spki(publicKey), EC, bytes("m"), alone)).toBe(true);
    expect(done).toBe(false);
    expect((await many).lengths.length).toBe(5000);
    const group = { key, signing: EC, inputs: Array(40).fill(input) };
    const bad = { key: name(blob, bytes("another's")), signing: EC, inputs: [input] };
    const refused = (asked: SignJob, code: string) =>
      expect(hsm.signBatch(asked)).rejects.toMatchObject({ name: "EngineError", code });
    await refused(job([group, bad]), "BINDING_MISMATCH");
    await refused(job([group, { key, signing: EC, inputs: [bytes("short")] }]), "DIGEST_SIZE");
    await refused(job([group, { key, signing: RSA, inputs: [new Uint8Array(32)] }]), "KEY_TYPE");
    const whole = job([group]);
    await refused({ ...whole, input: whole.input.subarray(1) }, "BATCH_LAYOUT");
    await refused({ ...whole, counts: Uint32Array.of(39) }, "BATCH_LAYOUT");
    await refused({ ...whole, counts: Uint32Array.of(41) }, "BATCH_LAYOUT");
  });
});

describe("secrets for HMAC", () => {
  test.each([
    ["SHA-224", 28],
    ["SHA-256", 32],
    ["SHA-384", 48],
    ["SHA-512", 64],
  ] as const)("%s over messages of any size, the same each time", async (hash, size) => {
    const { key, publicKey, blob } = await make({ type: "secret", bytes: size });
    expect(publicKey).toBeUndefined();
    // AES key wrap with padding: whole blocks of 8 and one more.
    expect(blob.length).toBe(10 + 8 + 8 * Math.ceil(size / 8) + 32);
    expect(blob[1]).toBe(size === 32 ? 0 : 1);
    for (const message of [new Uint8Array(0), randomBytes(4096)]) {
      const mac: Mac = { hash, message };
      const first = await hsm.mac(key, mac);
      expect(first.length).toBe(Number(hash.slice(4)) / 8);
      expect(await hsm.mac(name(blob), mac)).toEqual(first);
      expect(await hsm.mac(key, { hash, message: Buffer.concat([message, Buffer.of(0)]) })).not.toEqual(
        first,
      );
    }
  });
});

describe("RSA decryption", () => {
  test.each([2048, 3072, 4096] as const)(
    "opens what node:crypto encrypts to RSA %i",
    async (bits) => {
      const { key, publicKey } = await make({ type: "rsa", bits });
      for (const hash of ["SHA-1", "SHA-256"] as const) {
        const oaepHash = hash.replace("-", "").toLowerCase();
        const most = bits / 8 - 2 - 2 * (hash === "SHA-1" ? 20 : 32);
        for (const plaintext of [new Uint8Array(0), bytes("attack at dawn"), randomBytes(most)]) {
          const ciphertext = publicEncrypt({ key: spki(publicKey), oaepHash }, plaintext);
          expect(await hsm.decrypt(key, { hash, ciphertext })).toEqual(new Uint8Array(plaintext));
        }
      }
    },
    60_000,
  );

  test("what does not decrypt is nothing, and no fault of the token", async () => {
    const { key, publicKey } = await make({ type: "rsa", bits: 2048 });
    const known = spki(publicKey);
    const modulus = Buffer.from(String(known.export({ format: "jwk" }).n), "base64url");
    const plaintext = bytes("m");
    const sound = publicEncrypt({ key: known, oaepHash: "sha256" }, plaintext);
    const { generation } = hsm.info();
    const wrong = [
      publicEncrypt({ key: known, oaepHash: "sha1" }, plaintext),
      publicEncrypt({ key: known, oaepHash: "sha256", oaepLabel: Buffer.from("a label") }, plaintext),
      publicEncrypt({ key: known, padding: constants.RSA_PKCS1_PADDING }, plaintext),
      sound.subarray(1),
      Buffer.concat([Buffer.of(0), sound]),
      sound.with(255, (sound[255] as number) ^ 1),
      new Uint8Array(256), // 0
      modulus,
      new Uint8Array(256).fill(0xff),
      new Uint8Array(0),
    ];
    for (const ciphertext of wrong)
      expect(await hsm.decrypt(key, { hash: "SHA-256", ciphertext })).toBeUndefined();
    expect(await hsm.decrypt(key, { hash: "SHA-256", ciphertext: sound })).toEqual(plaintext);
    expect(hsm.info().generation).toBe(generation);
  });
});

describe("key agreement", () => {
  test.each([
    ["P-256", "prime256v1"],
    ["P-384", "secp384r1"],
    ["P-521", "secp521r1"],
    ["secp256k1", "secp256k1"],
  ] as const)(
    "on %s with node:crypto",
    async (curve, namedCurve) => {
      const { key, publicKey } = await make({ type: "ec", curve });
      // So many that some secrets begin with zeros.
      for (let i = 0; i < 300; i++) {
        const other = generateKeyPairSync("ec", { namedCurve });
        const known = other.publicKey.export({ format: "der", type: "spki" });
        const expected = diffieHellman({ privateKey: other.privateKey, publicKey: spki(publicKey) });
        expect(Buffer.from(await hsm.deriveSecret(key, known))).toEqual(expected);
      }
    },
    30_000,
  );

  test("a public key of another curve, off the curve, or none at all is refused", async () => {
    const { key } = await make({ type: "ec", curve: "P-256" });
    const other = (namedCurve: string) =>
      generateKeyPairSync("ec", { namedCurve }).publicKey.export({ format: "der", type: "spki" });
    const off = other("prime256v1");
    off[off.length - 1] = (off[off.length - 1] as number) ^ 1;
    const { publicKey: rsa } = await make({ type: "rsa", bits: 2048 });
    const wrong = [other("secp256k1"), other("secp384r1"), off, rsa as Uint8Array, new Uint8Array(10)];
    for (const publicKey of wrong) {
      const derived = hsm.deriveSecret(key, publicKey);
      await expect(derived).rejects.toMatchObject({ name: "EngineError", code: "PUBLIC_KEY" });
    }
  });
});

describe("keys of a seed", () => {
  test("Ed25519 signs messages and their digests, the same key each time", async () => {
    const { key, publicKey, blob } = await make({ type: "ed25519" });
    const known = spki(publicKey);
    expect(known.asymmetricKeyType).toBe("ed25519");
    expect(blob[1]).toBe(4);
    for (const message of [new Uint8Array(0), bytes("m"), randomBytes(4096)]) {
      const signature = await hsm.sign(key, { scheme: "ed25519" }, message);
      expect(verify(null, message, known, signature)).toBe(true);
      // Ed25519 is deterministic.
      hsm.forget(key);
      expect(await hsm.sign(name(blob), { scheme: "ed25519" }, message)).toEqual(signature);
    }
    const prehashed = await hsm.sign(key, { scheme: "ed25519ph" }, digest("SHA-512", bytes("m")));
    expect(prehashed.length).toBe(64);
    expect(verify(null, digest("SHA-512", bytes("m")), known, prehashed)).toBe(false);
  });

  test("ML-DSA, or a refusal that names it where Node's OpenSSL has none", async () => {
    const material: Material = { type: "ml-dsa", parameterSet: 44 };
    const [major, minor] = process.versions.openssl.split(".").map(Number) as [number, number];
    if (major === 3 && minor < 5) {
      const made = hsm.generateKey({ domain: "d", context, material });
      await expect(made).rejects.toMatchObject({ code: "MECHANISM_MISSING" });
      await expect(made).rejects.toThrow(/ML-DSA/);
      return;
    }
    const { key, publicKey } = await make(material);
    const signature = await hsm.sign(key, { scheme: "ml-dsa" }, bytes("m"));
    expect(verify(null, bytes("m"), spki(publicKey), signature)).toBe(true);
  });

  test("the secret behind a seed makes no MAC, and so gives the seed to nobody", async () => {
    const { key } = await make({ type: "ed25519" });
    const asked = hsm.mac(key, { hash: "SHA-256", message: bytes("Keystead Ed25519 seed v1") });
    await expect(asked).rejects.toMatchObject({ name: "EngineError", code: "KEY_TYPE" });
    const { key: secret } = await make({ type: "secret", bytes: 32 });
    const signature = hsm.sign(secret, { scheme: "ed25519" }, bytes("m"));
    await expect(signature).rejects.toMatchObject({ code: "KEY_TYPE" });
  });
});

describe("data key pairs", () => {
  test.each<Material>([
    { type: "rsa", bits: 2048 },
    { type: "rsa", bits: 3072 },
    { type: "ec", curve: "P-256" },
    { type: "ec", curve: "P-384" },
    { type: "ec", curve: "P-521" },
    { type: "ec", curve: "secp256k1" },
    { type: "ed25519" },
  ])(
    "%o is handed out whole, and nothing of it stays",
    async (material) => {
      const { open } = hsm.info().handles;
      const { privateKey, publicKey } = await hsm.generateKeyPair(material);
      const pair = createPrivateKey({ key: Buffer.from(privateKey), format: "der", type: "pkcs8" });
      expect(createPublicKey(pair).export({ format: "der", type: "spki" })).toEqual(Buffer.from(publicKey));
      // The encoding is the one that node:crypto writes.
      expect(pair.export({ format: "der", type: "pkcs8" })).toEqual(Buffer.from(privateKey));
      const hash = material.type === "ed25519" ? null : "sha256";
      expect(verify(hash, bytes("m"), spki(publicKey), sign(hash, bytes("m"), pair))).toBe(true);
      expect(hsm.info().handles.open).toBe(open);
    },
    60_000,
  );
});

describe("moving a key", () => {
  test.each<[string, Material]>([
    ["a secret", { type: "secret", bytes: 48 }],
    ["an RSA key", { type: "rsa", bits: 2048 }],
    ["an EC key", { type: "ec", curve: "P-521" }],
    ["a seed", { type: "ed25519" }],
  ])("rewraps %s under another domain and context", async (_, material) => {
    await hsm.openDomain("e", true);
    const there = { domain: "e", context: bytes("whose it is there") };
    const { blob, publicKey } = await make(material);
    const moved = await hsm.rewrapKey({ domain: "d", blob, context, to: there });
    expect(moved.length).toBe(blob.length);
    expect(moved.subarray(10)).not.toEqual(blob.subarray(10));
    const use = async (key: NativeKey) => {
      const message = bytes("m");
      if (material.type === "secret") return hsm.mac(key, { hash: "SHA-384", message });
      if (material.type === "ed25519") return hsm.sign(key, { scheme: "ed25519" }, message);
      const scheme = material.type === "rsa" ? "rsa-pkcs1" : "ecdsa";
      const signature = await hsm.sign(key, { scheme, hash: "SHA-512" }, digest("SHA-512", message));
      return verify("sha512", message, spki(publicKey), signature);
    };
    const before = await use(name(blob));
    expect(before).not.toBe(false);
    expect(await use(hsm.key({ ...there, blob: moved, header }))).toEqual(before);
    const mismatch = { name: "EngineError", code: "BINDING_MISMATCH" };
    await expect(use(hsm.key({ domain: "e", context, blob: moved, header }))).rejects.toMatchObject(mismatch);
    const theirs = hsm.rewrapKey({ domain: "d", blob, context: bytes("another's"), to: there });
    await expect(theirs).rejects.toMatchObject(mismatch);
  });
});

describe("import", () => {
  const AT = 11;
  const idContext = bytes("key 1234");
  const bound = Buffer.alloc(AT + 64 + 5, "-");
  const algorithms = (["rsa-oaep", "rsa-aes-key-wrap"] as const).flatMap((scheme) =>
    (["SHA-1", "SHA-256"] as const).map((hash) => ({ scheme, hash })),
  );
  type Algorithm = (typeof algorithms)[number];
  let wrapping: Awaited<ReturnType<typeof make>>;
  beforeAll(async () => {
    wrapping = await make({ type: "rsa", bits: 3072 });
  });

  /** As AWS KMS describes it for whoever imports. */
  function encrypt({ scheme, hash }: Algorithm, clear: Uint8Array): Buffer {
    const to = { key: spki(wrapping.publicKey), oaepHash: hash.replace("-", "").toLowerCase() };
    if (scheme === "rsa-oaep") return publicEncrypt(to, clear);
    const aes = randomBytes(32);
    const cipher = createCipheriv("id-aes256-wrap-pad", aes, Buffer.from("A65959A6", "hex"));
    return Buffer.concat([publicEncrypt(to, aes), cipher.update(clear), cipher.final()]);
  }

  const importKey = (algorithm: Algorithm, encrypted: Uint8Array, material: Material) =>
    hsm.importKey({
      wrapping: { domain: "d", blob: wrapping.blob, context },
      algorithm,
      encrypted,
      domain: "d",
      context: bound,
      materialIdAt: AT,
      idContext,
      material,
    });

  /** The imported key under the context that it was bound to. */
  function imported({ blob, materialId }: { blob: Uint8Array; materialId: string }): NativeKey {
    const whole = Buffer.from(bound);
    whole.write(materialId, AT);
    return name(blob, whole);
  }

  const identified = (...parts: Uint8Array[]) =>
    Buffer.concat([bytes("Keystead material id\0"), idContext, ...parts]);
  const refused = (asked: Promise<unknown>, code: string) =>
    expect(asked).rejects.toMatchObject({ name: "EngineError", code });

  test.each(algorithms)("secrets by $scheme with $hash compute node:crypto's HMAC", async (algorithm) => {
    for (const size of [28, 32, 48, 64]) {
      const clear = randomBytes(size);
      const key = await importKey(algorithm, encrypt(algorithm, clear), { type: "secret", bytes: size });
      expect(key.publicKey).toBeUndefined();
      expect(key.materialId).toBe(createHmac("sha256", clear).update(identified()).digest("hex"));
      for (const hash of ["SHA-224", ...HASHES] as const) {
        if (size < Number(hash.slice(4)) / 8) continue;
        const expected = createHmac(hash.replace("-", ""), clear).update("m").digest();
        expect(Buffer.from(await hsm.mac(imported(key), { hash, message: bytes("m") }))).toEqual(expected);
      }
      await refused(
        hsm.mac(name(key.blob, bound), { hash: "SHA-256", message: bytes("m") }),
        "BINDING_MISMATCH",
      );
    }
  });

  test("a secret seals and opens, as the same material imported again does", async () => {
    const [algorithm] = algorithms as [Algorithm];
    const clear = randomBytes(32);
    const again = () => importKey(algorithm, encrypt(algorithm, clear), { type: "secret", bytes: 32 });
    const [first, second] = [await again(), await again()];
    expect(second.materialId).toBe(first.materialId);
    const sealed = await hsm.seal(imported(first), bytes("attack at dawn"), new Uint8Array(4));
    const opened = await hsm.open(imported(second), sealed, new Uint8Array(4));
    expect(Buffer.from(opened ?? []).toString()).toBe("attack at dawn");
  });

  const pairs: [Material, () => KeyPairKeyObjectResult][] = [
    [{ type: "rsa", bits: 2048 }, () => generateKeyPairSync("rsa", { modulusLength: 2048 })],
    [{ type: "rsa", bits: 4096 }, () => generateKeyPairSync("rsa", { modulusLength: 4096 })],
    [{ type: "ec", curve: "P-256" }, () => generateKeyPairSync("ec", { namedCurve: "prime256v1" })],
    [{ type: "ec", curve: "P-384" }, () => generateKeyPairSync("ec", { namedCurve: "secp384r1" })],
    [{ type: "ec", curve: "P-521" }, () => generateKeyPairSync("ec", { namedCurve: "secp521r1" })],
    [{ type: "ec", curve: "secp256k1" }, () => generateKeyPairSync("ec", { namedCurve: "secp256k1" })],
  ];
  test.each(pairs)(
    "a key pair %o signs for its public key",
    async (material, generate) => {
      const pair = generate();
      const clear = pair.privateKey.export({ format: "der", type: "pkcs8" });
      const known = pair.publicKey.export({ format: "der", type: "spki" });
      for (const algorithm of algorithms) {
        // RSA keys are longer than RSA encrypts.
        if (algorithm.scheme === "rsa-oaep" && material.type === "rsa") continue;
        const key = await importKey(algorithm, encrypt(algorithm, clear), material);
        expect(Buffer.from(key.publicKey ?? [])).toEqual(known);
        expect(key.materialId).toBe(createHash("sha256").update(identified(known)).digest("hex"));
        const scheme = material.type === "rsa" ? "rsa-pss" : "ecdsa";
        const signing: Signing = { scheme, hash: "SHA-256" };
        const signature = await hsm.sign(imported(key), signing, digest("SHA-256", bytes("m")));
        expect(verifies(pair.publicKey, signing, bytes("m"), signature)).toBe(true);
      }
    },
    30_000,
  );

  /** SoftHSM unwraps what is encrypted with SHA-1, and the engine does the rest: nothing else may differ. */
  test("material is the same, whether the token or the engine unwraps it", async () => {
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
    const materials: [Material, Uint8Array][] = [
      ...[28, 32, 48, 64].map((size): [Material, Uint8Array] => [
        { type: "secret", bytes: size },
        randomBytes(size),
      ]),
      [{ type: "rsa", bits: 2048 }, rsa.export({ format: "der", type: "pkcs8" })],
    ];
    for (const [material, clear] of materials) {
      const keys = [];
      for (const algorithm of algorithms) {
        if (algorithm.scheme === "rsa-oaep" && material.type === "rsa") continue;
        keys.push(await importKey(algorithm, encrypt(algorithm, clear), material));
      }
      const [first, ...others] = keys.map(({ materialId, publicKey }) => ({ materialId, publicKey }));
      for (const other of others) expect(other).toEqual(first);
      const uses = keys.map((key) =>
        material.type === "rsa"
          ? hsm.sign(imported(key), { scheme: "rsa-pkcs1", hash: "SHA-256", message: true }, bytes("m"))
          : hsm.mac(imported(key), { hash: "SHA-224", message: bytes("m") }),
      );
      const [made, ...same] = await Promise.all(uses);
      for (const each of same) expect(each).toEqual(made);
    }
  });

  test.each(algorithms)("secrets of a wrong length are refused by $scheme with $hash", async (algorithm) => {
    // Key wrap takes no empty key.
    const least = algorithm.scheme === "rsa-oaep" ? 0 : 1;
    for (const size of [32, 48, 64])
      for (const clear of [size - 1, size + 1, size + 16, least].map((length) => randomBytes(length))) {
        const material: Material = { type: "secret", bytes: size };
        await refused(importKey(algorithm, encrypt(algorithm, clear), material), "IMPORT_MATERIAL");
      }
  });

  test.each(["SHA-1", "SHA-256"] as const)("damaged RSA keys are refused with %s", async (hash) => {
    const algorithm = { scheme: "rsa-aes-key-wrap", hash } as const;
    const material: Material = { type: "rsa", bits: 2048 };
    const key = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
    const sound = key.export({ format: "der", type: "pkcs8" });
    const longer = generateKeyPairSync("rsa", { modulusLength: 3072 }).privateKey;
    const { generation } = hsm.info();
    for (const clear of [
      // The modulus.
      sound.with(100, (sound[100] as number) ^ 1),
      sound.subarray(0, -1),
      randomBytes(1200),
      longer.export({ format: "der", type: "pkcs8" }),
      generateKeyPairSync("ec", { namedCurve: "prime256v1" }).privateKey.export({
        format: "der",
        type: "pkcs8",
      }),
    ])
      await refused(importKey(algorithm, encrypt(algorithm, clear), material), "IMPORT_MATERIAL");
    expect(hsm.info().generation).toBe(generation);
  });

  /** PKCS#8 of an RSA key, whatever its numbers are. */
  function rsaPkcs8(numbers: readonly Uint8Array[]): Buffer {
    const der = (tag: number, content: Uint8Array) => {
      const length = Buffer.of(0x82, content.length >> 8, content.length & 255);
      return Buffer.concat([Buffer.of(tag), content.length < 128 ? length.subarray(2) : length, content]);
    };
    const integers = numbers.map((each) => der(2, Buffer.concat([Buffer.of(0), each])));
    const key = der(0x30, Buffer.concat([Buffer.from("020100", "hex"), ...integers]));
    const algorithm = Buffer.from("300d06092a864886f70d0101010500", "hex");
    return der(0x30, Buffer.concat([Buffer.from("020100", "hex"), algorithm, der(4, key)]));
  }

  /**
   * A token that computes with the primes does not look at the private exponent, and one that checks what it has
   * computed (SoftHSM's OpenSSL does) makes up for primes that are wrong by the exponent.
   */
  test.each(["n", "e", "d", "p", "q", "dp", "dq", "qi"] as const)(
    "an RSA key whose %s belongs to another is refused, unless it does all that it should nonetheless",
    async (name) => {
      const [one, other] = [1, 2].map(() => generateKeyPairSync("rsa", { modulusLength: 2048 }));
      const numbersOf = ({ privateKey }: KeyPairKeyObjectResult) => privateKey.export({ format: "jwk" });
      const [sound, foreign] = [
        numbersOf(one as KeyPairKeyObjectResult),
        numbersOf(other as KeyPairKeyObjectResult),
      ];
      if (name === "e") foreign.e = Buffer.from([1, 0, 3]).toString("base64url");
      const order = ["n", "e", "d", "p", "q", "dp", "dq", "qi"] as const;
      const write = (numbers: typeof sound) =>
        rsaPkcs8(order.map((each) => Buffer.from(numbers[each] as string, "base64url")));
      const material: Material = { type: "rsa", bits: 2048 };
      const clear = write({ ...sound, [name]: foreign[name] });
      const inEngine = { scheme: "rsa-aes-key-wrap", hash: "SHA-256" } as const;
      const inToken = { scheme: "rsa-aes-key-wrap", hash: "SHA-1" } as const;
      await importKey(inEngine, encrypt(inEngine, write(sound)), material);
      await refused(importKey(inEngine, encrypt(inEngine, clear), material), "IMPORT_MATERIAL");
      const key = await importKey(inToken, encrypt(inToken, clear), material).catch((error) => error);
      if (key instanceof Error) return expect(key).toMatchObject({ code: "IMPORT_MATERIAL" });
      expect(["n", "e"]).not.toContain(name);
      const publicKey = (one as KeyPairKeyObjectResult).publicKey;
      expect(Buffer.from(key.publicKey)).toEqual(publicKey.export({ format: "der", type: "spki" }));
      for (let i = 0; i < 10; i++) {
        const signing: Signing = { scheme: "rsa-pss", hash: "SHA-256" };
        const message = randomBytes(20);
        const signature = await hsm.sign(imported(key), signing, digest("SHA-256", message));
        expect(verifies(publicKey, signing, message, signature)).toBe(true);
        const sealed = publicEncrypt({ key: publicKey, oaepHash: "sha256" }, message);
        expect(
          Buffer.from((await hsm.decrypt(imported(key), { hash: "SHA-256", ciphertext: sealed })) ?? []),
        ).toEqual(message);
      }
    },
    30_000,
  );

  test.each(["SHA-1", "SHA-256"] as const)(
    "an AES key of no AES size opens nothing with %s",
    async (hash) => {
      const algorithm = { scheme: "rsa-aes-key-wrap", hash } as const;
      const sound = encrypt(algorithm, randomBytes(32));
      for (const size of [0, 1, 15, 17, 31, 33, 64]) {
        const to = { key: spki(wrapping.publicKey), oaepHash: hash.replace("-", "").toLowerCase() };
        const head = publicEncrypt(to, randomBytes(size));
        const encrypted = Buffer.concat([head, sound.subarray(head.length)]);
        await refused(importKey(algorithm, encrypted, { type: "secret", bytes: 32 }), "IMPORT_CIPHERTEXT");
      }
      expect(hsm.info().available).toBe(true);
    },
  );

  test.each(algorithms)(
    "what $scheme with $hash does not decrypt is told from wrong material",
    async (algorithm) => {
      const secret: Material = { type: "secret", bytes: 32 };
      const sound = encrypt(algorithm, randomBytes(32));
      const { generation } = hsm.info();
      for (const encrypted of [
        sound.with(10, (sound[10] as number) ^ 1),
        sound.with(sound.length - 1, (sound.at(-1) as number) ^ 1),
        sound.subarray(0, -1),
        Buffer.concat([sound, Buffer.of(0)]),
        new Uint8Array(0),
        encrypt({ ...algorithm, hash: algorithm.hash === "SHA-1" ? "SHA-256" : "SHA-1" }, randomBytes(32)),
      ]) {
        await refused(importKey(algorithm, encrypted, secret), "IMPORT_CIPHERTEXT");
      }
      await refused(importKey(algorithm, encrypt(algorithm, randomBytes(31)), secret), "IMPORT_MATERIAL");
      await refused(importKey(algorithm, encrypt(algorithm, randomBytes(33)), secret), "IMPORT_MATERIAL");
      const p256: Material = { type: "ec", curve: "P-256" };
      const { privateKey } = generateKeyPairSync("ec", { namedCurve: "secp256k1" });
      const other = privateKey.export({ format: "der", type: "pkcs8" });
      await refused(importKey(algorithm, encrypt(algorithm, other), p256), "IMPORT_MATERIAL");
      await refused(importKey(algorithm, encrypt(algorithm, randomBytes(100)), p256), "IMPORT_MATERIAL");
      expect(hsm.info().generation).toBe(generation);
    },
  );
});

describe("a key blob", () => {
  test.each<[string, Material]>([
    ["a secret of 64 bytes", { type: "secret", bytes: 64 }],
    ["an RSA key", { type: "rsa", bits: 2048 }],
    ["an EC key", { type: "ec", curve: "P-384" }],
  ])("of %s serves only what it is bound to", async (_, material) => {
    const { blob } = await make(material);
    const use = (key: NativeKey) =>
      material.type === "secret"
        ? hsm.mac(key, { hash: "SHA-512", message: bytes("m") })
        : hsm.sign(
            key,
            material.type === "rsa"
              ? { scheme: "rsa-pss", hash: "SHA-384" }
              : { scheme: "ecdsa", hash: "SHA-384" },
            digest("SHA-384", bytes("m")),
          );
    await use(name(blob));
    const refused = (key: NativeKey, code: string) =>
      expect(use(key)).rejects.toMatchObject({ name: "EngineError", code });
    await refused(name(blob, bytes("another's")), "BINDING_MISMATCH");
    for (const at of [12, blob.length - 1]) {
      await refused(name(blob.with(at, (blob[at] as number) ^ 1)), "BINDING_MISMATCH");
    }
    const kind = blob[1] as number;
    const posing = blob.with(1, kind ^ 1);
    // The kind is bound as well: no key can be passed off as one of another kind.
    await refused(name(posing), kind === 1 ? "BINDING_MISMATCH" : "KEY_TYPE");
    await refused(name(blob.with(1, 0xee)), "KEY_BLOB");
  });
});

describe("keys that live on the token", () => {
  test("a pair signs, is found again, and is destroyed", async () => {
    const id = "pair of a custom key store";
    const material: Material = { type: "ec", curve: "P-256" };
    const key = hsm.tokenKey({ id, header });
    const signing = { scheme: "ecdsa", hash: "SHA-256" } as const;
    const input = digest("SHA-256", bytes("m"));
    await expect(hsm.sign(key, signing, input)).rejects.toMatchObject({ code: "KEY_NOT_FOUND" });
    const { publicKey } = await hsm.createTokenKey({ id, material });
    await expect(hsm.createTokenKey({ id, material })).rejects.toMatchObject({
      name: "EngineError",
      code: "KEY_EXISTS",
    });
    for (let i = 0; i < 3; i++) {
      expect(verifies(spki(publicKey), signing, bytes("m"), await hsm.sign(key, signing, input))).toBe(true);
      // The handle is let go of, the key is not.
      hsm.forget(key);
    }
    expect(await hsm.destroyTokenKey(id)).toBe(true);
    hsm.forget(key);
    await expect(hsm.sign(key, signing, input)).rejects.toMatchObject({ code: "KEY_NOT_FOUND" });
    expect(await hsm.destroyTokenKey(id)).toBe(false);
  });

  test("a secret seals and opens like a backing key", async () => {
    const id = "secret of a custom key store";
    await hsm.createTokenKey({ id, material: { type: "secret", bytes: 32 } });
    const key = hsm.tokenKey({ id, header });
    const sealed = await hsm.seal(key, bytes("attack at dawn"), new Uint8Array(4));
    hsm.forget(key);
    const again = hsm.tokenKey({ id, header });
    const opened = await hsm.open(again, sealed, new Uint8Array(4));
    expect(Buffer.from(opened ?? []).toString()).toBe("attack at dawn");
    expect(await hsm.destroyTokenKey(id)).toBe(true);
    hsm.forget(key);
    await expect(hsm.open(again, sealed, new Uint8Array(4))).rejects.toMatchObject({ code: "KEY_NOT_FOUND" });
  });

  test("the signer of the audit log is one of them", async () => {
    await expect(hsm.signer("auditor", false)).rejects.toMatchObject({ code: "KEY_NOT_FOUND" });
    const { publicKey } = await hsm.signer("auditor", true);
    const again = await hsm.signer("auditor", true);
    expect(again.publicKey).toEqual(publicKey);
    expect(spki(publicKey).asymmetricKeyDetails).toEqual({ namedCurve: "prime256v1" });
    for (let i = 0; i < 50; i++) {
      const message = randomBytes(10);
      const signature = await again.sign(digest("SHA-256", message));
      expect(verify("sha256", message, spki(publicKey), signature)).toBe(true);
    }
  });
});
