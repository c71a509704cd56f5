// What is behind the numbers of a model: its errors by type, and its slowest and dearest calls, each with its trace.

import { html } from "./preact.standalone.module.js";
import { NORMALLY, asked, useAnswer } from "./ask.js";
import { counted, milliseconds, usd, whole } from "./format.js";
import { Answered, Bar, Section, Value, known, words } from "./parts.js";
import { moment } from "./time.js";
import { Table } from "./table.js";

const SHOWN = 5;

function Trace({ of: { trace_id: id, trace_url: url } }) {
  if (!id) return html`<${Value} why="no call of these was recorded inside a trace" />`;
  const short = `${id.slice(0, 8)}…`;
  return url ? html`<a href=${url} rel="noreferrer" title=${id}>${short}</a>` : html`<span title=${id}>${short}</span>`;
}

const errorColumns = (most) => [
  { key: "type", name: "Error type", isName: true, value: (row) => row.error_type },
  { key: "count", name: "Calls", value: (row) => row.count, show: (row) => html`${whole(row.count)} <${Bar} of=${row.count} total=${most} look="bad" />` },
  { key: "first", name: "First", value: (row) => row.first_seen, as: moment },
  { key: "last", name: "Last", value: (row) => row.last_seen, as: moment },
  { key: "trace", name: "A trace", isText: true, value: (row) => row.trace_id, show: (row) => html`<${Trace} of=${row} />` },
];

const CALL_COLUMNS = [
  { key: "when", name: "When", isName: true, value: (call) => call.timestamp, show: (call) => html`${moment(call.timestamp)}<small>${call.service || "unnamed service"}</small>` },
  { key: "latency", name: "Took", value: (call) => call.latency_ms, as: milliseconds, why: () => "nobody says how long it took" },
  { key: "cost", name: "Cost", value: (call) => call.cost_usd, as: usd, why: () => "it has no price" },
  { key: "input", name: "Input tokens", value: (call) => call.input_tokens, as: whole },
  { key: "output", name: "Output tokens", value: (call) => call.output_tokens, as: whole },
  { key: "what", name: "Operation", isText: true, value: (call) => [call.operation && words(call.operation), call.error_type].filter(known).join(", ") || null },
  { key: "trace", name: "Trace", isText: true, value: (call) => call.trace_id, show: (call) => html`<${Trace} of=${call} />` },
];

function Largest({ title, name, sort, question }) {
  const answer = useAnswer(asked("ai/calls", { ...question, sort, limit: SHOWN }), NORMALLY);
  if (answer.data && !answer.data.calls.length) return null;
  return html`<${Section} title=${title} definition="notablecall-and-notablecalls" note=${`at most ${SHOWN}`}>
    <${Answered} answer=${answer} rows=${SHOWN + 1}>${({ calls }) => html`
      <${Table} name=${name} label=${title} columns=${CALL_COLUMNS.filter((column) => calls.some((call) => known(column.value(call))))} rows=${calls} id=${(call) => call.inference_id} csv=${asked("ai/calls", { ...question, sort, limit: 1000 })} />`}<//>
  <//>`;
}

export function Calls({ name, version, errors, window, environment, service }) {
  const question = { model: name, version, window, environment, service };
  const failed = useAnswer(asked("ai/errors", question), NORMALLY);
  return html`
    ${errors.count > 0 && html`<${Section} title="Errors by type" definition="modelerrors-and-errorsoftype" note=${counted(errors.count, "failed call")}>
      <${Answered} answer=${failed} rows=${4}>${(data) => html`
        <${Table} name="error" label="Errors by type" columns=${errorColumns(Math.max(0, ...data.errors.map(({ count }) => count)))} rows=${data.errors}
          id=${(row) => row.error_type} order="-count" csv=${failed.path} nothing="Only metrics tell of these errors: they say no type." />`}<//>
    <//>`}
    <${Largest} title="Slowest calls" name="slowest" sort="latency" question=${question} />
    <${Largest} title="Dearest calls" name="dearest" sort="cost" question=${question} />`;
}
