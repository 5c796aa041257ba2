// What is compared of envelopes: bytes in memory, small messages, files.
const directions = { seal: "Encrypt", open: "Decrypt" };
const each = (make) => Object.entries(directions).map(([direction, verb]) => make(direction, verb));
const kibibytes = (frame) => `frames of ${frame / 1024} KiB`;
const megabytes = { of: "rss", unit: 1e6 };

const sdk = "AWS Encryption SDK, on 64 MiB";
const theirs = (task) => ({ name: sdk, contender: "encryption-sdk", task });
const node = "node:crypto, one thread";
const loop = (direction, output, frame) => ({
  name: `C++ loop, all cores, ${output === "kept" ? "output kept" : "fresh output"}`,
  contender: "gcm",
  task: `${direction} ${output} ${frame}`,
});

/** Beside the Encryption SDK alone where the frames are its own, small ones. */
const unsigned = (frame, small) =>
  each((direction, verb) => {
    const loops = small ? [] : ["fresh", "kept"].map((output) => loop(direction, output, frame));
    const nodes = small ? [] : [{ name: node, contender: "node-bulk", task: `${direction} memory` }];
    return {
      title: `${verb} 1 GiB from memory to memory, suite 0x0478, ${kibibytes(frame)}`,
      unit: "bytes",
      runners: [
        { name: "Keystead", contender: "keystead-envelope", task: `${direction} 0478 ${frame}` },
        theirs(`${direction} 0478 ${frame}`),
        ...nodes,
        ...loops,
      ],
      claims: [
        { name: sdk, ours: "Keystead", peers: [sdk], atLeast: 12 },
        ...nodes.map(({ name }) => ({ name, ours: "Keystead", peers: [name], atLeast: 4 })),
        ...loops.map(({ name }) => ({ name, ours: "Keystead", peers: [name], atLeast: 0.7 })),
      ],
    };
  });

const one = "Keystead, one message";
const four = "Keystead, four messages at a time";
const signed = (frame) =>
  each((direction, verb) => ({
    title: `${verb} 256 MiB from memory to memory, signed (suite 0x0578), ${kibibytes(frame)}`,
    unit: "bytes",
    runners: [
      { name: one, contender: "keystead-envelope", task: `${direction} 0578 ${frame}` },
      { name: four, contender: "keystead-envelope", task: `${direction} 0578 x4 ${frame}` },
      theirs(`${direction} 0578 ${frame}`),
    ],
    claims: [one, four].map((ours) => ({
      name: `${ours} : ${sdk}`,
      ours,
      peers: [sdk],
      atLeast: 8,
    })),
  }));

const cached = "AWS Encryption SDK, caching";
const records = each((direction, verb) => ({
  title: `${verb} records of 1 KiB as messages of their own, suite 0x0478`,
  unit: "records",
  runners: [
    { name: "Keystead", contender: "keystead-envelope", task: `${direction} records` },
    { name: cached, contender: "encryption-sdk", task: `${direction} records` },
  ],
  claims: [{ name: cached, ours: "Keystead", peers: [cached], atLeast: 100 }],
}));

export const envelopes = [
  ...unsigned(65536),
  ...unsigned(4096, true),
  ...signed(65536),
  ...signed(4096),
  ...records,
];

const ours = "Keystead, durable";
const durable = "node:crypto, durable";
const copies = [
  { name: "cp, page cache only", contender: "cp", task: "cp" },
  { name: "cp, then sync", contender: "cp", task: "cp and sync" },
];

export const files = each((direction, verb) => ({
  title: `${verb} 1 GiB from file to file, the page cache warm`,
  unit: "bytes",
  runners: [
    { name: ours, contender: "keystead-envelope", task: `${direction} file` },
    { name: durable, contender: "node-bulk", task: `${direction} file` },
    { name: "node:crypto, page cache only", contender: "node-bulk", task: `${direction} file, no fsync` },
    ...copies,
  ],
  claims: [
    { name: durable, ours, peers: [durable], atLeast: 1.5 },
    ...copies.map(({ name }) => ({ name, ours, peers: [name], atLeast: 0.5 })),
    { name: "memory resident (MB)", ours, figure: megabytes, atMost: 300 },
  ],
}));
