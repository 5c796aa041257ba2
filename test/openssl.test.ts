import { execFile } from "node:child_process";
import { constants, createPublicKey, publicEncrypt, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Algorithm, algorithms } from "../lib/algorithms.ts";
import type { Kms } from "../lib/index.ts";
import { DataKeyPairSpec } from "../lib/shapes.ts";
import { bytes, newKey, openTestDeployment, refusal, text } from "./deployment.ts";

/** The program openssl as the other side of whatever leaves the service or comes to it. */
const home = mkdtempSync(join(tmpdir(), "keystead-openssl-test-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));
let kms: Kms;
beforeAll(async () => {
  ({ kms } = await openTestDeployment());
});

/** What openssl prints. */
function openssl(...args: string[]): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    execFile("openssl", args, { encoding: "buffer" }, (error, out, err) => {
      if (error) reject(new Error(`openssl ${args.join(" ")}: ${err}${out}`));
      else resolve(out);
    });
  });
}
let files = 0;
function file(content: Uint8Array = new Uint8Array()): string {
  const name = join(home, String(files++));
  writeFileSync(name, content);
  return name;
}
const options = (name: string, ...values: string[]) => values.flatMap((value) => [name, value]);

const Message = randomBytes(1000);
const message = file(Message);
const DER = ["-inform", "DER", "-outform", "PEM"];

/** A file with the public key of a KMS key, as openssl has read it. */
async function publicKeyOf(KeyId: string): Promise<string> {
  const { PublicKey } = await kms.getPublicKey({ KeyId });
  return file(await openssl("pkey", "-pubin", ...DER, "-in", file(PublicKey)));
}

const curves: Record<string, string> = {
  ECC_NIST_P256: "P-256",
  ECC_NIST_P384: "P-384",
  ECC_NIST_P521: "P-521",
  ECC_SECG_P256K1: "secp256k1",
};
/** A file with a private key of openssl's, of this spec. */
async function privateKey({ keySpec }: Algorithm): Promise<string> {
  const [, bits] = /^RSA_(\d+)$/.exec(keySpec) ?? [];
  const made = bits
    ? ["RSA", ...options("-pkeyopt", `rsa_keygen_bits:${bits}`)]
    : ["EC", ...options("-pkeyopt", `ec_paramgen_curve:${curves[keySpec]}`)];
  return file(await openssl("genpkey", "-algorithm", ...made));
}

/** A KMS key of what openssl has made and wrapped, as AWS's documentation tells how to. */
async function imported({ keySpec }: Algorithm, KeyUsage: string, material: Uint8Array): Promise<string> {
  const input = { Origin: "EXTERNAL", KeySpec: keySpec, KeyUsage } as Parameters<Kms["createKey"]>[0];
  const { KeyId } = await newKey(kms, input);
  const { PublicKey, ImportToken } = await kms.getParametersForImport({
    KeyId,
    WrappingAlgorithm: "RSA_AES_KEY_WRAP_SHA_256",
    WrappingKeySpec: "RSA_2048",
  });
  const aes = randomBytes(32);
  const wrapped = await openssl(
    ...["enc", "-id-aes256-wrap-pad", "-iv", "A65959A6", "-K", aes.toString("hex"), "-in", file(material)],
  );
  const oaep = options("-pkeyopt", "rsa_padding_mode:oaep", "rsa_oaep_md:sha256", "rsa_mgf1_md:sha256");
  const wrapping = ["-pubin", "-keyform", "DER", "-inkey", file(PublicKey)];
  const key = await openssl("pkeyutl", "-encrypt", ...wrapping, ...oaep, "-in", file(aes));
  await kms.importKeyMaterial({
    KeyId,
    ImportToken: ImportToken as Uint8Array,
    EncryptedKeyMaterial: Buffer.concat([key, wrapped]),
    ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE",
  });
  return KeyId;
}
const pkcs8 = (key: string) => openssl("pkcs8", "-topk8", "-nocrypt", "-outform", "DER", "-in", key);

