// What fires, and where somebody looks next.

import { html } from "./preact.standalone.module.js";
import { linkTo, searchIn } from "./address.js";
import { Pill } from "./parts.js";
import { ago } from "./time.js";

/** Where somebody looks next, for a subject of a kind. */
export function linkOf(kind, name) {
  if (kind === "service") return linkTo("services", name);
  if (kind === "model") {
    const parts = name.split(" ");
    // A name and a version, where no space of their own hides which is which; else whoever has all these words.
    return parts.length === 2 ? linkTo("models", ...parts) : searchIn("models", name);
  }
  return linkTo(kind === "host" ? "machines" : kind === "users" ? "users" : "kpis");
}

const KINDS = { ai: "model", users: "users", infrastructure: "host" };
/** What kind of subject a KPI or its alert is about. */
export const kindOf = ({ key, domain }) => (key === "availability_percent" ? "service" : KINDS[domain]);

const firing = ({ rules }) => rules.active.filter(({ state }) => state === "firing");

/**
 * What fires, as rows of one form: rules first, which know since when, then KPIs beyond their threshold now. A subject that
 * a rule fires about is not told of again by its KPIs: most rules judge by them.
 */
export function firingRows(alerts) {
  const ofRules = firing(alerts).map((alert) => ({
    id: `${alert.rule} ${alert.subject.name} ${alert.subject.environment}`,
    severity: alert.severity, sentence: alert.sentence, cause: alert.cause, since: alert.since, rule: alert.rule,
    subject: alert.subject.name, kind: alert.subject.kind,
  }));
  const told = new Set(ofRules.map(({ kind, subject }) => `${kind} ${subject}`));
  const ofKpis = alerts.alerts.filter((alert) => !told.has(`${kindOf(alert)} ${alert.subject}`)).map((alert) => ({
    id: `${alert.key} ${alert.subject}`,
    severity: alert.severity, sentence: alert.message, cause: alert.rule, since: null,
    subject: alert.subject, kind: kindOf(alert),
  }));
  return [...ofRules, ...ofKpis];
}

/** How many fire that no row tells of: an answer has the first KPIs alone. Where rules fire, these tell of the others. */
export const untold = (alerts) => (firing(alerts).length ? 0 : alerts.total - alerts.alerts.length);

export function Firing({ rows }) {
  return html`<ul class="alerts">${rows.map((row) => html`<li key=${row.id}>
    <${Pill} of=${row.severity} />
    <div>
      <a href=${linkOf(row.kind, row.subject)}>${row.sentence}</a>
      <p class="note">${[row.cause, row.since ? `since ${ago(row.since)}` : "a KPI beyond its threshold now"].filter(Boolean).join(" · ")}
        ${row.rule && html`<a href=${linkTo("rules", row.rule)}>what to do</a>`}</p>
    </div>
  </li>`)}</ul>`;
}
