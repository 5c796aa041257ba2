import { constants, createHash, createPublicKey, type KeyObject, verify } from "node:crypto";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import type { Kms } from "../lib/index.ts";
import { openDatabase } from "../lib/store/binding.ts";
import { type AuditRecord, bytes, newKey, openTestDeployment, refusal } from "./deployment.ts";

let kms: Kms;
let directory: string;
let events: (count: number) => Promise<AuditRecord[]>;
let p256: Awaited<ReturnType<typeof pair>>;
beforeAll(async () => {
  ({ kms, directory, events } = await openTestDeployment());
  p256 = await pair("ECC_NIST_P256");
});

type SigningAlgorithm = NonNullable<Parameters<Kms["sign"]>[0]["SigningAlgorithm"]>;
const ECDSA = "ECDSA_SHA_256";
const WRONG = { Error: { name: "KMSInvalidSignatureException", message: "" } };

async function pair(KeySpec: string) {
  const made = await newKey(kms, { KeySpec, KeyUsage: "SIGN_VERIFY" } as never);
  const { PublicKey } = await kms.getPublicKey({ KeyId: made.KeyId });
  const key = Buffer.from(PublicKey as Uint8Array);
  return { ...made, publicKey: createPublicKey({ key, format: "der", type: "spki" }) };
}

/** How node:crypto signs and verifies by an algorithm. */
function terms(key: KeyObject, algorithm: string) {
  const pss = algorithm.startsWith("RSASSA_PSS");
  const hash = /^(ED25519|ML_DSA)/.test(algorithm) ? null : `sha${algorithm.slice(-3)}`;
  const padding = pss
    ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
    : {};
  return [hash, { key, ...padding }] as const;
}
function verified(key: KeyObject, algorithm: string, message: Uint8Array, signature: Uint8Array): boolean {
  const [hash, how] = terms(key, algorithm);
  return verify(hash, message, how, signature);
}

/** Messages of many lengths, the longest of which there are the most of. */
const messages = (count: number) =>
  Array.from({ length: count }, (_, i) =>
    createHash("shake256", { outputLength: 1 + ((i * 997) % 4096) })
      .update(`${i}`)
      .digest(),
  );
const records = (count: number) => messages(count).map((Message) => ({ Message }));
const lengthsOf = (parts: readonly Uint8Array[]) => Uint32Array.from(parts, ({ length }) => length);
function partsOf(packed: Uint8Array, lengths: Uint32Array): Uint8Array[] {
  let at = 0;
  return Array.from(lengths, (length) => {
    at += length;
    return packed.subarray(at - length, at);
  });
}

const hasMlDsa = Number(process.versions.openssl.split(".", 2).join("")) >= 35;
const rsa = ["PKCS1_V1_5", "PSS"].flatMap((scheme) =>
  [256, 384, 512].map((bits) => `RSASSA_${scheme}_SHA_${bits}`),
);

describe.each([
  ["RSA_2048", rsa],
  ["RSA_3072", ["RSASSA_PSS_SHA_256"]],
  ["RSA_4096", ["RSASSA_PKCS1_V1_5_SHA_512"]],
  ["ECC_NIST_P256", ["ECDSA_SHA_256"]],
  ["ECC_NIST_P384", ["ECDSA_SHA_384"]],
  ["ECC_NIST_P521", ["ECDSA_SHA_512"]],
  ["ECC_SECG_P256K1", ["ECDSA_SHA_256"]],
  ["ECC_NIST_EDWARDS25519", ["ED25519_SHA_512"]],
  ...(hasMlDsa ? [["ML_DSA_44", ["ML_DSA_SHAKE_256"]] as const] : []),
] as const)("%s", (KeySpec, names) => {
  test("signs messages in order, and each is what others verify", async () => {
    const { KeyId, Arn, publicKey } = await pair(KeySpec);
    for (const SigningAlgorithm of names as readonly SigningAlgorithm[]) {
      const Entries = records(40);
      const answer = await kms.signBatch({ KeyId, SigningAlgorithm, Entries });
      expect(answer).toMatchObject({ KeyId: Arn, SigningAlgorithm });
      expect(answer.Entries.length).toBe(40);
      const signed = Entries.map(({ Message }, i) => {
        const Signature = answer.Entries[i]?.Signature as Uint8Array;
        expect(verified(publicKey, SigningAlgorithm, Message, Signature)).toBe(true);
        return { Message, Signature };
      });
      const last = { KeyId, SigningAlgorithm, ...signed.at(-1) };
      expect(await kms.verify(last as never)).toMatchObject({ SignatureValid: true });
      const checked = await kms.verifyBatch({ KeyId, SigningAlgorithm, Entries: signed });
      expect(checked).toMatchObject({ KeyId: Arn, SigningAlgorithm });
      expect(checked.Entries).toEqual(signed.map(() => ({ SignatureValid: true })));
      // Each signature with the message of another.
      const moved = signed.map(({ Message }, i) => ({ Message, Signature: signed.at(i - 1)?.Signature }));
      const refused = await kms.verifyBatch({ KeyId, SigningAlgorithm, Entries: moved });
      expect(refused.Entries).toEqual(signed.map(() => WRONG));
    }
  }, 60_000);
});

