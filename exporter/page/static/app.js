// The page: asks the JSON API, shows the answers, computes nothing.
// Whatever comes from the server goes in as text, never as markup.

import {
  $, element, shown, number, whole, one, two, usd, percent, share, points, score, milliseconds, bytes, duration, clock,
} from "./format.js";
import { API, Question, authorization, token, whenLoggedIn } from "./questions.js";

const FAST_MS = 2000; // the machine
const SLOW_MS = 10000; // models, users, KPIs, alerts
const WINDOW_S = 300;

// ---------------------------------------------------------------- elements

function pairs(list, rows) {
  list.replaceChildren(
    ...rows.flatMap(([term, value, format]) => [
      element("dt", { textContent: term }),
      element("dd", {}, shown(value, format)),
    ]),
  );
}

// ---------------------------------------------------------------- the machine

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** A line over the last minutes, 0 to 100 %. */
class Plot {
  constructor(host, name, stroke, fill) {
    this.host = host;
    this.name = name;
    this.data = [[], []];
    const axis = { stroke: () => color("--muted"), grid: { stroke: () => color("--line"), width: 1 }, ticks: { show: false } };
    this.chart = new uPlot(
      {
        width: host.clientWidth || 300,
        height: host.clientHeight || 130,
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false } },
        scales: { x: { range: () => [Date.now() / 1000 - WINDOW_S, Date.now() / 1000] }, y: { range: [0, 100] } },
        series: [{}, { stroke: () => color(stroke), fill: () => color(fill), width: 2, points: { show: false } }],
        axes: [
          { ...axis, size: 26, values: (_, ticks) => ticks.map((s) => clock(new Date(s * 1000)).slice(0, 5)), incrs: [60] },
          { ...axis, size: 46, values: (_, ticks) => ticks.map((v) => `${v} %`), splits: [0, 50, 100] },
        ],
        hooks: { setCursor: [(chart) => this.read(chart.cursor.idx)] },
      },
      this.data,
      host,
    );
    host.setAttribute("role", "img");
    new ResizeObserver(() => this.chart.setSize({ width: host.clientWidth, height: host.clientHeight })).observe(host);
  }

  add(second, value) {
    const [seconds, values] = this.data;
    if (seconds.length && second <= seconds[seconds.length - 1]) return;
    seconds.push(second);
    values.push(value);
    while (seconds[0] < second - WINDOW_S - 10) this.data.forEach((column) => column.shift());
    this.chart.setData(this.data);
    const now = value === null ? "unknown" : percent(value);
    this.host.setAttribute("aria-label", `${this.name} over the last minutes, now ${now}`);
  }

  /** Tells the value below the pointer. */
  read(index) {
    const value = index === null || index === undefined ? null : this.data[1][index];
    this.host.title = value === null || value === undefined ? "" : `${clock(new Date(this.data[0][index] * 1000))}: ${percent(value)}`;
  }
}

const cpuPlot = new Plot($("cpu-plot"), "CPU", "--accent", "--accent-soft");
const memoryPlot = new Plot($("memory-plot"), "Memory", "--second", "--second-soft");
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const plot of [cpuPlot, memoryPlot]) plot.chart.redraw(false);
});

const STATUS_LOOK = { healthy: "good", degraded: "fair", critical: "bad" };

// ---------------------------------------------------------------- the worst of what is shown

const worst = { machine: null, down: 0, alerts: 0, warnings: 0 };
const counted = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;

/** The headline: what is worst of the machine, the services, the models and the users. */
function showStatus(known) {
  Object.assign(worst, known);
  const { machine, down, alerts, warnings } = worst;
  if (machine === null) return; // the machine is asked every two seconds: it will be known
  const ranks = ["healthy", "degraded", "critical"];
  const rest = alerts || down ? "critical" : warnings ? "degraded" : "healthy";
  const status = ranks.indexOf(rest) > ranks.indexOf(machine) ? rest : machine;
  const reasons = [
    down ? `${down} down` : "",
    alerts ? counted(alerts, "alert") : warnings ? counted(warnings, "warning") : "",
  ].filter(Boolean);
  const text = [status, ...reasons].join(", ");
  const pill = $("status");
  if (pill.textContent !== text) pill.textContent = text; // it is read aloud when it changes
  pill.className = `pill ${STATUS_LOOK[status] || ""}`;
}

