// Models: all of them as a table, and one of them in full.

import { html } from "./preact.standalone.module.js";
import { linkTo } from "./address.js";
import { NORMALLY, SELDOM, asked, useAnswer } from "./ask.js";
import { Chart } from "./chart.js";
import { milliseconds, share, usd, whole } from "./format.js";
import { Model } from "./model.js";
import { Answered, Empty, Pill, Section, Unseen, Value, curl, otlp, words } from "./parts.js";
import { List, useList } from "./list.js";

const CALL = { model_name: "gpt-4", model_version: "1.0", latency_ms: 150.5, input_tokens: 100, output_tokens: 200 };
const PYTHON = `from otel_measure import get_ai_model_service

ai = get_ai_model_service()
ai.record_inference("gpt-4", "1.0", latency_ms=150.5,
                    input_tokens=100, output_tokens=200)`;

export const recordCall = [["curl", curl("ai/inferences/record", CALL)], ["OpenTelemetry", otlp()], ["Python", PYTHON]];
const key = (model) => `${model.model_name} ${model.model_version}`;

function columns(lacks) {
  return [
    { key: "model", by: "model_name", name: "Model", isName: true,
      show: (m) => html`<a href=${linkTo("models", m.model_name, m.model_version)}>${m.model_name}</a>
        <small>${m.model_version} · ${words(m.model_type)}</small>` },
    { key: "requests", by: "inference_count", name: "Requests", value: (m) => m.inference_count, as: whole },
    { key: "errors", by: "errors.rate", name: "Error rate", value: (m) => m.errors && m.errors.rate, as: share },
    { key: "p50", by: "latency.p50_ms", name: "p50", value: (m) => m.latency && m.latency.p50_ms, as: milliseconds },
    { key: "p95", by: "latency.p95_ms", name: "p95", value: (m) => m.latency && m.latency.p95_ms, as: milliseconds },
    { key: "cost", by: "cost.total_usd", name: "Cost", value: (m) => m.cost && m.cost.total_usd, as: usd },
    { key: "priced", by: "cost.priced_ratio", name: "Priced", title: "Share of the requests whose cost is known",
      value: (m) => m.cost && m.cost.priced_ratio, as: share },
    { key: "drift", by: "drift.drift_score", name: "Drift", isText: true,
      show: (m) => (m.drift ? html`<${Pill} of=${m.drift.drift_status} />` : html`<${Value} why="no inputs were recorded" />`) },
    { key: "health", by: "health_score", name: "Health",
      show: (m) => html`<${Value} of=${m.health_score} as=${whole} />${lacks.has(key(m)) && html`<small title=${lacks.get(key(m))}>
        not enough calls</small>`}` },
  ];
}

const COLUMNS = columns(new Map());

function Together({ window, compare, environment, service }) {
  const series = useAnswer(asked("ai/series", { window, compare, environment, service }), NORMALLY);
  return html`<${Unseen}>All models together<//><div class="charts">
    <${Chart} title="Requests" definition="series-seriesgroup-and-earlierseries" answer=${series} ofSums format=${whole}
      lines=${[{ name: "requests", column: "requests" }, { name: "errors", column: "errors", colour: "--bad", alone: true }]} />
    <${Chart} title="Cost" definition="cost" answer=${series} ofSums format=${usd} lines=${[{ name: "cost", column: "cost_usd" }]} />
  </div>`;
}

function Listed({ listed, environment }) {
  // Of the models that are shown: a score that cannot be judged yet says what it lacks.
  const kpis = useAnswer(asked("kpis", { environment, q: "health", limit: 1000 }), SELDOM).data;
  const lacks = new Map();
  for (const { key: name, subject, value, missing } of kpis ? kpis.kpis : [])
    if (name === "health_score" && value !== null && missing) lacks.set(subject, missing);
  return html`<${List} listed=${{ ...listed, columns: columns(lacks) }} label="Models" id=${key} />`;
}

function All({ window, compare, environment, service }) {
  const listed = useList({ path: "ai/models", parameters: { window, environment, service }, list: "models", columns: COLUMNS, order: "-requests" });
  return html`
    <${Together} ...${{ window, compare, environment, service }} />
    <${Section} title="Models" definition="models" note=${`last ${window}`}>
      <${Answered} answer=${listed.answer} rows=${8}>${() => listed.total
        ? html`<${Listed} listed=${listed} environment=${environment} />`
        : html`<${Empty} says=${`No call was recorded in the last ${window}. Record one in the store of this server:`} snippets=${recordCall} />`}<//>
    <//>`;
}

export function Models({ path, parameters, ...narrowed }) {
  if (path.length === 2) return html`<${Model} name=${path[0]} version=${path[1]} ...${narrowed} baseline=${parameters.baseline || ""} />`;
  return html`<${All} ...${narrowed} />`;
}
