// The page: which view the address asks for, and what stands around every view.

import { html, render, useEffect, useErrorBoundary, useRef } from "./preact.standalone.module.js";
import { address, change, linkTo } from "./address.js";
import { NORMALLY, SELDOM, asked, problem, updated, useAnswer } from "./ask.js";
import { later } from "./later.js";
import { clock, zone, zoneName } from "./time.js";
import { openWithToken } from "./token.js";
import { Worst } from "./worst.js";
import { Overview } from "./overview.js";

const MOST_ALERTS = 6; // on the overview; the view of alerts has them all
const HOURS = ["1h", "6h", "24h", "7d", "30d", "90d"];
const DAYS = ["7d", "30d", "90d"];
// By the first part of the address: the view, and the time ranges that it has, the one it begins with first.
const VIEWS = {
  "": { title: "Overview", view: Overview, windows: ["24h", ...HOURS], hasNoCompare: true },
  alerts: { title: "Alerts", view: later("Alerts") },
  models: { title: "Models", view: later("Models"), windows: ["24h", ...HOURS], hasService: true },
  spending: { title: "Spending", view: later("Spending"), windows: ["30d", ...HOURS], hasNoCompare: true, hasService: true },
  agents: { title: "Agents", view: later("Agents"), windows: ["24h", ...HOURS], hasNoCompare: true, hasService: true },
  users: { title: "Users", view: later("Users"), windows: ["30d", ...DAYS], hasService: true },
  experiments: { title: "Experiments", view: later("Experiments"), windows: ["30d", ...DAYS], hasNoCompare: true },
  machines: { title: "Machines", view: later("Machines"), windows: ["1h", ...HOURS] },
  services: { title: "Services", view: later("Services"), windows: ["30d", ...HOURS] },
  senders: { title: "Senders", view: later("Senders") },
  kpis: { title: "KPIs", view: later("Kpis") },
  definitions: { title: "Definitions", view: later("Definitions"), isAside: true },
  rules: { title: "Alert rules", view: later("Rules", "definitions"), isAside: true },
};
const LENGTHS = { "1h": "1 hour", "6h": "6 hours", "24h": "24 hours", "7d": "7 days", "30d": "30 days", "90d": "90 days" };

function Navigation({ now }) {
  const bar = useRef(null);
  useEffect(() => {
    const current = bar.current.querySelector("[aria-current]");
    if (current) bar.current.scrollLeft = current.offsetLeft - bar.current.clientWidth / 2; // a phone shows some of them
  }, [now]);
  return html`<nav class="views" aria-label="Views" ref=${bar}>${Object.entries(VIEWS).filter(([, { isAside }]) => !isAside).map(
    ([name, { title }]) => html`<a key=${name} href=${linkTo(...(name ? [name] : []))}
      aria-current=${name === now ? "page" : null}>${title}</a>`,
  )}</nav>`;
}

/** A choice of names; what the address asks for is one of them, also where nothing is known of it yet. */
function Choice({ label, parameter, chosen, names, nothing }) {
  const offered = [...new Set([...names, ...(chosen ? [chosen] : [])])].sort();
  return html`<label>${label} <select class="environment" value=${chosen} onChange=${(event) => change({ [parameter]: event.currentTarget.value })}>
    <option value="" selected=${!chosen}>${nothing}</option>
    ${offered.map((name) => html`<option key=${name} value=${name} selected=${name === chosen}>${name}</option>`)}
  </select></label>`;
}

function Controls({ view, window, parameters, environment }) {
  const { environments } = useAnswer("environments", SELDOM).data || { environments: [] };
  const now = parameters.environment || environment;
  const services = (environments.find(({ name }) => name === now) || { services: [] }).services;
  return html`<form class="controls" onSubmit=${(event) => event.preventDefault()}>
    ${view.windows && html`<label>Last <select value=${window}
      onChange=${(event) => change({ window: event.currentTarget.value })}>
      ${view.windows.slice(1).map((length) => html`<option key=${length} value=${length} selected=${length === window}>
        ${LENGTHS[length]}</option>`)}
    </select></label>`}
    ${view.windows && !view.hasNoCompare && html`<label><input type="checkbox" checked=${parameters.compare === "previous"}
      onChange=${(event) => change({ compare: event.currentTarget.checked ? "previous" : "" })} /> compare with the time before</label>`}
    <${Choice} label="Environment" parameter="environment" chosen=${parameters.environment || ""} nothing=${environment || "unnamed"}
      names=${environments.map(({ name }) => name).filter((name) => name && name !== environment)} />
    ${view.hasService && (services.length > 1 || parameters.service) && html`<${Choice} label="Service" parameter="service"
      chosen=${parameters.service || ""} nothing="all" names=${services} />`}
    <span class="zone">Times in ${zoneName()}</span>
  </form>`;
}

