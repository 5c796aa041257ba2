// The figures as a table and as a chart.

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

/** Markdown: one section a comparison, one row a runner, and each claim with what was reached. */
export function markdown(comparisons, machine) {
  const lines = [
    "# Results",
    "",
    `\`npm run bench\` on ${machine}. All rows of a section were measured in turn in one run;`,
  ];
  lines.push("figures are medians of the rounds, ratios are medians of the ratios round by round.", "");
  for (const { title, unit, rows, claims } of comparisons) {
    lines.push(`## ${title}`, "", `| | ${unit}/s | event-loop lag p99 (ms) |`, "|---|--:|--:|");
    for (const row of rows) {
      const lag = row.lagP99 === undefined ? "" : row.lagP99.toFixed(1);
      lines.push(`| ${row.name} | ${short(row.perSecond)} | ${lag} |`);
    }
    lines.push("", "| figure | wanted | measured | |", "|---|--:|--:|---|");
    for (const { name, wanted, measured, reached } of claims) {
      lines.push(`| ${name} | ${wanted} | ${measured} | ${reached ? "reached" : "**not reached**"} |`);
    }
    lines.push("");
  }
  return `${lines.join("\n")}\n`;
}

const entity = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;");

/** An SVG chart: for each comparison a bar a row, as long as its rate. */
export function chart(comparisons) {
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
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y + 10}" role="img"><title>Keystead beside its peers</title>` +
    `<style>${style}</style><rect width="100%" height="100%" fill="#fff"/>${parts.join("")}</svg>\n`
  );
}
