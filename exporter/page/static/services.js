// Services: which are up, how available each was, and one of them with its outages.

import { html } from "./preact.standalone.module.js";
import { linkTo } from "./address.js";
import { NORMALLY, SELDOM, asked, useAnswer } from "./ask.js";
import { Chart } from "./chart.js";
import { Csv } from "./csv.js";
import { percent, share, unit, whole } from "./format.js";
import { Answered, Empty, Pairs, Pill, Section, Tile, Unseen, Value, curl, known } from "./parts.js";
import { ago, duration, moment } from "./time.js";
import { List, useList } from "./list.js";

const DEFINITION = "availability-and-incident";
const availability = (bounds) => (value) => percent(value, bounds);

/** The last 30 days of one service, a step for each. */
function Days({ name, environment }) {
  const at = `infrastructure/availability/${encodeURIComponent(name)}/series`;
  const { data } = useAnswer(asked(at, { window: "30d", step: "1d", environment }), SELDOM * 5);
  return data ? html`<${Timeline} series=${data} isSmall=${true} />` : html`<div class="timeline small"></div>`;
}

function columns(readings, environment) {
  const reading = (service) => readings.get(service.service_name);
  return [
    { key: "service", by: "service_name", name: "Service", isName: true, value: (service) => service.service_name,
      show: (service) => html`<a href=${linkTo("services", service.service_name)}>${service.service_name}</a>` },
    { key: "state", by: "state", name: "State", isText: true, value: (service) => service.state,
      show: (service) => html`<${Pill} of=${service.state} />${service.down_since && html`<small>for ${ago(service.down_since)}</small>`}` },
    { key: "availability", name: "Availability, 30 days", value: (service) => reading(service)?.value,
      show: (service) => html`<${Value} of=${reading(service)?.value} as=${availability([service.sla_target])} why=${reading(service)?.missing || "unknown"} />` },
    { key: "days", name: "Day by day", isText: true,
      show: (service) => html`<${Days} name=${service.service_name} environment=${environment} />` },
    { key: "target", by: "sla_target", name: "Target", value: (service) => service.sla_target, as: availability([]) },
    { key: "verdict", name: "Verdict", isText: true, value: (service) => reading(service)?.verdict,
      show: (service) => html`${reading(service) && html`<${Pill} of=${reading(service).verdict} />`}${reading(service)?.missing && html`<small class="prose">${reading(service).missing}</small>`}` },
    { key: "since", by: "registered_at", name: "Watched since", value: (service) => service.registered_at, as: moment },
  ];
}

/** A bar of time: each step says whether the service was up, down, planned or not known. */
function Timeline({ series, csv, isSmall = false }) {
  const { columns: of } = series;
  const look = (i) => {
    if (of.downtime_seconds[i] > 0) return "bad";
    if (of.uptime_seconds[i] > 0) return of.unknown_seconds[i] > of.uptime_seconds[i] ? "fair" : "good";
    return of.maintenance_seconds[i] > 0 ? "planned" : "";
  };
  const says = (i) => [
    moment(series.start[i]),
    known(of.availability_percent[i]) ? `${percent(of.availability_percent[i])} available` : "unknown",
    of.downtime_seconds[i] ? `down for ${duration(of.downtime_seconds[i])}` : "",
  ].filter(Boolean).join(", ");
  const outages = series.start.map((_, i) => i).filter((i) => of.downtime_seconds[i] > 0);
  const bar = html`<div class=${isSmall ? "timeline small" : "timeline"} role="img"
    aria-label=${outages.length ? `Down in: ${outages.map(says).join("; ")}` : "No outage is known."}>
    ${series.start.map((time, i) => html`<span key=${time} class=${look(i)} title=${says(i)}></span>`)}
  </div>`;
  if (isSmall) return bar;
  return html`<div class="card">
    ${bar}
    <p class="note">${outages.length ? `With an outage: ${outages.slice(-6).reverse().map(says).join("; ")}` : "No outage is known."}</p>
    <${Csv} path=${csv} of="Outages" />
  </div>`;
}

