// Questions to the JSON API: asked again and again while somebody looks, told when no text is selected.

import { useEffect, useReducer } from "./preact.standalone.module.js";
import { Observed } from "./observed.js";
import { authorization, login, token, whenLoggedIn } from "./token.js";
import { learnZone } from "./time.js";

// How often is asked, in milliseconds.
export const OFTEN = 5000; // what moves by the second: the machine
export const NORMALLY = 10000;
export const SELDOM = 60000; // what is of days

const TIMEOUT_MS = 30000;
const RETRY_MS = 2000;
const REMEMBERED = 40; // answers, for the way back
// Relative to the page, so that it works below any prefix.
export const API = new URL("api/v1/metrics/", document.baseURI);
const NOTHING = { data: undefined, lists: undefined, error: "", at: 0, path: "" };

/** Since when the server does not answer, and what it says; `null` while it does. */
export const problem = new Observed(null);
export const updated = new Observed(null);

class Refused extends Error {
  constructor(sent) {
    super();
    this.sent = sent; // the token, or none
  }
}

/** Returns the path of a question; parameters without a value are left away. */
export function asked(path, parameters = {}) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value)).toString();
  return query ? `${path}?${query}` : path;
}

async function ask(path) {
  const sent = token();
  const response = await fetch(new URL(path, API), {
    headers: authorization(),
    signal: AbortSignal.timeout(TIMEOUT_MS),
    cache: "no-store",
  });
  if (response.status === 401) {
    login(sent);
    throw new Refused(sent);
  }
  const answer = await response.json().catch(() => ({}));
  // What the address asks for is not there: that is an answer, and asking again changes nothing.
  if (response.status === 400 || response.status === 404) return { data: null, error: answer.message || "not there" };
  if (!response.ok) throw new Error(answer.message || `status ${response.status}`);
  return { data: answer.data, lists: answer.lists, error: "" };
}

// ---------------------------------------------------------------- what is held back while text is selected

const held = new Set();

function isSelecting() {
  const selection = getSelection();
  return selection !== null && !selection.isCollapsed && document.getElementById("app").contains(selection.anchorNode);
}

document.addEventListener("selectionchange", () => {
  if (isSelecting()) return;
  for (const question of held) question.tell();
  held.clear();
});

// ---------------------------------------------------------------- one question

class Question {
  constructor(path) {
    Object.assign(this, { path, answer: NOTHING, next: NOTHING, failing: null, timer: 0, busy: false });
    this.listeners = new Map();
  }

  get everyMs() {
    return Math.min(...this.listeners.values());
  }

  add(listener, everyMs) {
    this.listeners.set(listener, everyMs);
    if (Date.now() - this.next.at >= everyMs) this.now();
    else this.later();
  }

  remove(listener) {
    this.listeners.delete(listener);
    if (this.listeners.size) return;
    clearTimeout(this.timer);
    held.delete(this);
    this.answer = this.next;
    this.failing = null;
    showProblem();
  }

  /** Asks now, never twice at once. */
  async now() {
    clearTimeout(this.timer);
    if (this.busy || document.hidden) return;
    this.busy = true;
    try {
      const answer = await ask(this.path);
      this.next = { ...answer, at: Date.now(), path: this.path };
      this.failing = null;
      learnZone(answer.data);
      updated.set(this.next.at);
      if (isSelecting() && this.answer.at) held.add(this);
      else this.tell();
    } catch (error) {
      if (error instanceof Refused) {
        // Whoever gives a token has all questions asked again, but for those that are under way.
        if (error.sent !== token()) setTimeout(() => this.now());
        return;
      }
      const why = error.name === "TypeError" || error.name === "TimeoutError" ? "" : error.message;
      this.failing = { since: this.failing ? this.failing.since : new Date(), why };
    } finally {
      this.busy = false;
    }
    showProblem();
    this.later();
  }

  later() {
    clearTimeout(this.timer);
    if (this.listeners.size) this.timer = setTimeout(() => this.now(), this.failing ? RETRY_MS : this.everyMs);
  }

  tell() {
    this.answer = this.next;
    for (const listener of this.listeners.keys()) listener();
  }
}

const questions = new Map();

function questionOf(path) {
  if (questions.has(path)) return questions.get(path);
  for (const [old, question] of questions) {
    if (questions.size < REMEMBERED) break;
    if (!question.listeners.size) questions.delete(old);
  }
  const question = new Question(path);
  questions.set(path, question);
  return question;
}

function showProblem() {
  const failing = [...questions.values()].map((question) => question.failing).filter(Boolean);
  const first = failing.sort((a, b) => a.since - b.since)[0] || null;
  const now = problem.value;
  if (first && now && first.why === now.why && first.since === now.since) return; // it is read aloud each time
  problem.set(first);
}

/** Returns the latest answer to a question, `{data, lists, error, path}`; without a path nothing is asked. */
export function useAnswer(path, everyMs = NORMALLY) {
  const [, redraw] = useReducer((n) => n + 1, 0);
  const question = path === null ? null : questionOf(path);
  useEffect(() => {
    if (question === null) return undefined;
    question.add(redraw, everyMs);
    return () => question.remove(redraw);
  }, [question, everyMs]);
  return question === null ? NOTHING : question.answer;
}

function askAll() {
  for (const question of questions.values()) if (question.listeners.size) question.now();
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) askAll();
});
whenLoggedIn(askAll);
