// Keystead's envelope: 1 GiB from memory to memory and from file to file.
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { Kms } from "../../dist/index.js";
import { contend } from "../round.mjs";

const { BENCH_DIRECTORY, BENCH_FILE, BENCH_OUT } = process.env;
const kms = await Kms.open({ directory: BENCH_DIRECTORY });
const { KeyMetadata } = await kms.createKey({ Description: "bench" });
const options = { KeyId: KeyMetadata.KeyId, EncryptionContext: { tenant: "7" } };
const size = Number(process.env.BENCH_FILE_SIZE);
const { EncryptionContext } = options;
const sealedFile = join(BENCH_OUT, "keystead.sealed");
const openedFile = join(BENCH_OUT, "keystead.opened");

let memory;
let sealed;
const sealMemory = () => {
  memory ??= Buffer.alloc(size, 7);
  return kms.envelope.encrypt(memory, options);
};
const sealFile = async () => {
  await rm(sealedFile, { force: true });
  await kms.envelope.encryptFile(BENCH_FILE, sealedFile, options);
};

contend(
  {
    "encrypt memory": async () => {
      await sealMemory();
      return size;
    },
    "decrypt memory": async () => {
      sealed ??= await sealMemory();
      await kms.envelope.decrypt(sealed, { EncryptionContext });
      return size;
    },
    "encrypt file": async () => {
      await sealFile();
      return size;
    },
    "decrypt file": async () => {
      if (!existsSync(sealedFile)) await sealFile();
      await rm(openedFile, { force: true });
      await kms.envelope.decryptFile(sealedFile, openedFile, { EncryptionContext });
      return size;
    },
  },
  () => kms.close(),
);
