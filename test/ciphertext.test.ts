import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  bindingContext,
  encodeContext,
  HEAD_BYTES,
  OVERHEAD_BYTES,
  readExternal,
  readHead,
  writeExternal,
  writeHead,
} from "../lib/ciphertext.ts";
import { CIPHERTEXT_OVERHEAD, Hsm, provisionSoftHsm } from "../lib/hsm.ts";
import json from "./vectors/ciphertext.json" with { type: "json" };

const script = join(import.meta.dirname, "decrypt-ciphertext.mjs");
const { canonicalContext, check, decrypt, encrypt } = await import(script);

interface Vector {
  name: string;
  /** Why it must not open; absent where it must. */
  fails?: string;
  keyId: string;
  materialId: string;
  backingKey: string;
  /** Of version 2. */
  externalKey?: string;
  metadata?: string;
  iv?: string;
  context: Record<string, string>;
  ciphertext: string;
}
const vectors = json as unknown as Vector[];

const keyId = "1234abcd-12ab-34cd-56ef-1234567890ab";
const materialId = createHash("sha256").update("material").digest("hex");
const belonging = {
  region: "us-east-1",
  account: "111122223333",
  keyId,
  keySpec: "SYMMETRIC_DEFAULT",
  version: 1,
  materialId,
};
const hex = (text: string) => Buffer.from(text, "hex");
const shown = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const encoded = (context?: Record<string, string>) => shown(encodeContext(context));
const good = vectors.filter(({ fails }) => fails === undefined);

