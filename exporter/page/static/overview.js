// Overview: what is worst, what fires since when and why, and the figures of each domain against the time before.

import { html } from "./preact.standalone.module.js";
import { linkTo } from "./address.js";
import { NORMALLY, OFTEN, SELDOM, asked, useAnswer } from "./ask.js";
import { Changed } from "./changes.js";
import { Firing } from "./firing.js";
import { counted, milliseconds, percent, share, sum, unit, usd, whole } from "./format.js";
import { Empty, Section, Sparkline, Tile, Value, Waiting, curl, known, otlp } from "./parts.js";
import { changed, completed } from "./series.js";
import { date, month } from "./time.js";

const WORST_KPIS = 60; // of each KPI the worst stand first, so that each has some
const CALL = { model_name: "gpt-4", model_version: "1.0", latency_ms: 150.5, input_tokens: 100, output_tokens: 200 };

// ---------------------------------------------------------------- the sentence and the alerts

function Headline({ status }) {
  if (!status) return html`<p class="headline card">…</p>`;
  return html`<p id="worst" class=${`headline card ${status.look}`}>${status.sentence}</p>`;
}

function Alerts({ status: { firing, total } }) {
  if (!total) return null;
  const rest = total - firing.length;
  return html`<${Section} title="Firing" definition="reading-scorecard-alert-and-alerts">
    <${Firing} alerts=${firing} />
    ${rest > 0 && html`<p class="note"><a href=${linkTo("alerts")}>${counted(rest, "more alert")}</a></p>`}
  <//>`;
}

// ---------------------------------------------------------------- tiles

function modelTiles({ series, months, summary, target, length }) {
  const { columns, previous } = series;
  const done = completed(series).columns;
  const day = (column) => sum(months.columns[column].filter((_, i) => date(months.start[i]) === date(Date.now())));
  const inMonth = (column) => sum(months.columns[column].filter((_, i) => month(months.start[i]) === month(Date.now())));
  const total = (column) => [sum(columns[column]), previous ? sum(previous.columns[column]) : null];
  const rate = ([errors], [calls]) => (calls ? errors / calls : null);
  const [calls, callsBefore] = total("requests");
  const [cost, costBefore] = total("cost_usd");
  const errorsBefore = previous ? rate([sum(previous.columns.errors)], [sum(previous.columns.requests)]) : null;
  const errors = summary.errors.rate;
  const priced = summary.cost.priced_ratio;
  return [
    { title: "Requests", definition: "modelssummary", value: whole(calls), href: linkTo("models"),
      note: `today ${whole(day("requests"))} · this month ${whole(inMonth("requests"))}`,
      change: changed(calls, callsBefore, length), values: done.requests },
    { title: "Error rate", definition: "errors", value: html`<${Value} of=${errors} as=${share} />`, href: linkTo("models"),
      note: `target under ${share(target("error_rate") || 0)} of a model's calls`,
      change: known(errors) && known(errorsBefore) ? `${share(errorsBefore)} in the ${length} before` : `no calls in the ${length} before`,
      values: columns.error_rate },
    { title: "Latency p95", definition: "latency-and-timetofirstchunk", href: linkTo("models"),
      value: html`<${Value} of=${summary.latency.p95_ms} as=${milliseconds} />`,
      note: html`median <${Value} of=${summary.latency.p50_ms} as=${milliseconds} />, of all models together`,
      change: "each model has its own target", values: columns.p95_ms },
    { title: "Cost", definition: "cost", value: html`<${Value} of=${summary.cost.total_usd} as=${usd} />`, href: linkTo("spending"),
      note: `today ${usd(day("cost_usd"))} · this month ${usd(inMonth("cost_usd"))}`,
      change: known(priced) && priced < 1 ? `of ${share(priced)} of the calls; the others have no price` : changed(cost, costBefore, length),
      values: done.cost_usd },
  ];
}

/** The reading of a KPI that is worst: readings stand in that order. */
function kpiTile(kpis, key, href, values) {
  const readings = kpis.kpis.filter((kpi) => kpi.key === key);
  const reading = readings.find(({ value }) => value !== null) || readings[0];
  if (!reading) return null;
  const write = unit(reading.unit);
  const bounds = [reading.target, reading.alert];
  const target = reading.target === null ? "no target" : `target ${write(reading.target)}`;
  return {
    title: reading.title, definition: "kpis", href, values, verdict: reading.verdict,
    value: html`<${Value} of=${reading.value} as=${(value) => write(value, bounds)} why=${reading.missing || "unknown"} />`,
    note: [reading.subject, target, reading.window === "now" ? "" : `last ${reading.window}`].filter(Boolean).join(" · "),
    change: reading.missing,
  };
}

