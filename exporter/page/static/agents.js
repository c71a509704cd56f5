// Agents: their runs, tools, loops, and the runs that cost most.

import { html } from "./preact.standalone.module.js";
import { counted, milliseconds, one, share, usd, whole } from "./format.js";
import { Answered, Empty, Section, Tile, Unseen, Value, otlp } from "./parts.js";
import { moment } from "./time.js";
import { List, useList } from "./list.js";

const DEFINITION = "agents-agentsummary-runsummary-toolsummary-loops-and-perrun";

const AGENTS = [
  { key: "agent", by: "agent", name: "Agent", isName: true, value: (row) => row.agent, show: (row) => html`${row.agent}<small>${row.kind}</small>` },
  { key: "runs", by: "runs", name: "Runs", value: (row) => row.runs, as: whole },
  { key: "errors", by: "error_rate", name: "Error rate", value: (row) => row.error_rate, as: share },
  { key: "duration", by: "duration_ms.p50", name: "Duration p50", value: (row) => row.duration_ms.p50, as: milliseconds },
  { key: "p95", by: "duration_ms.p95", name: "p95", value: (row) => row.duration_ms.p95, as: milliseconds },
  { key: "calls", by: "calls_per_run.mean", name: "Calls a run", value: (row) => row.calls_per_run.mean, as: one },
  { key: "tokens", by: "tokens_per_run.mean", name: "Tokens a run", value: (row) => row.tokens_per_run.mean, as: whole },
  { key: "per_run", by: "cost_per_run_usd.mean", name: "Cost a run", value: (row) => row.cost_per_run_usd.mean, as: usd },
  { key: "cost", by: "cost_usd", name: "Cost", value: (row) => row.cost_usd, as: usd },
  { key: "incomplete", by: "incomplete_runs", name: "Incomplete", title: "Runs that never said that they ended", value: (row) => row.incomplete_runs, as: whole },
];
const TOOLS = [
  { key: "tool", by: "tool", name: "Tool", isName: true, value: (row) => row.tool, show: (row) => html`${row.tool}<small>${row.kind}</small>` },
  { key: "uses", by: "uses", name: "Uses", value: (row) => row.uses, as: whole },
  { key: "errors", by: "error_rate", name: "Error rate", value: (row) => row.error_rate, as: share },
  { key: "p50", by: "latency_ms.p50", name: "p50", value: (row) => row.latency_ms.p50, as: milliseconds },
  { key: "p95", by: "latency_ms.p95", name: "p95", value: (row) => row.latency_ms.p95, as: milliseconds },
];
const RUNS = [
  { key: "agent", by: "agent", name: "Run", isName: true, value: (row) => row.agent,
    show: (row) => html`${row.agent}<small>trace ${row.trace_id}</small>` },
  { key: "started", by: "started_at", name: "Began", value: (row) => row.started_at, as: moment },
  { key: "duration", by: "duration_ms", name: "Duration", value: (row) => row.duration_ms, as: milliseconds },
  { key: "calls", by: "calls", name: "Calls", value: (row) => row.calls, as: whole },
  { key: "cost", by: "cost_usd", name: "Cost", value: (row) => row.cost_usd, as: usd },
  { key: "error", by: "error_type", name: "Error", isText: true, value: (row) => row.error_type || "none" },
];

function Loops({ loops }) {
  const unsure = loops.compared_ratio === null ? "no use says its arguments" : `${share(loops.compared_ratio)} of the uses say their arguments`;
  return html`<${Tile} title="Loops" definition=${DEFINITION} value=${whole(loops.loops)}
    note=${`in ${counted(loops.runs, "run")}, ${counted(loops.repeated_uses, "repeated use")}, ${usd(loops.cost_usd)}`} change=${unsure} />`;
}

export function Agents({ window, environment, service }) {
  const of = { path: "ai/agents", parameters: { window, environment, service }, isOneOf: true };
  const agents = useList({ ...of, list: "agents", columns: AGENTS, order: "-runs" });
  const tools = useList({ ...of, name: "tool", list: "tools", columns: TOOLS, order: "-uses" });
  const runs = useList({ ...of, name: "run", list: "costliest_runs", columns: RUNS, order: "-cost" });
  return html`<${Answered} answer=${agents.answer} rows=${12}>${(data) => data.total_runs || tools.total
    ? html`
      <${Unseen}>Figures<//>
      <div class="tiles">
        <${Tile} title="Runs" definition=${DEFINITION} value=${whole(data.total_runs)} note=${`last ${window}`} />
        <${Tile} title="Cost" definition=${DEFINITION} value=${html`<${Value} of=${data.total_cost_usd} as=${usd} />`} note="each call once" />
        <${Loops} loops=${data.loops} />
      </div>
      <${Section} title="Agents" definition=${DEFINITION}>
        <${List} listed=${agents} label="Agents" id=${(row) => `${row.agent} ${row.kind}`} />
      <//>
      <${Section} title="Tools" definition=${DEFINITION}>
        <${Answered} answer=${tools.answer}>${() => html`<${List} listed=${tools} label="Tools" id=${(row) => `${row.tool} ${row.kind}`} />`}<//>
      <//>
      <${Section} title="The runs that cost most" definition=${DEFINITION}>
        <${Answered} answer=${runs.answer}>${() => html`<${List} listed=${runs} label="Runs" id=${(row) => row.span_id} />`}<//>
      <//>
      ${data.dropped_runs + data.dropped_uses > 0 && html`<p class="note">Left out, because there were too many at a time:
        ${counted(data.dropped_runs, "run")}, ${counted(data.dropped_uses, "use")}.</p>`}`
    : html`<${Empty} says=${`No agent ran in the last ${window}. Spans of agents come by OTLP; point their application at this server:`}
        snippets=${[["OpenTelemetry", otlp()]]} />`}<//>`;
}
