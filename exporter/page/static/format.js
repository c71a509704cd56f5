// Numbers: how a value is written.

export const number = (digits, options = {}) => {
  const format = new Intl.NumberFormat("en", { maximumFractionDigits: digits, ...options });
  return (value) => format.format(value);
};
export const whole = number(0);
export const one = number(1);
export const two = number(2);

/** Cents, and of less than a dollar three figures that tell. */
export function usd(value) {
  const tells = value !== 0 && Math.abs(value) < 1 ? 2 - Math.floor(Math.log10(Math.abs(value))) : 2;
  return number(Math.min(tells, 12), { style: "currency", currency: "USD", minimumFractionDigits: 2 })(value);
}

/** A number with as many decimals as tell it from others: 99.96 never reads as 100, nor 99.899 as 99.9. */
function apart(value, others, digits) {
  for (let more = digits; more < 15; more += 1) {
    const text = number(more)(value);
    if (others.every((other) => other === null || other === value || number(more)(other) !== text)) return text;
  }
  return String(value);
}

/** Formats of KPIs: the value, and the bounds that it must not be mistaken for. */
export const percent = (value, bounds = []) => `${apart(value, [0, 100, ...bounds], 1)} %`;
export const share = (value, bounds = []) =>
  percent(value * 100, bounds.map((bound) => (bound === null ? null : bound * 100)));
export const points = (value, bounds = []) => apart(value, bounds, 1);
export const score = (value, bounds = []) => apart(value, bounds, 2);
export function milliseconds(value, bounds = []) {
  if (value < 1000) return `${apart(value, bounds, value < 100 ? 1 : 0)} ms`;
  return `${apart(value / 1000, bounds.map((bound) => (bound === null ? null : bound / 1000)), 2)} s`;
}

export function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  const step = value < 1024 ? 0 : Math.min(Math.floor(Math.log2(value) / 10), units.length - 1);
  return `${(step ? one : whole)(value / 1024 ** step)} ${units[step]}`;
}

/** How a value of a KPI is written, by its unit. */
const UNITS = { percent, ratio: share, ms: milliseconds, usd, score, points, bytes_per_second: (v) => `${bytes(v)}/s` };
export const unit = (name) => UNITS[name] || ((value) => whole(value));

export const counted = (n, what) => `${whole(n)} ${what}${n === 1 ? "" : "s"}`;
export const signed = (format) => (value) => `${value > 0 ? "+" : value < 0 ? "−" : ""}${format(Math.abs(value))}`;
export const sum = (values) => values.reduce((total, value) => total + (value || 0), 0);
