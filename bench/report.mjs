// The figures as tables and as charts.
import { cpus, release, totalmem, type } from "node:os";

export const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

/** 1234567 → "1.23 M". */
export function short(value) {
  for (const [size, unit] of [
    [1e9, " G"],
    [1e6, " M"],
    [1e3, " k"],
  ]) {
    if (value >= size) return (value / size).toPrecision(3) + unit;
  }
  return value.toPrecision(3);
}

const table = (head, rows) =>
  [head, head.map((_, i) => (i === 0 ? "---" : "--:")), ...rows].map((cells) => `| ${cells.join(" | ")} |`);
const reach = ({ reached }) => (reached ? "reached" : "**not reached**");

/** Markdown: how many claims were reached, then one section a comparison or program, with its claims. */
export function markdown(topics) {
  const claims = topics.flatMap(({ sections }) =>
    sections.flatMap((section) => section.claims.map((claim) => ({ ...claim, title: section.title }))),
  );
  const missed = claims.filter(({ reached }) => !reached);
  const lines = [
    "# Results",
    "",
    `\`npm run bench\` on ${machine()}. All rows of a table were measured in turn in one run; figures are`,
    "medians of the rounds, ratios are medians of the ratios round by round.",
    "",
    `${claims.length - missed.length} of ${claims.length} claims were reached.${missed.length > 0 ? " Not reached:" : ""}`,
    "",
  ];
  if (missed.length > 0) {
    const rows = missed.map(({ title, name, wanted, measured }) => [`${title}: ${name}`, wanted, measured]);
    lines.push(...table(["", "wanted", "measured"], rows), "");
  }
  for (const { topic, sections } of topics) {
    lines.push(`## ${topic[0].toUpperCase()}${topic.slice(1)}`, "");
    const charted = sections.find(({ rows, chart }) => rows || chart);
    if (charted) lines.push(`![${topic}](${topic}.svg)`, "");
    for (const section of sections) lines.push(...about(section));
  }
  return `${lines.join("\n")}\n`;
}

function about({ title, unit, rows, command, lines, claims }) {
  const all = [`### ${title}`, ""];
  if (rows) {
    const cells = rows.map(({ name, perSecond, lagP99 }) => [
      name,
      short(perSecond),
      lagP99?.toFixed(1) ?? "",
    ]);
    all.push(...table(["", `${unit}/s`, "event-loop lag p99 (ms)"], cells), "");
  } else {
    all.push(`\`${command}\``, "", "```", ...lines, "```", "");
  }
  const judged = claims.map((claim) => [claim.name, claim.wanted, claim.measured, reach(claim)]);
  return [...all, ...table(["figure", "wanted", "measured", ""], judged), ""];
}

function machine() {
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${cpus().length} cores of ${cpus()[0].model.trim()}, ${memory} GiB, ${type()} ${release()}, Node ${process.version}`;
}

export const entity = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;");

/** An SVG chart: for each comparison a bar a row, as long as its rate. */
export function chart(topic, comparisons) {
  const width = 860;
  const label = 300;
  const parts = [];
  let y = 10;
  for (const { title, unit, rows } of comparisons) {
    y += 26;
    parts.push(`<text x="10" y="${y}" class="title">${entity(title)} (${entity(unit)}/s)</text>`);
    const most = Math.max(...rows.map((row) => row.perSecond));
    for (const row of rows) {
      y += 22;
      const length = Math.max(1, ((width - label - 90) * row.perSecond) / most);
      const kind = row.ours ? "ours" : "peer";
      parts.push(`<text x="${label - 8}" y="${y}" text-anchor="end">${entity(row.name)}</text>`);
      parts.push(
        `<rect x="${label}" y="${y - 12}" width="${length.toFixed(1)}" height="15" class="${kind}"/>`,
      );
      parts.push(`<text x="${(label + length + 6).toFixed(1)}" y="${y}">${short(row.perSecond)}</text>`);
    }
    y += 14;
  }
  const style =
    "text{font:12px sans-serif;fill:#24292f}.title{font-weight:bold;font-size:14px}.ours{fill:#2563eb}.peer{fill:#b6bec9}";
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y + 10}" role="img"><title>Keystead beside its peers: ${entity(topic)}</title>` +
    `<style>${style}</style><rect width="100%" height="100%" fill="#fff"/>${parts.join("")}</svg>\n`
  );
}
