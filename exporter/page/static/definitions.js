// Definitions and alert rules: docs/definitions.md and docs/alerts.md, which the server has beside the page, a section at a time.

import { html, useEffect, useState } from "./preact.standalone.module.js";
import { linkTo } from "./address.js";
import { Section, Waiting } from "./parts.js";

/** The anchor of a heading, as GitHub makes it. */
const anchor = (heading) => heading.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").trim().replace(/\s/g, "-");

const VIEWS = { "definitions.md": "definitions", "alerts.md": "rules" }; // of each text: the view that shows it
const FENCE = "```";

/** Cuts the text into its sections: `{level, title, id, lines}` each. */
function sections(text) {
  const all = [];
  let isCode = false;
  for (const line of text.split("\n")) {
    if (line.startsWith(FENCE)) isCode = !isCode;
    const heading = isCode ? null : /^(#{1,3}) (.*)$/.exec(line);
    if (heading) all.push({ level: heading[1].length, title: heading[2].replaceAll("`", ""), id: anchor(heading[2]), lines: [] });
    else if (all.length) all[all.length - 1].lines.push(line);
  }
  return all;
}

const INLINE = /`([^`]+)`|\*\*([^*]+)\*\*|\*([^*]+)\*|\[((?:[^\]]|\](?!\())+)\]\(([^)]+)\)/g;

/** Text of a file with its code, emphasis and links, as elements: nothing of it is ever read as markup. */
function inline(text, file) {
  const parts = [];
  let at = 0;
  for (const match of text.matchAll(INLINE)) {
    const [whole, code, strong, emphasis, label, target] = match;
    parts.push(text.slice(at, match.index));
    if (code) parts.push(html`<code>${code}</code>`);
    else if (strong) parts.push(html`<b>${strong}</b>`);
    else if (emphasis) parts.push(html`<em>${emphasis}</em>`);
    else {
      const [of, id] = target.split("#");
      const view = VIEWS[of || file]; // another file of the source no server has
      parts.push(view ? html`<a href=${id ? linkTo(view, id) : linkTo(view)}>${inline(label, file)}</a>` : inline(label, file));
    }
    at = match.index + whole.length;
  }
  parts.push(text.slice(at));
  return parts;
}

const cells = (line) => line.replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));

function Block({ lines, file }) {
  if (lines[0].startsWith("|")) {
    const [head, , ...rows] = lines.map(cells);
    return html`<div class="card table prose-table" tabindex="0" role="region" aria-label="Table"><table>
      <thead><tr>${head.map((cell) => html`<th scope="col">${inline(cell, file)}</th>`)}</tr></thead>
      <tbody>${rows.map((row) => html`<tr>${row.map((cell, i) => (i ? html`<td>${inline(cell, file)}</td>` : html`<th scope="row">${inline(cell, file)}</th>`))}</tr>`)}</tbody>
    </table></div>`;
  }
  if (lines[0].startsWith("- ")) {
    const items = lines.join("\n").split(/^- /m).filter(Boolean);
    return html`<ul>${items.map((item) => html`<li>${inline(item.replace(/\s+/g, " "), file)}</li>`)}</ul>`;
  }
  if (lines[0].startsWith(FENCE)) return html`<pre tabindex="0">${lines.slice(1, -1).join("\n")}</pre>`;
  if (lines[0].startsWith("    ")) return html`<pre tabindex="0">${lines.map((line) => line.slice(4)).join("\n")}</pre>`;
  return html`<p>${inline(lines.join(" "), file)}</p>`;
}

function blocks(lines) {
  const all = [[]];
  let isCode = false;
  for (const line of lines) {
    if (line.startsWith(FENCE)) isCode = !isCode;
    if (line.trim() || isCode) all[all.length - 1].push(line);
    else if (all[all.length - 1].length) all.push([]);
  }
  return all.filter((block) => block.length);
}

function useText(file) {
  const [text, setText] = useState("");
  useEffect(() => {
    fetch(new URL(file, import.meta.url))
      .then((response) => (response.ok ? response.text() : Promise.reject(new Error(`status ${response.status}`))))
      .then(setText)
      .catch((error) => setText(`# ${file}\n\nThe server does not give it (${error.message}): reload the page.`));
  }, [file]);
  return text;
}

function Text({ file, label, path }) {
  const text = useText(file);
  if (!text) return html`<${Waiting} rows=${12} />`;
  const all = sections(text);
  const shown = all.find(({ id }) => id === path[0]) || all[0];
  return html`<div class="columns wide-right">
    <nav class="contents" aria-label=${label}>${all.slice(1).map(({ id, title, level }) => html`
      <a key=${id} class=${`level-${level}`} href=${linkTo(VIEWS[file], id)} aria-current=${id === shown.id ? "page" : null}>${title}</a>`)}</nav>
    <article class="prose-page"><${Section} title=${shown.title}>
      ${blocks(shown.lines).map((lines, i) => html`<${Block} key=${`${shown.id} ${i}`} lines=${lines} file=${file} />`)}
    <//></article>
  </div>`;
}

export const Definitions = ({ path }) => html`<${Text} file="definitions.md" label="Definitions" path=${path} />`;
/** Where links of notifications lead: what a rule means, and what to do. */
export const Rules = ({ path }) => html`<${Text} file="alerts.md" label="Alert rules" path=${path} />`;