/** What is to be made once: an RSA key takes its time. */
function once<T>(make: (algorithm: Algorithm) => Promise<T>) {
  const made = new Map<Algorithm, Promise<T>>();
  return (algorithm: Algorithm): Promise<T> => {
    const one = made.get(algorithm) ?? make(algorithm);
    made.set(algorithm, one);
    return one;
  };
}
/** A key that openssl has made, as a file and as a KMS key. */
const foreign = (KeyUsage: string) =>
  once(async (algorithm) => {
    const own = await privateKey(algorithm);
    return { own, KeyId: await imported(algorithm, KeyUsage, await pkcs8(own)) };
  });
/** A key that the service has made. */
const native = (KeyUsage: Algorithm["usages"][number]) =>
  once(async ({ keySpec: KeySpec }) => {
    const { KeyId } = await newKey(kms, { KeySpec, KeyUsage });
    return { KeyId, publicKey: await publicKeyOf(KeyId) };
  });

type Signing = Algorithm["signingAlgorithms"][number];
const bitsOf = (name: string) => Number(/\d+$/.exec(name)?.[0]);
/** How openssl is told of a signing algorithm: the salt is as long as the digest. */
function dgst(name: Signing): string[] {
  const bits = bitsOf(name);
  const pss = ["rsa_padding_mode:pss", `rsa_pss_saltlen:${bits / 8}`, `rsa_mgf1_md:sha${bits}`];
  return [`-sha${bits}`, ...(name.startsWith("RSASSA_PSS") ? options("-sigopt", ...pss) : [])];
}

/** Those that openssl 3.0 does not know are held against vectors of others in test/public-key.test.ts. */
const beyond = ["ED25519_PH_SHA_512", "ML_DSA_SHAKE_256"];
const signing = algorithms.flatMap((algorithm) =>
  algorithm.signingAlgorithms
    .filter((name) => !beyond.includes(name))
    .map((name) => [algorithm.keySpec, name, algorithm] as const),
);

describe("signatures", () => {
  test("are of every kind", () => expect(signing.length).toBe(3 * 6 + 4 + 1));

  const [nativeKey, foreignKey] = [native("SIGN_VERIFY"), foreign("SIGN_VERIFY")];

  test.each(signing)("of %s by %s are openssl's", async (_, SigningAlgorithm, algorithm) => {
    const { KeyId, publicKey } = await nativeKey(algorithm);
    const edwards = SigningAlgorithm.startsWith("ED25519");
    const digest = edwards
      ? undefined
      : await openssl("dgst", "-binary", `-sha${bitsOf(SigningAlgorithm)}`, message);
    const inputs = [{ Message }, ...(digest ? [{ Message: digest, MessageType: "DIGEST" } as const] : [])];
    for (const input of inputs) {
      const { Signature } = await kms.sign({ KeyId, SigningAlgorithm, ...input });
      const signature = file(Signature);
      const verify = edwards
        ? [
            "pkeyutl",
            "-verify",
            "-pubin",
            "-inkey",
            publicKey,
            "-rawin",
            "-in",
            message,
            "-sigfile",
            signature,
          ]
        : ["dgst", ...dgst(SigningAlgorithm), "-verify", publicKey, "-signature", signature, message];
      expect(text(await openssl(...verify))).toMatch(/^(Verified OK|Signature Verified Successfully)$/m);
    }
  });

  const importable = signing.filter(([, , { importable }]) => importable);
  test.each(importable)("of %s by %s that openssl made are valid", async (_, SigningAlgorithm, algorithm) => {
    const { own, KeyId } = await foreignKey(algorithm);
    const Signature = await openssl("dgst", ...dgst(SigningAlgorithm), "-sign", own, message);
    const input = { KeyId, Message, SigningAlgorithm, Signature };
    expect(await kms.verify(input)).toMatchObject({ SignatureValid: true });
    expect(await refusal(kms.verify({ ...input, Message: bytes("another") }))).toBe(
      "KMSInvalidSignatureException",
    );
    const { PublicKey } = await kms.getPublicKey({ KeyId });
    const itself = await openssl("pkey", "-in", own, "-pubout", "-outform", "DER");
    expect(Buffer.from(PublicKey as Uint8Array)).toEqual(itself);
  });

  test("with a longer or shorter salt than the digest are not valid", async () => {
    const rsa = algorithms.find(({ keySpec }) => keySpec === "RSA_2048") as Algorithm;
    const { own, KeyId } = await foreignKey(rsa);
    for (const length of [0, 20, 222]) {
      const pss = options("-sigopt", "rsa_padding_mode:pss", `rsa_pss_saltlen:${length}`);
      const Signature = await openssl("dgst", "-sha256", ...pss, "-sign", own, message);
      const verified = kms.verify({ KeyId, Message, SigningAlgorithm: "RSASSA_PSS_SHA_256", Signature });
      expect(await refusal(verified)).toBe("KMSInvalidSignatureException");
    }
  });
});

