// How a model treats groups: by attribute the rates of each group, and the largest difference between two of them.

import { html } from "./preact.standalone.module.js";
import { counted, share, whole } from "./format.js";
import { Pill, Section, Value, known } from "./parts.js";
import { Table } from "./table.js";

const COLUMNS = (of) => [
  { key: "group", name: "Group", isName: true, value: (group) => group,
    show: (group) => html`${group}${of.left_out.includes(group) && html`<small>too few to compare</small>`}` },
  { key: "n", name: "Records", value: (group) => of.n[group], as: whole },
  { key: "selected", name: "Selected", value: (group) => of.selection_rate[group], as: share },
  { key: "tpr", name: "True positive rate", value: (group) => of.true_positive_rate[group], as: share, why: () => "no truth of this group is positive" },
  { key: "fpr", name: "False positive rate", value: (group) => of.false_positive_rate[group], as: share, why: () => "no truth of this group is negative" },
];

const points = (value) => `${share(value).replace(" %", "")} points`;

function Attribute({ attribute, of, csv }) {
  const interval = of.demographic_parity_difference_ci;
  const gap = html`<${Value} of=${of.demographic_parity_difference} as=${points} why="no two groups can be compared" />`;
  return html`
    <p class="sentence"><${Pill} of=${of.verdict} /> By ${attribute}: the rates of selection differ by at most ${gap}${interval.every(known)
      ? ` (95 % interval ${points(interval[0])} to ${points(interval[1])})` : ""}; equal opportunity by${" "}
      <${Value} of=${of.equal_opportunity_difference} as=${points} why="too few truths are known" />, equalized odds by${" "}
      <${Value} of=${of.equalized_odds_difference} as=${points} why="too few truths are known" />.</p>
    <${Table} name=${`by_${attribute}`} label=${`Fairness by ${attribute}`} columns=${COLUMNS(of)} rows=${Object.keys(of.n)} id=${(group) => group} order="group" csv=${csv} />`;
}

export function Fairness({ report, csv }) {
  const attributes = Object.entries(report.attributes);
  return html`<${Section} title="Fairness" definition="fairnessreport-and-fairness"
      note=${`selected is “${report.positive}”; ${counted(attributes.length, "attribute")}, groups of 100 records and more are compared`}>
    ${attributes.map(([attribute, of]) => html`<${Attribute} key=${attribute} attribute=${attribute} of=${of} csv=${csv} />`)}
  <//>`;
}
