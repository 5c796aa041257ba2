import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Gather } from "../lib/hsm/gather.ts";
import { readPin } from "../lib/hsm/pin.ts";
import { Hsm, provisionSoftHsm } from "../lib/hsm.ts";

const directory = mkdtempSync(join(tmpdir(), "keystead-hsm-"));
const bytes = (text: string) => new TextEncoder().encode(text);
const binding = bytes("the context that the blob is bound to");
const header = (fill: number) => new Uint8Array(50).fill(fill).fill(1, 0, 1);
const material = { type: "secret", bytes: 32 } as const;
const noContext = new Uint8Array(4);

let hsm: Hsm;
beforeAll(async () => {
  hsm = await Hsm.open(await provisionSoftHsm(directory));
  await hsm.openDomain("us-east-1", true);
});
afterAll(async () => {
  await hsm?.close();
  rmSync(directory, { recursive: true, force: true });
});

async function newKey(fill: number) {
  const { blob } = await hsm.generateKey({ domain: "us-east-1", context: binding, material });
  return hsm.key({ domain: "us-east-1", blob, context: binding, header: header(fill) });
}

describe("a token of SoftHSM", () => {
  test("is private to its owner, and found again", async () => {
    for (const file of ["pin", "so-pin", "softhsm2.conf"]) {
      expect(statSync(join(directory, file)).mode & 0o777).toBe(0o600);
    }
    const pin = readFileSync(join(directory, "pin"), "utf8");
    const again = await provisionSoftHsm(directory);
    expect(readFileSync(join(directory, "pin"), "utf8")).toBe(pin);
    expect(again.token).toBe(hsm.info().label);
  });
});

describe("sealing", () => {
  test("concurrent calls under several keys each get their own", async () => {
    const keys = await Promise.all([newKey(2), newKey(3), newKey(4)]);
    const texts = Array.from({ length: 300 }, (_, i) => `record ${i}`);
    const sealed = await Promise.all(
      texts.map((text, i) => hsm.seal(keys[i % 3] as (typeof keys)[0], bytes(text), noContext)),
    );
    expect(new Set(sealed.map((blob) => Buffer.from(blob).toString("hex"))).size).toBe(300);
    const opened = await Promise.all(
      sealed.map((blob, i) => hsm.open(keys[i % 3] as (typeof keys)[0], blob, noContext)),
    );
    expect(opened.map((plaintext) => Buffer.from(plaintext ?? []).toString())).toEqual(texts);
    // No caller finds another's plaintext behind his own.
    expect(new Set(opened.map((plaintext) => plaintext?.buffer)).size).toBe(300);
  });

  test("a damaged ciphertext opens to nothing, beside others that open", async () => {
    const key = await newKey(5);
    const sealed = await hsm.seal(key, bytes("hello"), noContext);
    const damaged = sealed.slice();
    damaged[72] = (damaged[72] as number) ^ 1;
    const [good, bad, short] = await Promise.all([
      hsm.open(key, sealed, noContext),
      hsm.open(key, damaged, noContext),
      hsm.open(key, sealed.subarray(0, 60), noContext),
    ]);
    expect(Buffer.from(good ?? []).toString()).toBe("hello");
    expect([bad, short]).toEqual([undefined, undefined]);
  });

  test("a key that is damaged fails alone", async () => {
    const good = await newKey(6);
    const { blob } = await hsm.generateKey({ domain: "us-east-1", context: binding, material });
    const bad = hsm.key({ domain: "us-east-1", blob, context: bytes("another"), header: header(7) });
    const [first, second] = await Promise.allSettled([
      hsm.seal(good, bytes("a"), noContext),
      hsm.seal(bad, bytes("b"), noContext),
    ]);
    expect(first.status).toBe("fulfilled");
    expect(second).toMatchObject({ status: "rejected", reason: { code: "BINDING_MISMATCH" } });
  });
});

describe("sealing what is drawn", () => {
  test("fills each caller's memory with bytes of its own, and seals those", async () => {
    const keys = await Promise.all([newKey(8), newKey(9)]);
    const drawn = Array.from({ length: 200 }, (_, i) => new Uint8Array(16 + (i % 3) * 504));
    const keyOf = (i: number) => keys[i % 2] as (typeof keys)[0];
    const sealed = await Promise.all(drawn.map((input, i) => hsm.sealRandom(keyOf(i), input, noContext)));
    expect(new Set(drawn.map((input) => Buffer.from(input.subarray(0, 16)).toString("hex"))).size).toBe(200);
    // To its end: no eight bytes of zeros in 100 kB of random ones.
    for (const input of drawn) expect(Buffer.from(input).indexOf(Buffer.alloc(8))).toBe(-1);
    const opened = await Promise.all(sealed.map((blob, i) => hsm.open(keyOf(i), blob, noContext)));
    expect(opened).toEqual(drawn);
  });

  test("gives nothing under a key that is damaged, beside one that is not", async () => {
    const good = await newKey(10);
    const { blob } = await hsm.generateKey({ domain: "us-east-1", context: binding, material });
    const bad = hsm.key({ domain: "us-east-1", blob, context: bytes("another"), header: header(11) });
    const [first, second] = [new Uint8Array(32), new Uint8Array(32)];
    const [sealed, refused] = await Promise.allSettled([
      hsm.sealRandom(good, first, noContext),
      hsm.sealRandom(bad, second, noContext),
    ]);
    expect(sealed.status === "fulfilled" && (await hsm.open(good, sealed.value, noContext))).toEqual(first);
    expect(refused).toMatchObject({ status: "rejected", reason: { code: "BINDING_MISMATCH" } });
    expect(second).toEqual(new Uint8Array(32));
  });
});

describe("Gather", () => {
  test("takes what one turn asked for in one crossing, and at most two are under way", async () => {
    const crossings: number[][] = [];
    const open: (() => void)[] = [];
    const gather = new Gather<number>((items) => {
      crossings.push(items);
      return new Promise((done) => open.push(done));
    });
    const turn = () => new Promise((done) => setImmediate(() => setImmediate(done)));
    for (let i = 0; i < 3; i++) gather.add(i);
    await turn();
    gather.add(3);
    await turn();
    gather.add(4);
    gather.add(5);
    await turn();
    expect(crossings).toEqual([[0, 1, 2], [3]]);
    open[0]?.();
    await turn();
    expect(crossings).toEqual([[0, 1, 2], [3], [4, 5]]);
  });
});

describe("a PIN", () => {
  test("comes from itself, a file, a variable or a callback", async () => {
    process.env.KEYSTEAD_TEST_PIN = "1234";
    const file = readFileSync(join(directory, "pin"), "utf8").trim();
    const read = async (source: Parameters<typeof readPin>[0]) =>
      Buffer.from(await readPin(source)).toString();
    expect(await read("1234")).toBe("1234");
    expect(await read({ env: "KEYSTEAD_TEST_PIN" })).toBe("1234");
    expect(await read({ file: join(directory, "pin") })).toBe(file);
    expect(await read(async () => bytes("5678"))).toBe("5678");
    await expect(read({ env: "KEYSTEAD_NO_SUCH" })).rejects.toThrow(/KEYSTEAD_NO_SUCH, which is not set/);
    await expect(read("")).rejects.toThrow(TypeError);
    await expect(read((() => 1234) as never)).rejects.toThrow(
      /^hsm\.pin gave neither text nor bytes; give the/,
    );
  });
});
