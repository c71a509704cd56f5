// A series of the API, as charts and tiles want it.

/** A series without the step that is still running: of sums a part looks like a fall. */
export function completed(series) {
  const steps = series.start.length - 1;
  if (steps < 1 || !series.partial.includes(steps)) return series;
  const cut = (columns) => Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, values.slice(0, steps)]));
  return { ...series, start: series.start.slice(0, steps), columns: cut(series.columns) };
}
