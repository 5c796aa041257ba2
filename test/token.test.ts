import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { Addon, NativeKey, NativeToken } from "../lib/hsm/addon.ts";
import { findSoftHsm } from "../lib/hsm.ts";
import { node } from "./child.ts";

const root = resolve(import.meta.dirname, "..");
const addon: Addon = createRequire(import.meta.url)("node-gyp-build")(root);
const module = findSoftHsm() as string;
const directories: string[] = [];
afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

const text = (value: string) => new TextEncoder().encode(value);
const material = { type: "secret", bytes: 32 } as const;
const none = new Uint8Array(4); // the empty encryption context

/** A fresh SoftHSM with one token "test", user PIN 1234. */
async function softHsm() {
  const directory = mkdtempSync(join(tmpdir(), "keystead-token-"));
  directories.push(directory);
  mkdirSync(join(directory, "token"));
  const SOFTHSM2_CONF = join(directory, "softhsm2.conf");
  writeFileSync(
    SOFTHSM2_CONF,
    `directories.tokendir = ${directory}/token\nobjectstore.backend = file\nlog.level = ERROR\n`,
  );
  const at = { module, environment: { SOFTHSM2_CONF } };
  await addon.initToken({ ...at, label: "test", soPin: text("so-1234"), pin: text("1234") });
  const options = { ...at, label: "test", handles: 100, sessions: 0 };
  return {
    at,
    options,
    open: (change = {}) => addon.openToken({ ...options, pin: text("1234"), ...change }),
  };
}

async function newKey(token: NativeToken, number = 0) {
  const context = text(`key ${number}`);
  const { blob } = await token.generateKey({ domain: "d", context, material });
  const header = new Uint8Array(50).fill(number & 0xff).fill(1, 0, 1);
  return token.key({ domain: "d", blob, context, header });
}

/** Seals items of one size under one key; the ciphertexts are packed. */
async function seal(token: NativeToken, key: NativeKey, input: Uint8Array, size: number) {
  const count = input.length / size;
  const output = new Uint8Array(count * (size + 86));
  const lengths = new Uint32Array(count).fill(size);
  const counts = Uint32Array.of(count);
  const contextLengths = Uint32Array.of(none.length);
  await token.seal({
    keys: [key],
    counts,
    input,
    lengths,
    contexts: none,
    contextLengths,
    output,
    wipeInput: false,
  });
  return output;
}

async function open(token: NativeToken, key: NativeKey, input: Uint8Array, size: number) {
  const count = input.length / size;
  const output = new Uint8Array(count * (size - 86));
  const lengths = new Uint32Array(count).fill(size);
  const groups = new Uint32Array(count);
  const contextLengths = Uint32Array.of(none.length);
  const ok = await token.open({
    keys: [key],
    groups,
    input,
    lengths,
    contexts: none,
    contextLengths,
    output,
  });
  return { ok, output };
}

