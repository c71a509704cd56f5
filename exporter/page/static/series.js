// A series of the API, as charts and tiles want it.

import { one, signed, sum } from "./format.js";
import { known } from "./parts.js";

/** The change of a sum against the time before, in words. */
export function changed(now, before, length) {
  if (!known(before) || !before) return `nothing in the ${length} before`;
  const ratio = now / before - 1;
  return Math.abs(ratio) < 0.0005 ? `as in the ${length} before` : `${signed(one)(ratio * 100)} % against the ${length} before`;
}

/** The change of the sum of a column, of a series that has the time before; nothing where nobody knows it yet. */
export function changedSum(series, column, length) {
  return series && series.previous ? changed(sum(series.columns[column]), sum(series.previous.columns[column]), length) : "";
}

/** A series without the step that is still running: of sums a part looks like a fall. */
export function completed(series) {
  const steps = series.start.length - 1;
  if (steps < 1 || !series.partial.includes(steps)) return series;
  const cut = (columns) => Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, values.slice(0, steps)]));
  return { ...series, start: series.start.slice(0, steps), columns: cut(series.columns) };
}
