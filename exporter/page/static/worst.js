// The worst of everything, in a word for the head of every page and in a sentence for the overview.

import { html } from "./preact.standalone.module.js";
import { linkTo } from "./address.js";
import { firingRows, untold } from "./firing.js";
import { counted, unit } from "./format.js";

const count = (alerts) => firingRows(alerts).length + untold(alerts);

/** What fires, as a word in the head of the page; it is read aloud when it changes. */
export function Worst({ alerts }) {
  if (!alerts) return html`<span id="status" role="status"><span class="pill">connecting</span></span>`;
  const n = count(alerts);
  return html`<span id="status" role="status"><a class=${`pill ${n ? "bad" : ""}`} href=${linkTo("alerts")}>
    ${n ? `${counted(n, "alert")} firing` : "nothing fires"}</a></span>`;
}

/** What is worst of all that is known, as `{look, sentence}`. */
export function worst({ alerts, kpis, services, machine }) {
  const n = count(alerts);
  if (n) {
    const [{ sentence }] = firingRows(alerts);
    return { look: "bad", sentence: `${sentence.replace(/\.$/, "")}${n > 1 ? `, and ${counted(n - 1, "more alert")} fire${n === 2 ? "s" : ""}` : ""}.` };
  }
  const down = services.filter(({ state }) => state === "down").map(({ service_name }) => service_name);
  if (down.length) return { look: "bad", sentence: `${down.join(", ")} ${down.length > 1 ? "are" : "is"} down.` };
  const missed = kpis.kpis.filter(({ verdict }) => verdict === "warning");
  if (missed.length) return { look: "fair", sentence: `No alert fires. ${targets(missed, kpis.verdicts.warning)}.` };
  if (machine && machine.status !== "healthy") return { look: "fair", sentence: `No alert fires. This machine is ${machine.status}.` };
  const { ok = 0, unknown = 0 } = kpis.verdicts;
  if (!ok) return { look: "", sentence: "Nothing can be judged yet: there is too little data, or none." };
  const rest = unknown ? ` ${counted(unknown, "other")} cannot be judged yet.` : "";
  return { look: "good", sentence: `No alert fires, and ${ok === 1 ? "the KPI that is judged keeps its target" : `all ${ok} KPIs that are judged keep their targets`}.${rest}` };
}

function targets(missed, total) {
  const [{ title, subject, value, target, unit: named }] = missed;
  const write = unit(named);
  const bounds = target === null ? "" : `: the target is ${write(target)}`;
  const said = `${title}${subject ? ` of ${subject}` : ""} is ${value === null ? "unknown" : write(value, [target])}${bounds}`;
  return total > 1 ? `${counted(total, "KPI")} miss their targets. ${said}` : said;
}
