// Keystead's envelope: 1 GiB from memory to memory and from file to file.
import { join } from "node:path";
import { Kms } from "../../dist/index.js";
import { contend } from "../round.mjs";

const { BENCH_DIRECTORY, BENCH_FILE, BENCH_OUT } = process.env;
const kms = await Kms.open({ directory: BENCH_DIRECTORY });
const { KeyMetadata } = await kms.createKey({ Description: "bench" });
const options = { KeyId: KeyMetadata.KeyId, EncryptionContext: { tenant: "7" } };
const size = Number(process.env.BENCH_FILE_SIZE);
const sealedFile = join(BENCH_OUT, "keystead.sealed");

let memory;
let sealed;
contend(
  {
    "encrypt memory": async () => {
      memory ??= Buffer.alloc(size, 7);
      sealed = await kms.envelope.encrypt(memory, options);
      return size;
    },
    "decrypt memory": async () => {
      await kms.envelope.decrypt(sealed, options);
      return size;
    },
    "encrypt file": async () => {
      await kms.envelope.encryptFile(BENCH_FILE, sealedFile, options);
      return size;
    },
    "decrypt file": async () => {
      await kms.envelope.decryptFile(sealedFile, join(BENCH_OUT, "keystead.opened"), options);
      return size;
    },
  },
  () => kms.close(),
);