function Problem() {
  const now = problem.use();
  useEffect(() => document.body.classList.toggle("stale", now !== null), [now]);
  const text = !now ? "" : now.why
    ? `The server answers with an error since ${clock(now.since)}: ${now.why}`
    : `The server does not answer since ${clock(now.since)}. What is shown is older. Trying again by itself.`;
  return html`<p id="problem" class="problem" role="alert" hidden=${!now}>${text}</p>`;
}

function Updated() {
  const at = updated.use();
  return html`<span class="note"><span class="wide">updated </span><time id="updated">${at ? clock(at) : "–"}</time></span>`;
}

/** A view that fails says so in its place, and the others stay within reach. */
function Guarded({ children }) {
  const [fault] = useErrorBoundary((error) => console.error(error));
  if (!fault) return children;
  return html`<p class="problem" role="alert">This view failed: ${String(fault.message || fault)}. Reload the page; if it stays, it is
    a defect of the page.</p>`;
}

function App() {
  const { path, parameters } = address.use();
  zone.use();
  const heading = useRef(null);
  const name = path[0] in VIEWS ? path[0] : "";
  const view = VIEWS[name];
  const window = view.windows && (view.windows.includes(parameters.window) ? parameters.window : view.windows[0]);
  const status = useAnswer(asked("status", { environment: parameters.environment, limit: MOST_ALERTS }), NORMALLY);
  const told = status.data && { ...status.data, total: status.lists.firing.total };
  // Of the reports this is the cheapest, and a report names the zone of the store; the overview asks for some itself.
  useAnswer(zone.value || !name ? null : asked("ai/summary", { window: "1h" }), SELDOM);
  const title = [...path.slice(1), view.title].join(" · ");
  const isFirst = useRef(true);
  useEffect(() => {
    document.title = `${title} – otel-measure`;
    if (isFirst.current) isFirst.current = false;
    else {
      scrollTo(0, 0);
      heading.current.focus({ preventScroll: true });
    }
  }, [path.join("/")]);
  const environment = status.data ? status.data.environment : "";
  return html`
    <header class="top">
      <a class="brand" href=${linkTo()}><img src="${icon}" alt="" width="26" height="26" />otel-measure</a>
      <${Worst} status=${told} />
      <${Updated} />
    </header>
    <${Navigation} now=${name} />
    <${Problem} />
    <main id="main">
      <div class="title">
        <h1 tabindex="-1" ref=${heading}>${path.length > 1 && !view.isAside ? path.slice(1).join(" ") : view.title}</h1>
        <${Controls} view=${view} window=${window} parameters=${parameters} environment=${environment} />
      </div>
      <${Guarded} key=${path.join("/")}>
        <${view.view} path=${path.slice(1)} window=${window} compare=${parameters.compare === "previous" ? "previous" : ""}
          environment=${parameters.environment || ""} service=${(view.hasService && parameters.service) || ""} parameters=${parameters} status=${told} />
      <//>
    </main>
    <footer>
      <a href="metrics" onClick=${openWithToken}>Prometheus exposition</a>
      <a href="openapi.json" onClick=${openWithToken}>OpenAPI description</a>
      <a href=${linkTo("definitions")}>Definitions</a>
      <a href=${linkTo("rules")}>Alert rules</a>
      <span>– means unknown, never zero</span>
    </footer>`;
}

// A link to an anchor would be another address, that is another view.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.querySelector("h1").focus();
});

const icon = document.querySelector("link[rel=icon]").href;
const root = document.getElementById("app");
root.replaceChildren();
render(html`<${App} />`, root);
