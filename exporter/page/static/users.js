// Users: how many, how they come and go, whether they return, what they answer.

import { html } from "./preact.standalone.module.js";
import { SELDOM, asked, useAnswer } from "./ask.js";
import { AROUND_ZERO, Chart } from "./chart.js";
import { Csv } from "./csv.js";
import { counted, one, share, whole } from "./format.js";
import { Answered, Bar, Empty, Section, Tile, Unseen, Value, curl, known, otlp, words } from "./parts.js";
import { duration } from "./time.js";
import { List, useList } from "./list.js";

const VISIT = { user_id: 123, event_type: "page_view", event_name: "home_page", page_url: "/home" };
const PYTHON = `from otel_measure import get_user_analytics_service

analytics = get_user_analytics_service()
analytics.track_event(user_id=123, event_type="page_view",
                      event_name="home_page", page_url="/home")`;
const SERIES = "series-seriesgroup-and-earlierseries";

const value = (of, as, why) => html`<${Value} of=${of} as=${as} why=${why} />`;
const interval = (ends, as) => (ends && ends.every(known) ? `95 % interval ${as(ends[0])} to ${as(ends[1])}` : "");

function Figures({ engagement, conversion, retention, nps }) {
  const { missing } = engagement;
  return html`<div class="tiles">
    <${Tile} title="Daily active users" definition="engagement" value=${value(engagement.dau, whole)} note="today so far" />
    <${Tile} title="Weekly" definition="engagement" value=${value(engagement.wau, whole)} note="last 7 days" />
    <${Tile} title="Monthly" definition="engagement" value=${value(engagement.mau, whole)} note=${`last ${engagement.mau_window_days} days`} />
    <${Tile} title="Stickiness" definition="engagement" value=${value(engagement.stickiness, share, missing.stickiness)} note="mean daily / monthly" />
    <${Tile} title="Sessions" definition="engagement" value=${value(engagement.sessions, whole)} note=${html`mean length ${value(engagement.avg_session_duration_seconds, duration)}`} />
    <${Tile} title="Bounce rate" definition="engagement" value=${value(engagement.bounce_rate, share, missing.bounce_rate)}
      note="sessions without engagement" change=${interval(engagement.bounce_rate_ci, share)} />
    <${Tile} title="Return rate" definition="engagement" value=${value(engagement.return_rate, share, missing.return_rate)}
      note="seen before the window" change=${missing.return_rate || interval(engagement.return_rate_ci, share)} />
    <${Tile} title="Conversion rate" definition="conversion" value=${value(conversion.conversion_rate, share)}
      note=${`${whole(conversion.converted_users || 0)} of ${whole(conversion.entered_users)}`} change=${interval(conversion.conversion_rate_ci, share)} />
    <${Tile} title="Churn rate" definition="retention-and-cohortretention" value=${value(retention.churn_rate, share, retention.missing.churn_rate)}
      note="of those active 28 days before" change=${retention.missing.churn_rate || interval(retention.churn_rate_ci, share)} />
    <${Tile} title="NPS" definition="nps" value=${value(nps.nps_score, one)} note=${`${counted(nps.responses, "answer")} in 90 days`}
      change=${interval(nps.nps_score_ci, one)} />
  </div>`;
}

function Charts({ window, compare, environment, service }) {
  const series = useAnswer(asked("users/series", { window, compare, environment, service }), SELDOM);
  const gone = series.data ? series.data.columns.dormant.map((n) => (known(n) ? -n : null)) : [];
  return html`<div class="charts">
    <${Chart} title="Active users" definition=${SERIES} answer=${series} ofSums format=${whole} lines=${[{ name: "active", column: "active" }]}
      note="distinct persons of each whole step" />
    <${Chart} title="Lifecycle" definition=${SERIES} answer=${series} ofSums format=${(n) => whole(Math.abs(n))} extent=${AROUND_ZERO}
      lines=${[
        { name: "new", column: "new", alone: true },
        { name: "returning", column: "returning", alone: true },
        { name: "back after a pause", column: "resurrecting", alone: true },
        { name: "gone", values: gone, colour: "--bad" },
      ]} note="each step against the one before; gone stands below zero" />
    <${Chart} title="Conversion rate" definition="conversion" answer=${series} ofSums format=${share} lines=${[{ name: "converted", column: "conversion_rate" }]} />
    <${Chart} title="NPS" definition="nps" answer=${series} format=${one} extent=${AROUND_ZERO} lines=${[{ name: "NPS", column: "nps_score" }]}
      note="of the answers of each step; few answers swing far" />
  </div>`;
}

