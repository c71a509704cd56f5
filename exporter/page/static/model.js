// One model: its calls over time, and what its health is made of.

import { html } from "./preact.standalone.module.js";
import { NORMALLY, asked, useAnswer } from "./ask.js";
import { Chart } from "./chart.js";
import { counted, milliseconds, number, points, share, usd, whole } from "./format.js";
import { later } from "./later.js";
import { Answered, Bar, Pairs, Pill, Section, Tile, Unseen, Value, known, words } from "./parts.js";
import { changedSum } from "./series.js";
import { Table } from "./table.js";

const Calls = later("Calls");
const Fairness = later("Fairness");
const Versions = later("Versions");

const three = number(3);
const interval = (format) => ([low, high]) => `${format(low)} to ${format(high)}`;
const whole_interval = (ends) => (ends && ends.every(known) ? ends : null);

function Figures({ model, question }) {
  const { latency, cost, errors } = model;
  const { window } = question;
  const compared = useAnswer(asked("ai/series", { ...question, compare: "previous" }), NORMALLY).data;
  const unpriced = known(cost.priced_ratio) && cost.priced_ratio < 1 ? `${counted(cost.unpriced_requests, "call")} without a price` : "";
  const ends = whole_interval(latency.p95_ms_ci);
  return html`<div class="tiles">
    <${Tile} title="Requests" definition="snapshot-dataquality-and-deduction" value=${whole(model.inference_count)}
      note=${words(model.model_type)} change=${changedSum(compared, "requests", window)} />
    <${Tile} title="Error rate" definition="errors" value=${html`<${Value} of=${errors.rate} as=${share} />`}
      note=${counted(errors.count, "failed call")} />
    <${Tile} title="Latency p95" definition="latency-and-timetofirstchunk"
      value=${html`<${Value} of=${latency.p95_ms} as=${milliseconds} />`}
      note=${ends ? `95 % interval ${interval(milliseconds)(ends)}` : ""}
      change=${html`median <${Value} of=${latency.p50_ms} as=${milliseconds} />, p99 <${Value} of=${latency.p99_ms} as=${milliseconds} />`} />
    <${Tile} title="Cost" definition="cost" value=${html`<${Value} of=${cost.total_usd} as=${usd} why="no call has a price" />`}
      note=${[known(cost.per_request_usd) ? `${usd(cost.per_request_usd)} a call` : "", unpriced].filter(Boolean).join(", ")}
      change=${known(cost.total_usd) ? changedSum(compared, "cost_usd", window) : ""} />
  </div>`;
}

function Charts({ name, version, window, compare, environment, service, cost }) {
  const series = useAnswer(asked("ai/series", { model: name, version, window, compare, environment, service }), NORMALLY);
  return html`<div class="charts">
    <${Chart} title="Latency" definition="latency-and-timetofirstchunk" answer=${series} format=${milliseconds}
      lines=${[{ name: "p50", column: "p50_ms", alone: true }, { name: "p95", column: "p95_ms" }, { name: "p99", column: "p99_ms", alone: true }]} />
    <${Chart} title="Requests and errors" definition="errors" answer=${series} ofSums format=${whole}
      lines=${[{ name: "requests", column: "requests" }, { name: "errors", column: "errors", colour: "--bad", alone: true }]} />
    ${known(cost.input_tokens) && html`<${Chart} title="Tokens" definition="cost" answer=${series} ofSums format=${whole}
      lines=${[{ name: "input", column: "input_tokens" }, { name: "output", column: "output_tokens", alone: true }]} />`}
    ${known(cost.total_usd) && html`<${Chart} title="Cost" definition="cost" answer=${series} ofSums format=${usd}
      lines=${[{ name: "cost", column: "cost_usd" }]} />`}
  </div>`;
}

function Health({ model }) {
  const judged = `${share(model.health_coverage)} of what makes it up can be judged`;
  return html`<${Section} title="Health" definition="snapshot-dataquality-and-deduction" note=${judged}>
    <div class="card">
      <p class="figure"><${Value} of=${model.health_score} as=${points} why="nothing can be judged yet" /><small> of 100 points</small></p>
      ${model.deductions.length === 0 && html`<p class="note">Nothing is deducted.</p>`}
      <ul class="reasons">${model.deductions.map((deduction) => html`<li key=${deduction.component}>
        <b>−${points(deduction.points)} for ${words(deduction.component)}</b>
        <p>${deduction.recommendation}</p>
      </li>`)}</ul>
    </div>
  <//>`;
}