test("digests are not hashed again", async () => {
  const { KeyId, publicKey } = p256;
  const made = messages(20);
  const Entries = made.map((message) => ({ Message: createHash("sha256").update(message).digest() }));
  const input = { KeyId, SigningAlgorithm: ECDSA, MessageType: "DIGEST" } as const;
  const signed = (await kms.signBatch({ ...input, Entries })).Entries;
  signed.forEach(({ Signature }, i) => {
    expect(verified(publicKey, ECDSA, made[i] as Uint8Array, Signature as Uint8Array)).toBe(true);
  });
  const both = signed.map(({ Signature }, i) => ({ ...Entries[i], Signature }));
  const checked = await kms.verifyBatch({ ...input, Entries: both as never });
  expect(checked.Entries.every(({ SignatureValid }) => SignatureValid)).toBe(true);
  const raw = await kms.verifyBatch({ KeyId, SigningAlgorithm: ECDSA, Entries: both as never });
  expect(raw.Entries).toEqual(both.map(() => WRONG));
});

test("Ed25519ph signs digests", async () => {
  const { KeyId } = await pair("ECC_NIST_EDWARDS25519");
  const input = { KeyId, SigningAlgorithm: "ED25519_PH_SHA_512", MessageType: "DIGEST" } as const;
  const Entries = messages(10).map((message) => ({ Message: createHash("sha512").update(message).digest() }));
  const signed = await kms.signBatch({ ...input, Entries });
  const both = signed.Entries.map(({ Signature }, i) => ({ ...Entries[i], Signature }));
  const checked = await kms.verifyBatch({ ...input, Entries: both as never });
  expect(checked.Entries).toEqual(both.map(() => ({ SignatureValid: true })));
});

describe("an entry that is wrong", () => {
  test("has its own error when it is signed, beside the others", async () => {
    const { KeyId, publicKey } = p256;
    const Message = bytes("right");
    const Entries = [
      { Message },
      { Message: new Uint8Array() },
      { Message: new Uint8Array(4097) },
      { Message: "text" },
      null,
      { Message },
    ];
    const answer = await kms.signBatch({ KeyId, SigningAlgorithm: ECDSA, Entries: Entries as never });
    expect(answer.Entries.map(({ Error: error }) => error?.name)).toEqual([
      undefined,
      "ValidationException",
      "ValidationException",
      "SerializationException",
      "SerializationException",
      undefined,
    ]);
    for (const i of [0, 5])
      expect(verified(publicKey, ECDSA, Message, answer.Entries[i]?.Signature as Uint8Array)).toBe(true);
    const short = await kms.signBatch({
      KeyId,
      SigningAlgorithm: ECDSA,
      MessageType: "DIGEST",
      Entries: [{ Message: new Uint8Array(31) }, { Message: new Uint8Array(32) }],
    });
    expect(short.Entries[0]).toEqual({
      Error: {
        name: "ValidationException",
        message: `Digest is invalid length for algorithm ${ECDSA}.`,
      },
    });
    expect(short.Entries[1]?.Signature).toBeInstanceOf(Uint8Array);
  });

  test("has its own error when it is verified", async () => {
    const { KeyId } = p256;
    const input = { KeyId, SigningAlgorithm: ECDSA } as const;
    const Message = bytes("right");
    const { Signature = new Uint8Array() } = await kms.sign({ ...input, Message });
    const Entries = [
      { Message, Signature },
      { Message, Signature: Signature.map((byte, i) => (i === 20 ? byte ^ 1 : byte)) },
      { Message },
      { Message, Signature: new Uint8Array() },
      { Message, Signature: bytes("none") },
      { Message, Signature },
    ];
    const { Entries: checked } = await kms.verifyBatch({ ...input, Entries });
    expect(checked[0]).toEqual({ SignatureValid: true });
    expect(checked[1]).toEqual(WRONG);
    expect(checked[2]?.Error?.name).toBe("ValidationException");
    expect(checked[3]?.Error?.name).toBe("ValidationException");
    expect(checked[4]).toEqual(WRONG);
    expect(checked[5]).toEqual({ SignatureValid: true });
    const [event] = await events(1);
    expect(event).toMatchObject({
      eventName: "VerifyBatch",
      additionalEventData: { entries: 6, failed: 4 },
    });
  });

  test("alone makes no signature, and is no failure of the batch", async () => {
    const Entries = [{ Message: new Uint8Array() }];
    const signed = await kms.signBatch({ KeyId: p256.KeyId, SigningAlgorithm: ECDSA, Entries });
    expect(signed.Entries[0]?.Error?.name).toBe("ValidationException");
    const checked = await kms.verifyBatch({ KeyId: p256.KeyId, SigningAlgorithm: ECDSA, Entries });
    expect(checked.Entries[0]?.Error?.name).toBe("ValidationException");
  });
});

