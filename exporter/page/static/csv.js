// What the page shows, as comma-separated values: asked of the server with the token, which a link cannot carry, and saved.

import { html } from "./preact.standalone.module.js";
import { API } from "./ask.js";
import { authorization, login, token } from "./token.js";

const SAVED_WITHIN_MS = 60000;

async function save(event) {
  event.preventDefault();
  const { href } = event.currentTarget;
  const sent = token();
  const response = await fetch(href, { headers: { ...authorization(), Accept: "text/csv" }, cache: "no-store" });
  if (response.status === 401) {
    login(sent);
    return;
  }
  const [, name] = /filename="(.*)"/.exec(response.headers.get("Content-Disposition") || "") || [];
  if (!response.ok || !name) throw new Error(`no table came from ${href}: status ${response.status}`);
  const saved = document.createElement("a");
  saved.href = URL.createObjectURL(await response.blob());
  saved.download = name;
  saved.click();
  setTimeout(() => URL.revokeObjectURL(saved.href), SAVED_WITHIN_MS);
}

/** A link to the same as a file: `path` is a question to the API, `of` says what it is. */
export function Csv({ path, of }) {
  return html`<a class="csv" href=${new URL(path, API).href} onClick=${save} aria-label=${`${of} as CSV`} title="Up to 1,000 rows, as they are sorted and sought">CSV</a>`;
}
