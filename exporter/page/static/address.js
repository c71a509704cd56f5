// The state of the page is its address: #/models/gpt-4o/1?window=7d&sort=-cost. Whoever is sent it sees the same.

import { Observed } from "./observed.js";

// What the address of another view takes along.
const KEPT = ["window", "compare", "environment", "service"];

function read() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?", 2);
  try {
    return {
      path: path.split("/").filter(Boolean).map(decodeURIComponent),
      parameters: Object.fromEntries(new URLSearchParams(query || "")),
    };
  } catch {
    return { path: [], parameters: {} }; // somebody wrote it by hand, and wrongly
  }
}

export const address = new Observed(read());
addEventListener("hashchange", () => address.set(read()));

function written(path, parameters) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value)).toString();
  return `#/${path.map(encodeURIComponent).join("/")}${query ? `?${query}` : ""}`;
}

/** Returns the address of a view, which keeps the time range, the comparison and the environment. */
export function linkTo(...path) {
  const { parameters } = address.value;
  return written(path, Object.fromEntries(KEPT.map((name) => [name, parameters[name]])));
}

/** Returns the address of a view whose table shows what has some words in it. */
export function searchIn(view, sought) {
  const address = linkTo(view);
  return `${address}${address.includes("?") ? "&" : "?"}${new URLSearchParams({ q: sought })}`;
}

/** Changes parameters of this view; an empty one is left away. Without `replace` the way back leads to what was. */
export function change(parameters, { replace = false } = {}) {
  const { path, parameters: now } = address.value;
  const hash = written(path, { ...now, ...parameters });
  if (!replace) {
    location.hash = hash;
    return;
  }
  history.replaceState(history.state, "", hash);
  address.set(read());
}
