// Machines: this one by the second and over time, and every host and process that sends its readings.

import { html } from "./preact.standalone.module.js";
import { OFTEN, asked, useAnswer } from "./ask.js";
import { Chart, OF_HUNDRED } from "./chart.js";
import { bytes, percent, two, whole } from "./format.js";
import { Answered, Bar, Empty, Pairs, Pill, Section, Tile, Unseen, Value, known, otlp } from "./parts.js";
import { ago, duration } from "./time.js";
import { List, useList } from "./list.js";

const STATUS = { healthy: "ok", degraded: "warning", critical: "critical" };
const rate = (value) => `${bytes(value)}/s`;
const value = (of, as) => html`<${Value} of=${of} as=${as} />`;

function Now({ summary }) {
  const { cpu, memory, disk, network } = summary;
  const errors = [network.errors_in, network.errors_out, network.drops_in, network.drops_out];
  const lost = errors.every(known) ? errors.reduce((a, b) => a + b, 0) : null;
  const load = cpu.load_average || {};
  return html`<div class="tiles">
    <${Tile} title="CPU" definition="cpu" value=${value(cpu.current_percent, percent)}
      note=${html`average ${value(cpu.average_percent, percent)} · ${value(cpu.core_count, two)} cores of this ${cpu.scope}`} />
    <${Tile} title="Memory" definition="memory" value=${value(memory.used_percent, percent)}
      note=${html`${value(memory.used_bytes, bytes)} of ${value(memory.total_bytes, bytes)} used`} />
    <${Tile} title="Disk" definition="disk" value=${value(disk.used_percent, percent)}
      note=${html`${value(disk.free_bytes, bytes)} free to use, ${value(disk.used_bytes, bytes)} used on ${disk.mount_point || "the fullest disk"}`}
      chart=${html`<${Bar} of=${disk.used_percent || 0} total=${100} />`} />
    <div class="tile"><h3>Network and load</h3><${Pairs} rows=${[
      ["sent", network.sent_bytes_per_second, rate], ["received", network.received_bytes_per_second, rate], ["errors and drops", lost, whole],
      ["load 1, 5, 15 min", ["1m", "5m", "15m"].map((period) => (known(load[period]) ? two(load[period]) : "–")).join(" · ")],
    ]} /></div>
  </div>`;
}

function History({ window, compare }) {
  const series = useAnswer(asked("infrastructure/series", { window, compare }), OFTEN * 2);
  return html`<div class="charts">
    <${Chart} title="CPU" definition="series-seriesgroup-and-earlierseries" answer=${series} format=${percent} extent=${OF_HUNDRED}
      lines=${[{ name: "largest", column: "cpu_percent_max", colour: "--muted", alone: true }, { name: "mean", column: "cpu_percent", colour: "--line-1" }]} />
    <${Chart} title="Memory" definition="series-seriesgroup-and-earlierseries" answer=${series} format=${percent} extent=${OF_HUNDRED}
      lines=${[{ name: "mean", column: "memory_percent" }, { name: "swap", column: "swap_percent", alone: true }]} />
    <${Chart} title="Disk" definition="series-seriesgroup-and-earlierseries" answer=${series} format=${percent} extent=${OF_HUNDRED}
      lines=${[{ name: "fullest", column: "disk_percent" }]} />
    <${Chart} title="Network" definition="series-seriesgroup-and-earlierseries" answer=${series} format=${rate}
      lines=${[{ name: "sent", column: "network_sent_bytes_per_second" }, { name: "received", column: "network_received_bytes_per_second", alone: true }]} />
  </div>`;
}

const HOSTS = [
  { key: "host", by: "host", name: "Host", isName: true, value: (host) => host.host, show: (host) => html`${host.host}<small>${host.kind}</small>` },
  { key: "cpu", by: "cpu_used_percent", name: "CPU", value: (host) => host.cpu_used_percent, as: percent },
  { key: "memory", by: "memory_used_percent", name: "Memory", value: (host) => host.memory_used_percent, as: percent },
  { key: "bytes", by: "memory_used_bytes", name: "Used", value: (host) => host.memory_used_bytes, as: bytes },
  { key: "disk", by: "disk_used_percent", name: "Disk", value: (host) => host.disk_used_percent, as: percent },
  { key: "load", by: "load_average_1m", name: "Load", value: (host) => host.load_average_1m, as: two },
  { key: "seen", by: "timestamp", name: "Seen", value: (host) => host.timestamp, as: (time) => `${ago(time)} ago` },
];
const PROCESSES = [
  { key: "service", by: "service_name", name: "Process", isName: true, value: (process) => process.service_name,
    show: (process) => html`${process.service_name}<small>${[process.name, process.instance].filter(Boolean).join(" · ")}</small>` },
  { key: "cpu", by: "cpu_used_percent", name: "CPU", value: (process) => process.cpu_used_percent, as: percent },
  { key: "memory", by: "memory_rss_bytes", name: "Memory", value: (process) => process.memory_rss_bytes, as: bytes },
  { key: "threads", by: "threads", name: "Threads", value: (process) => process.threads, as: whole },
  { key: "seen", by: "timestamp", name: "Seen", value: (process) => process.timestamp, as: (time) => `${ago(time)} ago` },
];

function Hosts() {
  const of = { path: "infrastructure/hosts", isOneOf: true, order: "-cpu", every: OFTEN * 2 };
  const hosts = useList({ ...of, list: "hosts", columns: HOSTS });
  const processes = useList({ ...of, name: "process", list: "processes", columns: PROCESSES });
  return html`
    <${Section} title="Hosts" definition="hosts-host-and-remoteprocess" note="that sent a reading in the last 5 minutes">
      <${Answered} answer=${hosts.answer}>${({ missing }) => html`
        ${hosts.total
          ? html`<${List} listed=${hosts} label="Hosts" id=${(host) => `${host.kind} ${host.host}`} />`
          : html`<${Empty} says="No host sends its readings. Point a Collector with the hostmetrics receiver at this server:" snippets=${[["OpenTelemetry", otlp()]]} />`}
        ${missing && html`<p class="note">${missing}</p>`}`}<//>
    <//>
    <${Section} title="Processes" definition="hosts-host-and-remoteprocess">
      <${Answered} answer=${processes.answer}>${() => html`
        <${List} listed=${processes} label="Processes" id=${(process) => process.instance + process.service_name} />`}<//>
    <//>`;
}

export function Machines({ window, compare, environment }) {
  const summary = useAnswer(asked("infrastructure/summary", { environment }), OFTEN);
  return html`<${Answered} answer=${summary} rows=${12}>${(data) => html`
    <p class="sentence"><${Pill} of=${STATUS[data.status]}>this machine is ${data.status}<//>
      ${" "}${data.platform}, up ${known(data.uptime_seconds) ? duration(data.uptime_seconds) : "for an unknown time"}</p>
    <${Unseen}>Now<//>
    <${Now} summary=${data} />
    <${Unseen}>Over time<//>
    <${History} window=${window} compare=${compare} />
    <${Hosts} />`}<//>`;
}
