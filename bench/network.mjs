// What is compared of an HSM behind a network: a module whose every call takes a millisecond more (network_module.cc).
const contender = "keystead-network";
const sessions = [1, 4, 16, 64];
const name = (count) => `Keystead, ${count} session${count > 1 ? "s" : ""}`;

const forms = ["entries", "packed"];
const inFlight = { "": "one at a time", " x16": "16 in flight" };
const batches = Object.entries(inFlight).flatMap(([flights, how]) =>
  forms.map((form) => ({
    away: { name: `network, ${form}, ${how}`, contender, task: `${form} network${flights}` },
    local: { name: `local, ${form}, ${how}`, contender, task: `${form} local${flights}` },
  })),
);

export const network = [
  {
    title: "Encrypt single records under many keys, 1 ms a call away",
    unit: "records",
    runners: sessions.map((count) => ({ name: name(count), contender, task: `encrypt x${count}` })),
    claims: sessions.slice(1).map((count) => ({
      name: `${count} sessions : one`,
      ours: name(count),
      peers: [name(1)],
      atLeast: count * 0.9,
    })),
  },
  {
    title: "Encrypt records of 256 bytes, 10,000 a batch, 1 ms a call away",
    unit: "records",
    runners: batches.flatMap(({ away, local }) => [away, local]),
    claims: batches.map(({ away, local }) => ({
      name: `${away.name} : local`,
      ours: away.name,
      peers: [local.name],
      atLeast: 0.9,
    })),
  },
];
