// Keystead on its full path: access, audit with fsync and wiping on, every setting as it comes.
import { Kms } from "../../dist/index.js";
import { contend, inFlight } from "../round.mjs";

const kms = await Kms.open({ directory: process.env.BENCH_DIRECTORY });
const { KeyMetadata } = await kms.createKey({ Description: "bench" });
const KeyId = KeyMetadata.KeyId;
const EncryptionContext = { tenant: "7" };
const record = Buffer.alloc(256, 7);
const count = 10_000;

const Entries = Array.from({ length: count }, () => ({ Plaintext: record }));
const sealed = await kms.encryptBatch({ KeyId, EncryptionContext, Entries });
const opened = { Entries: sealed.Entries, EncryptionContext };
const packed = { Plaintexts: new Uint8Array(count * 256).fill(7), Lengths: new Uint32Array(count).fill(256) };
const packedSealed = await kms.encryptBatch({ KeyId, EncryptionContext, ...packed });
const packedOpened = {
  CiphertextBlobs: packedSealed.CiphertextBlobs,
  Lengths: packedSealed.Lengths,
  EncryptionContext,
};
const single = await kms.encrypt({ KeyId, EncryptionContext, Plaintext: record });

contend(
  {
    "encrypt batch": async () => {
      await kms.encryptBatch({ KeyId, EncryptionContext, Entries });
      return count;
    },
    "encrypt packed": async () => {
      await kms.encryptBatch({ KeyId, EncryptionContext, ...packed });
      return count;
    },
    "decrypt batch": async () => {
      await kms.decryptBatch(opened);
      return count;
    },
    "decrypt packed": async () => {
      await kms.decryptBatch(packedOpened);
      return count;
    },
    "encrypt single": () =>
      inFlight(64, 32_000, () => kms.encrypt({ KeyId, EncryptionContext, Plaintext: record })),
    "decrypt single": () =>
      inFlight(64, 32_000, () => kms.decrypt({ EncryptionContext, CiphertextBlob: single.CiphertextBlob })),
  },
  () => kms.close(),
);
