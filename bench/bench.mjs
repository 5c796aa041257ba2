// Every figure that the README claims, side by side in one run: npm run bench. Contenders run in turn, each in a
// process of its own, round by round, so that a slow moment of the machine falls on all of them alike. What cannot be
// compared like that is a program of its own, run here one after the other. `--only WORD` runs the topics and comparisons
// that have the word in their names, and leaves the report as it is.
import { fork } from "node:child_process";
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { batches } from "./batches.mjs";
import { Contender, Loop } from "./contender.mjs";
import { envelopes, files } from "./envelopes.mjs";
import { network } from "./network.mjs";
import { chart, markdown, median } from "./report.mjs";
import { signing } from "./signing.mjs";
import { claimed } from "./tell.mjs";
import { makeToken } from "./token.mjs";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "0.5" },
    only: { type: "string", default: "" },
    size: { type: "string", default: String(2 ** 30) },
  },
});

const topics = {
  batches,
  envelopes,
  files,
  signing,
  network,
  growth: [
    {
      title: "Time and memory as the work grows",
      program: "growth.mjs",
      args: values.only ? [] : [here("growth.svg")],
      chart: true,
    },
  ],
  server: [{ title: "The server beside a bare JSON echo", program: "server.mjs", args: ["2", "3"] }],
  keys: [
    { title: "One of 10 keys beside one of 100,000", program: "keys.mjs" },
    { title: "10,000 keys through 1,000 handles", program: "loading.mjs" },
    { title: "What a decision on access costs", program: "access.mjs" },
  ],
};

const home = mkdtempSync(join(process.env.BENCH_TMP ?? tmpdir(), "keystead-bench-"));
const environment = {
  ...makeToken(home),
  BENCH_DIRECTORY: join(home, "keystead"),
  BENCH_FILE: join(home, "plain"),
  BENCH_SIZE: values.size,
  BENCH_OUT: home,
};
// Keystead's token lies in its own directory, so its contenders get no SOFTHSM2_CONF of the peers'.
const { SOFTHSM2_CONF, ...ours } = environment;

try {
  // Piece by piece: a child's peak of memory begins with its parent's.
  const piece = Buffer.alloc(1 << 20, 7);
  for (let size = Number(values.size); size > 0; size -= piece.length) {
    appendFileSync(environment.BENCH_FILE, piece.subarray(0, size));
  }
  const results = [];
  for (const [topic, what] of Object.entries(topics)) {
    const wanted = what.filter(({ title }) => `${topic}: ${title}`.includes(values.only));
    const sections = [];
    for (const section of wanted) {
      const began = performance.now();
      sections.push(await (section.program ? run(section) : compare(section)));
      progress(`${section.title}: ${((performance.now() - began) / 1000).toFixed(0)} s\n`);
    }
    if (sections.length > 0) results.push({ topic, sections });
  }
  const text = markdown(results);
  if (values.only) console.log(text);
  else report(results, text);
} finally {
  rmSync(home, { recursive: true, force: true });
}

function here(name) {
  return new URL(name, import.meta.url).pathname;
}

function progress(text) {
  process.stderr.write(`\r\x1b[K${text}`);
}

function report(results, text) {
  writeFileSync(here("results.md"), text);
  for (const { topic, sections } of results) {
    if (sections[0].rows) writeFileSync(here(`${topic}.svg`), chart(topic, sections));
  }
  console.log(text);
}

async function compare({ title, unit, runners, claims }) {
  const contenders = new Map();
  for (const { contender: name } of runners) {
    if (contenders.has(name)) continue;
    const env = name.startsWith("keystead") ? ours : environment;
    contenders.set(name, Loop.exists(name) ? new Loop(name, env) : await Contender.start(name, env));
  }
  const rounds = Object.fromEntries(runners.map((runner) => [runner.name, []]));
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const { name, contender, task } of runners) {
      progress(`${title}: round ${round + 1}, ${name}`);
      rounds[name].push(await contenders.get(contender).round(task, Number(values.seconds)));
    }
  }
  for (const contender of contenders.values()) await contender.close();
  const of = (name, figure) => rounds[name].map((round) => round[figure]);
  const rows = runners.map(({ name, contender }) => ({
    name,
    ours: contender.startsWith("keystead"),
    perSecond: median(of(name, "perSecond")),
    lagP99: Loop.exists(contender) ? undefined : median(of(name, "lagP99")),
  }));
  return { title, unit, rows, claims: claims.map((claim) => judge(claim, of)) };
}

/** A claim is a ratio of ours to the fastest of its peers in the same round, or a bound on a figure of ours. */
function judge({ name, ours, peers, atLeast, figure, atMost }, of) {
  if (atMost !== undefined) return claimed(name, median(of(ours, figure.of)) / figure.unit, { atMost });
  const best = of(peers[0], "perSecond").map((_, round) =>
    Math.max(...peers.map((peer) => of(peer, "perSecond")[round])),
  );
  const ratios = of(ours, "perSecond").map((value, round) => value / best[round]);
  return claimed(name, median(ratios), { atLeast, unit: " ×" });
}

/** Runs a program of this folder, which tells its lines and claims (tell.mjs). */
function run({ title, program, args = [], chart }) {
  const [lines, claims] = [[], []];
  return new Promise((resolve, reject) => {
    const child = fork(here(program), args, { env: { ...process.env, ...ours }, execArgv: ["--expose-gc"] });
    child.on("message", ({ line, claim }) => {
      if (line !== undefined) progress(`${line}\n`);
      if (line !== undefined) lines.push(line);
      else claims.push(claim);
    });
    child.on("exit", (code) => {
      if (code === 0) resolve({ title, chart, command: `node bench/${program}`, lines, claims });
      else reject(new Error(`${program} exited with ${code}`));
    });
  });
}
