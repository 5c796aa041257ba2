// The AWS Encryption SDK for JavaScript, with a key at hand, so that it waits for no KMS: from memory to memory, and
// records with its caching materials manager on.
import { randomBytes } from "node:crypto";
import {
  AlgorithmSuiteIdentifier,
  buildClient,
  CommitmentPolicy,
  getLocalCryptographicMaterialsCache,
  NodeCachingMaterialsManager,
  RawAesKeyringNode,
  RawAesWrappingSuiteIdentifier,
} from "@aws-crypto/client-node";
import { contend } from "../round.mjs";

const client = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
const keyring = new RawAesKeyringNode({
  keyNamespace: "bench",
  keyName: "bench",
  unencryptedMasterKey: randomBytes(32),
  wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
});
const cached = new NodeCachingMaterialsManager({
  backingMaterials: keyring,
  cache: getLocalCryptographicMaterialsCache(100),
  maxAge: 600_000,
});
const encryptionContext = { tenant: "7" };
const suites = {
  "0478": AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY,
  "0578": AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY_ECDSA_P384,
};

/** A part of the work is enough: its rate does not depend on the size. */
const plaintext = Buffer.alloc(Math.min(Number(process.env.BENCH_SIZE), 64 << 20), 7);
const tasks = {};
for (const [suite, suiteId] of Object.entries(suites)) {
  for (const frameLength of [65536, 4096]) {
    const seal = () => client.encrypt(keyring, plaintext, { suiteId, frameLength, encryptionContext });
    let sealed;
    tasks[`seal ${suite} ${frameLength}`] = async () => {
      await seal();
      return plaintext.length;
    };
    tasks[`open ${suite} ${frameLength}`] = async () => {
      sealed ??= (await seal()).result;
      await client.decrypt(keyring, sealed);
      return plaintext.length;
    };
  }
}

const RECORDS = 500;
const record = Buffer.alloc(1024, 7);
const sealRecord = async () =>
  (await client.encrypt(cached, record, { suiteId: suites["0478"], encryptionContext })).result;
let sealedRecord;

contend(
  {
    ...tasks,
    // One after the other: side by side is no faster on its one thread.
    "seal records": async () => {
      for (let i = 0; i < RECORDS; i++) await sealRecord();
      return RECORDS;
    },
    "open records": async () => {
      sealedRecord ??= await sealRecord();
      for (let i = 0; i < RECORDS; i++) await client.decrypt(cached, sealedRecord);
      return RECORDS;
    },
  },
  undefined,
  () => globalThis.gc(),
);