function Figures({ data }) {
  const bounds = [data.sla_target];
  const budget = data.error_budget_remaining_seconds;
  const outage = data.last_incident;
  const ended = outage && (outage.ended_at ? `until ${moment(outage.ended_at)}` : "not over");
  return html`<div class="tiles">
    <${Tile} title="Availability" definition=${DEFINITION} verdict=${data.sla_status}
      value=${html`<${Value} of=${data.availability_percent} as=${availability(bounds)} />`}
      note=${`target ${percent(data.sla_target)}`}
      change=${html`between <${Value} of=${data.availability_percent_low} as=${availability(bounds)} /> and <${Value} of=${data.availability_percent_high} as=${availability(bounds)} />, ${share(data.coverage_ratio || 0)} observed`} />
    <${Tile} title="Error budget left" definition=${DEFINITION}
      value=${html`<${Value} of=${budget} as=${(seconds) => (seconds < 0 ? `−${duration(-seconds)}` : duration(seconds))} />`} note="of the window" />
    <div class="tile"><h3>Time</h3><${Pairs} rows=${[
      ["up", data.uptime_seconds, duration], ["down", data.downtime_seconds, duration], ["unknown", data.unknown_seconds, duration],
      ["planned", data.maintenance_seconds, duration], ["incidents", data.incidents, whole],
    ]} /></div>
    <div class="tile"><h3>Last outage</h3>${outage
      ? html`<p>${outage.reason || "no reason was told"}</p><p class="note">${moment(outage.started_at)}, ${ended}, ${duration(outage.duration_seconds)}</p>
        <${Pairs} rows=${[["mean time to repair", data.mttr_seconds, duration], ["between failures", data.mtbf_seconds, duration]]} />`
      : html`<p class="note">none is known</p>`}</div>
  </div>`;
}

function Service({ name, window, compare, environment }) {
  const at = `infrastructure/availability/${encodeURIComponent(name)}`;
  const answer = useAnswer(asked(at, { window, environment }), NORMALLY);
  const series = useAnswer(answer.error ? null : asked(`${at}/series`, { window, compare, environment }), SELDOM);
  return html`<${Answered} answer=${answer}>${(data) => html`
    <${Unseen}>Figures<//>
    <${Figures} data=${data} />
    <${Section} title="Over time" definition=${DEFINITION} note=${`last ${window}; red: an outage, grey: nobody told`}>
      <${Answered} answer=${series} rows=${2}>${(steps) => html`<${Timeline} series=${steps} csv=${asked(`${at}/series`, { window, compare, environment })} />`}<//>
    <//>
    <div class="charts"><${Chart} title="Availability" definition=${DEFINITION} answer=${series} format=${unit("percent")}
      lines=${[{ name: "availability", column: "availability_percent" }]} /></div>`}<//>`;
}

const COLUMNS = columns(new Map(), "");

function All({ environment }) {
  const listed = useList({ path: "infrastructure/services", parameters: { environment }, list: "services", columns: COLUMNS, order: "service" });
  const kpis = useAnswer(asked("kpis", { environment, q: "availability", limit: 1000 }), NORMALLY).data;
  const readings = new Map((kpis ? kpis.kpis : []).filter(({ key }) => key === "availability_percent").map((kpi) => [kpi.subject, kpi]));
  return html`<${Section} title="Watched services" definition="service-and-services">
    <${Answered} answer=${listed.answer}>${() => listed.total
      ? html`<${List} listed=${{ ...listed, columns: columns(readings, environment) }} label="Services" id=${(service) => service.service_name} />`
      : html`<${Empty} says="No service is watched. Register one in the store of this server:"
          snippets=${[["curl", curl("infrastructure/services/register", { name: "api", sla_target: 99.9 })]]} />`}<//>
  <//>`;
}

export function Services({ path: [name], window, compare, environment }) {
  if (name) return html`<${Service} ...${{ name, window, compare, environment }} />`;
  return html`<${All} environment=${environment} />`;
}
