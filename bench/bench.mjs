// Every figure that the README claims, side by side in one run: npm run bench. Contenders run in turn, each in a
// process of its own, round by round, so that a slow moment of the machine falls on all of them alike.
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { comparisons } from "./comparisons.mjs";
import { Contender, RawLoop } from "./contender.mjs";
import { chart, markdown, median } from "./report.mjs";
import { makeToken } from "./token.mjs";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "1" },
    only: { type: "string" },
    "file-size": { type: "string", default: String(2 ** 30) },
  },
});

const home = mkdtempSync(join(process.env.BENCH_TMP ?? tmpdir(), "keystead-bench-"));
const environment = {
  ...makeToken(home),
  BENCH_DIRECTORY: join(home, "keystead"),
  BENCH_FILE: join(home, "plain"),
  BENCH_FILE_SIZE: values["file-size"],
  BENCH_OUT: home,
};
// Keystead's token lies in its own directory, so its contenders get no SOFTHSM2_CONF of the peers'.
const { SOFTHSM2_CONF, ...ours } = environment;

try {
  // Piece by piece: a child's peak of memory begins with its parent's.
  const piece = Buffer.alloc(1 << 20, 7);
  for (let size = Number(values["file-size"]); size > 0; size -= piece.length) {
    appendFileSync(environment.BENCH_FILE, piece.subarray(0, size));
  }
  const results = [];
  for (const comparison of comparisons) {
    if (values.only && !comparison.title.includes(values.only)) continue;
    results.push(await compare(comparison));
  }
  const machine = `${cpus().length} cores of ${cpus()[0].model.trim()}, Node ${process.version}`;
  const text = markdown(results, machine);
  console.log(text);
  if (!values.only) {
    mkdirSync(new URL(".", import.meta.url), { recursive: true });
    writeFileSync(new URL("results.md", import.meta.url), text);
    writeFileSync(new URL("results.svg", import.meta.url), chart(results));
  }
} finally {
  rmSync(home, { recursive: true, force: true });
}

async function compare({ title, unit, runners, claims }) {
  const names = [...new Set(runners.map((runner) => runner.contender))];
  const contenders = new Map();
  for (const name of names) {
    const env = name.startsWith("keystead") ? ours : environment;
    contenders.set(name, name === "raw" ? new RawLoop(environment) : await Contender.start(name, env));
  }
  const rounds = Object.fromEntries(runners.map((runner) => [runner.name, []]));
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const { name, contender, task } of runners) {
      process.stderr.write(`\r\x1b[K${title}: round ${round + 1}, ${name}`);
      rounds[name].push(await contenders.get(contender).round(task, Number(values.seconds)));
    }
  }
  process.stderr.write("\r\x1b[K");
  for (const contender of contenders.values()) await contender.close();
  const of = (name, figure) => rounds[name].map((round) => round[figure]);
  const rows = runners.map(({ name, contender }) => ({
    name,
    ours: contender.startsWith("keystead"),
    perSecond: median(of(name, "perSecond")),
    lagP99: contender === "raw" ? undefined : median(of(name, "lagP99")),
  }));
  return { title, unit, rows, claims: claims.map((claim) => judge(claim, of)) };
}

/** A claim is a ratio of ours to the fastest of its peers in the same round, or a bound on a figure of ours. */
function judge({ name, ours, peers, atLeast, figure, atMost }, of) {
  if (atMost !== undefined) {
    const measured = median(of(ours, figure.of)) / figure.unit;
    return { name, wanted: `≤ ${atMost}`, measured: measured.toFixed(1), reached: measured <= atMost };
  }
  const best = of(peers[0], "perSecond").map((_, round) =>
    Math.max(...peers.map((peer) => of(peer, "perSecond")[round])),
  );
  const ratio = median(of(ours, "perSecond").map((value, round) => value / best[round]));
  return { name, wanted: `≥ ${atLeast} ×`, measured: `${ratio.toPrecision(3)} ×`, reached: ratio >= atLeast };
}