describe("opening", () => {
  test("a wrong PIN is refused, and not sent a second time", async () => {
    const hsm = await softHsm();
    const pin = text("4321");
    await expect(hsm.open({ pin })).rejects.toMatchObject({
      name: "Pkcs11Error",
      function: "C_Login",
      code: "CKR_PIN_INCORRECT",
      message: expect.not.stringContaining("4321"),
    });
    expect(pin).toEqual(new Uint8Array(4));
    const again = hsm.open({ pin: text("4321") });
    await expect(again).rejects.toMatchObject({ name: "EngineError", code: "PIN_REFUSED" });
    await expect(again).rejects.toThrow(expect.not.stringContaining("4321"));
    const right = text("1234");
    const token = await hsm.open({ pin: right });
    expect(right).toEqual(new Uint8Array(4));
    await token.close();
  });

  test("another PIN than the one that the process is logged in with is refused, unsent", async () => {
    const hsm = await softHsm();
    const opened = await Promise.allSettled(
      ["1234", "4321", "1234", "12345", "123"].map((pin) => hsm.open({ pin: text(pin) })),
    );
    expect(opened.map(({ status }) => status)).toEqual([
      "fulfilled",
      "rejected",
      "fulfilled",
      "rejected",
      "rejected",
    ]);
    for (const pin of ["4321", "fresh"]) {
      const refused = hsm.open({ pin: text(pin) });
      await expect(refused).rejects.toMatchObject({ name: "EngineError", code: "PIN_REFUSED" });
      await expect(refused).rejects.toThrow(/logged in to token test \(\w+\) with another PIN/);
      await expect(refused).rejects.toThrow(expect.not.stringContaining(pin));
    }
    for (const outcome of opened) if (outcome.status === "fulfilled") await outcome.value.close();
    const asked = hsm.open({ pin: text("fresh") });
    await expect(asked).rejects.toMatchObject({ name: "Pkcs11Error", code: "CKR_PIN_INCORRECT" });
    await (await hsm.open()).close();
  });

  test("what is not there is named", async () => {
    const hsm = await softHsm();
    const refused = (change: object) => expect(hsm.open(change)).rejects;
    await refused({ module: "/nonexistent.so" }).toMatchObject({ code: "MODULE_NOT_FOUND" });
    await refused({ module: "/nonexistent.so" }).toThrow("/nonexistent.so: cannot open shared object file");
    await refused({ module: "/etc/passwd" }).toMatchObject({ code: "NOT_A_MODULE" });
    await refused({ label: "other" }).toMatchObject({ code: "TOKEN_NOT_FOUND" });
    await refused({ label: "other" }).toThrow('it shows "test"');
    await refused({ label: undefined, serial: "0" }).toMatchObject({ code: "TOKEN_NOT_FOUND" });
    const [only] = await addon.tokens(hsm.at);
    expect(only).toMatchObject({ label: "test", manufacturer: "SoftHSM project" });
    const token = await hsm.open({ label: undefined, serial: only?.serial });
    expect(token.info()).toMatchObject({ label: "test", serial: only?.serial, available: true });
    await token.close();
  });

  test("another directory can follow in the same process, but not join", async () => {
    const first = await softHsm();
    const second = await softHsm();
    const token = await first.open();
    await expect(second.open()).rejects.toMatchObject({ code: "MODULE_IN_USE" });
    await token.openDomain("d", true);
    await token.close();
    await expect(token.random(1)).rejects.toMatchObject({ code: "TOKEN_CLOSED" });
    const other = await second.open();
    await expect(other.openDomain("d", false)).rejects.toMatchObject({ code: "DOMAIN_NOT_FOUND" });
    await other.close();
  });

  test("says what the token can do, and learns that SoftHSM wants one symmetric lane", async () => {
    const token = await (await softHsm()).open();
    const info = token.info();
    expect(info).toMatchObject({ keyWrap: "CKM_AES_KEY_WRAP_PAD", lanes: { symmetric: 1 } });
    expect(info.quirks).toContain("no-fsync");
    expect(info.mechanisms).toContainEqual(
      expect.objectContaining({ type: 0x251, name: "CKM_SHA256_HMAC", minKeySize: 32 }),
    );
    await token.close();
  });
});

