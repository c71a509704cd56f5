// A list of the API as a table: searched, sorted and paged by the server, as the address says.

import { html, useEffect, useRef, useState } from "./preact.standalone.module.js";
import { address, change } from "./address.js";
import { NORMALLY, asked, useAnswer } from "./ask.js";
import { Csv } from "./csv.js";
import { whole } from "./format.js";
import { Pages, ROWS, Rows, pageOf } from "./table.js";

const TYPED_MS = 250;

/**
 * Asks for the page of a list that the address names.
 *
 * @param name what it is in the address, where a view has several; the first of a view has none.
 * @param path where the list is; `parameters` narrow the question; `list` is its key in the answer, with dots between.
 * @param isOneOf whether the answer has other lists, which are not wanted.
 * @param columns as those of a table, with `by`: the column that the server sorts by.
 * @param most rows of a page: fewer where each is a sentence and stands beside other lists.
 * @param order by which it is sorted until somebody sorts it: the key of a column, `-` before it for the largest first.
 * @returns the last answer that came (`isBusy` while that is not of this question), its rows, how many there are (`total`) and how many are sought (`matched`).
 */
export function useList({ name = "", path, parameters = {}, list, isOneOf = false, columns, order = "", every = NORMALLY, most = ROWS }) {
  const { parameters: of } = address.use();
  const called = (what) => (name ? `${name}_${what}` : what);
  const last = useRef({ data: undefined, error: "", totals: { total: 0, matched: null } });
  const sort = of[called("sort")] || order;
  const q = of[called("q")] || "";
  const wanted = Math.max(1, Number.parseInt(of[called("page")] || "1", 10) || 1);
  const sortedBy = columns.find(({ key }) => key === sort.replace(/^-/, ""))?.by;
  const whose = { ...parameters, list: isOneOf ? list : "", sort: sortedBy ? `${sort.startsWith("-") ? "-" : ""}${sortedBy}` : "", q };
  const question = asked(path, { ...whose, limit: most, offset: (wanted - 1) * most });
  const answer = useAnswer(question, every);
  if (answer.data || answer.error) {
    const rows = answer.data ? list.split(".").reduce((part, key) => part[key], answer.data) : [];
    const totals = answer.lists ? answer.lists[list] : { total: rows.length, matched: rows.length };
    last.current = { ...answer, rows, totals };
  }
  const { totals, rows = [] } = last.current;
  const pages = Math.max(1, Math.ceil(totals.matched / most));
  useEffect(() => {
    // What was there has become less: the last page is the nearest to what somebody looked at.
    if (answer.data && wanted > pages) change({ [called("page")]: pages > 1 ? String(pages) : "" }, { replace: true });
  });
  return { answer: last.current, rows, total: totals.total, matched: totals.matched, isBusy: !answer.data && !answer.error, called, columns, sort, q, page: wanted, pages, most, csv: asked(path, whose) };
}

function Search({ label, q, seek }) {
  const [typed, setTyped] = useState(q);
  const waiting = useRef(0);
  useEffect(() => setTyped(q), [q]);
  const type = (event) => {
    const { value } = event.currentTarget;
    setTyped(value);
    clearTimeout(waiting.current);
    waiting.current = setTimeout(() => seek(value), TYPED_MS);
  };
  return html`<label>Search <input type="search" value=${typed} onInput=${type} aria-label=${`Search in ${label}`} /></label>`;
}

/** Draws what `useList` returns: `rows` are its own, or what a view makes of them; `id` names a row. */
export function List({ listed, label, id, rows = listed.rows, isSearched = true, nothing = "There is none." }) {
  const { called, columns, sort, q, page, pages, most, total, matched, isBusy, csv } = listed;
  const sortBy = (next) => change({ [called("sort")]: next, [called("page")]: "" }, { replace: true });
  const seek = (value) => change({ [called("q")]: value, [called("page")]: "" }, { replace: true });
  const go = (to) => change({ [called("page")]: to > 1 ? String(to) : "" });
  return html`<div class="listing">
    ${isSearched && (total > 10 || q) && html`<div class="search">
      <${Search} label=${label} q=${q} seek=${seek} />
      <span class="note" role="status">${q ? `${whole(matched)} of ${whole(total)}` : whole(total)}</span>
    </div>`}
    <${Rows} label=${label} columns=${columns.map((column) => ({ ...column, isUnsorted: !column.by }))} rows=${rows} id=${id} order=${sort} sortBy=${sortBy}
      isBusy=${isBusy} nothing=${q ? `Nothing here has “${q}” in it.` : nothing} />
    <div class="foot">
      <${Csv} path=${csv} of=${label} />
      ${pages > 1 && html`<${Pages} label=${`Pages: ${label}`} page=${Math.min(page, pages)} pages=${pages} most=${most} total=${matched} go=${go} />`}
    </div>
  </div>`;
}
