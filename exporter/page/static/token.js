// The token: asked for once, kept until the tab is closed, sent with every question.

const TOKEN = "otel-measure-token";
const dialog = document.getElementById("login");
const problem = document.getElementById("login-problem");
const field = document.getElementById("token");
const loggedIn = [];
let wanted = false;

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

/** Asks whoever is there; `refused` is the token that the server did not take. */
export function login(refused) {
  if (wanted || refused !== token()) return; // it is asked already, or another one was given meanwhile
  wanted = true;
  problem.textContent = refused ? "The server does not accept this token." : "";
  dialog.showModal();
}

/** Calls a function each time that somebody has given a token. */
export function whenLoggedIn(resume) {
  loggedIn.push(resume);
}

dialog.querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  try {
    sessionStorage.setItem(TOKEN, field.value.trim());
  } catch {
    problem.textContent = "This browser keeps nothing for this page: allow site data and try again.";
    return;
  }
  field.value = "";
  wanted = false;
  dialog.close();
  for (const resume of loggedIn) resume();
});
dialog.addEventListener("cancel", (event) => event.preventDefault());
// A browser closes a dialog at the second Escape, whatever the page says to the first.
dialog.addEventListener("close", () => wanted && dialog.showModal());

/** Follows a link that only a token opens: a browser does not send one along by itself. */
export async function openWithToken(event) {
  const known = token();
  if (!known) return;
  event.preventDefault();
  const response = await fetch(event.currentTarget.href, { headers: authorization(), cache: "no-store" });
  if (response.status === 401) {
    login(known);
    return;
  }
  // As plain text: what the server sends must not run as a page of this origin.
  const blob = new Blob([await response.text()], { type: "text/plain;charset=utf-8" });
  const opened = URL.createObjectURL(blob);
  if (!open(opened)) location.assign(opened); // no window may be opened here
}
