// Alerts: what fires and what is about to, what happened lately, and of what nobody is told.

import { html } from "./preact.standalone.module.js";
import { change } from "./address.js";
import { NORMALLY, asked, useAnswer } from "./ask.js";
import { Firing, linkOf } from "./firing.js";
import { counted } from "./format.js";
import { Answered, Empty, Pill, Section, Waiting } from "./parts.js";
import { ago, duration, moment } from "./time.js";
import { List, useList } from "./list.js";
import { Pages, ROWS, pageOf } from "./table.js";

const DEFINITION = "rulealerts-alertmessage-listedalert-deliverymessage-silencemessage-and-subjectmessage";

const HISTORY = [
  { key: "alert", by: "title", name: "Alert", isName: true, value: (alert) => alert.title,
    show: (alert) => html`<span class="prose">${alert.sentence || alert.title}</span><small>${alert.sentence.includes(alert.cause) ? "" : alert.cause}</small>` },
  { key: "subject", by: "subject.name", name: "Subject", isText: true, value: (alert) => alert.subject.name, show: (alert) => html`<a href=${linkOf(alert.subject.kind, alert.subject.name)}>${alert.subject.name}</a>` },
  { key: "state", by: "state", name: "State", isText: true, value: (alert) => alert.state, show: (alert) => html`<${Pill} of=${alert.state} /><small>${alert.resolution}</small>` },
  { key: "since", by: "since", name: "Began", value: (alert) => alert.since, as: moment },
  { key: "told", name: "Told", isText: true, value: (alert) => alert.told.length, show: (alert) => html`<small>${alert.told
    .map(({ receiver, status, taken }) => `${receiver}: ${status} ${taken ? moment(taken) : "not taken"}`).join(" · ") || "nobody"}</small>` },
  { key: "lasted", name: "Lasted", value: (alert) => (alert.until ? (Date.parse(alert.until) - Date.parse(alert.since)) / 1000 : null), as: duration, why: () => "it is not over" },
];
const ACTIVE = HISTORY.filter(({ key }) => key !== "lasted");
const SILENCE = `otel-measure alerts silence --subject churn --for 2h --reason "a new version"   # add --store where this server's store is another`;
const SILENCES = [
  { key: "of", by: "rule", name: "Of", isName: true, value: (silence) => [silence.rule || "every rule", silence.subject || "every subject"].join(", "),
    show: (silence) => html`${silence.rule || "every rule"}, ${silence.subject || "every subject"}<small>${silence.environment === null ? "in every environment" : silence.environment || "in the unnamed environment"} · ${silence.id}</small>` },
  { key: "reason", by: "reason", name: "Reason", isText: true, value: (silence) => silence.reason },
  { key: "begins", by: "begins", name: "From", value: (silence) => silence.begins, as: moment },
  { key: "ends", by: "ends", name: "Until", value: (silence) => silence.ends, as: moment },
];

export function Alerts({ environment, parameters, status }) {
  const { page: wanted } = pageOf(parameters.firing_page, status ? status.total : 0);
  const offset = status ? (wanted - 1) * ROWS : null;
  const answer = useAnswer(offset === null ? null : asked("status", { environment, limit: ROWS, offset }), NORMALLY);
  const of = { path: "alerts", parameters: { environment }, isOneOf: true };
  const active = useList({ ...of, name: "active", list: "rules.active", columns: ACTIVE, most: 10 });
  const recent = useList({ ...of, list: "rules.recent", columns: HISTORY, order: "-since" });
  const silences = useList({ ...of, name: "silence", list: "rules.silences", columns: SILENCES, order: "ends" });
  if (!active.answer.data || !answer.data) return html`<${Waiting} rows=${8} />`;
  const { rules } = active.answer.data;
  const { firing } = answer.data;
  const { total } = answer.lists.firing;
  const { pages, page } = pageOf(parameters.firing_page, total);
  const evaluated = rules.evaluated ? `rules were evaluated ${ago(rules.evaluated)} ago` : "nobody evaluates the rules of this store";
  const silenced = rules.silenced ? `, ${counted(rules.silenced, "of them")} silenced`.replace("thems", "them") : "";
  return html`
    <${Section} title="Firing" definition=${DEFINITION} note=${`${evaluated}${silenced}`}>
      ${total ? html`<${Firing} alerts=${firing} />` : html`<p class="card empty">Nothing fires.</p>`}
      ${pages > 1 && html`<${Pages} label="Pages: firing" page=${page} pages=${pages} total=${total}
        go=${(to) => change({ firing_page: to > 1 ? String(to) : "" })} />`}
    <//>
    ${active.total > 0 && html`<${Section} title="By rule" definition=${DEFINITION} note="what fires, and what is pending: beyond the threshold, not long enough to tell anybody">
      <${List} listed=${active} label="Active alerts" id=${(alert) => `${alert.rule} ${alert.subject.name} ${alert.subject.environment}`} />
    <//>`}
    <${Section} title="History" definition=${DEFINITION} note="the last seven days, at most 100">
      <${Answered} answer=${recent.answer}>${() => html`<${List} listed=${recent} label="History of alerts" nothing="No alert of a rule fired in the last seven days."
        id=${(alert) => `${alert.rule} ${alert.subject.name} ${alert.state} ${alert.since}`} />`}<//>
    <//>
    <${Section} title="Silences" definition=${DEFINITION} note="of these nobody is told while they last">
      <${Answered} answer=${silences.answer}>${() => silences.total > 0 && html`<${List} listed=${silences} label="Silences" id=${(silence) => silence.id} />`}<//>
      <${Empty} says=${silences.total ? "One more, or the end of one (--end ID), on the machine of the server:" : "Nothing is silenced. A silence is made on the machine of the server:"}
        snippets=${[["shell", SILENCE]]} />
    <//>`;
}
