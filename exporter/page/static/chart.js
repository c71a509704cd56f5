// A chart of a series of the API: lines over time, the values below the pointer in words, and all of them as a table.

import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "./preact.standalone.module.js";
import { Csv } from "./csv.js";
import { number } from "./format.js";
import { Definition, Value, known } from "./parts.js";
import { completed } from "./series.js";
import { day, dayOfWeek, minute, moment, zone, zoneName } from "./time.js";

const HEIGHT_PX = 150;
const LEFT_PX = 58;
const DAY_S = 86400;

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const colourOf = (line, i) => line.colour || `--line-${(i % 5) + 1}`;

/** Adds an element of another file to the page, and waits until it is there. */
function added(name, element) {
  return new Promise((resolve, reject) => {
    element.onload = resolve;
    element.onerror = () => reject(new Error(`the server does not give ${name}`));
    document.head.append(element);
  });
}

// uPlot is no module: it is loaded with the first view that has charts, of which the overview is none.
const fileOf = (name) => new URL(name, import.meta.url).href;
await Promise.all([
  added("uPlot", Object.assign(document.createElement("script"), { src: fileOf("uPlot.iife.min.js") })),
  added("the style of uPlot", Object.assign(document.createElement("link"), { rel: "stylesheet", href: fileOf("uPlot.min.css") })),
]);

const dark = matchMedia("(prefers-color-scheme: dark)");

/** Every line and, where the answer has one, the same line of the time before, step by step. */
function allLines(series, lines) {
  const previous = series.previous;
  const before = lines.flatMap((line, i) =>
    previous && line.column && !line.alone
      ? [{ ...line, name: `${line.name} before`, values: previous.columns[line.column].slice(0, series.start.length), colour: colourOf(line, i), isBefore: true }]
      : [],
  );
  const now = lines.map((line) => ({ ...line, values: line.values ? line.values.slice(0, series.start.length) : series.columns[line.column] }));
  return [...now, ...before];
}

function axis(options) {
  return {
    stroke: () => colour("--muted"),
    grid: { stroke: () => colour("--line"), width: 1 },
    ticks: { show: false },
    font: "12px system-ui, sans-serif",
    ...options,
  };
}

function options(host, lines, format, extent, isDaily, read) {
  const times = (_, ticks, _axis, _space, step) =>
    ticks.map((s) => (isDaily || step >= DAY_S || minute(s * 1000) === "00:00" ? day(s * 1000) : minute(s * 1000)));
  return {
    width: host.clientWidth || 300,
    height: HEIGHT_PX,
    padding: [10, 26, 0, 0], // the last label of the time is written around its tick
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false } },
    tzDate: (s) => uPlot.tzDate(new Date(s * 1000), zoneName()),
    scales: { y: { range: (_, low, high) => extent(known(low) ? low : 0, known(high) ? high : 1) } },
    series: [
      {},
      ...lines.map((line, i) => ({
        stroke: () => colour(colourOf(line, i)),
        width: line.isBefore || line.isBound ? 1 : 2,
        dash: line.isBefore ? [4, 4] : undefined,
        points: { show: (chart, at) => chart.data[at].filter(known).length < 3, size: 6 },
      })),
    ],
    bands: lines.some((line) => line.isBound) ? [{ series: bounds(lines), fill: () => colour("--soft") }] : undefined,
    axes: [
      axis({ size: 28, values: times, space: 64 }),
      axis({ size: LEFT_PX, values: (_, ticks) => apart(ticks.map((value) => format(value))), space: 28 }),
    ],
    hooks: { setCursor: [(chart) => read(chart.cursor.idx)] },
  };
}

/** Labels, without those that read like the one before: 0.5 rounded is no second 1. */
const apart = (labels) => labels.map((label, i) => (label === labels[i - 1] ? "" : label));

function bounds(lines) {
  const at = lines.flatMap((line, i) => (line.isBound ? [i + 1] : []));
  return [at[1], at[0]]; // the upper one first
}

/** The last step, or the one before it where the last has just begun and knows nothing yet. */
function lastStep(lines) {
  const last = lines[0].values.length - 1;
  return lines.some((line) => known(line.values[last])) ? last : Math.max(0, last - 1);
}

