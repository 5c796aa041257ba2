// Keystead signing on its full path: access, audit with fsync, every setting as it comes; messages of 256 bytes.
import { Kms } from "../../dist/index.js";
import { contend } from "../round.mjs";

const kms = await Kms.open({ directory: process.env.BENCH_DIRECTORY });
const message = Buffer.alloc(256, 7);

/** Half a second's work or so. */
async function batches(KeySpec, SigningAlgorithm, count) {
  const { KeyMetadata } = await kms.createKey({ KeySpec, KeyUsage: "SIGN_VERIFY" });
  const input = { KeyId: KeyMetadata.KeyId, SigningAlgorithm };
  const Entries = Array.from({ length: count }, () => ({ Message: message }));
  const packed = {
    Messages: new Uint8Array(count * 256).fill(7),
    Lengths: new Uint32Array(count).fill(256),
  };
  return {
    [`${KeySpec} entries`]: () => kms.signBatch({ ...input, Entries }).then(() => count),
    [`${KeySpec} packed`]: () => kms.signBatch({ ...input, ...packed }).then(() => count),
  };
}

contend(
  {
    ...(await batches("RSA_2048", "RSASSA_PKCS1_V1_5_SHA_256", 2_000)),
    ...(await batches("ECC_NIST_P256", "ECDSA_SHA_256", 20_000)),
  },
  () => kms.close(),
);
