// What every view is made of: a value that may be unknown, a verdict, a card, a tile, an empty state.

import { html, useState } from "./preact.standalone.module.js";
import { API } from "./ask.js";
import { linkTo } from "./address.js";
import { token } from "./token.js";

const LOOKS = {
  ok: "good", winner: "good", up: "good", no_drift: "good", met: "good",
  warning: "fair", ticket: "fair", pending: "fair", minor_drift: "fair", effect_changed: "fair", maintenance: "fair",
  alert: "bad", critical: "bad", page: "bad", firing: "bad", down: "bad", breached: "bad", severe_drift: "bad",
  moderate_drift: "fair", sample_ratio_mismatch: "bad", rejected: "bad", ignored: "fair",
};

/** Words of an identifier: "no_winner_yet" is "no winner yet". */
export const words = (name) => name.replaceAll("_", " ");

export const known = (value) => value !== null && value !== undefined;

/** A value, or a dash that says why it is unknown to eyes, pointers and screen readers. */
export function Value({ of, as = String, why = "unknown" }) {
  if (known(of)) return as(of);
  return html`<abbr class="unknown" title=${why} aria-label=${why}>–</abbr>`;
}

export function Pill({ of, children }) {
  return html`<span class=${`pill ${LOOKS[of] || ""}`}>${children || words(of)}</span>`;
}

/** The definition of a number, by the heading of its section in docs/definitions.md. */
export function Definition({ of, children }) {
  return html`<a class="definition" href=${linkTo("definitions", of)} title="What this number means">${children}</a>`;
}

export function Section({ title, definition, note, children }) {
  const name = definition ? html`<${Definition} of=${definition}>${title}<//>` : title;
  return html`<section>
    <div class="head"><h2>${name}</h2>${note && html`<p>${note}</p>`}</div>
    ${children}
  </section>`;
}

/** A heading for who hears the page or goes from heading to heading; who sees it needs none there. */
export function Unseen({ children }) {
  return html`<h2 class="unseen">${children}</h2>`;
}

/** Numbers with their names, one below the other: rows of [name, value, format, why it is unknown]. */
export function Pairs({ rows }) {
  return html`<dl class="pairs">${rows.map(([name, value, format, why]) => html`
    <dt>${name}</dt><dd><${Value} of=${value} as=${format} why=${why} /></dd>`)}</dl>`;
}

/** One number: its name leads to its definition. */
export function Tile({ title, definition, value, note, change, verdict, chart, href }) {
  return html`<div class="tile">
    <div class="tile-head">
      <h3><${Definition} of=${definition}>${title}<//></h3>${verdict && html`<${Pill} of=${verdict} />`}
    </div>
    <p class="figure">${href ? html`<a href=${href}>${value}</a>` : value}</p>
    <p class="note">${note}</p>
    <p class="note">${change}</p>
    ${chart}
  </div>`;
}

/** The line of a series, drawn small; what stands beside it says the numbers. */
export function Sparkline({ values, title }) {
  const numbers = (values || []).map((value, i) => [i, value]).filter(([, value]) => known(value));
  if (numbers.length < 2) return html`<div class="spark"></div>`;
  const low = Math.min(0, ...numbers.map(([, value]) => value));
  const high = Math.max(...numbers.map(([, value]) => value), low + 1e-9);
  const x = (i) => ((i / (values.length - 1)) * 100).toFixed(2);
  const y = (value) => (28 - ((value - low) / (high - low)) * 26).toFixed(2);
  const line = numbers.map(([i, value], n) => `${n && i === numbers[n - 1][0] + 1 ? "L" : "M"}${x(i)} ${y(value)}`);
  return html`<svg class="spark" viewBox="0 0 100 30" preserveAspectRatio="none" role="img" aria-label=${title}>
    <path d=${line.join("")} vector-effect="non-scaling-stroke" />
  </svg>`;
}

/** How many of a whole, as a bar. */
export function Bar({ of, total, look = "" }) {
  const width = total ? Math.max(0, Math.min(100, (100 * of) / total)) : 0;
  return html`<span class="bar" aria-hidden="true"><span class=${look} style=${{ width: `${width}%` }}></span></span>`;
}

// ---------------------------------------------------------------- what to do when there is nothing yet

function Snippet({ title, code }) {
  const [said, say] = useState("Copy");
  const copy = async (event) => {
    const text = event.currentTarget.parentElement.querySelector("pre");
    try {
      await navigator.clipboard.writeText(code);
      say("Copied");
    } catch {
      getSelection().selectAllChildren(text); // the clipboard is closed to pages without TLS
      say("Selected");
    }
    setTimeout(() => say("Copy"), 1500);
  };
  return html`<div class="snippet">
    <p class="name">${title}</p>
    <pre tabindex="0" role="region" aria-label=${`The ${title} example`}><code>${code}</code></pre>
    <button type="button" aria-label=${`Copy the ${title} example`} onClick=${copy}>${said}</button>
  </div>`;
}

/** The line of curl that writes one record into the store of this very server. */
export function curl(path, body) {
  const header = token() ? `  -H "Authorization: Bearer $OTEL_MEASURE_TOKEN" \\\n` : "";
  return `curl -X POST ${new URL(path, API)} \\\n${header}  -H "Content-Type: application/json" \\\n  -d '${JSON.stringify(body)}'`;
}

/** What points any OpenTelemetry SDK at this very server. */
export function otlp() {
  const header = token() ? `\nexport OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer%20$OTEL_MEASURE_TOKEN"` : "";
  return `export OTEL_EXPORTER_OTLP_ENDPOINT=${new URL(".", document.baseURI).href.replace(/\/$/, "")}
export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf${header}`;
}

/** Says that there is nothing, and gives the lines that change it: `[title, code]` each. */
export function Empty({ says, snippets = [] }) {
  return html`<div class="card empty">
    <p>${says}</p>
    ${snippets.length > 0 && html`<div class="snippets">
      ${snippets.map(([title, code]) => html`<${Snippet} key=${title} title=${title} code=${code} />`)}
    </div>`}
  </div>`;
}

/** What stands where an answer will be, as high as it. */
export function Waiting({ rows = 6 }) {
  return html`<div class="card waiting" style=${{ height: `${rows * 42}px` }} aria-hidden="true"></div>`;
}

/** Draws an answer: nothing while it is on its way, and the server's words where it refuses. */
export function Answered({ answer, rows, children }) {
  if (answer.error) return html`<div class="card empty"><p role="alert">${answer.error}</p></div>`;
  if (answer.data === undefined) return html`<${Waiting} rows=${rows} />`;
  return children(answer.data);
}