/** A share in a cell whose shade says it too. */
function Shade({ of }) {
  if (!known(of)) return html`<${Value} why="its day is not over" />`;
  return html`<span class=${`shade shade-${Math.min(5, Math.floor(of * 6))}`}>${share(of)}</span>`;
}

const COHORTS = [
  { key: "day", by: "day", name: "First seen", isName: true, value: (row) => row.day },
  { key: "users", by: "users", name: "Users", value: (row) => row.users, as: whole },
  ...[1, 7, 30].map((n) => ({
    key: `day_${n}`, by: `day_${n}_retention`, name: `Day ${n}`, value: (row) => row[`day_${n}_retention`],
    show: (row) => html`<${Shade} of=${row[`day_${n}_retention`]} />`,
  })),
];

function Retention({ retention, environment, service }) {
  const cohorts = useList({ path: "users/retention", parameters: { environment, service }, list: "cohorts", columns: COHORTS, order: "-day", every: SELDOM });
  const said = [1, 7, 30].map((n) => {
    const rate = retention[`day_${n}_retention`];
    return `day ${n}: ${known(rate) ? share(rate) : "unknown"} of ${whole(retention[`day_${n}_retention_n`])}`;
  });
  return html`<${Section} title="Retention" definition="retention-and-cohortretention" note=${said.join(" · ")}>
    <${Answered} answer=${cohorts.answer}>${() => html`<${List} listed=${cohorts} label="Retention by first day" isSearched=${false}
      id=${(row) => row.day} nothing="Nobody was first seen in the last 90 days." />`}<//>
  <//>`;
}

function Segments({ segments, csv }) {
  const { total_users: total } = segments;
  return html`<${Section} title="Segments" definition="segments" note=${counted(total, "user")}>
    <div class="card"><dl class="bars">${["new", "active", "power", "at_risk", "churned", "resurrected"].map((name) => html`
      <dt>${words(name)}</dt>
      <dd><${Bar} of=${segments[name]} total=${total} /><b>${whole(segments[name])}</b><span class="note">${total ? share(segments[name] / total) : ""}</span></dd>`)}
    </dl></div>
    <div class="foot"><${Csv} path=${csv} of="Segments" /></div>
  <//>`;
}

function Nps({ nps, csv }) {
  return html`<${Section} title="NPS answers" definition="nps" note="the last answer of each, 90 days">
    <div class="card"><dl class="bars">${["promoters", "passives", "detractors"].map((name) => html`
      <dt>${name}</dt>
      <dd><${Bar} of=${nps[name]} total=${nps.responses} look=${name === "detractors" ? "bad" : name === "promoters" ? "good" : ""} />
        <b>${whole(nps[name])}</b><span class="note">${nps.responses ? share(nps[name] / nps.responses) : ""}</span></dd>`)}
    </dl></div>
    <div class="foot"><${Csv} path=${csv} of="NPS answers" /></div>
  <//>`;
}

export function Users({ window, compare, environment, service }) {
  const answer = useAnswer(asked("users/summary", { window, environment, service }), SELDOM / 2);
  return html`<${Answered} answer=${answer} rows=${12}>${(data) => data.total_users
    ? html`
      <${Unseen}>Figures<//>
      <${Figures} ...${data} />
      <${Charts} ...${{ window, compare, environment, service }} />
      <div class="columns">
        <${Segments} segments=${data.segments} csv=${asked("users/segments", { window, environment, service })} />
        <${Nps} nps=${data.nps} csv=${asked("users/nps", { environment, service })} />
      </div>
      <${Retention} retention=${data.retention} environment=${environment} service=${service} />`
    : html`<${Empty} says="Nobody was seen yet. Track an event in the store of this server:"
        snippets=${[["curl", curl("users/events/track", VISIT)], ["OpenTelemetry", otlp()], ["Python", PYTHON]]} />`}<//>`;
}
