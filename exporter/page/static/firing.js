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

/** Alerts that fire, as the server lists them: those of rules know since when. */
export function Firing({ alerts }) {
  return html`<ul class="alerts">${alerts.map((alert) => html`<li key=${`${alert.rule} ${alert.subject} ${alert.environment}`}>
    <${Pill} of=${alert.severity} />
    <div>
      <a href=${linkOf(alert.kind, alert.subject)}>${alert.sentence}</a>
      <p class="note">${[alert.cause, alert.since ? `since ${ago(alert.since)}` : "a KPI beyond its threshold now"].filter(Boolean).join(" · ")}
        ${alert.since && html`<a href=${linkTo("rules", alert.rule)}>what to do</a>`}</p>
    </div>
  </li>`)}</ul>`;
}
