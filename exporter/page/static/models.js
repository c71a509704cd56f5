// Models: all of them as a table, and one of them in full.

import { html } from "./preact.standalone.module.js";
import { linkTo } from "./address.js";
import { NORMALLY, SELDOM, asked, useAnswer } from "./ask.js";
import { Chart } from "./chart.js";
import { milliseconds, share, usd, whole } from "./format.js";
import { Model } from "./model.js";
import { Answered, Empty, Pill, Section, Unseen, Value, curl, otlp, words } from "./parts.js";
import { Table } from "./table.js";

const CALL = { model_name: "gpt-4", model_version: "1.0", latency_ms: 150.5, input_tokens: 100, output_tokens: 200 };
const PYTHON = `from otel_measure import get_ai_model_service

ai = get_ai_model_service()
ai.record_inference("gpt-4", "1.0", latency_ms=150.5,
                    input_tokens=100, output_tokens=200)`;

export const recordCall = [["curl", curl("ai/inferences/record", CALL)], ["OpenTelemetry", otlp()], ["Python", PYTHON]];
const key = (model) => `${model.model_name} ${model.model_version}`;

function columns(lacks) {
  return [
    { key: "model", name: "Model", isName: true, value: (m) => m.model_name, text: (m) => `${key(m)} ${words(m.model_type)}`,
      show: (m) => html`<a href=${linkTo("models", m.model_name, m.model_version)}>${m.model_name}</a>
        <small>${m.model_version} · ${words(m.model_type)}</small>` },
    { key: "requests", name: "Requests", value: (m) => m.inference_count, as: whole },
    { key: "errors", name: "Error rate", value: (m) => m.errors && m.errors.rate, as: share },
    { key: "p50", name: "p50", value: (m) => m.latency && m.latency.p50_ms, as: milliseconds },
    { key: "p95", name: "p95", value: (m) => m.latency && m.latency.p95_ms, as: milliseconds },
    { key: "cost", name: "Cost", value: (m) => m.cost && m.cost.total_usd, as: usd },
    { key: "priced", name: "Priced", title: "Share of the requests whose cost is known",
      value: (m) => m.cost && m.cost.priced_ratio, as: share },
    { key: "drift", name: "Drift", isText: true, value: (m) => m.drift && m.drift.drift_score, text: (m) => (m.drift ? words(m.drift.drift_status) : ""),
      show: (m) => (m.drift ? html`<${Pill} of=${m.drift.drift_status} />` : html`<${Value} why="no inputs were recorded" />`) },
    { key: "health", name: "Health", value: (m) => m.health_score,
      show: (m) => html`<${Value} of=${m.health_score} as=${whole} />${lacks.has(key(m)) && html`<small title=${lacks.get(key(m))}>
        not enough calls</small>`}` },
  ];
}

function Together({ window, compare, environment, service }) {
  const series = useAnswer(asked("ai/series", { window, compare, environment, service }), NORMALLY);
  return html`<${Unseen}>All models together<//><div class="charts">
    <${Chart} title="Requests" definition="series-seriesgroup-and-earlierseries" answer=${series} ofSums format=${whole}
      lines=${[{ name: "requests", column: "requests" }, { name: "errors", column: "errors", colour: "--bad", alone: true }]} />
    <${Chart} title="Cost" definition="cost" answer=${series} ofSums format=${usd} lines=${[{ name: "cost", column: "cost_usd" }]} />
  </div>`;
}

function Listed({ models, kpis }) {
  const lacks = new Map();
  for (const { key: name, subject, value, missing } of kpis ? kpis.kpis : [])
    if (name === "health_score" && value !== null && missing) lacks.set(subject, missing);
  return html`<${Table} label="Models" columns=${columns(lacks)} rows=${models} id=${key} order="-requests" />`;
}

export function Models({ path, window, compare, environment, service, parameters }) {
  const isOne = path.length === 2;
  const models = useAnswer(isOne ? null : asked("ai/models", { window, environment, service }), NORMALLY);
  const kpis = useAnswer(isOne ? null : asked("kpis", { environment }), SELDOM).data;
  if (isOne) return html`<${Model} name=${path[0]} version=${path[1]} ...${{ window, compare, environment, service }} baseline=${parameters.baseline || ""} />`;
  return html`
    <${Together} ...${{ window, compare, environment, service }} />
    <${Section} title="Models" definition="models" note=${`last ${window}`}>
      <${Answered} answer=${models} rows=${8}>${(data) => data.models.length
        ? html`<${Listed} models=${data.models} kpis=${kpis} />`
        : html`<${Empty} says=${`No call was recorded in the last ${window}. Record one in the store of this server:`} snippets=${recordCall} />`}<//>
    <//>`;
}
