// The chart of growth: for each kind of work a panel of time an item, and one of memory, over the size on a logarithmic axis.
import { entity } from "./report.mjs";

const [WIDTH, HEIGHT] = [300, 130];
const [LEFT, TOP] = [52, 62];
const STEP = { x: WIDTH + 78, y: HEIGHT + 92 };

const style =
  "text{font:11px sans-serif;fill:#24292f}.title{font-weight:bold;font-size:13px}.axis{stroke:#8c959f;fill:none}" +
  ".grid{stroke:#e4e8ec}.line{stroke:#2563eb;stroke-width:2;fill:none}.dot{fill:#2563eb}.band{fill:#dbeafe}";

/** `charts`: `{ name, from, label, points: [{ size, each, rss }] }`; from the size `from` on, fixed costs are small. */
export function panels(charts) {
  const parts = charts.flatMap((chart, row) => [
    text(10, TOP - 38 + row * STEP.y, chart.name, 'class="title"'),
    panel(chart, LEFT, TOP + row * STEP.y, {
      title: "time an item, relative to its median (band: ± 10 %)",
      value: ({ each }) => each,
      format: (value) => value.toFixed(1),
      band: [0.9, 1.1],
      highest: 2,
    }),
    panel(chart, LEFT + STEP.x, TOP + row * STEP.y, {
      title: "memory resident on average, MB",
      value: ({ rss }) => rss / 1e6,
      format: (value) => value.toFixed(0),
    }),
  ]);
  const [width, height] = [LEFT + 2 * STEP.x - 20, TOP + charts.length * STEP.y - 40];
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img"><title>Time and memory as the work grows</title>` +
    `<style>${style}</style><rect width="100%" height="100%" fill="#fff"/>${parts.join("")}</svg>\n`
  );
}

function panel({ points, from, label }, left, top, { title, value, format, band, highest }) {
  const [least, most] = [Math.log(points[0].size), Math.log(points.at(-1).size)];
  highest ??= niceAbove(Math.max(...points.map(value)));
  const x = (size) => left + 10 + ((Math.log(size) - least) / (most - least)) * (WIDTH - 20);
  const y = (figure) => top + HEIGHT * (1 - Math.min(figure / highest, 1));
  const parts = [text(left, top - 10, title)];
  if (band) {
    const right = left + WIDTH - x(from);
    parts.push(
      `<rect x="${x(from)}" y="${y(band[1])}" width="${right}" height="${y(band[0]) - y(band[1])}" class="band"/>`,
    );
  }
  for (let i = 0; i <= 4; i++) {
    const figure = (highest * i) / 4;
    parts.push(`<path d="M${left} ${y(figure)}h${WIDTH}" class="grid"/>`);
    parts.push(text(left - 6, y(figure) + 4, format(figure), 'text-anchor="end"'));
  }
  for (const [i, { size }] of points.entries()) {
    if ((points.length - i) % 2 === 1 || points.length < 7)
      parts.push(text(x(size), top + HEIGHT + 16, label(size), 'text-anchor="middle"'));
  }
  for (const point of points) {
    // Beyond the axis: on its edge, with the figure beside it.
    if (value(point) > highest) parts.push(text(x(point.size) + 7, top + 14, format(value(point))));
  }
  const dots = points.map((point) => [x(point.size).toFixed(1), y(value(point)).toFixed(1)]);
  parts.push(`<path d="M${left} ${top}v${HEIGHT}h${WIDTH}" class="axis"/>`);
  parts.push(`<path d="M${dots.map((dot) => dot.join(" ")).join("L")}" class="line"/>`);
  for (const [cx, cy] of dots) parts.push(`<circle cx="${cx}" cy="${cy}" r="3" class="dot"/>`);
  return parts.join("");
}

const text = (x, y, content, more = "") => `<text x="${x}" y="${y}" ${more}>${entity(content)}</text>`;

function niceAbove(value) {
  const unit = 10 ** Math.floor(Math.log10(value));
  return unit * [1, 2, 4, 6, 8, 10].find((times) => times * unit >= value * 1.02);
}
