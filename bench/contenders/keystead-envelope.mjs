// Keystead's envelope on its full path: from memory to memory, from file to file (durable, as it always is), records.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { Kms } from "../../dist/index.js";
import { contend } from "../round.mjs";

const { BENCH_DIRECTORY, BENCH_FILE, BENCH_OUT, BENCH_SIZE } = process.env;
const kms = await Kms.open({ directory: BENCH_DIRECTORY });
const { KeyMetadata } = await kms.createKey({ Description: "bench" });
const options = { KeyId: KeyMetadata.KeyId, EncryptionContext: { tenant: "7" } };
const { EncryptionContext } = options;
const size = Number(BENCH_SIZE);
const [sealedFile, openedFile] = ["sealed", "opened"].map((name) => join(BENCH_OUT, `keystead.${name}`));

/** What is made once, at its first use: contenders that only pass files are not to hold it. */
const made = new Map();
async function once(name, make) {
  if (!made.has(name)) made.set(name, await make());
  return made.get(name);
}
const plaintext = () => once("plaintext", () => Buffer.alloc(size, 7));

/** `count` messages at the same time, `total` bytes together. */
function messages(total, count, FrameLength, Signed) {
  const part = total / count;
  const all = async (call) => {
    await Promise.all(Array.from({ length: count }, (_, i) => call(i)));
    return total;
  };
  const seal = async (i) => {
    const bytes = (await plaintext()).subarray(i * part, (i + 1) * part);
    return kms.envelope.encrypt(bytes, { ...options, FrameLength, Signed });
  };
  const sealed = (i) => once(`${FrameLength} ${Signed} ${count} ${i}`, () => seal(i));
  return {
    seal: () => all(seal),
    open: () => all(async (i) => kms.envelope.decrypt(await sealed(i), { EncryptionContext })),
  };
}
const tasks = {};
for (const frame of [65536, 4096]) {
  for (const [suite, { seal, open }] of [
    ["0478", messages(size, 1, frame, false)],
    ["0578", messages(size / 4, 1, frame, true)],
    ["0578 x4", messages(size / 4, 4, frame, true)],
  ]) {
    tasks[`seal ${suite} ${frame}`] = seal;
    tasks[`open ${suite} ${frame}`] = open;
  }
}

const sealFile = () => kms.envelope.encryptFile(BENCH_FILE, sealedFile, options);

const RECORDS = 100_000;
const records = kms.envelope.records(options);
const plain = () => once("records", () => Array.from({ length: RECORDS }, () => Buffer.alloc(1024, 7)));
const sealedRecords = () => once("sealed records", async () => records.encrypt(await plain()));

contend(
  {
    ...tasks,
    "seal file": async () => {
      await sealFile();
      return size;
    },
    "open file": async () => {
      await once("file", sealFile);
      await kms.envelope.decryptFile(sealedFile, openedFile, { EncryptionContext });
      return size;
    },
    "seal records": async () => {
      await records.encrypt(await plain());
      return RECORDS;
    },
    "open records": async () => {
      await records.decrypt(await sealedRecords());
      return RECORDS;
    },
  },
  () => kms.close(),
  () => {
    if (!made.has("file")) rmSync(sealedFile, { force: true });
    rmSync(openedFile, { force: true });
    globalThis.gc();
  },
);