// ---------------------------------------------------------------- the machine in numbers

function showMachine({ status, uptime_seconds, services_down, cpu, memory, disk, network, platform }) {
  showStatus({ machine: status, down: services_down || 0 });
  $("platform").textContent = platform || "";
  $("uptime").textContent = uptime_seconds === null ? "" : `up ${duration(uptime_seconds)}`;

  const second = Date.now() / 1000;
  cpuPlot.add(second, cpu.current_percent);
  memoryPlot.add(second, memory.used_percent);
  $("cpu-now").replaceChildren(shown(cpu.current_percent, percent));
  $("cpu-note").replaceChildren(
    "average ", shown(cpu.average_percent, percent), " · ", shown(cpu.core_count, two), ` cores of this ${cpu.scope}`,
  );
  $("memory-now").replaceChildren(shown(memory.used_percent, percent));
  $("memory-note").replaceChildren(shown(memory.used_bytes, bytes), " of ", shown(memory.total_bytes, bytes), " used");
  showDisk(disk || {});
  showNetwork(network || {});
  const load = cpu.load_average || {};
  pairs($("load"), ["1m", "5m", "15m"].map((period) => [period.replace("m", " min"), load[period], two]));
}

function showDisk(disk) {
  $("disk-now").replaceChildren(shown(disk.used_percent, percent));
  $("disk-bar").value = disk.used_percent || 0;
  $("disk-note").replaceChildren(
    shown(disk.free_bytes, bytes), " free to use, ", shown(disk.used_bytes, bytes), " used", ` on ${disk.mount_point || "the fullest disk"}`,
  );
}

function showNetwork(network) {
  const errors = [network.errors_in, network.errors_out, network.drops_in, network.drops_out];
  const lost = errors.some((n) => n === null || n === undefined) ? null : errors.reduce((a, b) => a + b, 0);
  pairs($("network"), [
    ["sent", network.sent_bytes_per_second, (v) => `${bytes(v)}/s`],
    ["received", network.received_bytes_per_second, (v) => `${bytes(v)}/s`],
    ["errors and drops", lost, whole],
  ]);
}

// ---------------------------------------------------------------- models

const COLUMNS = [
  [(m) => m.inference_count, whole],
  [(m) => m.errors && m.errors.rate, share],
  [(m) => m.latency && m.latency.p50_ms, milliseconds],
  [(m) => m.latency && m.latency.p95_ms, milliseconds],
  [(m) => m.cost && m.cost.total_usd, usd],
  [(m) => m.cost && m.cost.priced_ratio, share],
];
// By model, what its health is not judged for yet; its value is shown beside that.
const healthLacks = new Map();
let shownModels = [];

function showModels({ models }) {
  shownModels = models;
  $("models").hidden = models.length === 0;
  $("models-empty").hidden = models.length > 0;
  $("models").tBodies[0].replaceChildren(...models.map(modelRow));
}

function modelRow(model) {
  const name = element("th", { scope: "row", title: `${model.model_name} ${model.model_version}` });
  name.append(model.model_name, element("small", { textContent: `${model.model_version} · ${model.model_type.replaceAll("_", " ")}` }));
  const cells = COLUMNS.map(([value, format]) => element("td", {}, shown(value(model), format)));
  const health = element("td", {}, shown(model.health_score, whole));
  const lacks = healthLacks.get(`${model.model_name} ${model.model_version}`);
  if (lacks) health.append(element("small", { title: lacks, textContent: "not enough calls" }));
  return element("tr", {}, name, ...cells, health);
}

// ---------------------------------------------------------------- users

