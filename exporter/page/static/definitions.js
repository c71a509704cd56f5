// Definitions: docs/definitions.md, which the server has beside the page, one section at a time.

import { html, useEffect, useState } from "./preact.standalone.module.js";
import { linkTo } from "./address.js";
import { Section, Waiting } from "./parts.js";

/** The anchor of a heading, as GitHub makes it. */
const anchor = (heading) => heading.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").trim().replace(/\s/g, "-");

/** Cuts the text into its sections: `{level, title, id, lines}` each. */
function sections(text) {
  const all = [];
  for (const line of text.split("\n")) {
    const heading = /^(#{1,3}) (.*)$/.exec(line);
    if (heading) all.push({ level: heading[1].length, title: heading[2].replaceAll("`", ""), id: anchor(heading[2]), lines: [] });
    else if (all.length) all[all.length - 1].lines.push(line);
  }
  return all;
}

const INLINE = /`([^`]+)`|\*\*([^*]+)\*\*|\*([^*]+)\*|\[((?:[^\]]|\](?!\())+)\]\(([^)]+)\)/g;

/** Text with its code, emphasis and links, as elements: nothing of it is ever read as markup. */
function inline(text) {
  const parts = [];
  let at = 0;
  for (const match of text.matchAll(INLINE)) {
    const [whole, code, strong, emphasis, label, target] = match;
    parts.push(text.slice(at, match.index));
    if (code) parts.push(html`<code>${code}</code>`);
    else if (strong) parts.push(html`<b>${strong}</b>`);
    else if (emphasis) parts.push(html`<em>${emphasis}</em>`);
    else if (target.startsWith("#")) parts.push(html`<a href=${linkTo("definitions", target.slice(1))}>${inline(label)}</a>`);
    else parts.push(inline(label)); // a file of the source, which no server has
    at = match.index + whole.length;
  }
  parts.push(text.slice(at));
  return parts;
}

const cells = (line) => line.replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));

function Block({ lines }) {
  if (lines[0].startsWith("|")) {
    const [head, , ...rows] = lines.map(cells);
    return html`<div class="card table prose-table" tabindex="0" role="region" aria-label="Definitions"><table>
      <thead><tr>${head.map((cell) => html`<th scope="col">${inline(cell)}</th>`)}</tr></thead>
      <tbody>${rows.map((row) => html`<tr>${row.map((cell, i) => (i ? html`<td>${inline(cell)}</td>` : html`<th scope="row">${inline(cell)}</th>`))}</tr>`)}</tbody>
    </table></div>`;
  }
  if (lines[0].startsWith("- ")) {
    const items = lines.join("\n").split(/^- /m).filter(Boolean);
    return html`<ul>${items.map((item) => html`<li>${inline(item.replace(/\s+/g, " "))}</li>`)}</ul>`;
  }
  if (lines[0].startsWith("    ")) return html`<pre tabindex="0">${lines.map((line) => line.slice(4)).join("\n")}</pre>`;
  return html`<p>${inline(lines.join(" "))}</p>`;
}

function blocks(lines) {
  const all = [[]];
  for (const line of lines) {
    if (line.trim()) all[all.length - 1].push(line);
    else if (all[all.length - 1].length) all.push([]);
  }
  return all.filter((block) => block.length);
}

function useText() {
  const [text, setText] = useState("");
  useEffect(() => {
    fetch(new URL("definitions.md", import.meta.url))
      .then((response) => (response.ok ? response.text() : Promise.reject(new Error(`status ${response.status}`))))
      .then(setText)
      .catch((error) => setText(`# Definitions\n\nThe server does not give them (${error.message}): reload the page.`));
  }, []);
  return text;
}

export function Definitions({ path }) {
  const text = useText();
  if (!text) return html`<${Waiting} rows=${12} />`;
  const all = sections(text);
  const shown = all.find(({ id }) => id === path[0]) || all[0];
  return html`<div class="columns wide-right">
    <nav class="contents" aria-label="Definitions">${all.slice(1).map(({ id, title, level }) => html`
      <a key=${id} class=${`level-${level}`} href=${linkTo("definitions", id)} aria-current=${id === shown.id ? "page" : null}>${title}</a>`)}</nav>
    <article class="prose-page"><${Section} title=${shown.title}>
      ${blocks(shown.lines).map((lines, i) => html`<${Block} key=${`${shown.id} ${i}`} lines=${lines} />`)}
    <//></article>
  </div>`;
}
