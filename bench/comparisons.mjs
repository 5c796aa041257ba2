// What is compared with what, and what is claimed of it.
import { signing } from "./signing.mjs";

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

const megabytes = { of: "rss", unit: 1e6 };
const milliseconds = { of: "lagP99", unit: 1 };

export const comparisons = [
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
      { name: "entries : graphene-pk11's best", ours: "Keystead, entries", peers: graphene, atLeast: 25 },
      { name: "entries : raw C++ loop's best", ours: "Keystead, entries", peers: loops, atLeast: 10 },
      { name: "packed : graphene-pk11's best", ours: "Keystead, packed", peers: graphene, atLeast: 25 },
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
  ...["encrypt", "decrypt"].map((direction) => ({
    title: `${direction === "encrypt" ? "Encrypt" : "Decrypt"} 1 GiB from memory to memory`,
    unit: "bytes",
    runners: [
      { name: "Keystead", contender: "keystead-files", task: `${direction} memory` },
      { name: "node:crypto, one thread", contender: "node-files", task: `${direction} memory` },
    ],
    claims: [{ name: "node:crypto", ours: "Keystead", peers: ["node:crypto, one thread"], atLeast: 3 }],
  })),
  ...["encrypt", "decrypt"].map((direction) => ({
    title: `${direction === "encrypt" ? "Encrypt" : "Decrypt"} 1 GiB from file to file`,
    unit: "bytes",
    runners: [
      { name: "Keystead, durable", contender: "keystead-files", task: `${direction} file` },
      { name: "node:crypto, durable", contender: "node-files", task: `${direction} file` },
      { name: "node:crypto, page cache only", contender: "node-files", task: `${direction} file, no fsync` },
    ],
    claims: [
      { name: "node:crypto", ours: "Keystead, durable", peers: ["node:crypto, durable"], atLeast: 1.5 },
      { name: "memory resident (MB)", ours: "Keystead, durable", figure: megabytes, atMost: 300 },
    ],
  })),
  ...signing,
];
