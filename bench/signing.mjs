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
const half = Math.max(1, threads >> 1);
const halfLoop = (operation) => ({
  ...loop(operation),
  name: `C++ loop, ${half} threads`,
  task: `${operation} x${half}`,
});
/** One request a signature: from all sessions, and from half of them beside the SDK, which takes cores of its own. */
const singles = (spec, operation) => ({
  title: `Sign single messages with ${spec === "RSA_2048" ? "RSA-2048" : "ECDSA P-256"}, 64 in flight`,
  unit: "signatures",
  runners: [
    { name: "Keystead", contender: "keystead-signing", task: `${spec} single` },
    loop(operation),
    { name: `AWS SDK in process, ${half} sessions`, contender: "keystead-signing", task: `${spec} sdk` },
    halfLoop(operation),
    { name: "AWS SDK alone, its answer made up", contender: "keystead-signing", task: `${spec} sdk alone` },
  ],
  claims: [
    { name: "Keystead : raw C++ loop", ours: "Keystead", peers: [loop(operation).name], atLeast: 0.9 },
    {
      name: "AWS SDK in process : raw C++ loop on as many sessions",
      ours: `AWS SDK in process, ${half} sessions`,
      peers: [halfLoop(operation).name],
      atLeast: 0.9,
    },
  ],
});
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
  singles("RSA_2048", "rsa-2048-sign"),
  singles("ECC_NIST_P256", "ecdsa-p256-sign"),
];
