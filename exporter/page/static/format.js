// Elements and numbers: how a value is written, and that an unknown one is never a zero.

export const $ = (id) => document.getElementById(id);

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** A value, or a dash that says "unknown" to eyes, pointers and screen readers. */
export function shown(value, format) {
  if (value !== null && value !== undefined) return document.createTextNode(format(value));
  const dash = element("abbr", { className: "unknown", title: "unknown", textContent: "–" });
  dash.setAttribute("aria-label", "unknown");
  return dash;
}

export const number = (digits, options = {}) => {
  const format = new Intl.NumberFormat("en", { maximumFractionDigits: digits, ...options });
  return (value) => format.format(value);
};
export const whole = number(0);
export const one = number(1);
export const two = number(2);
export const usd = (value) =>
  new Intl.NumberFormat("en", {
    style: "currency",
    currency: "USD",
    ...(value !== 0 && Math.abs(value) < 1 ? { maximumSignificantDigits: 3 } : {}),
  }).format(value);

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

export function duration(seconds) {
  const [days, hours, minutes] = [seconds / 86400, (seconds / 3600) % 24, (seconds / 60) % 60].map(Math.floor);
  if (days) return `${days} d ${hours} h`;
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min ${Math.floor(seconds % 60)} s` : `${Math.round(seconds)} s`;
}

export const clock = (date) => date.toLocaleTimeString([], { hour12: false });