const driftColumns = (drifted) => [
  { key: "feature", name: "Feature", isName: true, value: ([feature]) => feature },
  { key: "score", name: "Drift score", value: ([, score]) => score,
    show: ([, score]) => (known(score) ? html`${three(score)} <${Bar} of=${score} total=${1} look=${score > 0.3 ? "bad" : ""} />` : html`<${Value} />`) },
  { key: "verdict", name: "Verdict", isText: true, value: ([feature, , why]) => why || (drifted.includes(feature) ? "drifted" : "not beyond doubt"), as: String },
];

/** What an alarm rests on, and what a missing one would have missed. */
function evidence({ log10_e: log10, effective_samples: effective, least_shift: shift }) {
  const odds = `Evidence against “nothing has moved”: ${log10 < 6 ? `${whole(10 ** log10)} to 1` : `10^${whole(log10)} to 1`}; an alarm needs 1,000 to 1.`;
  return known(shift) ? `${odds} A mean shift of ${three(shift)} σ would have been found, in records worth ${whole(effective)} independent ones.` : odds;
}

function Drift({ drift, csv }) {
  if (!drift) return null;
  const rows = [
    ...(known(drift.prediction_drift) ? [["(prediction)", drift.prediction_drift, ""]] : []),
    ...Object.entries(drift.feature_drift).map(([feature, score]) => [feature, score, ""]),
    ...Object.entries(drift.not_judged).map(([feature, why]) => [feature, null, why]),
  ];
  const note = `${counted(drift.samples, "record")} against ${whole(drift.reference_samples)} of the reference`;
  return html`<${Section} title="Drift" definition="drift-and-evidence" note=${note}>
    <p class="sentence"><${Pill} of=${drift.drift_status} /> ${drift.evidence.message}</p>
    <p class="note sentence">${evidence(drift.evidence)}</p>
    <${Table} name="drift" label="Drift by feature" columns=${driftColumns(drift.evidence.drifted)} rows=${rows} id=${([name]) => name} order="-score" csv=${csv} />
  <//>`;
}

const CLASS_COLUMNS = [
  { key: "class", name: "Class", isName: true, value: ([name]) => name },
  { key: "support", name: "Labelled", value: ([, row]) => row.support, as: whole },
  { key: "precision", name: "Precision", value: ([, row]) => row.precision, as: share },
  { key: "recall", name: "Recall", value: ([, row]) => row.recall, as: share },
  { key: "f1", name: "F1", value: ([, row]) => row.f1, as: share },
];

function Accuracy({ accuracy, csv }) {
  if (!accuracy) return null;
  if (!("per_class" in accuracy)) {
    const rows = Object.entries(accuracy).filter(([, value]) => typeof value === "number");
    return html`<${Section} title="Accuracy" definition="regression">
      <div class="card"><${Pairs} rows=${rows.map(([name, value]) => [words(name), value, three])} /></div>
    <//>`;
  }
  const note = `${counted(accuracy.labelled, "prediction")} with a truth, ${share(accuracy.label_coverage || 0)} of all`;
  return html`<${Section} title="Accuracy" definition="accuracy-and-classquality" note=${note}>
    <div class="card"><${Pairs} rows=${[
      ["accuracy", accuracy.accuracy, share], ["precision", accuracy.precision, share],
      ["recall", accuracy.recall, share], ["F1, mean of the classes", accuracy.f1_macro, share],
    ]} /></div>
    <${Table} name="class" label="Quality by class" columns=${CLASS_COLUMNS} rows=${Object.entries(accuracy.per_class)}
      id=${([name]) => name} order="-support" csv=${csv} />
  <//>`;
}

export function Model({ name, version, window, compare, environment, service, baseline }) {
  const narrowed = { name, version, window, environment, service };
  const answer = useAnswer(asked("ai/models/detail", narrowed), NORMALLY);
  const csv = (table) => asked("ai/models/detail", { ...narrowed, table });
  return html`<${Answered} answer=${answer} rows=${12}>${(model) => html`
    <${Unseen}>Figures<//>
    <${Figures} model=${model} question=${{ model: name, version, window, environment, service }} />
    <${Charts} ...${narrowed} compare=${compare} cost=${model.cost} />
    <${Health} model=${model} />
    <${Versions} ...${narrowed} baseline=${baseline} />
    <${Calls} ...${narrowed} errors=${model.errors} />
    <${Drift} drift=${model.drift} csv=${csv("features")} />
    <${Accuracy} accuracy=${model.accuracy} csv=${csv("classes")} />
    ${model.fairness && html`<${Fairness} report=${model.fairness} csv=${csv("groups")} />`}`}<//>`;
}
