/*
 * Follows the live stream: what each vendor is and did, and what it did in each of the last seconds. Asks again when the
 * stream ends, as it does each minute; says when it is late.
 */

import { forget, stream } from "./api.js";
import { rest } from "./dom.js";

/** How many seconds a line of activity shows. */
export const SECONDS = 60;
const PAUSE_MAX = 10_000;
/** Milliseconds without an event after which lines of activity begin anew. */
const GAP = 5_000;

/** Vendors by id: `now` is the last sample, `requests` and `denials` are counts of each of the last seconds. */
export const vendors = new Map();
/** Counts of all vendors together in each of the last seconds. */
export const total = { requests: [], denials: [] };

const listeners = new Set();
let running;
let last = 0;

/** Calls `act` after each event; returns what ends that. */
export function follow(act) {
  listeners.add(act);
  return () => listeners.delete(act);
}

/** Whether figures are as new as they should be. */
export function isFresh() {
  return Date.now() - last < GAP;
}

export function start(onEnd) {
  stop();
  running = new AbortController();
  run(running.signal, onEnd);
}

export function stop() {
  running?.abort();
  vendors.clear();
  total.requests.length = 0;
  total.denials.length = 0;
  last = 0;
}

async function run(signal, onEnd) {
  let pause = 0;
  while (!signal.aborted) {
    // Also the first time: a page that nobody sees follows nothing.
    await rest(pause, signal);
    // A hidden page lets go of its connection: a browser has only six to a gateway.
    const open = new AbortController();
    const ends = AbortSignal.any([signal, open.signal]);
    const hide = () => document.hidden && open.abort();
    document.addEventListener("visibilitychange", hide, { signal: ends });
    try {
      const response = await stream("/v1/live", ends);
      if (response.status === 401) {
        forget();
        return onEnd();
      }
      if (response.ok) pause = 0;
      if (response.ok) await read(response.body.getReader(), ends);
    } catch {
      // It broke off, or nobody answers: ask again.
    }
    open.abort();
    if (!signal.aborted) tell();
    pause = Math.min(PAUSE_MAX, pause * 2 || 250);
  }
}

async function read(reader, signal) {
  const decoder = new TextDecoder();
  let held = "";
  while (!signal.aborted) {
    const { value, done } = await reader.read();
    if (done) return;
    held += decoder.decode(value, { stream: true });
    const events = held.split("\n\n");
    held = events.pop();
    for (const event of events) {
      if (event.startsWith("data: ")) take(JSON.parse(event.slice(6)));
    }
  }
}

function take(event) {
  // What happened while nobody looked belongs to no second.
  const first = Date.now() - last > GAP;
  last = Date.now();
  if (event.whole) {
    for (const id of vendors.keys()) if (!Object.hasOwn(event.vendors, id)) vendors.delete(id);
  }
  for (const id of event.gone ?? []) vendors.delete(id);
  let [requests, denials] = [0, 0];
  for (const [id, sample] of Object.entries(event.vendors)) {
    const known = vendors.get(id);
    if (known) {
      known.more = { requests: gain(known.now.requests, sample.requests), denials: gain(known.now.denials, sample.denials) };
      known.now = sample;
      requests += known.more.requests;
      denials += known.more.denials;
    } else {
      vendors.set(id, { now: sample, requests: [], denials: [], more: undefined });
    }
  }
  if (first) {
    for (const vendor of vendors.values()) Object.assign(vendor, { requests: [], denials: [], more: undefined });
    total.requests.length = total.denials.length = 0;
    return tell();
  }
  for (const vendor of vendors.values()) {
    push(vendor.requests, vendor.more?.requests ?? 0);
    push(vendor.denials, vendor.more?.denials ?? 0);
    vendor.more = undefined;
  }
  push(total.requests, requests);
  push(total.denials, denials);
  tell();
}

/** Counts begin again when the gateway does. */
function gain(before, now) {
  return now >= before ? now - before : now;
}

function push(list, value) {
  list.push(value);
  if (list.length > SECONDS) list.shift();
}

function tell() {
  for (const act of listeners) act();
}
