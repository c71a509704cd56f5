// KPIs: every one of every subject, with its target, its alert threshold and its verdict.

import { html } from "./preact.standalone.module.js";
import { linkOf } from "./firing.js";
import { counted, unit, whole } from "./format.js";
import { Answered, Pill, Section, Value, known } from "./parts.js";
import { List, useList } from "./list.js";

const ORDER = ["alert", "warning", "ok", "unknown"];
const write = (kpi) => (value) => unit(kpi.unit)(value, [kpi.target, kpi.alert]);
// A KPI may have no target: that is not the same as one that is unknown.
const bound = (kpi, value) => (known(value) ? unit(kpi.unit)(value) : "none");

const KINDS = { ai: "model", users: "users", infrastructure: "host" };
const kindOf = ({ key, domain }) => (key === "availability_percent" ? "service" : KINDS[domain]);

const COLUMNS = [
  { key: "kpi", by: "title", name: "KPI", isName: true, value: (kpi) => kpi.title,
    show: (kpi) => html`<a href=${linkOf(kindOf(kpi), kpi.subject)}>${kpi.title}</a><small>${kpi.subject}</small>` },
  { key: "verdict", by: "verdict", name: "Verdict", isText: true, value: (kpi) => ORDER.indexOf(kpi.verdict),
    show: (kpi) => html`<${Pill} of=${kpi.verdict} />${kpi.missing && html`<small class="prose">${kpi.missing}</small>`}` },
  { key: "value", by: "value", name: "Value", value: (kpi) => kpi.value, show: (kpi) => html`<${Value} of=${kpi.value} as=${write(kpi)} why=${kpi.missing || "unknown"} />` },
  { key: "target", by: "target", name: "Target", value: (kpi) => kpi.target, show: (kpi) => bound(kpi, kpi.target) },
  { key: "alert", by: "alert", name: "Alert at", value: (kpi) => kpi.alert, show: (kpi) => bound(kpi, kpi.alert) },
  { key: "window", by: "window", name: "Window", isText: true, value: (kpi) => kpi.window },
];

export function Kpis({ environment }) {
  const listed = useList({ path: "kpis", parameters: { environment }, list: "kpis", columns: COLUMNS, order: "verdict" });
  return html`<${Answered} answer=${listed.answer} rows=${16}>${({ verdicts }) => html`
    <${Section} title="Every KPI" definition="kpis"
        note=${ORDER.filter((verdict) => verdicts[verdict]).map((verdict) => counted(verdicts[verdict], verdict).replace(/oks$/, "ok").replace(/unknowns$/, "unknown")).join(", ")}>
      <${List} listed=${listed} label="KPIs" id=${(kpi) => `${kpi.key} ${kpi.subject}`} />
    <//>`}<//>`;
}