describe("keys", () => {
  test("no more handles than the limit, and right answers all the same", async () => {
    const token = await (await softHsm()).open({ handles: 10 });
    await token.openDomain("d", true);
    const keys = await Promise.all(Array.from({ length: 50 }, (_, i) => newKey(token, i)));
    const texts = keys.map(() => randomBytes(100));
    const bound = () => expect(token.info().handles.open).toBeLessThanOrEqual(10);
    for (let round = 0; round < 3; round++) {
      const sealed = await Promise.all(keys.map((key, i) => seal(token, key, texts[i] as Buffer, 100)));
      bound();
      const opened = await Promise.all(keys.map((key, i) => open(token, key, sealed[i] as Uint8Array, 186)));
      bound();
      expect(opened.map(({ ok }) => ok[0])).toEqual(keys.map(() => 1));
      expect(opened.map(({ output }) => Buffer.from(output))).toEqual(texts);
    }
    expect(token.info().handles.misses).toBeGreaterThan(50);
    const misses = token.info().handles.misses;
    const key = keys[0] as NativeKey;
    await seal(token, key, randomBytes(1), 1);
    const warm = token.info().handles.misses;
    await seal(token, key, randomBytes(1), 1);
    expect(token.info().handles.misses).toBe(warm);
    token.forget(key);
    await seal(token, key, randomBytes(1), 1);
    expect(token.info().handles.misses).toBe(warm + 1);
    expect(warm).toBeGreaterThan(misses);
    await token.close();
  });

  test("plaintext is wiped when asked for, also when sealing fails", async () => {
    const token = await (await softHsm()).open();
    await token.openDomain("d", true);
    const key = await newKey(token);
    const { blob } = await token.generateKey({ domain: "d", context: text("a"), material });
    const bad = token.key({ domain: "d", blob, context: text("b"), header: new Uint8Array(50).fill(1) });
    for (const count of [1, 20_000]) {
      for (const under of [key, bad]) {
        const input = new Uint8Array(count * 100).fill(7);
        const job = token.seal({
          keys: [under],
          counts: Uint32Array.of(count),
          input,
          lengths: new Uint32Array(count).fill(100),
          contexts: none,
          contextLengths: Uint32Array.of(4),
          output: new Uint8Array(count * 186),
          wipeInput: true,
        });
        if (under === bad) await expect(job).rejects.toMatchObject({ code: "BINDING_MISMATCH" });
        else await job;
        expect(input.every((byte) => byte === 0)).toBe(true);
      }
    }
    await token.close();
  });

  test("items that cannot be authentic fail alone", async () => {
    const token = await (await softHsm()).open();
    await token.openDomain("d", true);
    const [key, other] = [await newKey(token, 1), await newKey(token, 2)];
    const sealed = await seal(token, key, new Uint8Array(3 * 10).fill(5), 10);
    const parts = [
      sealed.subarray(0, 96), // right
      sealed.subarray(96, 96 + 85), // too short
      Buffer.concat([Uint8Array.of(2), sealed.subarray(1, 96)]), // another version
      sealed.subarray(192), // right, but left out
      await seal(token, other, new Uint8Array(10), 10), // another key's
      new Uint8Array(0),
      sealed.subarray(192), // right
    ];
    const output = new Uint8Array(5 * 10).fill(9);
    const ok = await token.open({
      keys: [key, other],
      groups: Uint32Array.of(0, 0, 0, 0xffffffff, 0, 0, 0),
      input: Buffer.concat(parts),
      lengths: Uint32Array.from(parts, (part) => part.length),
      contexts: none,
      contextLengths: Uint32Array.of(4),
      output,
    });
    expect([...ok]).toEqual([1, 0, 0, 0, 0, 0, 1]);
    // An item shorter than the overhead takes no room in the output.
    const expected = [5, 0, 0, 0, 5].flatMap((byte) => Array<number>(10).fill(byte));
    expect([...output]).toEqual(expected);
    await token.close();
  });
});

test("10,000 concurrent calls queue on 4 sessions", async () => {
  const token = await (await softHsm()).open({ sessions: 4 });
  const { lanes } = token.info();
  expect(lanes.symmetric + lanes.asymmetric).toBeLessThanOrEqual(4);
  await token.openDomain("d", true);
  const key = await newKey(token);
  const texts = Array.from({ length: 10_000 }, (_, i) => text(`record ${i}`.padEnd(16)));
  const sealed = await Promise.all(texts.map((plaintext) => seal(token, key, plaintext, 16)));
  const opened = await Promise.all(sealed.map((ciphertext) => open(token, key, ciphertext, 102)));
  expect(opened.every(({ ok }) => ok[0] === 1)).toBe(true);
  expect(opened.map(({ output }) => output)).toEqual(texts);
  await token.close();
}, 30_000);

