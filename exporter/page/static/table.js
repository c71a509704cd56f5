// A table of rows that the page has: sorted and paged in the address, so that a link shows the same. Lists of the API are in list.js.

import { html } from "./preact.standalone.module.js";
import { address, change } from "./address.js";
import { Csv } from "./csv.js";
import { whole } from "./format.js";
import { Value, known } from "./parts.js";

export const ROWS = 25;

/** The order of two values; what is unknown stands last, whichever way it is sorted. */
function compare(a, b, factor) {
  if (!known(a) || !known(b)) return Number(known(b)) - Number(known(a));
  return factor * (typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b);
}

/** Which page the address asks for, of those that there are. */
export function pageOf(parameter, rows) {
  const pages = Math.max(1, Math.ceil(rows / ROWS));
  return { pages, page: Math.min(pages, Math.max(1, Number.parseInt(parameter || "1", 10) || 1)) };
}

function sorted(rows, columns, order) {
  const column = columns.find(({ key }) => key === order.replace(/^-/, ""));
  if (!column) return rows;
  const factor = order.startsWith("-") ? -1 : 1;
  return [...rows].sort((a, b) => compare(column.value(a), column.value(b), factor));
}

function Heading({ column, order, sortBy }) {
  const direction = { [column.key]: "ascending", [`-${column.key}`]: "descending" }[order];
  // The first click shows the largest numbers, and names from A on.
  const first = column.isName ? column.key : `-${column.key}`;
  const other = column.isName ? `-${column.key}` : column.key;
  if (!sortBy || column.isUnsorted) return html`<th scope="col" class=${column.isText ? "text" : ""} title=${column.title}>${column.name}</th>`;
  return html`<th scope="col" aria-sort=${direction || "none"} class=${column.isText ? "text" : ""}>
    <button type="button" title=${column.title || "Sort"} onClick=${() => sortBy(order === first ? other : first)}>
      ${column.name}<span class="arrow" aria-hidden="true">${{ ascending: " ↑", descending: " ↓" }[direction] || ""}</span>
    </button>
  </th>`;
}

function Cell({ row, column, isFirst }) {
  const content = column.show
    ? column.show(row)
    : html`<${Value} of=${column.value(row)} as=${column.as || String} why=${column.why ? column.why(row) : "unknown"} />`;
  const look = column.isText ? "text" : "";
  return isFirst ? html`<th scope="row">${content}</th>` : html`<td class=${look}>${content}</td>`;
}

/** The way to the other pages of something of which some are shown at a time. */
export function Pages({ label, page, pages, total, go, most = ROWS }) {
  return html`<nav class="pages" aria-label=${label}>
    <button type="button" disabled=${page <= 1} onClick=${() => go(page - 1)}>Previous</button>
    <span>${whole((page - 1) * most + 1)} to ${whole(Math.min(page * most, total))} of ${whole(total)}</span>
    <button type="button" disabled=${page >= pages} onClick=${() => go(page + 1)}>Next</button>
  </nav>`;
}

/** The rows of a table below their headings, in the order that somebody asked for. */
export function Rows({ label, columns, rows, id, order, sortBy, nothing, isBusy = false }) {
  return html`<div class="card table" tabindex="0" role="region" aria-label=${label} aria-busy=${isBusy ? "true" : null}>
    <table>
      <thead><tr>${columns.map((column) => html`
        <${Heading} key=${column.key} column=${column} order=${order} sortBy=${sortBy} />`)}</tr></thead>
      <tbody>${rows.map((row) => html`<tr key=${id(row)}>${columns.map((column, i) => html`
        <${Cell} key=${column.key} row=${row} column=${column} isFirst=${i === 0} />`)}</tr>`)}</tbody>
    </table>
    ${!rows.length && html`<p class="none">${nothing}</p>`}
  </div>`;
}

/**
 * @param name what it is in the address, where a view has several; the first of a view has none.
 * @param columns `{key, name, value, as, show, title, why, isName, isText, isUnsorted}`: `value(row)` is sorted by, `as`
 *   writes it, or `show(row)` draws the cell. The first heads the row.
 * @param id of a row.
 * @param order by which it is sorted until somebody sorts it.
 * @param csv the question to the API that has the same rows as CSV.
 */
export function Table({ name = "", label, columns, rows, id, order = "", csv, nothing = "There is none." }) {
  const { parameters } = address.use();
  const parameter = (what) => (name ? `${name}_${what}` : what);
  const by = parameters[parameter("sort")] || order;
  const { pages, page } = pageOf(parameters[parameter("page")], rows.length);
  const shown = sorted(rows, columns, by).slice((page - 1) * ROWS, page * ROWS);
  const sortBy = (next) => change({ [parameter("sort")]: next, [parameter("page")]: "" }, { replace: true });
  return html`<div class="listing">
    <${Rows} label=${label} columns=${columns} rows=${shown} id=${id} order=${by} sortBy=${sortBy} nothing=${nothing} />
    <div class="foot">
      <${Csv} path=${csv} of=${label} />
      ${pages > 1 && html`<${Pages} label=${`Pages: ${label}`} page=${page} pages=${pages} total=${rows.length}
        go=${(to) => change({ [parameter("page")]: to > 1 ? String(to) : "" })} />`}
    </div>
  </div>`;
}
