/*
 * Calls the admin API as the operator who logged in. The cookie goes by itself; the key of the session is sent with each
 * call, and is kept where only pages of this very address can read it.
 */

const KEY = "vendorgate.session";

/** A refusal, in the words of the API. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `The gateway answered ${status}.`);
    this.status = status;
    this.title = problem.title || "Refused";
    this.reason = problem.reason || "";
  }
}

let ended = () => {};

/** Names what to do when the session has ended. */
export function onSessionEnd(act) {
  ended = act;
}

export function hasSession() {
  return Boolean(localStorage.getItem(KEY));
}

export function forget() {
  localStorage.removeItem(KEY);
}

/** Exchanges an operator's token for a session; the token is not kept. */
export async function login(token) {
  const report = await send("POST", "/v1/session", {}, { Authorization: `Bearer ${token}` });
  localStorage.setItem(KEY, report.key);
  return report;
}

export async function logout() {
  try {
    await call("POST", "/v1/session/end", {});
  } finally {
    forget();
  }
}

export function get(path, signal) {
  return call("GET", path, undefined, signal);
}

export function post(path, order) {
  return call("POST", path, order);
}

/** The path of a call about a vendor. */
export function about(vendor, rest = "") {
  return `/v1/vendors/${encodeURIComponent(vendor)}${rest}`;
}

/** The head of a call that is read as it comes. */
export function stream(path, signal) {
  return fetch(path, { headers: headers(), signal, cache: "no-store" });
}

function headers() {
  return { "X-Vendorgate-Session": localStorage.getItem(KEY) || "" };
}

async function call(method, path, order, signal) {
  try {
    return await send(method, path, order, headers(), signal);
  } catch (no) {
    if (no instanceof Refused && no.status === 401) {
      forget();
      ended();
    }
    throw no;
  }
}

async function send(method, path, order, extra, signal) {
  const options = { method, headers: { ...extra }, signal, cache: "no-store" };
  if (order !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(order);
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, { title: "No answer", detail: "The gateway does not answer. Is it running, and is the network there?" });
  }
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(response.status, body);
  return body;
}
