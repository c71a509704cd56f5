// Questions to the JSON API: asked again and again, with the token that somebody gave; what fails is said on the page.

import { $, clock } from "./format.js";

const TIMEOUT_MS = 10000;
const RETRY_MS = 2000;
const TOKEN = "otel-measure-token";
// Relative to the page, so that it works below any prefix.
export const API = new URL("api/v1/metrics/", document.baseURI);

// ---------------------------------------------------------------- asking

class Refused extends Error {}

export function token() {
  try {
    return sessionStorage.getItem(TOKEN);
  } catch {
    return null; // storage is switched off
  }
}

export function authorization() {
  const known = token();
  return known ? { Authorization: `Bearer ${known}` } : {};
}

async function ask(path) {
  const response = await fetch(new URL(path, API), {
    headers: authorization(),
    signal: AbortSignal.timeout(TIMEOUT_MS),
    cache: "no-store",
  });
  if (response.status === 401) throw new Refused();
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.message || `status ${response.status}`);
  return answer.data;
}

function login() {
  const dialog = $("login");
  if (dialog.open) return;
  $("login-problem").textContent = token() ? "The server does not accept this token." : "";
  dialog.showModal();
}

const loggedIn = [];

/** Calls a function each time that somebody has given a token. */
export function whenLoggedIn(resume) {
  loggedIn.push(resume);
}

$("login").querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  try {
    sessionStorage.setItem(TOKEN, $("token").value.trim());
  } catch {
    $("login-problem").textContent = "This browser keeps nothing for this page: allow site data and try again.";
    return;
  }
  $("token").value = "";
  $("login").close();
  for (const resume of loggedIn) resume();
});
$("login").addEventListener("cancel", (event) => event.preventDefault());

// ---------------------------------------------------------------- what fails, and since when

const failing = new Map();

function failed(path, error) {
  if (!failing.has(path)) failing.set(path, { since: new Date() });
  failing.get(path).why = error.name === "TypeError" || error.name === "TimeoutError" ? null : error.message;
  showProblem();
}

function answered(path) {
  if (failing.delete(path)) showProblem();
  $("updated").textContent = clock(new Date());
  $("updated").dateTime = new Date().toISOString();
}

function showProblem() {
  const first = [...failing.values()].sort((a, b) => a.since - b.since)[0];
  $("problem").hidden = !first;
  document.body.classList.toggle("stale", Boolean(first));
  if (!first) return;
  const text = first.why
    ? `The server answers with an error since ${clock(first.since)}: ${first.why}`
    : `The server does not answer since ${clock(first.since)}. What is shown is older. Trying again by itself.`;
  // Set only when it changes: an alert is read aloud each time.
  if ($("problem").textContent !== text) $("problem").textContent = text;
}

/** Asks one question again and again, never twice at once, and not while nobody looks. */
export class Question {
  constructor(path, everyMs, show) {
    Object.assign(this, { path, everyMs, show, timer: 0, busy: false });
  }

  async now() {
    clearTimeout(this.timer);
    if (this.busy) return;
    this.busy = true;
    let again = true;
    try {
      this.show(await ask(this.path));
      answered(this.path);
    } catch (error) {
      again = this.refused(error);
    }
    this.busy = false;
    const waitMs = failing.has(this.path) ? RETRY_MS : this.everyMs;
    if (again && !document.hidden) this.timer = setTimeout(() => this.now(), waitMs);
  }

  /** Returns whether to ask again. */
  refused(error) {
    if (error instanceof Refused) {
      login();
      return false;
    }
    failed(this.path, error);
    return true;
  }
}