const TILES = [
  ["Daily active users", "dau", whole, "today so far"],
  ["Weekly", "wau", whole, "last 7 days"],
  ["Monthly", "mau", whole, "last 28 days"],
  ["Stickiness", "stickiness", share, "mean daily / monthly"],
  ["Sessions", "sessions", whole],
  ["Session length", "avg_session_duration_seconds", duration, "mean"],
  ["Bounce rate", "bounce_rate", share, "sessions without engagement"],
  ["Return rate", "return_rate", share, "seen before the window"],
];

function showUsers(engagement) {
  const nobody = !engagement.mau;
  $("users").hidden = nobody;
  $("users-empty").hidden = !nobody;
  $("users").replaceChildren(
    ...TILES.map(([title, field, format, note = ""]) =>
      element(
        "div", {},
        element("dt", { textContent: title }),
        element("dd", {}, shown(engagement[field], format), element("p", { className: "note", textContent: note })),
      ),
    ),
  );
}

// ---------------------------------------------------------------- KPIs and alerts

const VERDICT_LOOK = { ok: "good", warning: "fair", alert: "bad", critical: "bad" };
const UNITS = {
  percent, ratio: share, ms: milliseconds, usd: (v) => usd(v), score, points, bytes_per_second: (v) => `${bytes(v)}/s`,
};

function pill(verdict) {
  return element("span", { className: `pill ${VERDICT_LOOK[verdict] || ""}`, textContent: verdict });
}

function showKpis({ kpis, verdicts }) {
  showStatus({ warnings: (verdicts && verdicts.warning) || 0 });
  $("kpis").hidden = kpis.length === 0;
  $("kpi-rows").replaceChildren(...kpis.map(kpiRow));
  healthLacks.clear();
  for (const { key, subject, value, missing } of kpis)
    if (key === "health_score" && value !== null && missing) healthLacks.set(subject, missing);
  if (shownModels.length) showModels({ models: shownModels }); // else they have not been told yet
}

function kpiRow(kpi) {
  const format = UNITS[kpi.unit] || String;
  const name = element("th", { scope: "row", title: `${kpi.key}, window ${kpi.window}` }, kpi.title);
  if (kpi.subject) name.append(element("small", { textContent: kpi.subject }));
  // A KPI may have no target: that is not the same as one that is unknown.
  const thresholds = [kpi.target, kpi.alert].map((v) => element("td", { textContent: v === null ? "none" : format(v) }));
  const value = element("td", {}, shown(kpi.value, (v) => format(v, [kpi.target, kpi.alert])));
  const verdict = element("td", {}, pill(kpi.verdict));
  if (kpi.missing) verdict.title = kpi.missing;
  return element("tr", {}, name, value, ...thresholds, verdict);
}

function showAlerts({ alerts, total }) {
  showStatus({ alerts: total });
  $("alerts").hidden = alerts.length === 0;
  $("alert-list").replaceChildren(...alerts.map((alert) => element("li", {}, pill(alert.severity), alert.message)));
}

// ---------------------------------------------------------------- experiments

const EXPERIMENT_LOOK = { winner: "good", sample_ratio_mismatch: "bad", effect_changed: "fair" };
const signed = (value) => `${value > 0 ? "+" : value < 0 ? "−" : ""}${one(Math.abs(value) * 100)} points`;
// Both ends or none: an interval with one unknown end says nothing.
const interval = (ends) => (ends && ends.every((end) => end !== null) ? ends : null);

function showExperiments({ experiments }) {
  const table = $("experiments").querySelector("table");
  $("experiments").hidden = experiments.length === 0;
  table.replaceChildren(table.tHead, ...experiments.map(experimentBody));
}

function experimentBody(test) {
  const words = test.winner === null ? test.verdict.replaceAll("_", " ") : `${test.winner} wins`;
  const verdict = element("span", { className: `pill ${EXPERIMENT_LOOK[test.verdict] || ""}`, textContent: words });
  const stopped = test.stopped_at === null ? [] : [" ", element("span", { className: "pill", textContent: `stopped, all get ${test.served_variant}` })];
  const title = element("th", { scope: "rowgroup", colSpan: 6, className: "group" }, test.test_name, " ", verdict, ...stopped);
  return element("tbody", {}, element("tr", {}, title), ...Object.keys(test.variant_users).map((name) => variantRow(test, name)));
}

