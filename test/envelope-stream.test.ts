import { execFileSync, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { lstat, mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Envelope, EnvelopeError, type EnvelopeProgress, replaceFile } from "../lib/envelope.ts";
import { Kms } from "../lib/kms.ts";

const directory = mkdtempSync(join(tmpdir(), "keystead-envelope-"));
let kms: Kms;
let envelope: Envelope;
let KeyId: string;
beforeAll(async () => {
  kms = await Kms.open({ directory });
  envelope = kms.envelope;
  KeyId = (await kms.createKey()).KeyMetadata?.Arn as string;
});
afterAll(async () => {
  await kms?.close();
  rmSync(directory, { recursive: true, force: true });
});

const MiB = 1 << 20;

/** Gives `count` MiB one by one, and tells how many were taken and whether it was let go. */
function mebibytes(count: number) {
  const taken = { count: 0, closed: false };
  async function* source() {
    try {
      for (; taken.count < count; taken.count++) yield new Uint8Array(MiB);
    } finally {
      taken.closed = true;
    }
  }
  return { source: source(), taken };
}

const never = () => new Promise<never>(() => {});

describe("a stream", () => {
  test("takes no more in than its consumer takes out", async () => {
    const { source, taken } = mebibytes(1000);
    const stream = envelope.encrypt(source, { KeyId });
    const iterator = stream[Symbol.asyncIterator]();
    for (let i = 0; i < 5; i++) await iterator.next();
    await delay(100);
    expect(taken.count).toBeLessThan(20);
    stream.destroy();
    await expect.poll(() => taken.closed).toBe(true);
  });

  test("does nothing before it is read", async () => {
    const { source, taken } = mebibytes(1);
    envelope.encrypt(source, { KeyId: "there is no such key" });
    await delay(20);
    expect(taken.count).toBe(0);
  });

  test("passes the error of its source on, and that of the key", async () => {
    async function* failing() {
      yield new Uint8Array(3 * MiB);
      throw new Error("the source is broken");
    }
    const broken = envelope.encrypt(failing(), { KeyId }).toArray();
    await expect(broken).rejects.toThrow("the source is broken");
    const { source, taken } = mebibytes(1);
    const keyless = envelope.encrypt(source, { KeyId: "alias/none" }).toArray();
    await expect(keyless).rejects.toMatchObject({ name: "NotFoundException" });
    expect(taken.count).toBe(0);
  });

  test("stops at once when aborted, though its source never answers", async () => {
    async function* stuck() {
      yield new Uint8Array(2 * MiB);
      await never();
    }
    const abort = new AbortController();
    const stream = envelope.encrypt(stuck(), { KeyId, signal: abort.signal });
    const reading = stream.toArray();
    setTimeout(() => abort.abort(), 50);
    await expect(reading).rejects.toMatchObject({ name: "AbortError" });
    expect(stream.destroyed).toBe(true);
  });

  test("aborted beforehand does not begin", async () => {
    const signal = AbortSignal.abort(new Error("too late"));
    await expect(envelope.encrypt(new Uint8Array(1), { KeyId, signal })).rejects.toThrow("too late");
    const stream = envelope.encrypt(mebibytes(1).source, { KeyId, signal });
    await expect(stream.toArray()).rejects.toMatchObject({ name: "AbortError" });
  });

  test("lets its source go when its consumer does", async () => {
    const source = Readable.from(mebibytes(1000).source);
    for await (const _ of envelope.encrypt(source, { KeyId })) break;
    await expect.poll(() => source.destroyed).toBe(true);
  });

  test("gives what is authentic before it meets what is not", async () => {
    const plaintext = randomBytes(8 * MiB);
    const message = Buffer.from(await envelope.encrypt(plaintext, { KeyId }));
    message[message.length - 1] = (message.at(-1) as number) ^ 1;
    const parts: Buffer[] = [];
    const reading = (async () => {
      for await (const part of envelope.decrypt(Readable.from([message]))) parts.push(part);
    })();
    await expect(reading).rejects.toMatchObject({ code: "NOT_AUTHENTIC" });
    const out = Buffer.concat(parts);
    expect(out.length).toBeGreaterThan(MiB);
    expect(out.length).toBeLessThan(plaintext.length);
    expect(out.equals(plaintext.subarray(0, out.length))).toBe(true);
  });

  test("is refused at once, though its source never answers", async () => {
    const message = Buffer.from(await envelope.encrypt(new Uint8Array(3 * MiB), { KeyId }));
    message.fill(1, MiB, MiB + 100);
    async function* stuck() {
      yield message;
      await never();
    }
    const reading = envelope.decrypt(stuck()).toArray();
    await expect(reading).rejects.toMatchObject({ code: "NOT_AUTHENTIC" });
  });

  test("goes through a pipeline in bounded memory", async () => {
    const before = process.memoryUsage.rss();
    let most = 0;
    let length = 0;
    const end = new Writable({
      write(chunk, _, done) {
        length += chunk.length;
        most = Math.max(most, process.memoryUsage.rss());
        setImmediate(done);
      },
    });
    await pipeline(envelope.decrypt(envelope.encrypt(mebibytes(400).source, { KeyId })), end);
    expect(length).toBe(400 * MiB);
    expect(most - before).toBeLessThan(200 * MiB);
  });
});

describe("a file", () => {
  let place: string;
  const file = (name: string) => join(place, name);
  beforeEach(async () => {
    place = mkdtempSync(join(directory, "files-"));
  });

  test.each([0, 1, 65536, 4 * MiB - 1, 4 * MiB, 4 * MiB + 1, 30_000_000])("of %i bytes", async (size) => {
    const plaintext = randomBytes(size);
    await writeFile(file("plain"), plaintext);
    const progress: EnvelopeProgress[] = [];
    const sealed = await envelope.encryptFile(file("plain"), file("sealed"), {
      KeyId,
      EncryptionContext: { file: "plain" },
      onProgress: (now) => progress.push(now),
    });
    expect(sealed.read).toBe(size);
    expect(sealed.written).toBe((await stat(file("sealed"))).size);
    expect(sealed.header).toMatchObject({ KeyId, EncryptionContext: { file: "plain" } });
    expect(progress.at(-1)).toEqual({ done: size, total: size });

    const opened = await envelope.decryptFile(file("sealed"), file("opened"), {
      EncryptionContext: { file: "plain" },
    });
    expect(opened).toEqual({ read: sealed.written, written: size, header: sealed.header });
    expect((await readFile(file("opened"))).equals(plaintext)).toBe(true);
    expect((await stat(file("opened"))).mode & 0o777).toBe(0o600);
    expect((await envelope.decrypt(await readFile(file("sealed")))).length).toBe(size);
    expect((await readdir(place)).sort()).toEqual(["opened", "plain", "sealed"]);
  });

  test("can replace itself", async () => {
    await writeFile(file("one"), "in place");
    await envelope.encryptFile(file("one"), file("one"), { KeyId });
    expect((await readFile(file("one"))).includes("in place")).toBe(false);
    await envelope.decryptFile(file("one"), file("one"));
    expect(await readFile(file("one"), "utf8")).toBe("in place");
  });

  test("stays as it was when its message is refused, and nothing is left beside it", async () => {
    const message = Buffer.from(await envelope.encrypt(randomBytes(20 * MiB), { KeyId }));
    for (const wrong of [
      message.subarray(0, 100),
      message.subarray(0, 12 * MiB),
      Buffer.concat([message, message.subarray(0, 1)]),
      message.fill(0, 15 * MiB, 15 * MiB + 1),
    ]) {
      await writeFile(file("sealed"), wrong);
      await writeFile(file("opened"), "as it was");
      const error = await envelope.decryptFile(file("sealed"), file("opened")).catch((caught) => caught);
      expect(error).toBeInstanceOf(EnvelopeError);
      expect(await readFile(file("opened"), "utf8")).toBe("as it was");
      expect((await readdir(place)).sort()).toEqual(["opened", "sealed"]);
    }
  });

  test("stays as it was when the work is aborted", async () => {
    await writeFile(file("plain"), randomBytes(40 * MiB));
    await writeFile(file("sealed"), "as it was");
    const abort = new AbortController();
    const onProgress = ({ done }: EnvelopeProgress) => {
      if (done > 10 * MiB) abort.abort(new Error("enough"));
    };
    const sealing = envelope.encryptFile(file("plain"), file("sealed"), {
      KeyId,
      signal: abort.signal,
      onProgress,
    });
    await expect(sealing).rejects.toThrow("enough");
    expect(await readFile(file("sealed"), "utf8")).toBe("as it was");
    expect((await readdir(place)).sort()).toEqual(["plain", "sealed"]);
  });

  test("stays as it was when a write fails, which is told once, and the next one succeeds", async (context) => {
    if (process.platform !== "linux") return context.skip("prlimit is Linux's");
    const plaintext = randomBytes(40 * MiB);
    await writeFile(file("plain"), plaintext);
    await envelope.encryptFile(file("plain"), file("sealed"), { KeyId });
    // The limit on file sizes stands for the disk: the kernel writes what fits, then nothing.
    const limit = (bytes: number | "unlimited") =>
      execFileSync("prlimit", ["--pid", String(process.pid), `--fsize=${bytes}:`]);
    const stay = () => {};
    process.on("SIGXFSZ", stay);
    try {
      for (const room of [4 * MiB, 10 * MiB + 1, 38 * MiB, 40 * MiB - 1]) {
        await writeFile(file("opened"), "as it was");
        limit(room);
        const opening = envelope.decryptFile(file("sealed"), file("opened"));
        await expect(opening).rejects.toMatchObject({ code: "EFBIG", syscall: "write" });
        limit("unlimited");
        expect(await readFile(file("opened"), "utf8")).toBe("as it was");
        expect((await readdir(place)).sort()).toEqual(["opened", "plain", "sealed"]);
      }
    } finally {
      limit("unlimited");
      process.off("SIGXFSZ", stay);
    }
    await envelope.decryptFile(file("sealed"), file("opened"));
    expect((await readFile(file("opened"))).equals(plaintext)).toBe(true);
  });

  test("stays as it was when the disk is full", async (context) => {
    const plaintext = randomBytes(20 * MiB);
    await writeFile(file("plain"), plaintext);
    await mkdir(file("small"));
    const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=10m", "tmpfs", file("small")]);
    if (mounted.status !== 0) return context.skip("this machine lets nobody mount");
    try {
      await writeFile(join(file("small"), "sealed"), "as it was");
      const sealing = envelope.encryptFile(file("plain"), join(file("small"), "sealed"), { KeyId });
      await expect(sealing).rejects.toMatchObject({ code: "ENOSPC" });
      expect(await readdir(file("small"))).toEqual(["sealed"]);
      expect(await readFile(join(file("small"), "sealed"), "utf8")).toBe("as it was");
    } finally {
      execFileSync("umount", ["-l", file("small")]);
    }
  });

  test("has every piece at its offset, though a piece is overwritten once the second after it is asked for", async () => {
    const lengths = [0, 1, 4095, MiB + 1, 8 * MiB, 0, 3, 5 * MiB - 7, 4 * MiB, 4 * MiB, 12 * MiB + 5, 9];
    const rooms = [0, 1, 2].map(() => Buffer.alloc(13 * MiB));
    const filled = (room: Buffer, length: number, i: number) => room.subarray(0, length).fill(`piece ${i}.`);
    async function* pieces() {
      for (const [i, length] of lengths.entries()) {
        // As passRuns: the room of the next piece is written to before this one is given.
        filled(rooms[(i + 1) % 3] as Buffer, lengths[i + 1] ?? 0, i + 1);
        yield filled(rooms[i % 3] as Buffer, length, i);
      }
    }
    const whole = Buffer.concat(lengths.map((length, i) => filled(Buffer.alloc(length), length, i)));
    for (let round = 0; round < 5; round++) {
      expect(await replaceFile(file("pieces"), pieces(), undefined)).toBe(whole.length);
      expect((await readFile(file("pieces"))).equals(whole)).toBe(true);
    }
  });

  test("replaces a link, not what it names, and no pipe or device", async () => {
    await writeFile(file("plain"), "x");
    await writeFile(file("named"), "as it was");
    await symlink("named", file("link"));
    await envelope.encryptFile(file("plain"), file("link"), { KeyId });
    expect(await readFile(file("named"), "utf8")).toBe("as it was");
    expect((await lstat(file("link"))).isFile()).toBe(true);
    execFileSync("mkfifo", [file("pipe")]);
    const onto = envelope.encryptFile(file("plain"), file("pipe"), { KeyId });
    await expect(onto).rejects.toThrow(TypeError);
    expect((await lstat(file("pipe"))).isFIFO()).toBe(true);
    expect((await readdir(place)).sort()).toEqual(["link", "named", "pipe", "plain"]);
  });

  test("that is not there, or is no file", async () => {
    const absent = envelope.encryptFile(file("absent"), file("sealed"), { KeyId });
    await expect(absent).rejects.toMatchObject({ code: "ENOENT" });
    await mkdir(file("folder"));
    await expect(envelope.encryptFile(file("folder"), file("sealed"), { KeyId })).rejects.toThrow(TypeError);
    await writeFile(file("plain"), "x");
    await expect(envelope.encryptFile(file("plain"), file("folder"), { KeyId })).rejects.toThrow();
    const nowhere = envelope.encryptFile(file("plain"), join(file("none"), "sealed"), { KeyId });
    await expect(nowhere).rejects.toMatchObject({ code: "ENOENT" });
    expect((await readdir(place)).sort()).toEqual(["folder", "plain"]);
  });
});
