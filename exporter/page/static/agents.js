// Agents: their runs, tools, loops, and the runs that cost most.

import { html } from "./preact.standalone.module.js";
import { NORMALLY, asked, useAnswer } from "./ask.js";
import { counted, milliseconds, one, share, usd, whole } from "./format.js";
import { Answered, Empty, Section, Tile, Unseen, Value, otlp } from "./parts.js";
import { moment } from "./time.js";
import { Table } from "./table.js";

const DEFINITION = "agents-agentsummary-runsummary-toolsummary-loops-and-perrun";

const AGENTS = [
  { key: "agent", name: "Agent", isName: true, value: (row) => row.agent, show: (row) => html`${row.agent}<small>${row.kind}</small>` },
  { key: "runs", name: "Runs", value: (row) => row.runs, as: whole },
  { key: "errors", name: "Error rate", value: (row) => row.error_rate, as: share },
  { key: "duration", name: "Duration p50", value: (row) => row.duration_ms.p50, as: milliseconds },
  { key: "p95", name: "p95", value: (row) => row.duration_ms.p95, as: milliseconds },
  { key: "calls", name: "Calls a run", value: (row) => row.calls_per_run.mean, as: one },
  { key: "tokens", name: "Tokens a run", value: (row) => row.tokens_per_run.mean, as: whole },
  { key: "per_run", name: "Cost a run", value: (row) => row.cost_per_run_usd.mean, as: usd },
  { key: "cost", name: "Cost", value: (row) => row.cost_usd, as: usd },
  { key: "incomplete", name: "Incomplete", title: "Runs that never said that they ended", value: (row) => row.incomplete_runs, as: whole },
];
const TOOLS = [
  { key: "tool", name: "Tool", isName: true, value: (row) => row.tool, show: (row) => html`${row.tool}<small>${row.kind}</small>` },
  { key: "uses", name: "Uses", value: (row) => row.uses, as: whole },
  { key: "errors", name: "Error rate", value: (row) => row.error_rate, as: share },
  { key: "p50", name: "p50", value: (row) => row.latency_ms.p50, as: milliseconds },
  { key: "p95", name: "p95", value: (row) => row.latency_ms.p95, as: milliseconds },
];
const RUNS = [
  { key: "agent", name: "Run", isName: true, value: (row) => row.agent, text: (row) => `${row.agent} ${row.trace_id}`,
    show: (row) => html`${row.agent}<small>trace ${row.trace_id}</small>` },
  { key: "started", name: "Began", value: (row) => row.started_at, as: moment },
  { key: "duration", name: "Duration", value: (row) => row.duration_ms, as: milliseconds },
  { key: "calls", name: "Calls", value: (row) => row.calls, as: whole },
  { key: "cost", name: "Cost", value: (row) => row.cost_usd, as: usd },
  { key: "error", name: "Error", isText: true, value: (row) => row.error_type || "none" },
];

function Loops({ loops }) {
  const unsure = loops.compared_ratio === null ? "no use says its arguments" : `${share(loops.compared_ratio)} of the uses say their arguments`;
  return html`<${Tile} title="Loops" definition=${DEFINITION} value=${whole(loops.loops)}
    note=${`in ${counted(loops.runs, "run")}, ${counted(loops.repeated_uses, "repeated use")}, ${usd(loops.cost_usd)}`} change=${unsure} />`;
}

export function Agents({ window, environment, service }) {
  const answer = useAnswer(asked("ai/agents", { window, environment, service }), NORMALLY);
  return html`<${Answered} answer=${answer} rows=${12}>${(data) => data.total_runs || data.tools.length
    ? html`
      <${Unseen}>Figures<//>
      <div class="tiles">
        <${Tile} title="Runs" definition=${DEFINITION} value=${whole(data.total_runs)} note=${`last ${window}`} />
        <${Tile} title="Cost" definition=${DEFINITION} value=${html`<${Value} of=${data.total_cost_usd} as=${usd} />`} note="each call once" />
        <${Loops} loops=${data.loops} />
      </div>
      <${Section} title="Agents" definition=${DEFINITION}>
        <${Table} label="Agents" columns=${AGENTS} rows=${data.agents} id=${(row) => `${row.agent} ${row.kind}`} order="-runs" />
      <//>
      <${Section} title="Tools" definition=${DEFINITION}>
        <${Table} name="tool" label="Tools" columns=${TOOLS} rows=${data.tools} id=${(row) => `${row.tool} ${row.kind}`} order="-uses" />
      <//>
      <${Section} title="The runs that cost most" definition=${DEFINITION}>
        <${Table} name="run" label="Runs" columns=${RUNS} rows=${data.costliest_runs} id=${(row) => row.span_id} order="-cost" />
      <//>
      ${data.dropped_runs + data.dropped_uses > 0 && html`<p class="note">Left out, because there were too many at a time:
        ${counted(data.dropped_runs, "run")}, ${counted(data.dropped_uses, "use")}.</p>`}`
    : html`<${Empty} says=${`No agent ran in the last ${window}. Spans of agents come by OTLP; point their application at this server:`}
        snippets=${[["OpenTelemetry", otlp()]]} />`}<//>`;
}
