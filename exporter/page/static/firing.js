// What fires, and where somebody looks next.

import { html } from "./preact.standalone.module.js";
import { linkTo, searchIn } from "./address.js";
import { Pill, words } from "./parts.js";
import { ago } from "./time.js";

/** Where somebody looks next, for a subject of a kind; of a model at one version, where it is known which. */
export function linkOf(kind, name, version = "") {
  if (kind === "service") return linkTo("services", name);
  if (kind === "model") return version ? linkTo("models", name, version) : searchIn("models", name);
  return linkTo(kind === "host" ? "machines" : kind === "users" ? "users" : "kpis");
}

/** Who was told last that it fires, of each receiver. */
const told = (deliveries) => [...new Map(deliveries.filter(({ status }) => status === "firing").map((one) => [one.receiver, one])).values()]
  .map(({ receiver, taken }) => (taken ? `${receiver} told ${ago(taken)} ago` : `${receiver} has not taken it`));
const also = (keys) => keys.length > 0 && `also ${keys.map(words).join(", ")}`;

/** What fires, as the server lists it: each subject once, with what leads. */
export function Firing({ alerts }) {
  return html`<ul class="alerts">${alerts.map((alert) => html`<li key=${`${alert.kind} ${alert.subject} ${alert.environment}`}>
    <${Pill} of=${alert.severity} />
    <div>
      <a href=${linkOf(alert.kind, alert.subject, alert.version)}>${alert.sentence}</a>
      <p class="note">${[alert.sentence.includes(alert.cause) ? "" : alert.cause, alert.since ? `since ${ago(alert.since)}` : "a KPI beyond its threshold now", also(alert.also), ...told(alert.told)]
        .filter(Boolean).join(" · ")} · <a href=${alert.docs.slice(alert.docs.indexOf("#"))}>what to do</a></p>
    </div>
  </li>`)}</ul>`;
}