const FROM_ZERO = (low, high) => [Math.min(0, low), high > 0 || low < 0 ? high * 1.08 : 1];
export const OF_HUNDRED = () => [0, 100];
export const AROUND_ZERO = (low, high) => {
  const most = Math.max(Math.abs(low), Math.abs(high)) * 1.1 || 1;
  return [-most, most];
};

function Canvas({ series, lines, format, extent, label, read }) {
  const host = useRef(null);
  const chart = useRef(null);
  const data = [series.start.map((time) => Date.parse(time) / 1000), ...lines.map((line) => line.values)];
  const isDaily = series.step_seconds >= DAY_S;
  const shape = JSON.stringify([lines.map((line) => [line.name, line.colour, line.isBefore]), isDaily, zoneName()]);
  useLayoutEffect(() => {
    const made = new uPlot(options(host.current, lines, format, extent, isDaily, read), data, host.current);
    chart.current = made;
    const resized = new ResizeObserver(([{ contentRect }]) => made.setSize({ width: contentRect.width, height: HEIGHT_PX }));
    const redraw = () => made.redraw(false);
    resized.observe(host.current);
    dark.addEventListener("change", redraw);
    return () => {
      resized.disconnect();
      dark.removeEventListener("change", redraw);
      made.destroy();
    };
  }, [shape]);
  useEffect(() => {
    chart.current.setData(data);
  }, [series]);
  return html`<div class="plot" ref=${host} role="img" aria-label=${label}></div>`;
}

function Numbers({ series, lines, format }) {
  const [open, setOpen] = useState(false);
  return html`<details onToggle=${(event) => setOpen(event.currentTarget.open)}>
    <summary>Numbers</summary>
    ${open && html`<div class="numbers" tabindex="0" role="region" aria-label="Numbers of the chart"><table>
      <thead><tr><th scope="col">from</th>${lines.map((line) => html`<th scope="col">${line.name}</th>`)}</tr></thead>
      <tbody>${series.start.map((time, i) => html`<tr key=${time}>
        <th scope="row">${moment(time)}</th>
        ${lines.map((line) => html`<td><${Value} of=${line.values[i]} as=${format} /></td>`)}
      </tr>`)}</tbody>
    </table></div>`}
  </details>`;
}

/**
 * @param answer a series of the API, as `useAnswer` gives it.
 * @param lines `{name, column}`, or `{name, values}` of the same steps; `isBound` are the two ends of an interval,
 *   `alone` has no line of the time before.
 * @param ofSums whether the step that is still running is left away.
 * @param format of a value; `extent` of the axis from the least and the largest one.
 */
export function Chart({ title, definition, answer, lines, format = number(2), extent = FROM_ZERO, ofSums = false, note = "" }) {
  const [at, read] = useState(null);
  zone.use();
  const series = useMemo(() => (answer.data && ofSums ? completed(answer.data) : answer.data), [answer.data, ofSums]);
  if (!series) {
    return html`<article class="card chart"><h3>${title}</h3><p class="note">${answer.error}</p></article>`;
  }
  const drawn = allLines(series, lines);
  const isKnown = drawn.some((line) => line.values.some(known));
  const step = known(at) && at < series.start.length ? at : lastStep(drawn);
  const when = (series.step_seconds >= DAY_S ? dayOfWeek : moment)(series.start[step]);
  const said = drawn.map((line) => `${line.name} ${known(line.values[step]) ? format(line.values[step]) : "unknown"}`);
  const label = `${title}, ${when}: ${said.join(", ")}`;
  return html`<article class="card chart">
    <h3><${Definition} of=${definition}>${title}<//></h3>
    <p class="legend">
      <span class="note">${when}</span>
      ${drawn.map((line, i) => html`<span key=${line.name} class=${line.isBefore ? "before" : ""}>
        <i class=${`swatch ${colourOf(line, i).slice(2)}`}></i>${line.name} <b><${Value} of=${line.values[step]} as=${format} /></b></span>`)}
    </p>
    ${isKnown
      ? html`<${Canvas} series=${series} lines=${drawn} format=${format} extent=${extent} label=${label} read=${read} />`
      : html`<p class="plot nothing">Nothing is known of this time.</p>`}
    <div class="below"><${Numbers} series=${series} lines=${drawn} format=${format} />${note && html`<span class="note">${note}</span>`}
      ${answer.path && html`<${Csv} path=${answer.path} of=${title} />`}</div>
  </article>`;
}