describe("the vectors", () => {
  it.each(vectors)("$name", (vector) => {
    expect(check(vector)).toBeUndefined();
  });

  it.each(good)("$name: head and context are those that lib writes", ({ context, ciphertext, ...vector }) => {
    const version = vector.externalKey === undefined ? 1 : 2;
    expect(ciphertext.slice(0, 2 * HEAD_BYTES)).toBe(shown(writeHead(vector, version)));
    expect(readHead(hex(ciphertext))).toEqual({ keyId: vector.keyId, materialId: vector.materialId });
    expect(encoded(context)).toBe(shown(canonicalContext(context)));
  });

  it.each(good.filter(({ externalKey }) => externalKey))(
    "$name: lib takes it apart and puts it together",
    ({ ciphertext, metadata, iv }) => {
      const bytes = hex(ciphertext);
      const parts = readExternal(bytes, HEAD_BYTES);
      if (parts === undefined) throw new Error("lib does not read it");
      expect([parts.metadata, parts.iv].map(shown)).toEqual([metadata, iv]);
      expect(shown(writeExternal(bytes.subarray(0, HEAD_BYTES), parts))).toBe(ciphertext);
    },
  );

  it("hold ways to fail as well, each checked to be one", () => {
    const [first] = vectors;
    const failing = vectors.filter(({ fails }) => fails !== undefined);
    for (const external of [false, true])
      expect(
        failing.filter(({ externalKey }) => (externalKey !== undefined) === external).length,
      ).toBeGreaterThan(15);
    expect(check({ ...first, fails: "it does not" })).toContain("must not");
    expect(check({ ...first, plaintext: "01" })).toContain("something else");
  });

  it("are decrypted from a file by the script alone", () => {
    const directory = mkdtempSync(join(tmpdir(), "keystead-ciphertext-"));
    try {
      const file = join(directory, "ciphertext");
      const vector = vectors.find(({ name }) => name === "a context of one pair");
      if (vector === undefined) throw new Error("the vector is gone");
      writeFileSync(file, hex(vector.ciphertext));
      const plaintext = execFileSync(process.execPath, [script, vector.backingKey, file, "tenant=7"]);
      expect(plaintext.toString()).toBe("attack at dawn");
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

describe("a ciphertext of the engine", () => {
  it("is opened by the script, with the backing key that pkcs11js unwraps in the token", async () => {
    const directory = mkdtempSync(join(tmpdir(), "keystead-ciphertext-"));
    const token = await provisionSoftHsm(directory);
    const hsm = await Hsm.open(token);
    try {
      await hsm.openDomain("us-east-1", true);
      const context = bindingContext(belonging);
      const material = { type: "secret", bytes: 32 } as const;
      const { blob } = await hsm.generateKey({ domain: "us-east-1", context, material });
      const header = writeHead({ keyId, materialId });
      const key = hsm.key({ domain: "us-east-1", blob, context, header });
      const pairs = { tenant: "7", é: "ü" };
      const ciphertext = await hsm.seal(key, Buffer.from("attack at dawn"), encodeContext(pairs));
      // Behind version, kind, generation and size comes the wrapped key, and behind it 32 bytes of binding.
      const wrapped = Buffer.from(blob.subarray(10, -32)).toString("hex");
      const env = { ...process.env, ...token.environment };
      const pin = readFileSync(join(directory, "pin"), "utf8").trim();
      const backingKey = execFileSync(
        process.execPath,
        ["-e", unwrap, token.module, token.token, pin, "keystead domain us-east-1", wrapped],
        { env, encoding: "utf8" },
      );
      expect(decrypt(hex(backingKey), Buffer.from(ciphertext), pairs).toString()).toBe("attack at dawn");
      const nonce = Buffer.alloc(16, 5);
      const plaintext = Buffer.from("retreat at dusk");
      const fields = { keyId, materialId, nonce, item: 9, context: pairs, plaintext };
      const ours = encrypt({ backingKey: hex(backingKey), ...fields });
      const opened = await hsm.open(key, ours, encodeContext(pairs));
      expect(Buffer.from(opened ?? []).toString()).toBe("retreat at dusk");
    } finally {
      await hsm.close();
      rmSync(directory, { recursive: true });
    }
  });
});

/** A process of its own, as the module of this one is the engine's. Prints a wrapped secret in hex. */
const unwrap = `
  const pkcs11 = require("pkcs11js");
  const [module, label, pin, domain, wrapped] = process.argv.slice(1);
  const p = new pkcs11.PKCS11();
  p.load(module);
  p.C_Initialize();
  const slot = p.C_GetSlotList(true).find((one) => p.C_GetTokenInfo(one).label.trim() === label);
  const session = p.C_OpenSession(slot, pkcs11.CKF_SERIAL_SESSION | pkcs11.CKF_RW_SESSION);
  p.C_Login(session, pkcs11.CKU_USER, pin);
  p.C_FindObjectsInit(session, [{ type: pkcs11.CKA_LABEL, value: domain }]);
  const key = p.C_FindObjects(session, 1)[0];
  p.C_FindObjectsFinal(session);
  const secret = p.C_UnwrapKey(session, { mechanism: 0x210a }, key, Buffer.from(wrapped, "hex"), [
    { type: pkcs11.CKA_CLASS, value: pkcs11.CKO_SECRET_KEY },
    { type: pkcs11.CKA_KEY_TYPE, value: pkcs11.CKK_GENERIC_SECRET },
    { type: pkcs11.CKA_TOKEN, value: false },
    { type: pkcs11.CKA_SENSITIVE, value: false },
    { type: pkcs11.CKA_EXTRACTABLE, value: true },
  ]);
  const [{ value }] = p.C_GetAttributeValue(session, secret, [{ type: pkcs11.CKA_VALUE }]);
  process.stdout.write(value.toString("hex"));
`;

describe("the head", () => {
  const ciphertext = Buffer.concat([writeHead({ keyId, materialId }), Buffer.alloc(37)]);

  it("is read from any view on memory", () => {
    const memory = Buffer.concat([Buffer.alloc(7), ciphertext]);
    expect(readHead(new Uint8Array(memory.buffer, memory.byteOffset + 7))).toEqual({ keyId, materialId });
    expect(OVERHEAD_BYTES).toBe(CIPHERTEXT_OVERHEAD);
  });

  it("is none when the ciphertext is too short, at every length", () => {
    for (let length = 0; length <= OVERHEAD_BYTES; length++)
      expect(readHead(ciphertext.subarray(0, length))).toBeUndefined();
    expect(readHead(ciphertext)).toBeDefined();
  });

  it("is none in another version or with another kind of key id", () => {
    for (let value = 0; value < 256; value++) {
      const version = Buffer.from(ciphertext);
      version[0] = value;
      expect(readHead(version) !== undefined).toBe(value === 1 || value === 2);
      const kind = Buffer.from(ciphertext);
      kind[1] = value;
      expect(readHead(kind) !== undefined).toBe(value <= 1);
    }
  });

  it("takes any bytes without an error", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const head = readHead(bytes);
        if (head !== undefined) expect(shown(writeHead(head))).toBe(shown(bytes.subarray(0, HEAD_BYTES)));
      }),
    );
  });

  it.each([
    [keyId.slice(1), materialId],
    [`${keyId}00`, materialId],
    [`mrk-${keyId}x`, materialId],
    [keyId, materialId.slice(2)],
    [keyId, `${materialId}00`],
    [keyId, "z".repeat(64)],
  ])("is not made from what is no id: %s, %s", (key, material) => {
    expect(() => writeHead({ keyId: key, materialId: material })).toThrow(TypeError);
  });
});

describe("an encryption context", () => {
  const text = fc.string({ unit: "binary", maxLength: 8 });
  const context = fc.dictionary(text, text, { maxKeys: 6 });

  it("has the bytes that the specification gives it", () => {
    fc.assert(
      fc.property(context, (pairs) => {
        expect(encoded(pairs)).toBe(shown(canonicalContext(pairs)));
      }),
    );
    expect(encoded({ b: "2", a: "é" })).toBe("00000002000000016100000002c3a9000000016200000001" + "32");
    expect(encoded({})).toBe("00000000");
    expect(encoded(undefined)).toBe("00000000");
  });

  it("does not depend on the order of its pairs", () => {
    fc.assert(
      fc.property(context, (pairs) => {
        const reversed = Object.fromEntries(Object.entries(pairs).reverse());
        expect(encoded(reversed)).toBe(encoded(pairs));
      }),
    );
  });

  it("has no bytes in common with another", () => {
    const short = fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 3 });
    const small = fc.dictionary(short, short, { maxKeys: 2 });
    fc.assert(
      fc.property(small, small, (one, other) => {
        expect(encoded(one) === encoded(other)).toBe(
          JSON.stringify(canonical(one)) === JSON.stringify(canonical(other)),
        );
      }),
      { numRuns: 2000 },
    );
    expect(encoded({ a: "bc" })).not.toBe(encoded({ ab: "c" }));
  });

  it("may be larger than what is kept for making it", () => {
    const large = { ["é".repeat(9000)]: "x".repeat(100_000), a: "" };
    expect(encoded(large)).toBe(shown(canonicalContext(large)));
  });

  it("is another object's memory each time", () => {
    const first = encodeContext({ a: "1" });
    const before = shown(first);
    encodeContext({ b: "2" });
    expect(shown(first)).toBe(before);
  });

  it.each<Record<string, string>>([{ a: "\ud800" }, { "\udfff": "a" }])("has no lone surrogates", (pairs) => {
    expect(() => encodeContext(pairs)).toThrow(expect.objectContaining({ name: "ValidationException" }));
  });
});

const canonical = (context: Record<string, string>) =>
  Object.entries(context).sort(([a], [b]) => (a < b ? -1 : 1));

describe("the binding context of a backing key", () => {
  it("is a label and all that it belongs to with their lengths, then the version", () => {
    const part = (value: string) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(value.length);
      return Buffer.concat([length, Buffer.from(value)]);
    };
    const { region, account, keySpec } = belonging;
    const texts = ["Keystead backing key v1", region, account, keyId, keySpec, materialId];
    expect(shown(bindingContext({ ...belonging, version: 258 }))).toBe(
      shown(Buffer.concat([...texts.map(part), hex("00000102")])),
    );
  });

  it("differs by each of them", () => {
    const others = { region: "us-east-2", account: "444455556666", keySpec: "HMAC_256", version: 2 };
    const ids = { keyId: keyId.replace("1", "2"), materialId: materialId.replace("1", "2") };
    for (const other of Object.entries({ ...others, ...ids }).map((entry) => Object.fromEntries([entry])))
      expect(shown(bindingContext({ ...belonging, ...other }))).not.toBe(shown(bindingContext(belonging)));
  });
});