/** For the programs below: the addon, and an opened token with a key under load. */
const prelude = `
  const [, root, options] = process.argv;
  const addon = process.getBuiltinModule("node:module").createRequire(root + "/package.json")("node-gyp-build")(root);
  const load = async () => {
    const token = await addon.openToken({ ...JSON.parse(options), pin: new TextEncoder().encode("1234") });
    await token.openDomain("d", true);
    const named = { domain: "d", context: new Uint8Array(1) };
    const make = (material) => token.generateKey({ ...named, material });
    const header = new Uint8Array(50).fill(1);
    const name = ({ blob }) => token.key({ ...named, blob, header });
    const key = name(await make({ type: "secret", bytes: 32 }));
    const [rsa, ec] = [name(await make({ type: "rsa", bits: 2048 })), name(await make({ type: "ec", curve: "P-384" }))];
    await token.createTokenKey({ id: "signer", material: { type: "ec", curve: "P-256" } }).catch(() => {});
    const pair = token.tokenKey({ id: "signer", header });
    const sign = (key, scheme, hash, size) => token.signWith(key, { scheme, hash }, new Uint8Array(size));
    const seal = (count) => token.seal({
      keys: [key], counts: Uint32Array.of(count), input: new Uint8Array(count * 100),
      lengths: new Uint32Array(count).fill(100), contexts: new Uint8Array(4), contextLengths: Uint32Array.of(4),
      output: new Uint8Array(count * 186), wipeInput: true,
    });
    const busy = async () => { for (;;) await Promise.all([seal(1), seal(5000), sign(pair, "ecdsa", "SHA-256", 32), sign(rsa, "rsa-pss", "SHA-256", 32)]); };
    for (let i = 0; i < 16; i++) busy();
    return { token, seal, sign, rsa, ec };
  };`;

describe("a process", () => {
  test("goes on when its workers are terminated in mid-operation", async () => {
    const { options } = await softHsm();
    const program = `${prelude}
      const { Worker } = process.getBuiltinModule("node:worker_threads");
      const { token, seal } = await load();
      const worker = \`${prelude.replaceAll("\\", "\\\\").replaceAll("`", "\\`").replaceAll("$", "\\$")}
        load().then(() => process.getBuiltinModule("node:worker_threads").parentPort.postMessage("busy"));\`;
      for (let round = 0; round < 6; round++) {
        const workers = Array.from({ length: 4 }, () => new Worker(worker, { eval: true, argv: process.argv.slice(1) }));
        await Promise.all(workers.map((worker) => new Promise((busy, failed) => worker.once("message", busy).once("error", failed))));
        await new Promise((wait) => setTimeout(wait, 3 * round));
        await Promise.all(workers.map((worker) => worker.terminate()));
        await seal(10);
      }
      console.log("alive", token.info().available);
      process.exit(0);`;
    const { stdout } = await node(program, [root, JSON.stringify(options)], { timeout: 60_000 });
    expect(stdout).toBe("alive true\n");
  }, 70_000);

  test.each([0, 5, 50])(
    "exits cleanly and at once in mid-operation, after %i ms",
    async (after) => {
      const { options } = await softHsm();
      const program = `${prelude}
      await load();
      setTimeout(() => { console.log(Date.now()); process.exit(3); }, ${after});`;
      const exit = node(program, [root, JSON.stringify(options)], { timeout: 30_000 });
      const failure = await exit.then(
        () => undefined,
        (error) => error,
      );
      expect(failure).toMatchObject({ code: 3, signal: null, stderr: "" });
      expect(Date.now() - Number(failure.stdout)).toBeLessThan(2500);
    },
    40_000,
  );

  test("ends by itself when a token is left open, also after a call that was malformed", async () => {
    const { options } = await softHsm();
    const program = `${prelude.replace(/for \(let i[^\n]*/, "")}
      const { token, seal } = await load();
      await seal(1);
      await token.seal({}).catch((error) => console.log(error.name));`;
    const { stdout } = await node(program, [root, JSON.stringify(options)], { timeout: 20_000 });
    expect(stdout).toMatch(/Error/);
  }, 30_000);
});