function activeTile(users) {
  const complete = completed(users).columns.active;
  const [now, before] = [complete[complete.length - 1], complete[complete.length - 8]];
  return {
    title: "Active users yesterday", definition: "engagement", href: linkTo("users"), values: complete,
    value: html`<${Value} of=${now} as=${whole} />`,
    note: html`today so far <${Value} of=${users.columns.active[users.columns.active.length - 1]} as=${whole} />`,
    change: known(now) && known(before) ? `${whole(before)} a week before` : "a week before is unknown",
  };
}

function Tiles({ tiles }) {
  return html`<div class="tiles">${tiles.filter(Boolean).map(({ values, ...tile }) => html`<${Tile} key=${tile.title} ...${tile}
    chart=${html`<${Sparkline} values=${values} title=${`${tile.title} over time`} />`} />`)}</div>`;
}

function OfModels({ ready, window, kpis, ...answers }) {
  const target = (key) => (kpis ? kpis.kpis : []).find((kpi) => kpi.key === key)?.target;
  return html`<${Section} title="Models" note=${`last ${window}, all models together`}>
    ${ready ? html`<${Tiles} tiles=${modelTiles({ ...answers, target, length: window })} />` : html`<${Waiting} rows=${4} />`}
  <//>`;
}

function OfUsers({ ready, users, kpis }) {
  return html`<${Section} title="Users" note="whole days, until yesterday">
    ${ready
      ? html`<${Tiles} tiles=${[
          activeTile(users),
          kpiTile(kpis, "conversion_rate", linkTo("users"), completed(users).columns.conversion_rate),
          kpiTile(kpis, "nps_score", linkTo("users"), completed(users).columns.nps_score),
          kpiTile(kpis, "bounce_rate", linkTo("users"), completed(users).columns.bounce_rate),
        ]} />`
      : html`<${Waiting} rows=${4} />`}
  <//>`;
}

function OfMachines({ ready, kpis, history, machine }) {
  return html`<${Section} title="Machines and services" note=${machine ? `this machine: ${machine.platform}` : ""}>
    ${ready
      ? html`<${Tiles} tiles=${[
          kpiTile(kpis, "cpu_usage_percent", linkTo("machines"), history.columns.cpu_percent),
          kpiTile(kpis, "memory_usage_percent", linkTo("machines"), history.columns.memory_percent),
          kpiTile(kpis, "disk_usage_percent", linkTo("machines"), history.columns.disk_percent),
          kpiTile(kpis, "availability_percent", linkTo("services")),
        ]} />`
      : html`<${Waiting} rows=${4} />`}
  <//>`;
}

export function Overview({ window, environment, status }) {
  const ask = (path, parameters, every) => useAnswer(asked(path, { environment, ...parameters }), every).data;
  const step = { "1h": "1m", "6h": "15m", "24h": "1h", "7d": "6h", "30d": "1d", "90d": "1d" }[window];
  const kpis = ask("kpis", { limit: WORST_KPIS }, NORMALLY);
  const machine = ask("infrastructure/summary", {}, OFTEN);
  const series = ask("ai/series", { window, step, compare: "previous" }, NORMALLY);
  const summary = ask("ai/summary", { window }, NORMALLY);
  const months = ask("ai/series", { window: "31d", step: "1d" }, SELDOM);
  const users = ask("users/series", { window: "30d" }, SELDOM);
  const history = useAnswer(asked("infrastructure/series", { window: "1h", step: "5m" }), SELDOM).data;
  const isAsked = months && users; // what both say decides what is drawn, once, so that nothing moves
  const isEmpty = isAsked && !sum(months.columns.requests) && !users.columns.active.some(known);
  // How many alerts stand above the figures decides where these are: before that is known nothing is drawn.
  if (!status) return html`<${Headline} /><${Waiting} rows=${16} />`;
  return html`
    <${Headline} status=${status} />
    <${Alerts} status=${status} />
    ${isEmpty
      ? html`<${Empty} says="Nothing was recorded in the last 31 days. Record a call of a model, or point an application here:"
          snippets=${[["curl", curl("ai/inferences/record", CALL)], ["OpenTelemetry", otlp()]]} />`
      : html`<${OfModels} ready=${isAsked && series && summary} ...${{ series, months, summary, kpis, window }} />
          <${OfUsers} ready=${isAsked && kpis} ...${{ users, kpis }} />`}
    <${OfMachines} ready=${kpis && history} ...${{ kpis, history, machine }} />
    <${Changed} window=${window} environment=${environment} />`;
}
