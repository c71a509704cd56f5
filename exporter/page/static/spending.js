// Spending: what the calls of models cost, by whom and for what.

import { html } from "./preact.standalone.module.js";
import { change } from "./address.js";
import { counted, share, usd, whole } from "./format.js";
import { recordCall } from "./models.js";
import { Answered, Empty, Section, Tile, Value } from "./parts.js";
import { List, useList } from "./list.js";

const WAYS = { user: "user", repository: "repository", model: "model", "model,version": "model and version", "user,model": "user and model" };
const nameOf = (row) => Object.values(row.by).map((value) => value || "nobody named it").join(" · ");

const COLUMNS = [
  { key: "by", name: "By", isName: true, isUnsorted: true, value: nameOf },
  { key: "cost", by: "cost_usd", name: "Cost", value: (row) => row.cost_usd, as: usd },
  { key: "requests", by: "requests", name: "Requests", value: (row) => row.requests, as: whole },
  { key: "errors", by: "errors", name: "Errors", value: (row) => row.errors, as: whole },
  { key: "input", by: "input_tokens", name: "Input tokens", value: (row) => row.input_tokens, as: whole },
  { key: "output", by: "output_tokens", name: "Output tokens", value: (row) => row.output_tokens, as: whole },
  { key: "priced", by: "priced_ratio", name: "Priced", title: "Share of the requests whose cost is known", value: (row) => row.priced_ratio, as: share },
];

export function Spending({ window, environment, service, parameters }) {
  const by = parameters.by in WAYS ? parameters.by : "user";
  const listed = useList({ path: "ai/spending", parameters: { window, environment, service, by }, list: "rows", columns: COLUMNS, order: "-cost" });
  return html`<${Section} title="What the calls of models cost" definition="spending-and-spendingrow" note=${`last ${window}`}>
    <form class="controls inner"><label>By <select value=${by} onChange=${(event) => change({ by: event.currentTarget.value, page: "" })}>
      ${Object.entries(WAYS).map(([way, name]) => html`<option key=${way} value=${way} selected=${way === by}>${name}</option>`)}
    </select></label></form>
    <${Answered} answer=${listed.answer} rows=${10}>${(data) => listed.total || data.unattributed_requests
      ? html`<div class="tiles">
          <${Tile} title="Total" definition="spending-and-spendingrow" value=${html`<${Value} of=${data.total_usd} as=${usd} />`} note=${counted(listed.total, "row")} />
          <${Tile} title="Of nobody" definition="spending-and-spendingrow" value=${html`<${Value} of=${data.unattributed_usd} as=${usd} />`}
            note=${`${counted(data.unattributed_requests, "call")} that name neither a user nor a repository`} />
        </div>
        <${List} listed=${listed} label="Spending" id=${nameOf}
          nothing="No call names a user or a repository: Models has the cost of each model." />`
      : html`<${Empty} says=${`No call was recorded in the last ${window}. Record one in the store of this server:`} snippets=${recordCall} />`}<//>
  <//>`;
}
