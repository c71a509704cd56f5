// How many alerts fire, as a word in the head of every page.

import { html } from "./preact.standalone.module.js";
import { linkTo } from "./address.js";
import { counted } from "./format.js";

/** What fires, as a word in the head of the page; it is read aloud when it changes. */
export function Worst({ status }) {
  if (!status) return html`<span id="status" role="status"><span class="pill">connecting</span></span>`;
  const { total } = status;
  return html`<span id="status" role="status"><a class=${`pill ${total ? "bad" : ""}`} href=${linkTo("alerts")}>
    ${total ? `${counted(total, "alert")} firing` : "nothing fires"}</a></span>`;
}