describe("packed", () => {
  test("messages are signed and verified as entries are", async () => {
    const { KeyId, Arn, publicKey } = p256;
    const made = messages(500);
    const input = {
      KeyId,
      SigningAlgorithm: ECDSA,
      Messages: Buffer.concat(made),
      Lengths: lengthsOf(made),
    } as const;
    const { Signatures, Lengths, ...rest } = await kms.signBatch(input);
    expect(rest).toMatchObject({ KeyId: Arn, SigningAlgorithm: ECDSA });
    const signatures = partsOf(Signatures, Lengths);
    signatures.forEach((signature, i) => {
      expect(verified(publicKey, ECDSA, made[i] as Uint8Array, signature)).toBe(true);
    });
    const damaged = Uint8Array.from(Signatures);
    const third = signatures.slice(0, 3).reduce((sum, { length }) => sum + length, 0) - 1;
    damaged[third] = (damaged[third] as number) ^ 1;
    const { SignaturesValid } = await kms.verifyBatch({
      ...input,
      Signatures: damaged,
      SignatureLengths: Lengths,
    });
    expect([...SignaturesValid]).toEqual(made.map((_, i) => (i === 2 ? 0 : 1)));
  });

  const Messages = new Uint8Array(3);
  test.each<[string, object, RegExp]>([
    ["no lengths", { Messages }, /Lengths must be a Uint32Array/],
    ["an empty message", { Messages, Lengths: Uint32Array.of(0, 3) }, /Lengths\[0\] is 0/],
    ["a long message", { Messages: new Uint8Array(4097), Lengths: Uint32Array.of(4097) }, /from 1 to 4096/],
    ["lengths beyond its bytes", { Messages, Lengths: Uint32Array.of(2, 2) }, /come to 4 bytes/],
    ["a short digest", { Messages, Lengths: Uint32Array.of(3), MessageType: "DIGEST" }, /from 32 to 32/],
    ["both forms", { Messages, Lengths: Uint32Array.of(3), Entries: [] }, /Give either/],
    ["neither form", {}, /Give either/],
  ])("with %s is refused", async (_, input, expected) => {
    const whole = { KeyId: p256.KeyId, SigningAlgorithm: ECDSA, ...input } as never;
    for (const refused of [await refusal(kms.signBatch(whole)), await refusal(kms.verifyBatch(whole))]) {
      expect(refused).toMatch(/^ValidationException/);
      expect(refused).toMatch(expected);
    }
  });

  test.each<[string, object, RegExp]>([
    ["none", {}, /Signatures must be a Uint8Array/],
    [
      "too few",
      { Signatures: new Uint8Array(70), SignatureLengths: Uint32Array.of(70) },
      /2 messages .* 1 sig/,
    ],
    [
      "lengths that do not fit",
      { Signatures: new Uint8Array(70), SignatureLengths: Uint32Array.of(70, 1) },
      /SignatureLengths come to 71/,
    ],
  ])("signatures: %s, are refused", async (_, input, expected) => {
    const two = { Messages, Lengths: Uint32Array.of(1, 2) };
    const whole = { KeyId: p256.KeyId, SigningAlgorithm: ECDSA, ...two, ...input } as never;
    expect(await refusal(kms.verifyBatch(whole))).toMatch(expected);
  });
});

describe("the limits of a batch", () => {
  test("are 100,000 entries", async () => {
    const Entries = new Array(100_001).fill({ Message: bytes("x") });
    const input = { KeyId: p256.KeyId, SigningAlgorithm: ECDSA } as const;
    for (const refused of [kms.signBatch({ ...input, Entries }), kms.verifyBatch({ ...input, Entries: [] })])
      expect(await refusal(refused)).toMatch(/^ValidationException: A batch has 1 to 100000 entries/);
    const signed = (await kms.signBatch({ ...input, Entries: Entries.slice(1) })).Entries;
    expect(signed.length).toBe(100_000);
    expect(new Set(signed.map(({ Signature }) => Buffer.from(Signature ?? []).toString("hex"))).size).toBe(
      100_000,
    );
    const both = signed.map(({ Signature }) => ({ Message: bytes("x"), Signature }));
    const checked = await kms.verifyBatch({ ...input, Entries: both });
    expect(checked.Entries.every(({ SignatureValid }) => SignatureValid === true)).toBe(true);
  }, 120_000);

  test("are 256 MiB", async () => {
    const Entries = new Array(65_537).fill({ Message: new Uint8Array(4096) });
    const refused = refusal(kms.signBatch({ KeyId: p256.KeyId, SigningAlgorithm: ECDSA, Entries }));
    expect(await refused).toMatch(/at most 268435456 bytes/);
  });
});

