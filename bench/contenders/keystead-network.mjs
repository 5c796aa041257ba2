// Keystead on a network HSM, each call of which takes a millisecond (bench/native/network_module.cc), by so many
// sessions; beside itself on the same token without the network.
import { join } from "node:path";
import { Kms } from "../../dist/index.js";
import { contend, inFlight } from "../round.mjs";

const directory = `${process.env.BENCH_DIRECTORY}-network`;
const local = await Kms.open({ directory });
const away = {
  module: new URL("../../build/loop/bench/network_module.so", import.meta.url).pathname,
  environment: {
    SOFTHSM2_CONF: join(directory, "softhsm2.conf"),
    KEYSTEAD_REAL_MODULE: process.env.BENCH_MODULE,
  },
  token: "keystead",
  pin: { file: join(directory, "pin") },
};
const reached = new Map();
/** Opened when it is first needed, which no figure counts. */
const network = async (sessions) => {
  if (!reached.has(sessions)) reached.set(sessions, Kms.open({ directory, hsm: { ...away, sessions } }));
  return await reached.get(sessions);
};

// What is in flight under one key shares one call of the HSM; of calls under different keys each needs its own.
const most = 64;
const inFlightEach = 8;
const KeyIds = await Promise.all(
  Array.from({ length: most * inFlightEach }, async () => (await local.createKey()).KeyMetadata.KeyId),
);
const EncryptionContext = { tenant: "7" };
const record = Buffer.alloc(256, 7);
const batchSize = 10_000;
const batchesOfATask = 64;
const Entries = Array.from({ length: batchSize }, () => ({ Plaintext: record }));
const packed = {
  Plaintexts: new Uint8Array(batchSize * record.length).fill(7),
  Lengths: new Uint32Array(batchSize).fill(record.length),
};

const singles = (sessions, keys) => async () => {
  const kms = await network(sessions);
  const flights = sessions * inFlightEach;
  return inFlight(flights, 32 * flights, (call) =>
    kms.encrypt({ KeyId: KeyIds[call % keys], EncryptionContext, Plaintext: record }),
  );
};
const batches = (reach, input, flights) => async () => {
  const kms = await reach();
  await inFlight(flights, batchesOfATask, () =>
    kms.encryptBatch({ KeyId: KeyIds[0], EncryptionContext, ...input }),
  );
  return batchesOfATask * batchSize;
};

const tasks = {};
for (let sessions = 1; sessions <= most; sessions *= 2) {
  tasks[`encrypt x${sessions}`] = singles(sessions, sessions * inFlightEach);
  tasks[`encrypt one key x${sessions}`] = singles(sessions, 1);
}
for (const [where, reach] of Object.entries({ local: () => local, network: () => network(most) })) {
  for (const [form, input] of Object.entries({ entries: { Entries }, packed })) {
    tasks[`${form} ${where}`] = batches(reach, input, 1);
    tasks[`${form} ${where} x16`] = batches(reach, input, 16);
  }
}
contend(tasks, async () => {
  for (const kms of reached.values()) await (await kms).close();
  await local.close();
});