describe("ciphertexts", () => {
  const encrypting = algorithms.flatMap((algorithm) =>
    algorithm.encryptionAlgorithms
      .filter((name) => name !== "SYMMETRIC_DEFAULT")
      .map((name) => [algorithm.keySpec, name, algorithm] as const),
  );
  test("are of every kind", () => expect(encrypting.length).toBe(3 * 2));

  const [nativeKey, foreignKey] = [native("ENCRYPT_DECRYPT"), foreign("ENCRYPT_DECRYPT")];
  const oaep = (name: string) => {
    const hash = `sha${bitsOf(name)}`;
    return options("-pkeyopt", "rsa_padding_mode:oaep", `rsa_oaep_md:${hash}`, `rsa_mgf1_md:${hash}`);
  };
  const plaintexts = (algorithm: Algorithm, name: Algorithm["encryptionAlgorithms"][number]) => [
    Buffer.of(0),
    randomBytes(algorithm.longestPlaintext[name] as number),
  ];

  test.each(encrypting)("under %s by %s of openssl open", async (_, EncryptionAlgorithm, algorithm) => {
    const made = await nativeKey(algorithm);
    const { KeyId } = made;
    const publicKey = ["-pubin", "-inkey", made.publicKey];
    for (const plaintext of plaintexts(algorithm, EncryptionAlgorithm)) {
      const how = [...oaep(EncryptionAlgorithm), "-in", file(plaintext)];
      const CiphertextBlob = await openssl("pkeyutl", "-encrypt", ...publicKey, ...how);
      const opened = await kms.decrypt({ KeyId, CiphertextBlob, EncryptionAlgorithm });
      expect(Buffer.from(opened.Plaintext as Uint8Array)).toEqual(plaintext);
    }
    const other = EncryptionAlgorithm === "RSAES_OAEP_SHA_1" ? "RSAES_OAEP_SHA_256" : "RSAES_OAEP_SHA_1";
    const wrong = await openssl(
      "pkeyutl",
      "-encrypt",
      ...publicKey,
      ...oaep(other),
      "-in",
      file(Buffer.of(1)),
    );
    const refused = kms.decrypt({ KeyId, CiphertextBlob: wrong, EncryptionAlgorithm });
    expect(await refusal(refused)).toBe("InvalidCiphertextException");
  });

  test.each(encrypting)("under %s by %s open with openssl", async (_, EncryptionAlgorithm, algorithm) => {
    const { own, KeyId } = await foreignKey(algorithm);
    for (const plaintext of plaintexts(algorithm, EncryptionAlgorithm)) {
      const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: plaintext, EncryptionAlgorithm });
      const how = [...oaep(EncryptionAlgorithm), "-in", file(CiphertextBlob)];
      expect(await openssl("pkeyutl", "-decrypt", "-inkey", own, ...how)).toEqual(plaintext);
    }
  });

  test("of node:crypto open too", async () => {
    const { KeyId } = await newKey(kms, { KeySpec: "RSA_2048", KeyUsage: "ENCRYPT_DECRYPT" });
    const key = createPublicKey(await readFile(await publicKeyOf(KeyId)));
    const padding = constants.RSA_PKCS1_OAEP_PADDING;
    for (const [oaepHash, EncryptionAlgorithm] of [
      ["sha1", "RSAES_OAEP_SHA_1"],
      ["sha256", "RSAES_OAEP_SHA_256"],
    ] as const) {
      const CiphertextBlob = publicEncrypt({ key, padding, oaepHash }, bytes("by node:crypto"));
      const opened = await kms.decrypt({ KeyId, CiphertextBlob, EncryptionAlgorithm });
      expect(text(opened.Plaintext)).toBe("by node:crypto");
    }
  });
});