function variantRow(test, name) {
  const effect = test.effects[name];
  const against = effect
    ? [shown(effect.absolute, signed), shown(effect.adjusted_p_value, number(3))]
    : [document.createTextNode("control"), document.createTextNode("")];
  const cells = [
    shown(test.variant_users[name], whole),
    shown(test.variant_conversion_rates[name], share),
    shown(interval(test.variant_conversion_rates_ci[name]), ([low, high]) => `${share(low)} to ${share(high)}`),
    ...against,
  ];
  return element("tr", {}, element("th", { scope: "row", textContent: name }), ...cells.map((cell) => element("td", {}, cell)));
}

// ---------------------------------------------------------------- what to do when there is nothing yet

const INFERENCE_PYTHON = `from otel_measure import get_ai_model_service

ai = get_ai_model_service()
ai.record_inference("gpt-4", "1.0", latency_ms=150.5,
                    input_tokens=100, output_tokens=200)`;
const EVENT_PYTHON = `from otel_measure import get_user_analytics_service

analytics = get_user_analytics_service()
analytics.track_event(user_id=123, event_type="page_view",
                      event_name="home_page", page_url="/home")`;

function curl(path, body) {
  const authorization = token() ? `  -H "Authorization: Bearer $OTEL_MEASURE_TOKEN" \\\n` : "";
  return `curl -X POST ${new URL(path, API)} \\\n${authorization}  -H "Content-Type: application/json" \\\n  -d '${JSON.stringify(body)}'`;
}

function snippet(title, code) {
  const pre = element("pre", {}, element("code", { textContent: code }));
  const button = element("button", { type: "button", textContent: "Copy", onclick: () => copy(code, pre, button) });
  button.setAttribute("aria-label", `Copy the ${title} example`);
  return element("div", { className: "snippet" }, element("h4", { textContent: title }), pre, button);
}

async function copy(code, pre, button) {
  try {
    await navigator.clipboard.writeText(code);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(pre); // the clipboard is closed to pages without TLS
    button.textContent = "Selected";
  }
  setTimeout(() => (button.textContent = "Copy"), 1500);
}

const MODEL = { model_name: "gpt-4", model_version: "1.0", latency_ms: 150.5, input_tokens: 100, output_tokens: 200 };
const VISIT = { user_id: 123, event_type: "page_view", event_name: "home_page", page_url: "/home" };
for (const [id, python, path, body] of [
  ["models-empty", INFERENCE_PYTHON, "ai/inferences/record", MODEL],
  ["users-empty", EVENT_PYTHON, "users/events/track", VISIT],
]) {
  $(id).append(element("div", { className: "snippets" }, snippet("Python", python), snippet("curl", curl(path, body))));
}

// ---------------------------------------------------------------- begin

const questions = [
  new Question("infrastructure/summary", FAST_MS, showMachine),
  new Question("ai/models", SLOW_MS, showModels),
  new Question("users/engagement", SLOW_MS, showUsers),
];
// Asked only where the server says that it has them.
const optional = [
  new Question("kpis", SLOW_MS, showKpis),
  new Question("alerts", SLOW_MS, showAlerts),
  new Question("experiments", SLOW_MS, showExperiments),
];

async function begin() {
  for (const question of questions) question.now();
  const described = await fetch(new URL("openapi.json", document.baseURI), { headers: authorization() }).catch(() => null);
  if (!described || !described.ok) return;
  const paths = Object.keys((await described.json()).paths);
  for (const question of optional) {
    if (questions.includes(question) || !paths.some((path) => path.endsWith(`/metrics/${question.path}`))) continue;
    questions.push(question);
    question.now();
  }
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) for (const question of questions) question.now();
});

whenLoggedIn(begin);
begin();
