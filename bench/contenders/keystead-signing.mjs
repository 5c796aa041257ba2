// Keystead signing on its full path: access, audit with fsync, every setting as it comes; messages of 256 bytes. Through
// the AWS SDK in process, too.
import { availableParallelism } from "node:os";
import { KMS } from "@aws-sdk/client-kms";
import { Kms } from "../../dist/index.js";
import { contend, inFlight } from "../round.mjs";

const kms = await Kms.open({ directory: process.env.BENCH_DIRECTORY });
// The SDK needs cores of its own, so that it has the HSM by half of them.
const half = await Kms.open({
  directory: process.env.BENCH_DIRECTORY,
  hsm: { sessions: Math.max(1, availableParallelism() >> 1) },
});
const newClient = (requestHandler) =>
  new KMS({
    region: kms.region,
    credentials: { accessKeyId: "in", secretAccessKey: "process" },
    requestHandler,
  });
const sdk = newClient(half.requestHandler());
const message = Buffer.alloc(256, 7);

/** Gives every request this answer. */
function answering({ KeyId, SigningAlgorithm, Signature }) {
  const body = JSON.stringify({
    KeyId,
    SigningAlgorithm,
    Signature: Buffer.from(Signature).toString("base64"),
  });
  const headers = { "content-type": "application/x-amz-json-1.1" };
  return { handle: async () => ({ response: { statusCode: 200, headers, body: Buffer.from(body) } }) };
}

/** Half a second's work or so. */
async function batches(KeySpec, SigningAlgorithm, count) {
  const { KeyMetadata } = await kms.createKey({ KeySpec, KeyUsage: "SIGN_VERIFY" });
  const input = { KeyId: KeyMetadata.KeyId, SigningAlgorithm };
  const alone = newClient(answering(await sdk.sign({ ...input, Message: message })));
  const single = { ...input, Message: message };
  const Entries = Array.from({ length: count }, () => ({ Message: message }));
  const packed = {
    Messages: new Uint8Array(count * 256).fill(7),
    Lengths: new Uint32Array(count).fill(256),
  };
  return {
    [`${KeySpec} entries`]: () => kms.signBatch({ ...input, Entries }).then(() => count),
    [`${KeySpec} packed`]: () => kms.signBatch({ ...input, ...packed }).then(() => count),
    [`${KeySpec} single`]: () => inFlight(64, count / 2, () => kms.sign(single)),
    [`${KeySpec} sdk`]: () => inFlight(64, count / 4, () => sdk.sign(single)),
    [`${KeySpec} sdk alone`]: () => inFlight(64, count / 4, () => alone.sign(single)),
  };
}

contend(
  {
    ...(await batches("RSA_2048", "RSASSA_PKCS1_V1_5_SHA_256", 2_000)),
    ...(await batches("ECC_NIST_P256", "ECDSA_SHA_256", 20_000)),
  },
  () => Promise.all([kms.close(), half.close()]),
);
