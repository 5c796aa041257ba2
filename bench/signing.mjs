// What is compared of signing: node bench/bench.mjs --only Sign --file-size 1
import { availableParallelism } from "node:os";

const threads = availableParallelism();
const loop = (operation) => ({
  name: `C++ loop, ${threads} threads`,
  contender: "raw",
  task: `${operation} x${threads}`,
});
const batches = (spec) => [
  { name: "Keystead, entries", contender: "keystead-signing", task: `${spec} entries` },
  { name: "Keystead, packed", contender: "keystead-signing", task: `${spec} packed` },
];
const ceiling = (operation) => [
  {
    name: "entries : raw C++ loop",
    ours: "Keystead, entries",
    peers: [loop(operation).name],
    atLeast: 0.95,
  },
  { name: "packed : raw C++ loop", ours: "Keystead, packed", peers: [loop(operation).name], atLeast: 0.95 },
];
const graphene = "graphene-pk11, sync";

export const signing = [
  {
    title: "Sign batches of messages with RSA-2048",
    unit: "signatures",
    runners: [
      ...batches("RSA_2048"),
      { name: graphene, contender: "graphene-signing", task: "rsa-2048-sign sync" },
      loop("rsa-2048-sign"),
    ],
    claims: [
      ...ceiling("rsa-2048-sign"),
      { name: "entries : graphene-pk11 sync", ours: "Keystead, entries", peers: [graphene], atLeast: 3 },
    ],
  },
  {
    title: "Sign batches of messages with ECDSA P-256",
    unit: "signatures",
    runners: [...batches("ECC_NIST_P256"), loop("ecdsa-p256-sign")],
    claims: ceiling("ecdsa-p256-sign"),
  },
];
