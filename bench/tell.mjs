// What a bench tells: a program of its own prints it, or hands it to bench.mjs where that runs it.

/** A figure with what was wanted of it, both with their unit. */
export function claimed(name, measured, { atLeast, atMost, unit = "" }) {
  const wanted = atLeast === undefined ? `≤ ${atMost}` : `≥ ${atLeast}`;
  const figure = measured >= 100 ? measured.toFixed(0) : measured.toPrecision(3);
  const reached = atLeast === undefined ? measured <= atMost : measured >= atLeast;
  return { name, wanted: wanted + unit, measured: figure + unit, reached };
}

const tell = (message, line) => (process.send ? process.send(message) : console.log(line));

export const say = (line) => tell({ line }, line);

/** As `claimed`. */
export function claim(name, measured, bound) {
  const its = claimed(name, measured, bound);
  const { wanted, reached } = its;
  tell({ claim: its }, `${name}: ${its.measured}, wanted ${wanted}: ${reached ? "reached" : "not reached"}`);
}
