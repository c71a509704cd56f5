// Senders: who sends by OTLP, what became of it, and what to do where it became nothing.

import { html } from "./preact.standalone.module.js";
import { counted, sum, whole } from "./format.js";
import { Answered, Empty, Pill, Section, otlp, words } from "./parts.js";
import { minute } from "./time.js";
import { List, useList } from "./list.js";

const COLUMNS = [
  { key: "service", by: "service_name", name: "Service", isName: true, value: (row) => row.service_name,
    show: (row) => html`${row.service_name}<small>${[row.environment, row.sdk_language].filter(Boolean).join(" · ")}</small>` },
  { key: "scope", by: "scope", name: "Instrumentation", isText: true, value: (row) => row.scope || "unnamed" },
  { key: "signal", name: "Signal", isText: true, value: (row) => row.signal },
  { key: "items", by: "items", name: "Items", value: (row) => row.items, as: whole },
  { key: "outcome", name: "Became", isText: true, value: (row) => row.outcome, show: (row) => html`<${Pill} of=${row.outcome}>${words(row.outcome)}<//>` },
  { key: "why", name: "Why, and what to do", isText: true, value: (row) => `${row.why} ${row.remedy}`,
    show: (row) => html`<span class="prose">${row.why}${row.remedy && html`<small>${row.remedy}</small>`}</span>` },
];

export function Senders() {
  const listed = useList({ path: "otlp/senders", list: "senders", columns: COLUMNS, order: "-items" });
  return html`<${Answered} answer=${listed.answer}>${(data) => {
    const rows = data.senders.flatMap(({ became, ...sender }) => became.map((one) => ({ ...sender, ...one })));
    const lost = sum(rows.filter(({ why }) => why).map(({ items }) => items));
    const whose = listed.total > data.senders.length ? " of those shown" : "";
    return html`<${Section} title="Who sends by OTLP" definition="otlpsenders-otlpsender-and-became"
        note=${`since ${minute(data.since)}: ${counted(data.total_items, "item")}; ${whole(lost)}${whose} became nothing or less than one may expect`}>
      ${listed.total
        ? html`<${List} listed=${listed} label="Senders" rows=${rows}
            id=${(row) => [row.service_name, row.environment, row.sdk_language, row.scope, row.signal, row.outcome, row.why].join("\n")} />`
        : html`<${Empty} says=${`Nobody sends: ${data.advice}`} snippets=${[["OpenTelemetry", otlp()]]} />`}
    <//>`;
  }}<//>`;
}
