// What is compared of records under a KMS key itself: batches, and single calls.

const peers = [
  { name: "graphene-pk11, sync", contender: "graphene", task: "encrypt sync" },
  { name: "graphene-pk11, 16 async callers", contender: "graphene", task: "encrypt async" },
  { name: "pkcs11js, sync", contender: "pkcs11js", task: "encrypt sync" },
  { name: "pkcs11js, 16 async callers", contender: "pkcs11js", task: "encrypt async" },
  { name: "node:crypto, no HSM", contender: "node-crypto", task: "encrypt sync" },
];
const raw = [1, 2, 4].map((threads) => ({
  name: `C++ loop, ${threads} thread${threads > 1 ? "s" : ""}`,
  contender: "raw",
  task: `gcm-encrypt x${threads}`,
}));
const rawDecrypt = raw.map((runner) => ({ ...runner, task: runner.task.replace("encrypt", "decrypt") }));
const graphene = ["graphene-pk11, sync", "graphene-pk11, 16 async callers"];
const loops = raw.map((runner) => runner.name);

const milliseconds = { of: "lagP99", unit: 1 };

export const batches = [
  {
    title: "Encrypt records of 256 bytes, 10,000 a batch",
    unit: "records",
    runners: [
      { name: "Keystead, entries", contender: "keystead", task: "encrypt batch" },
      { name: "Keystead, packed", contender: "keystead", task: "encrypt packed" },
      ...peers,
      ...raw,
    ],
    claims: [
      { name: "entries : graphene-pk11's best", ours: "Keystead, entries", peers: graphene, atLeast: 40 },
      { name: "entries : raw C++ loop's best", ours: "Keystead, entries", peers: loops, atLeast: 10 },
      { name: "packed : graphene-pk11's best", ours: "Keystead, packed", peers: graphene, atLeast: 100 },
    ],
  },
  {
    title: "Decrypt a batch's own output",
    unit: "records",
    runners: [
      { name: "Keystead, entries", contender: "keystead", task: "decrypt batch" },
      { name: "Keystead, packed", contender: "keystead", task: "decrypt packed" },
      { name: "graphene-pk11, sync", contender: "graphene", task: "decrypt sync" },
      { name: "pkcs11js, sync", contender: "pkcs11js", task: "decrypt sync" },
      { name: "node:crypto, no HSM", contender: "node-crypto", task: "decrypt sync" },
      ...rawDecrypt,
    ],
    claims: [
      {
        name: "entries : graphene-pk11's best",
        ours: "Keystead, entries",
        peers: [graphene[0]],
        atLeast: 15,
      },
      { name: "packed : graphene-pk11's best", ours: "Keystead, packed", peers: [graphene[0]], atLeast: 15 },
    ],
  },
  {
    title: "Encrypt single records of 256 bytes, 64 in flight",
    unit: "records",
    runners: [
      { name: "Keystead", contender: "keystead", task: "encrypt single" },
      { name: "Keystead, decrypt", contender: "keystead", task: "decrypt single" },
      ...peers,
    ],
    claims: [
      { name: "encrypt : graphene-pk11's best", ours: "Keystead", peers: graphene, atLeast: 1 },
      { name: "encrypt : graphene-pk11 async", ours: "Keystead", peers: [graphene[1]], atLeast: 3 },
      { name: "event-loop lag p99 (ms)", ours: "Keystead", figure: milliseconds, atMost: 5 },
    ],
  },
];