test("another PKCS#11 client sees keys that nobody can read", async () => {
  const hsm = await softHsm();
  const token = await hsm.open();
  await token.openDomain("d", true);
  await token.createTokenKey({ id: "signer", material: { type: "ec", curve: "P-256" } });
  await token.createTokenKey({ id: "store", material });
  await token.close();
  // A process of its own: the module's state is one a process. It opens the token with the addon too, so that the
  // session objects which the addon makes are there to be looked at.
  const program = `${prelude.replace(/for \(let i[^\n]*/, "")}
    const graphene = process.getBuiltinModule("node:module").createRequire(root + "/package.json")("graphene-pk11");
    const { token, seal, sign, rsa, ec } = await load();
    await seal(1);
    await sign(rsa, "rsa-pkcs1", "SHA-512", 64);
    await sign(ec, "ecdsa", "SHA-384", 48);
    const module = graphene.Module.load(JSON.parse(options).module, "softhsm");
    try { module.initialize(); } catch (error) { if (!/ALREADY_INITIALIZED/.test(error.message)) throw error; }
    const slots = module.getSlots(true);
    const slot = Array.from({ length: slots.length }, (_, i) => slots.items(i)).find((slot) => slot.getToken().label === "test");
    const session = slot.open(graphene.SessionFlag.SERIAL_SESSION | graphene.SessionFlag.RW_SESSION);
    const seen = [];
    for (const kind of [graphene.ObjectClass.SECRET_KEY, graphene.ObjectClass.PRIVATE_KEY]) {
      const objects = session.find({ class: kind });
      for (let i = 0; i < objects.length; i++) {
        const object = objects.items(i);
        const get = (name) => { try { return object.getAttribute(name); } catch (error) { return error.message; } };
        const flags = ["token", "private", "sensitive", "extractable", "modifiable", "sign", "wrap", "unwrap", "encrypt", "decrypt", "derive"];
        let wrapped;
        const domain = session.find({ class: graphene.ObjectClass.SECRET_KEY, label: "keystead domain d" }).items(0);
        try { session.wrapKey({ name: "AES_KEY_WRAP_PAD", params: null }, domain.toType(), object.toType()); wrapped = true; }
        catch (error) { wrapped = error.message; }
        let copied;
        try { session.copy(object, { extractable: true, token: false }); copied = true; } catch (error) { copied = error.message; }
        seen.push({ label: get("label"), value: String(get(get("keyType") === 0 ? "privateExponent" : "value")), wrapped, copied, can: flags.filter((flag) => get(flag) === true).join(" ") });
      }
    }
    console.log(JSON.stringify(seen));
    session.close();
    process.exit(0);`;
  const { stdout } = await node(program, [root, JSON.stringify(hsm.options)], { timeout: 30_000 });
  const seen: { label: string; value: string; wrapped: string; copied: string; can: string }[] = JSON.parse(
    String(stdout),
  );
  expect(seen.map(({ label, can }) => [label, can]).sort()).toEqual([
    ["", "private sensitive sign"],
    ["", "private sensitive sign decrypt"],
    ["", "private sensitive sign derive"],
    ["keystead binding d", "token private sensitive sign"],
    ["keystead domain d", "token private sensitive wrap unwrap"],
    ["signer", "token private sensitive sign derive"],
    ["store", "token private sensitive sign"],
  ]);
  for (const object of seen) {
    expect(object.value).toMatch(/CKR_ATTRIBUTE_SENSITIVE/);
    expect(object.copied).toMatch(/CKR_/);
    expect(object.wrapped).toMatch(/CKR_/);
  }
}, 40_000);