const macs = algorithms.flatMap((algorithm) =>
  algorithm.macAlgorithms.map((name) => [name, algorithm] as const),
);
test("MACs are of every kind", () => expect(macs.length).toBe(4));
test.each(macs)("%s is openssl's", async (MacAlgorithm, algorithm) => {
  const bits = bitsOf(MacAlgorithm);
  const secret = randomBytes(bits / 8);
  const KeyId = await imported(algorithm, "GENERATE_VERIFY_MAC", secret);
  const how = ["-digest", `SHA${bits}`, ...options("-macopt", `hexkey:${secret.toString("hex")}`)];
  const Mac = await openssl("mac", "-binary", ...how, "-in", message, "HMAC");
  expect(Mac).toHaveLength(bits / 8);
  const made = await kms.generateMac({ KeyId, Message, MacAlgorithm });
  expect(Buffer.from(made.Mac as Uint8Array)).toEqual(Mac);
  expect(await kms.verifyMac({ KeyId, Message, MacAlgorithm, Mac })).toMatchObject({ MacValid: true });
});

const agreeing = algorithms.filter(({ keyAgreementAlgorithms }) => keyAgreementAlgorithms.length > 0);
test("keys that agree are of every kind", () => expect(agreeing.length).toBe(3));
test.each(agreeing.map((algorithm) => [algorithm.keySpec, algorithm] as const))(
  "%s agrees with openssl",
  async (KeySpec, algorithm) => {
    const own = await privateKey(algorithm);
    const PublicKey = await openssl("pkey", "-in", own, "-pubout", "-outform", "DER");
    const material = await pkcs8(await privateKey(algorithm));
    const made = await newKey(kms, { KeySpec, KeyUsage: "KEY_AGREEMENT" });
    for (const KeyId of [made.KeyId, await imported(algorithm, "KEY_AGREEMENT", material)]) {
      const answer = await kms.deriveSharedSecret({ KeyId, KeyAgreementAlgorithm: "ECDH", PublicKey });
      const peer = await publicKeyOf(KeyId);
      const secret = await openssl("pkeyutl", "-derive", "-inkey", own, "-peerkey", peer);
      expect(Buffer.from(answer.SharedSecret as Uint8Array)).toEqual(secret);
    }
  },
);

const pairs = (DataKeyPairSpec.enum ?? []).filter((spec) => spec !== "SM2");
test("data key pairs are of every kind", () => expect(pairs.length).toBe(8));
test.each(pairs)("a data key pair of %s is one to openssl", async (KeyPairSpec) => {
  const { KeyId } = await newKey(kms);
  const made = await kms.generateDataKeyPair({ KeyId, KeyPairSpec });
  const own = file(made.PrivateKeyPlaintext);
  const publicKey = await openssl("pkey", "-inform", "DER", "-in", own, "-pubout", "-outform", "DER");
  expect(publicKey).toEqual(Buffer.from(made.PublicKey as Uint8Array));
  const checked = await openssl("pkey", "-inform", "DER", "-in", own, "-check", "-noout");
  expect(text(checked)).toMatch(/^Key is valid$/m);
});
