// Experiments: what each says, in a sentence with its reasons, and its effect over time.

import { html } from "./preact.standalone.module.js";
import { linkTo } from "./address.js";
import { NORMALLY, SELDOM, asked, useAnswer } from "./ask.js";
import { AROUND_ZERO, Chart } from "./chart.js";
import { number, one, share, signed, whole } from "./format.js";
import { Answered, Empty, Pill, Section, Value, curl, known, words } from "./parts.js";
import { moment } from "./time.js";
import { List, useList } from "./list.js";
import { Table } from "./table.js";

const DEFINITION = "abtest-abtestresults-and-effect";

const effectOf = (value) => `${signed(one)(value * 100)} points`;
const ends = (interval) => (interval && interval.every(known) ? interval : null);
const range = ([low, high]) => `${signed(one)(low * 100)} to ${signed(one)(high * 100)} points`;
const verdictOf = (test) => (test.winner === null ? words(test.verdict) : `${test.winner} wins`);

const LIST = [
  { key: "name", by: "test_name", name: "Experiment", isName: true, value: (test) => test.test_name,
    show: (test) => html`<a href=${linkTo("experiments", test.test_id)}>${test.test_name}</a><small>since ${moment(test.created_at)}</small>` },
  { key: "verdict", by: "verdict", name: "Verdict", isText: true, value: verdictOf,
    show: (test) => html`<${Pill} of=${test.verdict}>${verdictOf(test)}<//>${test.stopped_at && html`<small>stopped, all get ${test.served_variant}</small>`}` },
  { key: "users", by: "users", name: "Users", value: (test) => test.users, as: whole },
  { key: "conversions", by: "conversions", name: "Conversions", value: (test) => test.conversions, as: whole },
  { key: "p", by: "p_value", name: "p", title: "The smallest of all looks, so that looking often does no harm", value: (test) => test.p_value, as: number(3) },
];

const VARIANTS = (test) => [
  { key: "variant", name: "Variant", isName: true, value: (name) => name,
    show: (name) => html`${name}${name === test.control_variant && html`<small>control</small>`}` },
  { key: "users", name: "Users", value: (name) => test.variant_users[name], as: whole },
  { key: "rate", name: "Conversion rate", value: (name) => test.variant_conversion_rates[name], as: share },
  { key: "interval", name: "95 % interval", value: (name) => (ends(test.variant_conversion_rates_ci[name]) || [null])[0],
    show: (name) => html`<${Value} of=${ends(test.variant_conversion_rates_ci[name])} as=${([low, high]) => `${share(low)} to ${share(high)}`} />` },
  { key: "effect", name: "Against the control", value: (name) => test.effects[name]?.absolute,
    show: (name) => (test.effects[name] ? html`<${Value} of=${test.effects[name].absolute} as=${effectOf} />` : "control") },
  { key: "effect_interval", name: "95 % interval", value: (name) => (ends(test.effects[name]?.absolute_ci) || [null])[0],
    show: (name) => (test.effects[name] ? html`<${Value} of=${ends(test.effects[name].absolute_ci)} as=${range} />` : "") },
  { key: "p", name: "p", title: "The smallest of all looks, so that looking often does no harm", value: (name) => test.effects[name]?.adjusted_p_value,
    show: (name) => (test.effects[name] ? html`<${Value} of=${test.effects[name].adjusted_p_value} as=${number(3)} />` : "") },
];

function Effects({ test, window, environment }) {
  const series = useAnswer(asked(`experiments/${encodeURIComponent(test.test_id)}/series`, { window, environment }), SELDOM);
  const groups = series.data ? series.data.groups.filter(({ key }) => key.variant !== test.control_variant) : [];
  return html`<div class="charts">${groups.map(({ key, columns }) => html`
    <${Chart} key=${key.variant} title=${`${key.variant} against ${test.control_variant}`} definition=${DEFINITION} answer=${series}
      format=${(value) => signed(one)(value * 100)} extent=${AROUND_ZERO} note="points of the conversion rate, as one saw them at the end of each day"
      lines=${[
        { name: "effect", values: columns.effect },
        { name: "low", values: columns.effect_low, isBound: true, colour: "--muted" },
        { name: "high", values: columns.effect_high, isBound: true, colour: "--muted" },
      ]} />`)}
  </div>`;
}

function Experiment({ id, window, environment }) {
  const answer = useAnswer(asked(`experiments/${encodeURIComponent(id)}`, { environment }), NORMALLY);
  return html`<${Answered} answer=${answer} rows=${12}>${(test) => html`
    <div class=${"card verdict"}>
      <p><${Pill} of=${test.verdict}>${verdictOf(test)}<//>${test.stopped_at && html` <${Pill} of="stopped">stopped, all get ${test.served_variant}<//>`}</p>
      <p id="verdict">${test.explanation}</p>
      <ul class="reasons">${test.reasons.map((reason) => html`<li key=${reason}>${reason}</li>`)}</ul>
    </div>
    <${Section} title=${test.test_name} definition=${DEFINITION} note="everybody so far; each person counts for the first variant they met">
      <${Table} label="Variants" columns=${VARIANTS(test)} rows=${Object.keys(test.variant_users)} id=${(name) => name}
        csv=${asked(`experiments/${encodeURIComponent(id)}`, { environment })} />
    <//>
    <${Effects} test=${test} window=${window} environment=${environment} />`}<//>`;
}

function All({ environment }) {
  const listed = useList({ path: "experiments", parameters: { environment }, list: "experiments", columns: LIST });
  return html`<${Section} title="All experiments" definition=${DEFINITION} note="a variant wins when its whole interval is better">
    <${Answered} answer=${listed.answer} rows=${8}>${() => listed.total
      ? html`<${List} listed=${listed} label="Experiments" id=${(test) => test.test_id} />`
      : html`<${Empty} says="There is no experiment. Create one in the store of this server:"
          snippets=${[["curl", curl("experiments", { test_name: "Shorter form", variants: ["control", "short"] })]]} />`}<//>
  <//>`;
}

export function Experiments({ path, window, environment }) {
  const [id] = path;
  if (id) return html`<${Experiment} id=${id} window=${window} environment=${environment} />`;
  return html`<${All} environment=${environment} />`;
}
