// Two versions of a model side by side: each number with its interval, and what may be said of the difference.

import { html } from "./preact.standalone.module.js";
import { change } from "./address.js";
import { NORMALLY, SELDOM, asked, useAnswer } from "./ask.js";
import { milliseconds, one, share, signed, sum, usd, whole } from "./format.js";
import { Answered, Pill, Section, Value, known } from "./parts.js";
import { Table } from "./table.js";

const NAMES = {
  p50_ms: "Latency p50", p95_ms: "Latency p95", p99_ms: "Latency p99", error_rate: "Error rate",
  cost_per_request_usd: "Cost per call", input_tokens_per_request: "Input tokens per call",
  output_tokens_per_request: "Output tokens per call",
};
const FORMATS = { ms: milliseconds, ratio: share, usd, tokens: one };
const SAID = { higher: "higher", lower: "lower", unclear: "no clear difference", unknown: "too little to tell" };
// More of these is worse; of tokens nobody can say.
const COSTS = /^(p\d|error|cost)/;

const ends = (interval) => (interval.every(known) ? interval : null);
const range = (interval, as) => html`<small>${ends(interval) ? `${as(interval[0])} to ${as(interval[1])}` : "interval unknown"}</small>`;

function changeOf({ change_is: is }) {
  return (value) => `${signed(one)(value * 100)} ${is === "relative" ? "%" : "points"}`;
}

function look({ key, verdict }) {
  if (!COSTS.test(key)) return "";
  return { higher: "alert", lower: "ok" }[verdict] || "";
}

function columns(version, baseline) {
  const side = (key, name, of, ci, samples) => ({
    key, name, value: (row) => row[of],
    show: (row) => html`<${Value} of=${row[of]} as=${FORMATS[row.unit]} why=${row.missing || "unknown"} />${range(row[ci], FORMATS[row.unit])}
      <small>${whole(row[samples])} calls</small>`,
  });
  return [
    { key: "number", name: "Number", isName: true, value: (row) => NAMES[row.key] },
    side("version", version, "value", "value_ci", "samples"),
    side("baseline", baseline, "baseline", "baseline_ci", "baseline_samples"),
    { key: "change", name: "Change", value: (row) => row.change,
      show: (row) => html`<${Value} of=${row.change} as=${changeOf(row)} why=${row.missing || "unknown"} />${range(row.change_ci, changeOf(row))}` },
    { key: "verdict", name: "Verdict", isText: true, value: (row) => SAID[row.verdict],
      show: (row) => html`<${Pill} of=${look(row)}>${SAID[row.verdict]}<//>${row.missing && html`<small class="prose">${row.missing}</small>`}` },
  ];
}

function Compared({ name, version, baseline, window, environment, service }) {
  const answer = useAnswer(asked("ai/compare", { model: name, version, baseline, window, environment, service }), NORMALLY);
  return html`<${Answered} answer=${answer} rows=${8}>${(data) => html`
    <${Table} name="compared" label="Versions side by side" columns=${columns(version, baseline)} rows=${data.numbers} id=${(row) => row.key}
      csv=${answer.path} />`}<//>`;
}

export function Versions({ name, version, baseline, window, environment, service }) {
  const series = useAnswer(asked("ai/series", { model: name, group_by: "version", window, step: "1d", environment, service }), SELDOM).data;
  if (!series) return null;
  const others = series.groups
    .filter(({ key, columns: { requests } }) => key.model_version && key.model_version !== version && sum(requests))
    .map(({ key }) => key.model_version);
  if (baseline && !others.includes(baseline)) others.push(baseline); // the address asks for it
  if (!others.length) return null;
  const chosen = baseline || others[0];
  return html`<${Section} title="Versions side by side" definition="versioncomparison-and-comparednumber" note="each interval holds the truth in 95 of 100 cases">
    <p class="controls inner"><label>${version} against <select value=${chosen} onChange=${(event) => change({ baseline: event.currentTarget.value })}>
      ${others.map((other) => html`<option key=${other} value=${other} selected=${other === chosen}>${other}</option>`)}
    </select></label></p>
    <${Compared} ...${{ name, version, baseline: chosen, window, environment, service }} />
  <//>`;
}
