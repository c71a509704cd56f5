// What changed: numbers that are others than in the time before, beyond chance after everything that was compared.

import { html } from "./preact.standalone.module.js";
import { linkTo } from "./address.js";
import { SELDOM, asked, useAnswer } from "./ask.js";
import { linkOf } from "./firing.js";
import { counted, number, one, signed, unit } from "./format.js";
import { Answered, Section, known } from "./parts.js";

const SHOWN = 6;
const NAMES = {
  error_rate: "Error rate", p95_ms: "Latency p95", cost_per_request_usd: "Cost per call", requests: "Requests yesterday",
  active_users: "Active users yesterday", converted_users: "Converted users yesterday", downtime_ratio: "Time down",
};
const OF_DAYS = ["requests", "active_users", "converted_users"];
const linksOf = ({ kind, subject }) => (kind === "models" ? linkTo("models") : linkOf(kind, subject));

function sentence({ key, subject, unit: named, value, before, change }) {
  const write = unit(named);
  const by = known(change) ? ` (${signed(one)(change * 100)} %)` : "";
  return `${NAMES[key]}${subject ? ` of ${subject}` : key === "requests" ? " of all models" : ""}: ${write(before, [value])} → ${write(value, [before])}${by}`;
}

function Row({ change }) {
  const against = OF_DAYS.includes(change.key) ? "against the same weekdays of the last weeks" : "against the time before";
  return html`<li><div><a href=${linksOf(change)}>${sentence(change)}</a>
    <p class="note">${against} · p ${change.p_value < 1e-6 ? "below 0.000001" : number(6)(change.p_value)}</p></div></li>`;
}

export function Changed({ window, environment }) {
  const answer = useAnswer(asked("changes", { window, environment, limit: SHOWN }), SELDOM);
  return html`<${Section} title="What changed" definition="changes-and-change" note="beyond chance (p below 0.001 after all that was compared), by 20 % or more">
    <${Answered} answer=${answer} rows=${2}>${({ changes, compared }) => changes.length
      ? html`<ul class="alerts">${changes.map((change) => html`<${Row} key=${`${change.key} ${change.subject}`} change=${change} />`)}</ul>
        ${changes.length === SHOWN && html`<p class="note">These are the largest.</p>`}`
      : html`<p class="card empty">${compared ? `Nothing: ${counted(compared, "number")} ${compared === 1 ? "was" : "were"} compared.` : "There is no time before to compare with yet."}</p>`}<//>
  <//>`;
}