describe("the batch as a whole", () => {
  test("is refused where the key, its algorithm or its state is", async () => {
    const { KeyId, Arn } = await pair("ECC_NIST_P384");
    const Entries = records(2);
    const input = { KeyId, SigningAlgorithm: "ECDSA_SHA_384", Entries } as const;
    expect(await refusal(kms.signBatch({ ...input, SigningAlgorithm: ECDSA }))).toBe(
      `InvalidKeyUsageException: Algorithm ${ECDSA} is incompatible with key spec ECC_NIST_P384.`,
    );
    expect(await refusal(kms.signBatch({ ...input, MessageType: "EXTERNAL_MU" }))).toMatch(
      /^ValidationException: .* does not take MessageType EXTERNAL_MU/,
    );
    const { KeyId: aes } = await newKey(kms);
    expect(await refusal(kms.signBatch({ ...input, KeyId: aes }))).toMatch(/^InvalidKeyUsageException/);
    await kms.disableKey({ KeyId });
    for (const refused of [kms.signBatch(input), kms.verifyBatch({ ...input, Entries })])
      expect(await refusal(refused)).toBe(`DisabledException: ${Arn} is disabled.`);
  });

  test("needs what Sign and Verify need, and a grant of them is enough", async () => {
    const role = kms.as("arn:aws:iam::111122223333:role/app");
    const { KeyId, Arn } = p256;
    const Entries = records(1);
    const input = { KeyId, SigningAlgorithm: ECDSA } as const;
    const signs = () => role.signBatch({ ...input, Entries });
    const denied = (action: string) =>
      new RegExp(`AccessDeniedException: .* not authorized to perform: ${action} on resource: ${Arn} `);
    expect(await refusal(signs())).toMatch(denied("kms:Sign"));
    await kms.createGrant({ KeyId, GranteePrincipal: role.principal, Operations: ["Sign"] });
    const Signature = (await signs()).Entries[0]?.Signature;
    const checks = role.verifyBatch({ ...input, Entries: [{ ...Entries[0], Signature } as never] });
    expect(await refusal(checks)).toMatch(denied("kms:Verify"));
  });

  test("is one event of the trail, without any message", async () => {
    const { KeyId, Arn } = p256;
    const Message = bytes("canary of a message");
    const Entries = [...new Array(50).fill({ Message }), { Message: new Uint8Array() }];
    await kms.signBatch({ KeyId, SigningAlgorithm: ECDSA, MessageType: "RAW", Entries });
    const [event] = await events(1);
    expect(event).toMatchObject({
      eventName: "SignBatch",
      requestParameters: { keyId: KeyId, signingAlgorithm: ECDSA, messageType: "RAW" },
      additionalEventData: { entries: 51, failed: 1 },
      resources: [{ ARN: Arn }],
    });
    const line = JSON.stringify(event);
    expect(line).not.toContain("canary");
    expect(line).not.toContain(Buffer.from(Message).toString("base64"));
  });

  test("is refused when the HSM cannot use the key, and signs nothing", async () => {
    const spec = { KeySpec: "ECC_NIST_P256", KeyUsage: "SIGN_VERIFY" } as const;
    const [{ KeyId }, stolen] = [await newKey(kms, spec), await newKey(kms, spec)];
    const database = openDatabase(join(directory, "keystead.db"), 5000);
    const row = database.prepare("SELECT blob FROM backing_keys WHERE key_id = ?").get(stolen.KeyId) ?? [];
    database.prepare("UPDATE backing_keys SET blob = ? WHERE key_id = ?").run(row[0], KeyId);
    database.exec("UPDATE meta SET value = value + 1 WHERE name = 'generation'");
    database.close();
    const input = { KeyId, SigningAlgorithm: ECDSA } as const;
    const batch = await refusal(kms.signBatch({ ...input, Entries: records(100) }));
    expect(batch).toBe(await refusal(kms.sign({ ...input, Message: bytes("x") })));
    expect(batch).toMatch(/^KMSInternalException/);
    const [event] = (await events(2)).filter(({ eventName }) => eventName === "SignBatch");
    expect(event).toMatchObject({ errorCode: "KMSInternalException", additionalEventData: { entries: 100 } });
  });
});
